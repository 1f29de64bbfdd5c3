using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>RFC 5321 §4.5.3.2: a far end that falls silent is given up in time, on a clock that the test moves.</summary>
public sealed class TimeoutTests
{
    private const string Hello =
        """
        S: 220 mx.example.net ESMTP
        C: EHLO client.example.com
        S: 250 mx.example.net

        """;

    private const string Mail = Hello + "C: MAIL FROM:<sender@example.com>\n";
    private const string Rcpt = Mail + "S: 250 Ok\nC: RCPT TO:<user1@example.net>\n";
    private const string Data = Rcpt + "S: 250 Ok\nC: DATA\n";
    private const string Dot = Data + "S: 354 Go on\nC: one\nC: .\n";

    public static TheoryData<string, int, string, string> Silences => new()
    {
        { "! hang", 300, "Deferred 4.4.2", "no greeting within 5 min" },
        { "S: 220 mx\n* EHLO\n! hang", 60, "Deferred 4.4.2", "no answer to EHLO within 60 s" },
        { "S: 220 mx\n* EHLO\n! raw 250-mx\\r\\n\n! hang", 60, "Deferred 4.4.2", "no end of its answer to EHLO within 60 s; it began: 250 mx" },
        { Mail + "! hang", 300, "Deferred 4.4.2", "no answer to MAIL within 5 min" },
        { Rcpt + "! hang", 300, "Deferred 4.4.2", "no answer to RCPT within 5 min" },
        { Data + "! hang", 120, "Deferred 4.4.2", "no answer to DATA within 2 min" },
        { Dot + "! raw 250-Taken, but\\r\\n\n! hang", 600, "Uncertain 4.4.2", "no end of its answer to the final dot within 10 min; it began: 250 Taken, but" },
        { Dot + "! hang", 600, "Uncertain 4.4.2", "no answer to the final dot within 10 min" },
    };

