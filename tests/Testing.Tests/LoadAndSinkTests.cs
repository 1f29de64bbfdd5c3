using System.Diagnostics;

namespace MailPipeline.Testing.Tests;

/// <summary>Load client straight to the sinks: the two ends and the checker agree about every behaviour.</summary>
public sealed class LoadAndSinkTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new("kit");
    private LedgerFile _sent = null!;
    private LedgerFile _arrived = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        _sent = new(_folder["sent"]);
        _arrived = new(_folder["arrived"]);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _sent.DisposeAsync();
        await _arrived.DisposeAsync();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Messages_over_many_connections_arrive_once_and_whole(bool pipelining)
    {
        await using var sink = new SinkServer("sink", SinkScript.AcceptAll, _arrived);
        await SendAsync(sink, Messages(200, 3000), o => o with { Connections = 10, MessagesPerConnection = 7, Pipelining = pipelining });
        Assert.Empty(await CheckAsync());
        Assert.Equal(200, sink.Kept);
    }

    [Fact]
    public async Task Five_thousand_messages_over_twenty_connections_share_their_syncs()
    {
        await using var sink = new SinkServer("sink", SinkScript.AcceptAll, _arrived);
        var started = Stopwatch.GetTimestamp();
        await SendAsync(sink, Messages(5000, 2048), o => o with { Connections = 20 });
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{Stopwatch.GetElapsedTime(started).TotalSeconds:F1} s, {_sent.Syncs} syncs for 10,000 records, {_arrived.Syncs} for 5,000");
        Assert.Empty(await CheckAsync());
        Assert.InRange(_sent.Syncs, 1, 5000);
    }

    [Fact]
    public async Task A_message_refused_for_now_is_sent_again_until_it_is_taken()
    {
        var script = new SinkScript
        {
            AtConnect = n => n == 1 ? SinkStep.ShutDown : new("220 sink.example"),
            AtRecipient = (_, n) => n == 1 ? SinkStep.Defer : SinkStep.Accept,
            AtDot = (_, _, n) => n == 1 ? SinkStep.Defer : SinkStep.Accept,
        };
        await using var sink = new SinkServer("sink", script, _arrived);
        await SendAsync(sink, Messages(5, 500));
        Assert.Empty(await CheckAsync());
        Assert.Equal(5, sink.Kept);
    }

    [Fact]
    public async Task A_refused_message_is_not_sent_again_and_nothing_arrives()
    {
        var script = new SinkScript
        {
            AtRecipient = (address, _) => address == "user0@example.com" ? SinkStep.Reject : SinkStep.Accept,
            AtDot = (_, token, _) => token == "t1" ? new("554 5.6.0 No") : SinkStep.Accept,
        };
        await using var sink = new SinkServer("sink", script, _arrived);
        await SendAsync(sink, Messages(3, 500));
        Assert.Empty(await CheckAsync());
        Assert.Equal(1, sink.Kept);
    }

    [Fact]
    public async Task A_close_or_a_hang_after_the_dot_is_in_both_ledgers_and_the_message_is_sent_again()
    {
        var script = new SinkScript
        {
            AtDot = (_, token, n) => (token, n) switch
            {
                ("t0", 1) => SinkStep.Close,
                ("t1", 1) => SinkStep.Hang,
                ("t2", 1) => SinkStep.Accept with { Reply = "250 OK", Then = SinkEnd.Close },
                _ => SinkStep.SlowAccept(TimeSpan.FromMilliseconds(20)),
            },
        };
        await using var sink = new SinkServer("sink", script, _arrived);
        await SendAsync(sink, Messages(4, 500), o => o with { ReplyTimeout = TimeSpan.FromSeconds(2) });
        Assert.Empty(await CheckAsync());
        var records = await RecordsAsync();
        Assert.Equal(["t0", "t1"], records.OfType<Arrival>().Where(a => !a.Answered).Select(a => a.Token).Order());
        Assert.Equal(["t0", "t1"], records.OfType<Answer>().Where(a => a is { Reply: 0, DotSent: true }).Select(a => a.Token).Order());
    }

    [Fact]
    public async Task The_checker_sees_a_far_end_that_forgets()
    {
        await using var sink = new SinkServer("sink", SinkScript.AcceptAll, _arrived);
        await SendAsync(sink, Messages(20, 500));
        var records = (await RecordsAsync()).Where(r => r is not Arrival { Token: "t7" }).ToList();
        var found = Assert.Single(LedgerChecker.Check(new() { Records = records }));
        Assert.Equal((ViolationKind.Lost, "t7"), (found.Kind, found.Token));
    }

    [Fact]
    public async Task A_torn_last_line_of_a_ledger_is_left_out()
    {
        await _sent.AppendAsync(new MaildropListed(default, "user@example.com", 1, ["1"]));
        await _sent.DisposeAsync();
        await File.AppendAllTextAsync(_sent.Path, "{\"kind\":\"intent\",\"Tok", Cancellation);
        Assert.Single(await LedgerFile.ReadAsync(_sent.Path, Cancellation));
    }

    private static LedgerMessage[] Messages(int count, int size) =>
        [.. Enumerable.Range(0, count).Select(i => LedgerMessage.Create($"t{i}", "sender@example.org", i, size, new ExpectedRecipient($"user{i}@example.com")))];

    private Task SendAsync(SinkServer sink, LedgerMessage[] messages, Func<LoadOptions, LoadOptions>? change = null)
    {
        var options = new LoadOptions { Login = new(sink.EndPoint), RetryPause = TimeSpan.FromMilliseconds(1) };
        return new LoadClient(change?.Invoke(options) ?? options, _sent).SendAsync(messages, Cancellation);
    }

    private async Task<IReadOnlyList<LedgerRecord>> RecordsAsync() =>
        [.. await _sent.ReadAsync(Cancellation), .. await _arrived.ReadAsync(Cancellation)];

    private async Task<IReadOnlyList<Violation>> CheckAsync() => LedgerChecker.Check(new() { Records = await RecordsAsync() });
}
