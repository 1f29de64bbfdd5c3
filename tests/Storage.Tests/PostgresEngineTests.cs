using MailPipeline.Storage.Postgres;
using MailPipeline.Testing;
using Npgsql;

namespace MailPipeline.Storage.Tests;

/// <summary>One PostgreSQL server for all tests of the class; each test has a database of its own.</summary>
public sealed class PostgresDatabases : IAsyncLifetime
{
    private PostgresServer? _server;

    public async ValueTask InitializeAsync() => _server = await PostgresServer.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
            await _server.DisposeAsync();
    }

    public Task<string> CreateAsync() => _server!.CreateDatabaseAsync();

    /// <summary>A database as no store can be in.</summary>
    public async Task<string> CreateAsync(string encoding)
    {
        var name = $"in_{encoding}".ToLowerInvariant();
        await _server!.QueryAsync($"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
        return _server.ConnectionString(name);
    }
}

public sealed class Postgres_engine(PostgresDatabases databases) : EngineTests, IClassFixture<PostgresDatabases>
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);
    private static readonly Statement s_quotient = new("SELECT 10 / CAST($1 AS BIGINT)");

    private static readonly Statement s_insertQuotient =
        new("INSERT INTO domains (name, created_at) VALUES ($1, 10 / CAST($2 AS BIGINT)) RETURNING created_at");

    protected override async Task<StorageOptions> CreateAsync() => new() { ConnectionString = await databases.CreateAsync() + ";Maximum Pool Size=10" };

    /// <summary>A statement that is refused while the driver prepares it leaves the connection unfit for its next good run.</summary>
    [Fact]
    public async Task What_is_refused_costs_the_connection_it_came_on_and_no_other_run_of_its_statement()
    {
        for (var i = 0; i < 100; i++)
        {
            if (i % 20 < 4)
            {
                var refused = await Assert.ThrowsAsync<StorageUnavailableException>(() => Database.QueryAsync(s_quotient, r => r.GetInt64(0), default, 0));
                Assert.Equal(StorageFault.Refused, refused.Fault);
                refused = await Assert.ThrowsAsync<StorageUnavailableException>(
                    () => Database.WriteAsync(transaction => transaction.QueryAsync(s_insertQuotient, r => r.GetInt64(0), $"d{i}", 0)));
                Assert.Equal(StorageFault.Refused, refused.Fault);
            }
            else
            {
                Assert.Equal([2], await Database.QueryAsync(s_quotient, r => r.GetInt64(0), default, 5));
                Assert.Equal([2], await Database.WriteAsync(transaction => transaction.QueryAsync(s_insertQuotient, r => r.GetInt64(0), $"d{i}", 5)));
            }
        }
    }

    [Fact]
    public void Shared_rows_are_come_to_kind_after_kind_and_within_a_kind_in_the_order_of_their_keys()
    {
        Statement domain = new("1") { Locks = SharedRows.Domains }, message = new("2") { Locks = SharedRows.Messages }, own = new("3");
        (Statement Statement, SqlValue Key, int Number)[] waiting =
        [
            (domain, "b", 0), (own, 9, 1), (message, SqlValue.FromIds([7, 3]), 2), (domain, "a", 3), (message, 5, 4), (own, 1, 5), (domain, "b", 6),
            (message, 2, 7),
        ];
        List<(Statement, SqlValue, int)> later = [.. waiting];
        foreach (var (expected, locked) in ((int[], long[]?)[])[([1, 5], null), ([7, 2, 4], [2, 3, 5, 7]), ([3, 0, 6], null)])
        {
            (var next, later) = RowOrder.Split(later, item => item.Item1, item => item.Item2);
            Assert.Equal(expected, next.Select(item => item.Item3));
            Assert.Equal(locked, RowOrder.LockFor(next, item => item.Item1, item => item.Item2)?.Ids.Reference);
        }
        Assert.Empty(later);
    }

    [Fact]
    public async Task Who_comes_while_another_brings_the_schema_up_to_date_waits_longer_than_a_command_may_take()
    {
        await using var connection = new NpgsqlConnection(Options.ConnectionString);
        await connection.OpenAsync(Cancellation);
        await using (var migrating = new NpgsqlCommand($"SELECT pg_advisory_lock({PostgresEngine.MigrationLock})", connection))
            await migrating.ExecuteNonQueryAsync(Cancellation);
        var opening = OpenAsync(Options.ConnectionString + ";Command Timeout=1");
        await Eventually.TrueAsync(
            async () => await RunAsync(
                "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database() AND clock_timestamp() - query_start > interval '1.5 s'") is 1L,
            s_limit, cancellation: Cancellation);
        Assert.False(opening.IsCompleted);
        await using (var done = new NpgsqlCommand($"SELECT pg_advisory_unlock({PostgresEngine.MigrationLock})", connection))
            await done.ExecuteNonQueryAsync(Cancellation);
        await using var other = await opening.WaitAsync(s_limit, Cancellation);
    }

    [Theory]
    [InlineData("LATIN1")]
    [InlineData("SQL_ASCII")]
    public async Task A_database_whose_encoding_does_not_have_every_character_is_refused(string encoding)
    {
        var connection = await databases.CreateAsync(encoding);

        var refused = await Assert.ThrowsAsync<StoreEncodingException>(() => OpenAsync(connection));
        Assert.Contains($"whose encoding is {encoding}; it must be UTF8", refused.Message, StringComparison.Ordinal);
    }
}