    [Theory]
    [MemberData(nameof(Silences))]
    public async Task Silence_is_given_up_after_the_time_of_its_command_and_not_before(string script, int seconds, string outcome, string cause)
    {
        await using var server = new ScriptedServer(script);
        var clock = new ArmedClock();
        await using var bench = new Bench(time: clock);
        // One claim for hours, so that only the command's own time counts.
        bench.Claims.Lease = TimeSpan.FromHours(5);
        bench.RouteTo(server);
        var running = bench.RunAsync(bench.Message("one\r\n"));
        await server.Signal.Task;
        await Eventually.TrueAsync(() => clock.LastArmed == TimeSpan.FromSeconds(seconds) && server.IsReadToEnd, TimeSpan.FromSeconds(30));
        bench.Clock.Advance(TimeSpan.FromSeconds(seconds - 1));
        Assert.False(running.IsCompleted);
        bench.Clock.Advance(TimeSpan.FromSeconds(2));
        var report = await running.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal([outcome], Bench.Outcomes(report));
        // The batch's time is as long as that for the greeting.
        Assert.StartsWith($"127.0.0.1:{server.Port} timed out: {cause}", report.Results[0].Reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_rest_of_a_batch_whose_time_is_over_is_handed_back()
    {
        await using var server = new ScriptedServer(
            Dot + "S: 250 Taken\nC: QUIT");
        await using var bench = new Bench(time: new FakeTimeProvider());
        bench.Claims.Lease = TimeSpan.FromHours(5);
        bench.RouteTo(server);
        bench.Content.OnRead = id =>
        {
            if (id == 1)
                bench.Clock.Advance(bench.Options.BatchTime);
        };
        var report = await bench.RunAsync(bench.Message("one\r\n"), bench.Message("two\r\n"));
        Assert.Equal(["Delivered 2.0.0", "NotAttempted 4.0.0"], Bench.Outcomes(report));
        Assert.False(report.Unreachable);
    }

    [Fact]
    public async Task A_transaction_that_takes_too_long_is_broken_off_before_its_dot()
    {
        await using var server = new ScriptedServer(Data + "S: 354 Go on\n! signal");
        await using var bench = new Bench(options => options.TransactionTime = TimeSpan.FromMinutes(1), new FakeTimeProvider());
        bench.Claims.Lease = TimeSpan.FromHours(5);
        bench.RouteTo(server);
        bench.Content.ChunkBytes = 1000;
        var message = bench.Message(new string('x', 5000) + "\r\n");
        bench.Content.OnChunk = position => bench.Clock.Advance(position > 0 ? TimeSpan.FromSeconds(20) : TimeSpan.Zero);
        var report = await bench.RunAsync(message);
        Assert.Equal(["Deferred 4.4.2"], Bench.Outcomes(report));
        Assert.Equal($"127.0.0.1:{server.Port} was too slow: it took 0 bytes of 4.9 KiB in 80 s", report.Results[0].Reply);
        Assert.DoesNotContain(".", server.Surplus);
    }

    /// <summary>By the settings as they are, on the test's clock; the claim is renewed as it is in life.</summary>
    [Theory]
    [InlineData(20_000, "Delivered 2.0.0", 44)]
    [InlineData(10_000, "Delivered 2.0.0", 88)]
    [InlineData(5_000, "Deferred 4.4.2", 25)]
    [InlineData(1, "Deferred 4.4.2", 1093)]
    public async Task A_large_message_arrives_at_a_slow_host_and_not_at_a_tarpit(int bytesPerSecond, string outcome, int minutes)
    {
        const int Piece = 64 * 1024;
        await using var server = new SwallowingServer();
        await using var bench = new Bench(time: new FakeTimeProvider());
        bench.RouteTo($"127.0.0.1:{server.Port}");
        bench.Content.ChunkBytes = Piece;
        var message = bench.Message(string.Concat(Enumerable.Repeat(new string('x', 1022) + "\r\n", 50 * 1024)));
        bench.Content.OnChunk = position =>
        {
            if (position == 0)
                return;
            bench.Clock.Advance(TimeSpan.FromSeconds((double)Piece / bytesPerSecond));
            bench.Renewal.RenewAllAsync(CancellationToken.None).GetAwaiter().GetResult();
        };
        var started = bench.Clock.GetTimestamp();
        var report = await bench.RunAsync(message);
        Assert.Equal([outcome], Bench.Outcomes(report));
        Assert.Equal(minutes, bench.Clock.GetElapsedTime(started).TotalMinutes, 1.0);
        if (outcome.StartsWith("Delivered", StringComparison.Ordinal))
            Assert.Equal(50 * 1024 * 1024, server.ContentBytes);
        else
            Assert.Matches(@"^127\.0\.0\.1:\d+ was too slow: it took [\d.]+ .iB of 50 MiB in \d+\S* min$", report.Results[0].Reply);
    }

    [Fact]
    public async Task Nothing_waits_for_a_host_that_swallows_connections_longer_than_the_connect_time()
    {
        // 192.0.2.0/24 (RFC 5737) is nowhere: the attempt either hangs or is refused by the network, never answered.
        await using var bench = new Bench(options => options.Timeouts.Connect = TimeSpan.FromMilliseconds(200));
        bench.RouteTo("192.0.2.1:25");
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(["Deferred 4.4.1"], Bench.Outcomes(report));
        Assert.True(report.Unreachable);
    }

    [Fact]
    public async Task Stopping_the_host_hands_back_what_was_not_begun()
    {
        var answer = new TaskCompletionSource();
        await using var server = new ScriptedServer(Dot + "! signal\n! wait\nS: 250 Taken") { Gate = answer.Task };
        await using var bench = new Bench();
        bench.RouteTo(server);
        var running = bench.RunAsync(bench.Message("one\r\n"), bench.Message("two\r\n"), bench.Message("three\r\n"));
        await server.Signal.Task;
        bench.StopHost();

        // The far end has not answered for the first.
        var early = await EarlyAsync(bench);
        Assert.Equal(["NotAttempted 4.0.0", "NotAttempted 4.0.0"], Bench.Outcomes(early));
        Assert.True(early is { GoesOn: true, NothingWon: true, Unreachable: false });
        Assert.Equal(bench.Claims.Released, early.Results.Select(result => result.RecipientId));
        Assert.False(running.IsCompleted);
        answer.SetResult();

        var report = await running;
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.False(report.GoesOn);
    }

    [Fact]
    public async Task What_was_announced_behind_a_dot_is_handed_back_and_gets_no_content()
    {
        var answer = new TaskCompletionSource();
        await using var server = new ScriptedServer(
            """
            S: 220 mx.example.net ESMTP
            C: EHLO client.example.com
            S: 250-mx.example.net
            S: 250 PIPELINING
            C: MAIL FROM:<sender@example.com>
            C: RCPT TO:<user1@example.net>
            C: DATA
            S: 250 Ok
            S: 250 Ok
            S: 354 Go on
            C: one
            C: .
            C: MAIL FROM:<sender@example.com>
            C: RCPT TO:<user2@example.net>
            C: DATA
            ! signal
            ! wait
            S: 250 Taken
            S: 250 Ok
            S: 250 Ok
            S: 354 Go on
            """) { Gate = answer.Task };
        await using var bench = new Bench();
        bench.RouteTo(server);
        var running = bench.RunAsync(bench.Message("one\r\n"), bench.Message("two\r\n"));
        await server.Signal.Task;
        bench.StopHost();

        Assert.Equal(["NotAttempted 4.0.0"], Bench.Outcomes(await EarlyAsync(bench)));
        answer.SetResult();
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await running));
        Assert.Empty(server.Surplus);
        Assert.Equal(1, server.Connections);
    }

