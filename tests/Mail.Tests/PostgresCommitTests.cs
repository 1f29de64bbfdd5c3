using MailPipeline.Storage;
using MailPipeline.Testing;
using Npgsql;

namespace MailPipeline.Mail.Tests;

/// <summary>PostgreSQL whose commits wait for a standby: what no standby has confirmed would be lost when one takes over.</summary>
public sealed class PostgresCommitTests(DurablePostgres postgres) : IClassFixture<DurablePostgres>, IAsyncLifetime
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    private readonly PostgresServer _server = postgres.Server;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // The server is that of all tests here, and one that failed may have left it waiting.
    public async ValueTask InitializeAsync() => await WaitForStandbyAsync("");

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_commit_that_gave_up_waiting_for_a_standby_is_not_accepted_until_one_confirms()
    {
        await using var store = await OpenAsync(";Command Timeout=1");
        await WaitForStandbyAsync("ANY 1 (nobody)");
        var before = GivenUp();
        var accepting = store.AcceptAsync([1, 2, 3], "a@example.net");
        // Twice: the commit itself, and the first time that it is asked for again.
        await WhileTimePassesAsync(store, () => Task.FromResult(GivenUp() >= before + 2));
        Assert.False(accepting.IsCompleted);
        await WaitForStandbyAsync("");
        await WhileTimePassesAsync(store, () => Task.FromResult(accepting.IsCompleted));
        Assert.Equal([1, 2, 3], await store.ReadAsync((await accepting).MessageId));
    }

    [Fact]
    public async Task A_commit_whose_session_was_ended_while_it_waited_for_a_standby_is_not_accepted_until_one_confirms()
    {
        await using var store = await OpenAsync("");
        await WaitForStandbyAsync("ANY 1 (nobody)");
        var accepting = store.AcceptAsync([1, 2, 3], "a@example.net");
        await WhileTimePassesAsync(store, EndWaitingSessionAsync);
        // The next one that waits is the one that asks.
        await WhileTimePassesAsync(store, EndWaitingSessionAsync);
        Assert.False(accepting.IsCompleted);
        await WaitForStandbyAsync("");
        await WhileTimePassesAsync(store, () => Task.FromResult(accepting.IsCompleted));
        Assert.Equal([1, 2, 3], await store.ReadAsync((await accepting).MessageId));
    }

    [Fact]
    public async Task A_delivery_whose_commit_stands_though_its_session_ended_is_recorded_when_it_is_asked_for_again()
    {
        await using var store = await OpenAsync("");
        var recipients = await store.QueueAsync([1], RecipientRoute.Remote, "a@example.net");
        await store.TakeAsync(7, "example.net", recipients, begun: true, Cancellation);
        var delivered = store.Result(recipients[0], AttemptOutcome.Delivered, "2.0.0", "250 ok");
        await WaitForStandbyAsync("ANY 1 (nobody)");
        var recording = store.Claims.RecordDeliveredAsync(7, [delivered], Cancellation);
        await WhileTimePassesAsync(store, EndWaitingSessionAsync);
        Assert.Equal(StorageFault.OutcomeUnknown, (await Assert.ThrowsAsync<StorageUnavailableException>(() => recording)).Fault);
        await WaitForStandbyAsync("");

        Assert.Equal([delivered.RecipientId], await store.Claims.RecordDeliveredAsync(7, [delivered], Cancellation));

        Assert.Empty(await store.Claims.RecordDeliveredAsync(8, [delivered], Cancellation));
        Assert.Single((await store.History.FindAsync(recipients[0].MessageId, Cancellation))!.Recipients[0].Attempts);
    }

    [Fact]
    public async Task A_caller_who_leaves_before_the_outcome_is_known_takes_no_bytes_of_an_accepted_message_along()
    {
        await using var store = await OpenAsync("");
        var bytes = new byte[3 * store.Options.ChunkBytes];
        Random.Shared.NextBytes(bytes);
        var id = await store.Messages.NextMessageIdAsync(Cancellation);
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        await using (var writer = store.Messages.CreateContent(id))
        {
            await writer.AppendAsync(bytes, Cancellation);
            await WaitForStandbyAsync("ANY 1 (nobody)");
            var accepting = store.Messages.AcceptAsync(
                new Envelope(id, "a@example.org", ["b@example.net"], bytes.Length, BodyType.SevenBit, store.Time.GetUtcNow(), ""), writer, leaving.Token);
            await WhileTimePassesAsync(store, EndWaitingSessionAsync);
            await leaving.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => accepting);
            await WaitForStandbyAsync("");
        }
        Assert.Equal(bytes, await store.ReadAsync(id));
        Assert.Contains(await store.Queue.ListUnroutedAsync(0, store.Time.GetUtcNow(), 10, Cancellation), message => message.MessageId == id);
    }

    /// <summary>The server may have received it, and come to it after the sender was told to try again.</summary>
    [Fact]
    public async Task A_message_that_was_put_off_after_doubt_is_not_accepted_later()
    {
        await using var store = await OpenAsync("");
        var id = await store.Messages.NextMessageIdAsync(Cancellation);
        await using var writer = store.Messages.CreateContent(id);
        await writer.AppendAsync(new byte[] { 1 }, Cancellation);
        await using var third = new NpgsqlConnection(store.Options.ConnectionString);
        await third.OpenAsync(Cancellation);
        await using (var transaction = await third.BeginTransactionAsync(Cancellation))
        {
            await using (var locking = new NpgsqlCommand("LOCK TABLE messages IN EXCLUSIVE MODE", third))
                await locking.ExecuteNonQueryAsync(Cancellation);
            var accepting = store.Messages.AcceptAsync(
                new Envelope(id, "a@example.org", ["b@example.net"], 1, BodyType.SevenBit, store.Time.GetUtcNow(), ""), writer, Cancellation);
            await Eventually.TrueAsync(EndLockedSessionAsync, s_limit, cancellation: Cancellation);
            await transaction.CommitAsync(Cancellation);
            await WhileTimePassesAsync(store, () => Task.FromResult(accepting.IsCompleted));
            Assert.NotEqual(StorageFault.OutcomeUnknown, (await Assert.ThrowsAsync<StorageUnavailableException>(() => accepting)).Fault);
        }

        Assert.Null(await store.History.FindAsync(id, Cancellation));
        await using var late = new NpgsqlCommand(
            $"INSERT INTO messages (id, accepted_at, sender, flow, size_bytes, body, trace_parent, content_refs) VALUES ({id}, 1, '', '', 1, 0, '', 1)", third);
        Assert.Equal(PostgresErrorCodes.UniqueViolation, (await Assert.ThrowsAsync<PostgresException>(() => late.ExecuteNonQueryAsync(Cancellation))).SqlState);
    }

    [Fact]
    public async Task A_commit_of_nothing_waits_for_a_standby_like_any_other()
    {
        await using var store = await OpenAsync("");
        await store.Queue.CommitNothingAsync(Cancellation);
        await WaitForStandbyAsync("ANY 1 (nobody)");
        var committing = store.Queue.CommitNothingAsync(Cancellation);
        await Eventually.TrueAsync(
            async () => (await _server.QueryAsync("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", Cancellation)).Trim() == "1",
            s_limit, cancellation: Cancellation);
        Assert.False(committing.IsCompleted);
        await WaitForStandbyAsync("");
        await committing.WaitAsync(s_limit, Cancellation);
    }

    private async Task<StoreFixture> OpenAsync(string settings)
    {
        var store = await StoreFixture.PostgresAsync(
            await _server.CreateDatabaseAsync(Cancellation) + settings, null, () => ValueTask.CompletedTask);
        // Ids are given out in blocks, and a block is a commit as well.
        await store.AcceptAsync([0], "first@example.net");
        return store;
    }

    private async Task WaitForStandbyAsync(string names)
    {
        await _server.QueryAsync($"ALTER SYSTEM SET synchronous_standby_names = '{names}'", Cancellation);
        await _server.QueryAsync("SELECT pg_reload_conf()", Cancellation);
        await Eventually.TrueAsync(
            async () => (await _server.QueryAsync("SHOW synchronous_standby_names", Cancellation)).Trim() == names, s_limit, cancellation: Cancellation);
    }

    private async Task<bool> EndWaitingSessionAsync() => (await _server.QueryAsync(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", Cancellation)).Trim() != "0";

    private async Task<bool> EndLockedSessionAsync() => (await _server.QueryAsync(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", Cancellation)).Trim() != "0";

    private Task WhileTimePassesAsync(StoreFixture store, Func<Task<bool>> until) => Eventually.TrueAsync(
        () =>
        {
            store.Time.Advance(TimeSpan.FromMilliseconds(20));
            return until();
        },
        s_limit, () => _server.Output, Cancellation);

    private int GivenUp() => _server.Output.Split("canceling wait for synchronous replication").Length - 1;
}

/// <summary>A server with fsync for all tests of the class.</summary>
public sealed class DurablePostgres : IAsyncLifetime
{
    private PostgresServer? _server;

    public PostgresServer Server => _server!;

    public async ValueTask InitializeAsync() => _server = await PostgresServer.StartAsync(durable: true);

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
            await _server.DisposeAsync();
    }
}
