using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;
using MailPipeline.Delivery.Connections;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>Connections are limited, kept a short while, and used again.</summary>
public sealed class ConnectionTests
{
    private static readonly TimeSpan s_probation = TimeSpan.FromSeconds(20);

    private const string Hello =
        """
        S: 220 mx.example.net ESMTP
        C: EHLO client.example.com
        S: 250-mx.example.net
        S: 250 PIPELINING

        """;

    private const string One =
        """
        C: MAIL FROM:<sender@example.com>
        C: RCPT TO:<user1@example.net>
        C: DATA
        S: 250 Ok
        S: 250 Ok
        S: 354 Go on
        C: one
        C: .
        S: 250 Taken

        """;

    private static readonly string s_two = One.Replace("user1", "user2", StringComparison.Ordinal);

    [Fact]
    public async Task The_next_batch_of_a_domain_uses_the_connection_of_the_one_before()
    {
        await using var server = new ScriptedServer(Hello + One + s_two + "C: QUIT\nS: 221 Bye");
        await using var bench = new Bench(options => options.IdleTime = TimeSpan.FromSeconds(2), new FakeTimeProvider());
        bench.RouteTo(server);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal(1, bench.Slots.Taken);
        bench.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        bench.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1, bench.Slots.Taken);
        bench.Clock.Advance(TimeSpan.FromSeconds(1));
        await server.FinishAsync();
        Assert.Equal(0, bench.Slots.Taken);
    }

    [Theory]
    [InlineData("! close")]
    [InlineData("S: 421 4.4.2 Idle too long\n! close")]
    [InlineData("* MAIL\n! close")]
    public async Task A_kept_connection_that_died_meanwhile_costs_no_attempt(string end)
    {
        await using var server = new ScriptedServer([Hello + One + end, Hello + s_two]);
        await using var bench = new Bench(options => options.IdleTime = TimeSpan.FromSeconds(30));
        bench.RouteTo(server);
        await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal(2, server.Connections);
    }

    [Fact]
    public async Task A_slot_is_waited_for_and_an_idle_connection_makes_room()
    {
        var time = new FakeTimeProvider();
        await using var slots = new ConnectionSlots(
            new SlotLimits(2, 0, 0, s_probation), TimeSpan.FromSeconds(5), new RecentEvents(10, TimeSpan.FromHours(1), time), time);
        var first = await slots.TakeAsync("a", IPAddress.Loopback, CancellationToken.None);
        var second = await slots.TakeAsync("b", IPAddress.Loopback, CancellationToken.None);
        var third = slots.TakeAsync("c", IPAddress.Loopback, CancellationToken.None);
        using var cancelled = new CancellationTokenSource();
        var fourth = slots.TakeAsync("d", IPAddress.Loopback, cancelled.Token);
        Assert.False(third.IsCompleted);
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => fourth);
        first.Release();
        first.Release();
        await third;
        Assert.Equal(2, slots.Taken);
        second.Release();
        (await third).Release();
        Assert.Equal(0, slots.Taken);
    }

    [Fact]
    public async Task No_more_connections_than_allowed_are_open_at_once()
    {
        await using var server = new ScriptedServer([.. Enumerable.Repeat(Hello + "* MAIL\nS: 450 Not now\n* RCPT\nS: 503 No\n* DATA\nS: 503 No\nC: QUIT\nS: 221 Bye", 20)]);
        await using var bench = new Bench(options => options.Connections = 3);
        bench.RouteTo(server);
        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => bench.RunAsync(bench.Message("one\r\n"))));
        await server.FinishAsync();
        Assert.Equal(20, server.Connections);
        Assert.Equal(0, bench.Slots.Taken);
    }

    [Fact]
    public async Task Each_outcome_is_counted_and_each_message_logged_once()
    {
        await using var server = new ScriptedServer(Hello + One + "C: QUIT\nS: 221 Bye");
        await using var bench = new Bench();
        using var attempts = bench.Collect("mailpipeline.delivery.attempts");
        bench.RouteTo(server);
        await bench.RunAsync(bench.Message("one\r\n"));
        var counted = Assert.Single(attempts.GetMeasurementSnapshot());
        Assert.Equal("delivered", counted.Tags["outcome"]);
        var line = Assert.Single(bench.Log.Collector.GetSnapshot(), record => record.Id.Id == 3001);
        Assert.Matches(@"^message=1 to=<\S+@example\.net> relay=127\.0\.0\.1\[127\.0\.0\.1\]:\d+ site=127\.0\.0\.1:\d+ status=delivered dsn=2\.0\.0 delay=[\d.]+ reply=250 Taken$", line.Message);
    }

    [Fact]
    public async Task The_log_says_what_the_sender_wrote_where_an_alias_led_on()
    {
        await using var server = new ScriptedServer(Hello + One + "C: QUIT\nS: 221 Bye");
        await using var bench = new Bench();
        bench.RouteTo(server);
        await bench.RunAsync([.. bench.Message("one\r\n").Select(recipient => recipient with { Original = "list@example.org" })]);
        var line = Assert.Single(bench.Log.Collector.GetSnapshot(), record => record.Id.Id == 3001);
        Assert.Contains("@example.net> orig=<list@example.org> relay=", line.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_attempt_continues_the_trace_that_brought_the_message()
    {
        const string Trace = "0af7651916cd43dd8448eb211c80319c";
        var ended = new List<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == DeliveryTelemetry.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity =>
            {
                if (activity.TraceId.ToHexString() == Trace)
                    ended.Add(activity);
            },
        };
        ActivitySource.AddActivityListener(listener);
        await using var server = new ScriptedServer(Hello + One + s_two);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var one = bench.Message("one\r\n");
        one[0] = one[0] with { TraceParent = $"00-{Trace}-b7ad6b7169203331-01" };
        using var batch = new Activity("batch").Start();

        await bench.RunAsync(one, bench.Message("one\r\n"));

        var attempt = Assert.Single(ended);
        Assert.Equal("b7ad6b7169203331", attempt.ParentSpanId.ToHexString());
        Assert.Equal(batch.SpanId, Assert.Single(attempt.Links).Context.SpanId);
        Assert.Equal("delivered", attempt.GetTagItem("mailpipeline.outcome"));
        Assert.Equal($"127.0.0.1:{server.Port}", attempt.GetTagItem("mailpipeline.site"));
        Assert.Same(batch, Activity.Current);
    }

    [Fact]
    public async Task Every_line_about_a_message_carries_its_trace_also_where_many_share_a_batch()
    {
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == DeliveryTelemetry.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
        };
        ActivitySource.AddActivityListener(listener);
        await using var server = new ScriptedServer(Hello + One + s_two);
        await using var bench = new Bench();
        bench.RouteTo(server);
        Recipient[][] messages = [bench.Message("one\r\n"), bench.Message("one\r\n"), bench.Message("three\r\n")];
        for (var i = 0; i < messages.Length; i++)
            messages[i][0] = messages[i][0] with { TraceParent = $"00-{i + 1:x32}-b7ad6b7169203331-01" };
        bench.Content.Unreadable[messages[2][0].MessageId] = 0;
        bench.Claims.Unrecordable.Add(messages[1][0].RecipientId);
        using var batch = new Activity("batch").Start();

        await bench.RunAsync(messages);

        foreach (var (number, lines) in new[] { (1, 1), (2, 2), (3, 2) })
        {
            var about = bench.TracedLines.Where(line => Regex.IsMatch(line, $@"^\w* (message={number}\b|{number}:)")).ToList();
            Assert.Equal(lines, about.Count);
            Assert.All(about, line => Assert.StartsWith($"{number:x32} ", line, StringComparison.Ordinal));
        }
    }
}
