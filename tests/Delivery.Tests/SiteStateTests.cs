using MailPipeline.Delivery.Batches;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Tests;

/// <summary>What a batch says of the hosts of its site, and when it is handed back because it has no permit of theirs.</summary>
public sealed class SiteStateTests
{
    private const string Hello =
        """
        S: 220 mx.example.net ESMTP
        C: EHLO client.example.com
        S: 250-mx.example.net
        S: 250 PIPELINING

        """;

    private const string Commands =
        """
        C: MAIL FROM:<sender@example.com>
        C: RCPT TO:<user1@example.net>
        C: DATA

        """;

    private const string Content =
        """
        S: 250 Ok
        S: 250 Ok
        S: 354 Go on
        C: one
        C: .

        """;

    [Theory]
    [InlineData("421 4.3.2 Going down", null, true)]
    [InlineData("450 Not now", null, true)]
    [InlineData("554 5.7.1 Go away", null, false)]
    [InlineData("220 Welcome", null, false)]
    [InlineData("421 4.3.2 Going down", "Mail", true)]
    [InlineData("421 Going down", "Rcpt", true)]
    [InlineData("450 4.7.1 Try again later", "Mail", true)]
    // Greylisting is about one recipient.
    [InlineData("450 4.7.1 Greylisted, try again later", "Rcpt", false)]
    [InlineData("452 4.2.2 Mailbox full", "Rcpt", false)]
    [InlineData("450 4.2.1 The user is receiving mail too quickly", "Rcpt", false)]
    [InlineData("451 4.7.28 Unusual rate of unsolicited mail", "FinalDot", true)]
    [InlineData("451 4.7.650 Temporarily rate limited", "Rcpt", true)]
    [InlineData("451 4.7.26 Not authenticated", "FinalDot", false)]
    [InlineData("452 4.5.3 Too many recipients", "Rcpt", false)]
    [InlineData("451 Too many connections from your host", "Rcpt", true)]
    [InlineData("451 4.3.0 Message throttled", "FinalDot", true)]
    [InlineData("550 5.7.1 Too many connections", "Mail", false)]
    [InlineData("250 Ok, though there are too many connections", "FinalDot", false)]
    public void A_reply_asks_all_of_us_for_less_or_it_does_not(string line, string? step, bool expected) =>
        Assert.Equal(expected, SlowDown.IsAskedFor(Parse(line), step is null ? null : Enum.Parse<TransactionStep>(step), isFirst: true));

    [Theory]
    [InlineData("421 4.7.0 Enough for one connection", "Mail", false)]
    [InlineData("421 Idle too long", "Mail", false)]
    [InlineData("421 Too many connections", "Mail", true)]
    public void Who_ends_a_connection_that_has_done_its_work_asks_for_another(string line, string step, bool expected) =>
        Assert.Equal(expected, SlowDown.IsAskedFor(Parse(line), Enum.Parse<TransactionStep>(step), isFirst: false));

    public static TheoryData<string, SiteState> Ends => new()
    {
        { Hello + Commands + Content + "S: 250 Taken", SiteState.Answered },
        { Hello + Commands + "S: 550 5.7.1 No\nS: 503 No\nS: 503 No", SiteState.Answered },
        { Hello + Commands + Content + "! close", SiteState.Answered },
        { Hello + Commands + "S: 421 4.7.0 Too many today\n! close", SiteState.SlowDown },
        { Hello + Commands + "S: 250 Ok\nS: 451 4.7.500 Server busy\nS: 554 No recipients", SiteState.SlowDown },
        { "S: 421 4.3.2 Too many connections", SiteState.SlowDown },
        { "S: 554 5.7.1 Go away", SiteState.Unreachable },
        { "! close", SiteState.Unreachable },
    };

    [Theory, MemberData(nameof(Ends))]
    public async Task The_report_says_how_the_hosts_behaved(string script, SiteState state)
    {
        await using var server = new ScriptedServer(script);
        await using var bench = new Bench();
        bench.RouteTo(server);
        Assert.Equal(state, (await bench.RunAsync(bench.Message("one\r\n"))).SiteState);
    }

