using System.Collections.Concurrent;
using MailPipeline.Storage;
using MailPipeline.Testing;
using Npgsql;

[assembly: AssemblyFixture(typeof(MailPipeline.Mail.Tests.PostgresFixture))]

namespace MailPipeline.Mail.Tests;

/// <summary>One PostgreSQL server for all tests; each has a database of its own, a copy of one that has its tables already.</summary>
public sealed class PostgresFixture : IAsyncLifetime
{
    private const string Template = "tables";
    private const int Together = 12;

    private readonly ConcurrentBag<string> _left = [];
    private PostgresServer? _server;

    public async ValueTask InitializeAsync()
    {
        _server = await PostgresServer.StartAsync();
        await ExecuteAsync($"CREATE DATABASE {Template}");
        // A pool would keep sessions there, and what has sessions is not copied.
        await using var first = await StoreFixture.PostgresAsync(_server.ConnectionString(Template) + ";Pooling=False", null, () => ValueTask.CompletedTask);
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
            await _server.DisposeAsync();
    }

    public async Task<StoreFixture> OpenAsync(Action<StorageOptions>? configure = null)
    {
        var name = $"test_{Guid.NewGuid():N}";
        await ExecuteAsync($"CREATE DATABASE {name} TEMPLATE {Template} STRATEGY FILE_COPY");
        return await StoreFixture.PostgresAsync(_server!.ConnectionString(name) + ";Maximum Pool Size=10", configure, () => LeaveAsync(name));
    }

    /// <summary>Some go together: each alone would cost the server a checkpoint. What a test kept open past its store goes with them.</summary>
    private async ValueTask LeaveAsync(string name)
    {
        _left.Add(name);
        if (_left.Count < Together)
            return;
        while (_left.TryTake(out var left))
            await ExecuteAsync($"DROP DATABASE {left} WITH (FORCE)");
    }

    private async ValueTask ExecuteAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(_server!.ConnectionString());
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}

public sealed partial class Postgres_store(PostgresFixture postgres) : StoreTests
{
    protected override Task<StoreFixture> OpenAsync() => postgres.OpenAsync();

    [Fact]
    public async Task Who_is_recorded_as_delivered_while_his_claim_is_taken_back_is_not_taken_back()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
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
