using System.Text.RegularExpressions;

namespace MailPipeline.Delivery.Tests;

/// <summary>Replies beyond the usual: three digits and what stands behind them decide, at each step.</summary>
public sealed partial class ReplyBoundsTests
{
    private const string Data = Conversation.PlainHello + Conversation.PlainCommands;

    private static readonly string s_long = new('x', 3000);

    public static TheoryData<string, string> AfterTheDot => new()
    {
        { $"S: 250 {s_long}", "Delivered 2.0.0" },
        { $"S: 250 2.6.0 {s_long}", "Delivered 2.6.0" },
        { $"S: 250-2.6.0 {s_long}\nS: 250 2.6.0 Taken", "Delivered 2.6.0" },
        { $"S: 451 4.7.1 {s_long}", "Deferred 4.7.1" },
        { $"S: 550 5.7.1 {s_long}", "Failed 5.7.1" },
        { "S: 250-Taken\nS: 451 4.3.0 Not so", "Deferred 4.3.0" },
        { "S: 451-Wait\nS: 250 2.0.0 Taken", "Delivered 2.0.0" },
        { "S: 250-Taken\nS: what a day\nS: 250 2.0.0 Bye", "Delivered 2.0.0" },
        { "! lines 1000\nS: 250 2.6.0 Taken", "Delivered 2.6.0" },
        { "! raw 250 Ok", "Delivered 2.0.0" },
        { "! raw 550 5.7.1 N", "Failed 5.7.1" },
        { "! raw 250", "Uncertain 4.4.2" },
        { "! raw 250-Taken, but\\r\\n", "Uncertain 4.4.2" },
        { "! raw 250-2.6.0 Taken\\r\\n250", "Uncertain 4.4.2" },
        { "! raw 250 \n! bytes 1000000", "Delivered 2.0.0" },
        { "! raw 550 5.7.1 \n! bytes 1000000", "Failed 5.7.1" },
        { "! lines 50000\nS: 250 2.6.0 Taken", "Delivered 2.6.0" },
        { "! lines 50000\nS: 451 4.3.0 Not so", "Deferred 4.3.0" },
        { "! raw 250 \n! bytes 2000000", "Delivered 2.0.0" },
        { "! raw 250-\n! bytes 1000000", "Uncertain 4.4.2" },
        { "! raw 250-\n! bytes 2000000", "Delivered 2.0.0" },
        { "! lines 100000", "Delivered 2.0.0" },
        { "! raw 250-2.6.0 Taken\\r\\n\n! lines 100000", "Delivered 2.6.0" },
        { "! raw 550-5.7.1 No\\r\\n550-\n! bytes 2000000", "Failed 5.7.1" },
        { "! raw 451-Wait\\r\\n\n! lines 100000", "Uncertain 4.4.2" },
        { "! raw 250-Taken\\r\\nwhat a day\\r\\n\n! lines 100000", "Uncertain 4.4.2" },
        { "S: 250+ok", "Uncertain 4.4.2" },
        { "! bytes 1000000", "Uncertain 4.4.2" },
    };

    [Theory]
    [MemberData(nameof(AfterTheDot))]
    public async Task After_the_dot_the_code_of_the_last_line_decides(string answer, string outcome)
    {
        await using var server = new ScriptedServer(Data + "S: 354 Go on\nC: one\nC: .\n" + answer + "\n! close");
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal([outcome], Bench.Outcomes(report));
        Assert.Equal(outcome.StartsWith("Delivered", StringComparison.Ordinal) ? 1 : 0, bench.Claims.Recorded.Count);
        Assert.InRange(report.Results[0].Reply.Length, 1, 600);
    }