    [Fact]
    public async Task What_DNS_does_not_answer_says_nothing_of_hosts()
    {
        await using var bench = new Bench();
        bench.Dns.WithMx(Bench.Domain, (10, "mx.example.org"));
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.True(report is { Site: "", SiteState: SiteState.Unsaid });
    }

    [Fact]
    public async Task TLS_that_a_host_does_not_have_says_nothing_of_it()
    {
        await using var server = new ScriptedServer(Hello);
        await using var bench = new Bench(options => options.Tls = TlsPolicy.Required);
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(["Deferred 4.7.4"], Bench.Outcomes(report));
        Assert.True(report is { Unreachable: true, SiteState: SiteState.Unsaid });
    }

    [Theory]
    [InlineData("")]
    [InlineData("mx.example.org")]
    public async Task A_batch_without_a_permit_of_its_hosts_is_handed_back_before_anything_is_claimed(string permitted)
    {
        await using var server = new ScriptedServer("");
        await using var bench = new Bench();
        bench.RouteTo(server);
        bench.Commanded = command => command with { Site = permitted };
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.True(report is { IsElsewhere: true, NothingWon: true, ClaimId: 0, BatchId: 77, Unreachable: false });
        Assert.Equal($"127.0.0.1:{server.Port}", report.Site);
        Assert.Equal(["NotAttempted 4.0.0"], Bench.Outcomes(report));
        Assert.Empty(bench.Claims.Begun);
        Assert.Equal(0, bench.Slots.Taken);
    }

    [Fact]
    public async Task One_that_somebody_is_at_already_is_not()
    {
        await using var bench = new Bench();
        bench.RouteTo("127.0.0.1:9");
        bench.Claims.IsHeld = true;
        bench.Commanded = command => command with { Site = "mx.example.org", SiteEpoch = 4711 };
        Assert.Null(await bench.TryRunAsync(bench.Message("one\r\n")));
        bench.Claims.IsStale = true;
        bench.Commanded = command => command with { Site = "127.0.0.1:9", SiteEpoch = 4711 };
        Assert.Null(await bench.TryRunAsync(bench.Message("one\r\n")));
    }

    [Fact]
    public async Task A_batch_whose_permit_counts_no_more_is_handed_back()
    {
        await using var bench = new Bench();
        bench.RouteTo("127.0.0.1:9");
        bench.Claims.IsStale = true;
        bench.Commanded = command => command with { Site = "127.0.0.1:9", SiteEpoch = 4711 };
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.True(report is { IsElsewhere: true, ClaimId: 0, Site: "127.0.0.1:9" });
        Assert.Equal(0, bench.Slots.Taken);
    }

    [Fact]
    public async Task A_batch_with_a_permit_or_of_a_queue_that_knows_none_is_sent_and_its_connection_kept_unless_it_is_counted()
    {
        await using var server = new ScriptedServer([Hello + Commands + Content + "S: 250 Taken\n* QUIT\nS: 221 Bye", Hello + Commands.Replace("user1", "user2", StringComparison.Ordinal) + Content + "S: 250 Taken\nC: QUIT\nS: 221 Bye"]);
        await using var bench = new Bench(options => options.IdleTime = TimeSpan.FromMinutes(5));
        bench.RouteTo(server);
        bench.Commanded = command => command with { Site = $"127.0.0.1:{server.Port}", EndsConnection = true };
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal(0, bench.Slots.Taken);
        bench.Commanded = command => command;
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal(1, bench.Slots.Taken);
    }

    private static SmtpReply Parse(string line)
    {
        var bytes = new System.Buffers.ReadOnlySequence<byte>(System.Text.Encoding.ASCII.GetBytes(line + "\r\n"));
        Assert.Equal(ReplyStatus.Reply, new ReplyParser().TryRead(ref bytes, out var reply));
        return reply!;
    }
}
