using MailPipeline.Storage;
using MailPipeline.Storage.Postgres;
using MailPipeline.Testing;
using Npgsql;

namespace MailPipeline.Mail.Tests;

/// <summary>One PostgreSQL server for all tests of the class; each test has a database of its own.</summary>
public sealed class PostgresFixture : IAsyncLifetime
{
    private PostgresServer? _server;

    public async ValueTask InitializeAsync() => _server = await PostgresServer.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
            await _server.DisposeAsync();
    }

    /// <summary>A database as no store can be in.</summary>
    public async Task<string> CreateDatabaseAsync(string encoding)
    {
        var name = $"in_{encoding}".ToLowerInvariant();
        await _server!.QueryAsync($"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
        return _server.ConnectionString(name);
    }

    public async Task<StoreFixture> OpenAsync(Action<StorageOptions>? configure = null) => await StoreFixture.PostgresAsync(
        await _server!.CreateDatabaseAsync() + ";Maximum Pool Size=10", configure, () => ValueTask.CompletedTask);
}

public sealed partial class Postgres_store(PostgresFixture postgres) : StoreTests, IClassFixture<PostgresFixture>
{
    protected override Task<StoreFixture> OpenAsync() => postgres.OpenAsync();

    private static readonly Statement s_quotient = new("SELECT 10 / CAST($1 AS BIGINT)");

    private static readonly Statement s_insertQuotient =
        new("INSERT INTO domains (name, created_at) VALUES ($1, 10 / CAST($2 AS BIGINT)) RETURNING created_at");

    /// <summary>A statement that is refused while the driver prepares it leaves the connection unfit for its next good run.</summary>
    [Fact]
    public async Task What_is_refused_costs_the_connection_it_came_on_and_no_other_run_of_its_statement()
    {
        for (var i = 0; i < 100; i++)
        {
            if (i % 20 < 4)
            {
                var refused = await Assert.ThrowsAsync<StorageUnavailableException>(() => Store.Database.QueryAsync(s_quotient, r => r.GetInt64(0), default, 0));
                Assert.Equal(StorageFault.Refused, refused.Fault);
                refused = await Assert.ThrowsAsync<StorageUnavailableException>(
                    () => Store.Database.WriteAsync(transaction => transaction.QueryAsync(s_insertQuotient, r => r.GetInt64(0), $"d{i}", 0)));
                Assert.Equal(StorageFault.Refused, refused.Fault);
            }
            else
            {
                Assert.Equal([2], await Store.Database.QueryAsync(s_quotient, r => r.GetInt64(0), default, 5));
                Assert.Equal([2], await Store.Database.WriteAsync(transaction => transaction.QueryAsync(s_insertQuotient, r => r.GetInt64(0), $"d{i}", 5)));
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
    public async Task Who_is_recorded_as_delivered_while_his_claim_is_taken_back_is_not_taken_back()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        await Store.Claims.TakeAsync(7, "example.net", recipients, begun: true, default);
        await using var worker = new NpgsqlConnection(Store.Options.ConnectionString);
        await worker.OpenAsync();
        await using var recording = await worker.BeginTransactionAsync();
        await RunAsync($"UPDATE recipients SET state = 1, attempts = 1 WHERE id = {recipients[0].RecipientId}");

        var taking = Store.TakeBackAsync(evenIfLeased: true);
        await using var watch = new NpgsqlConnection(Store.Options.ConnectionString);
        await watch.OpenAsync();
        await Eventually.TrueAsync(async () =>
        {
            await using var waits = new NpgsqlCommand("SELECT COUNT(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()", watch);
            return await waits.ExecuteScalarAsync() is true;
        }, TimeSpan.FromSeconds(30));
        await recording.CommitAsync();

        var taken = await taking;
        Assert.Empty(taken.NotTaken);
        Assert.Equal((0, 1, 0), Counts(taken));
        Assert.Equal("b@example.net", Assert.Single(taken.Named).Address);

        async Task RunAsync(string sql)
        {
            await using var command = new NpgsqlCommand(sql, worker, recording);
            await command.ExecuteNonQueryAsync();
        }
    }

    [Fact]
    public async Task Who_comes_while_another_brings_the_schema_up_to_date_waits_longer_than_a_command_may_take()
    {
        await using var connection = new NpgsqlConnection(Store.Options.ConnectionString);
        await connection.OpenAsync();
        await using (var migrating = new NpgsqlCommand($"SELECT pg_advisory_lock({PostgresEngine.MigrationLock})", connection))
            await migrating.ExecuteNonQueryAsync();
        var opening = StoreFixture.PostgresAsync(Store.Options.ConnectionString + ";Command Timeout=1", null, () => ValueTask.CompletedTask);
        await Task.Delay(TimeSpan.FromSeconds(3), TimeProvider.System);
        Assert.False(opening.IsCompleted);
        await using (var done = new NpgsqlCommand($"SELECT pg_advisory_unlock({PostgresEngine.MigrationLock})", connection))
            await done.ExecuteNonQueryAsync();
        await using var other = await opening.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Theory]
    [InlineData("LATIN1")]
    [InlineData("SQL_ASCII")]
    public async Task A_database_whose_encoding_does_not_have_every_character_is_refused(string encoding)
    {
        var connection = await postgres.CreateDatabaseAsync(encoding);

        var refused = await Assert.ThrowsAsync<StoreEncodingException>(() => StoreFixture.PostgresAsync(connection, null, () => ValueTask.CompletedTask));
        Assert.Contains($"whose encoding is {encoding}; it must be UTF8", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(1L << 40, false)]
    public async Task A_database_over_its_bound_takes_no_new_mail_from_when_it_was_measured(long bound, bool full)
    {
        await using var store = await postgres.OpenAsync(options => options.MaxDatabaseBytes = bound);
        await store.AcceptAsync("x"u8.ToArray(), "a@example.net");

        var load = await store.Messages.MeasureLoadAsync(10, 10, default);

        Assert.Equal(full, load.SpaceUsed >= 1);
        Assert.True(load.SpaceUsed > 0);
        if (full)
            Assert.Equal(StorageFault.Full, (await Assert.ThrowsAsync<StorageUnavailableException>(() => store.AcceptAsync("x"u8.ToArray(), "a@example.net"))).Fault);
        else
            await store.AcceptAsync("x"u8.ToArray(), "a@example.net");
    }

    [Fact]
    public async Task Without_a_bound_the_size_of_the_database_is_not_asked_for() =>
        Assert.Equal(0, (await Store.Messages.MeasureLoadAsync(10, 10, default)).SpaceUsed);
}