    [Fact]
    public async Task What_storage_could_not_take_back_is_handed_back_at_the_end()
    {
        var answer = new TaskCompletionSource();
        await using var server = new ScriptedServer(Dot + "! signal\n! wait\nS: 250 Taken") { Gate = answer.Task };
        await using var bench = new Bench();
        bench.RouteTo(server);
        var running = bench.RunAsync(bench.Message("one\r\n"), bench.Message("two\r\n"));
        await server.Signal.Task;
        bench.Claims.IsAway = true;
        bench.StopHost();
        bench.Claims.IsAway = false;
        answer.SetResult();

        Assert.Equal(["Delivered 2.0.0", "NotAttempted 4.0.0"], Bench.Outcomes(await running));
        Assert.False(bench.Early.Reader.TryRead(out _));
    }

    [Theory]
    [InlineData(30, "Delivered 2.0.0")]
    [InlineData(31, "NotAttempted 4.0.0")]
    public async Task A_stop_sends_the_dot_only_while_there_is_time_for_its_reply(int secondsAfter, string outcome)
    {
        var stopped = new TaskCompletionSource();
        var isDelivered = outcome.StartsWith("Delivered", StringComparison.Ordinal);
        await using var server = new ScriptedServer(
            Data + "! signal\n! wait\nS: 354 Go on\n" + (isDelivered ? "C: one\nC: .\nS: 250 Taken" : "")) { Gate = stopped.Task };
        await using var bench = new Bench(time: new FakeTimeProvider());
        bench.Claims.Lease = TimeSpan.FromHours(1);
        bench.RouteTo(server);
        var running = bench.RunAsync(bench.Message("one\r\n"));
        await server.Signal.Task;
        bench.StopHost();
        // Of 630 seconds, 600 are for the reply.
        bench.Clock.Advance(TimeSpan.FromSeconds(secondsAfter));
        stopped.SetResult();

        Assert.Equal([outcome], Bench.Outcomes(await running.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, TestContext.Current.CancellationToken)));
        Assert.Equal(isDelivered ? 1 : 0, bench.Claims.Recorded.Count);
        Assert.DoesNotContain(".", server.Surplus);
    }

    private static Task<AttemptReport> EarlyAsync(Bench bench) => bench.Early.Reader
        .ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
}
