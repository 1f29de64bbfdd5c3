using MailPipeline.Contracts;
using MailPipeline.Storage.Postgres;
using MailPipeline.Testing;
using Npgsql;

namespace MailPipeline.Storage.Tests;

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

    public async Task<StoreFixture> OpenAsync(Action<StorageOptions>? configure = null) => await StoreFixture.PostgresAsync(
        await _server!.CreateDatabaseAsync() + ";Maximum Pool Size=10", configure, () => ValueTask.CompletedTask);
}

public sealed class Postgres_store(PostgresFixture postgres) : StoreTests, IClassFixture<PostgresFixture>
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
    public void What_meets_others_at_the_same_rows_comes_last_and_in_the_order_of_its_keys()
    {
        Statement last = new("1") { ComesLast = true }, other = new("2");
        (Statement Statement, SqlValue Key, int Number)[] round =
            [(last, "b", 0), (other, 9, 1), (last, "a", 2), (last, "b", 3), (other, 10, 4), (other, 1, 5)];
        Assert.Equal([1, 4, 5, 2, 0, 3], RowOrder.Of(round, row => row.Statement, row => row.Key).Select(row => row.Number));
    }

    [Fact]
    public async Task Routers_that_meet_at_the_same_domains_do_not_lock_each_other_out()
    {
        await using var other = await StoreFixture.PostgresAsync(Store.Options.ConnectionString, null, () => ValueTask.CompletedTask);
        foreach (var _ in Enumerable.Range(0, 20))
            await Task.WhenAll(RouteAsync(Store, Enumerable.Range(0, 40)), RouteAsync(other, Enumerable.Range(0, 40).Reverse()));

        await using var connection = new NpgsqlConnection(Store.Options.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()", connection);
        Assert.Equal(0L, await command.ExecuteScalarAsync());

        // Each message is routed for itself, as by so many consumers; what comes meanwhile shares a transaction.
        static async Task RouteAsync(StoreFixture store, IEnumerable<int> domains)
        {
            var accepted = await Task.WhenAll(domains.Select(domain => store.AcceptAsync("x"u8.ToArray(), $"a@d{domain}.example.net")));
            await Task.WhenAll(accepted.Select(message => store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)])));
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

    protected override IReadOnlyList<string> BackToVersion1 => ["DELETE FROM schema_version WHERE version > 1"];

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