    [Fact]
    public async Task Long_lines_at_each_step_are_read_past_and_the_connection_stays_good()
    {
        await using var server = new ScriptedServer(
            $"""
            S: 220 {s_long}
            C: EHLO client.example.com
            S: 250-{s_long}
            S: 250-X-LONG {s_long}
            S: 250-SIZE
            S: 250 PIPELINING

            """ + Replies().Replace(Conversation.Refusals, $"S: $1-{s_long}\nS: $1$2 {s_long}") + $"\nC: QUIT\nS: 221 {s_long}");
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"), bench.Message("two\r\n"), bench.Message("three\r\n"));
        Assert.Equal(["Failed 5.1.1", "Deferred 4.3.0", "Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.Equal(1, server.Connections);
    }

    [Theory]
    [InlineData("S: 421 4.3.2 ", "Deferred 4.3.2", true)]
    [InlineData("S: 554 5.7.1 ", "Deferred 4.3.2", true)]
    [InlineData("S: 220 mx\n* EHLO\nS: 421 4.3.2 ", "Deferred 4.3.2", true)]
    [InlineData("S: 220 mx\n* EHLO\nS: 250 mx\nC: MAIL FROM:<sender@example.com>\nS: 550 5.1.8 ", "Failed 5.1.8", false)]
    [InlineData("S: 220 mx\n* EHLO\nS: 250 mx\nC: MAIL FROM:<sender@example.com>\nS: 451 4.7.1 ", "Deferred 4.7.1", false)]
    [InlineData("S: 220 mx\n* EHLO\nS: 250 mx\nC: MAIL FROM:<sender@example.com>\nS: 250 Ok\nC: RCPT TO:<user1@example.net>\nS: 550 5.1.1 ", "Failed 5.1.1", false)]
    [InlineData("S: 220 mx\n* EHLO\nS: 250 mx\nC: MAIL FROM:<sender@example.com>\nS: 250 Ok\nC: RCPT TO:<user1@example.net>\nS: 450 4.2.1 ", "Deferred 4.2.1", false)]
    public async Task A_long_refusal_keeps_its_code_and_status(string script, string outcome, bool unreachable)
    {
        await using var server = new ScriptedServer(script + s_long);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal([outcome], Bench.Outcomes(report));
        Assert.Equal(unreachable, report.Unreachable);
        Assert.Contains("xxx", report.Results[0].Reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_connection_whose_last_reply_has_no_end_is_neither_used_again_nor_told_goodbye()
    {
        const string Transaction =
            """
            S: 220 mx.example.net ESMTP
            C: EHLO client.example.com
            S: 250-mx.example.net
            S: 250 PIPELINING
            C: MAIL FROM:<sender@example.com>
            C: RCPT TO:<{0}>
            C: DATA
            S: 250 Ok
            S: 250 Ok
            S: 354 Go on
            C: {1}
            C: .

            """;
        static string Take(string recipient, string content) => string.Format(null, Transaction, recipient, content);
        await using var server = new ScriptedServer(
        [
            Take("user1@example.net", "one") + "C: MAIL FROM:<sender@example.com>\nC: RCPT TO:<user2@example.net>\nC: DATA\n! raw 250 \n! bytes 2000000",
            Take("user2@example.net", "two") + "! raw 250 \n! bytes 2000000",
        ]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"), bench.Message("two\r\n"));
        Assert.Equal(["Delivered 2.0.0", "Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.Equal(2, server.Connections);
        Assert.Empty(server.Surplus);
        Assert.Equal(2, bench.Claims.Recorded.Count);
    }

    [Theory]
    [InlineData("250 Ok", "Delivered 2.0.0")]
    [InlineData("250-Ok\\r\\n", "Uncertain 4.4.2")]
    [InlineData("250-2.6.0 Ok\\r\\n250", "Uncertain 4.4.2")]
    public async Task Of_a_reply_that_has_no_end_when_the_time_is_over_only_the_last_line_decides(string said, string outcome)
    {
        await using var server = new ScriptedServer(Data + $"S: 354 Go on\nC: one\nC: .\n! raw {said}\n! hang");
        // The machine's clock: a fake one would not know when the client has read what it cannot take for whole yet.
        await using var bench = new Bench(options => options.Timeouts.FinalDot = TimeSpan.FromSeconds(3));
        bench.RouteTo(server);
        using var doubts = bench.Collect("mailpipeline.delivery.uncertain");
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal([outcome], Bench.Outcomes(report));
        Assert.Equal(outcome.StartsWith("Uncertain", StringComparison.Ordinal) ? 1 : 0, doubts.GetMeasurementSnapshot().Count);
        Assert.Empty(server.Surplus);
    }

    [Fact]
    public async Task A_refusal_without_a_last_line_is_a_broken_connection_before_the_dot()
    {
        const string Refused = "S: 220 mx.example.net ESMTP\n* EHLO\nS: 250 mx.example.net\nC: MAIL FROM:<sender@example.com>\n! raw 550-No\\r\\n\n! close";
        await using var server = new ScriptedServer([Refused, Refused]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        Assert.Equal(["Deferred 4.4.2"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal(2, server.Connections);
    }

    [Theory]
    [InlineData("354 ")]
    [InlineData("354-")]
    public async Task Content_that_was_asked_for_in_a_line_without_end_is_not_sent(string asked)
    {
        await using var server = new ScriptedServer(Enumerable.Repeat(Data + $"! raw {asked}\n! bytes 2000000", 3).ToArray());
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(["Deferred 4.5.0"], Bench.Outcomes(report));
        Assert.Equal("The answer to DATA has no end", report.Results[0].Reply);
        Assert.Empty(server.Surplus);
    }

    [Fact]
    public async Task A_long_answer_to_STARTTLS_is_read_past()
    {
        await using var server = new ScriptedServer(
            $"""
            S: 220 mx.example.net ESMTP
            C: EHLO client.example.com
            S: 250-mx.example.net
            S: 250 STARTTLS
            C: STARTTLS
            S: 220 {s_long}
            ! tls
            C: EHLO client.example.com
            S: 250 mx.example.net

            """ + Conversation.PlainCommands + $"S: 354 Go on\nC: one\nC: .\nS: 250 {s_long}");
        await using var bench = new Bench(options => options.Tls = TlsPolicy.Required);
        bench.RouteTo(server);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
    }

    [GeneratedRegex("^S: ([0-9]{3})(.*)$", RegexOptions.Multiline)]
    private static partial Regex Replies();
}
