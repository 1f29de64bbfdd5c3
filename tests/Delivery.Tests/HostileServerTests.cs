using System.Net;
using MailPipeline.Mail;

namespace MailPipeline.Delivery.Tests;

/// <summary>Far ends that break off, lie, flood, or lose the thread: the mail stays, and nothing is called delivered.</summary>
public sealed class HostileServerTests
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

    public static TheoryData<string, string, bool> Ends => new()
    {
        { "! close", "Deferred 4.4.2", true },
        { "S: hello", "Deferred 4.5.0", true },
        { "! raw \\x00\\x01garbage\\r\\n", "Deferred 4.5.0", true },
        { "S: 199 too small", "Deferred 4.5.0", true },
        { "S: 421 4.3.2 Going down", "Deferred 4.3.2", true },
        { "S: 554 5.7.1 Go away", "Deferred 4.3.2", true },
        { "S: 450 4.7.1 Not now", "Deferred 4.7.1", true },
        { "! bytes 1000000", "Deferred 4.5.0", true },
        { "! lines 100000", "Deferred 4.5.0", true },
        { "S: 220 hello\n* EHLO\n! close", "Deferred 4.4.2", true },
        { "S: 220 hello\n* EHLO\n! lines 100000", "Deferred 4.5.0", true },
        { "S: 220 hello\n* EHLO\nS: 421 Going down\n! close", "Deferred 4.3.2", true },
        { "S: 220 hello\n* EHLO\nS: 500 What?\n* HELO\nS: 500 What?", "Deferred 4.3.2", true },
        { Hello + "C: MAIL FROM:<sender@example.com>\n! close", "Deferred 4.4.2", false },
        { Hello + Commands + "S: 250 Ok\n! close", "Deferred 4.4.2", false },
        { Hello + Commands + "S: 250 Ok\nS: 250 Ok\n! close", "Deferred 4.4.2", false },
        { Hello + Commands + "S: 250 Ok\nS: 250 Ok\nS: 250 Ok", "Deferred 4.5.0", false },
        { Hello + Commands + "S: 250 Ok\nS: 250 Ok\nS: 399 Hm", "Deferred 4.5.0", false },
        { Hello + Commands + "S: 354 Go on\nS: 250 Ok\nS: 250 Ok", "Deferred 4.5.0", false },
        { Hello + Commands + "! raw 250 Ok\\r\\n250 Ok\\r\\n354 Go on\\r\\n250 Taken already\\r\\n\n! close", "Deferred 4.5.0", false },
        { Hello + Commands + "S: 421 4.7.0 Too many today\n! close", "Deferred 4.7.0", false },
        { Hello + Commands + Content + "! close", "Uncertain 4.4.2", false },
        { Hello + Commands + Content + "! reset", "Uncertain 4.4.2", false },
        { Hello + Commands + Content + "S: garbage", "Uncertain 4.4.2", false },
        { Hello + Commands + Content + "S: 354 Go on", "Uncertain 4.4.2", false },
        { Hello + Commands + Content + "S: 421 4.3.2 Going down", "Deferred 4.3.2", false },
    };

    [Theory]
    [MemberData(nameof(Ends))]
    public async Task However_the_far_end_fails_the_mail_stays(string script, string outcome, bool unreachable)
    {
        await using var server = new ScriptedServer([script]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal([outcome], Bench.Outcomes(report));
        Assert.Equal(unreachable, report.Unreachable);
        Assert.Empty(bench.Claims.Recorded);
    }

    [Theory]
    [InlineData("! reset")]
    [InlineData("! close")]
    public async Task A_connection_that_ends_as_the_content_is_sent_is_never_a_delivery(string end)
    {
        await using var server = new ScriptedServer([Hello + Commands + "S: 250 Ok\nS: 250 Ok\nS: 354 Go on\n" + end]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        // Whether the dot was on its way when the end came is the network's secret.
        Assert.Contains(report.Results[0].Outcome, new[] { AttemptOutcome.Deferred, AttemptOutcome.Uncertain });
        Assert.Empty(bench.Claims.Recorded);
    }

    [Fact]
    public async Task Nobody_listens()
    {
        await using var bench = new Bench();
        int port;
        await using (var server = new ScriptedServer("! close"))
            port = server.Port;
        bench.RouteTo($"127.0.0.1:{port}");
        var report = await bench.RunAsync(bench.Message("one\r\n"), bench.Message("two\r\n"));
        Assert.Equal(["Deferred 4.4.1", "Deferred 4.4.1"], Bench.Outcomes(report));
        Assert.True(report.Unreachable);
        Assert.Equal($"127.0.0.1:{port} refused the connection", report.Results[0].Reply);
    }

    [Fact]
    public async Task After_a_loss_in_mid_batch_the_rest_goes_over_a_new_connection()
    {
        await using var server = new ScriptedServer(
        [
            Hello + Commands + Content +
            """
            C: MAIL FROM:<sender@example.com>
            C: RCPT TO:<user2@example.net>
            C: DATA
            S: 250 2.0.0 Taken
            S: 421 4.7.0 Enough for one connection
            ! close
            """,
            Hello +
            """
            C: MAIL FROM:<sender@example.com>
            C: RCPT TO:<user2@example.net>
            C: DATA
            S: 250 Ok
            S: 250 Ok
            S: 354 Go on
            C: two
            C: .
            S: 250 Taken
            """,
        ]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"), bench.Message("two\r\n"));
        await server.FinishAsync();
        Assert.Equal(["Delivered 2.0.0", "Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task A_message_that_breaks_the_connection_twice_is_deferred_and_the_others_go_on()
    {
        const string Second =
            """
            C: MAIL FROM:<sender@example.com>
            C: RCPT TO:<user2@example.net>
            C: DATA

            """;
        const string Third =
            """
            C: MAIL FROM:<sender@example.com>
            C: RCPT TO:<user3@example.net>
            C: DATA

            """;
        await using var first = new ScriptedServer(
            [Hello + Commands + Content + Second + "S: 250 Taken\nS: 250 Ok\n! close", Hello + Second + "S: 250 Ok\n! close"],
            address: IPAddress.Parse("127.0.0.1"));
        await using var second = new ScriptedServer(
            [Hello + Third + "S: 250 Ok\nS: 250 Ok\nS: 354 Go on\nC: three\nC: .\nS: 250 Taken"],
            address: IPAddress.Parse("127.0.0.2"), port: first.Port);
        await using var bench = new Bench(options => options.Port = first.Port);
        bench.Dns.WithMx(Bench.Domain, (10, "mx1.example.net"), (20, "mx2.example.net"))
            .WithAddress("mx1.example.net", "127.0.0.1").WithAddress("mx2.example.net", "127.0.0.2");
        var report = await bench.RunAsync(bench.Message("one\r\n"), bench.Message("two\r\n"), bench.Message("three\r\n"));
        Assert.Equal(["Delivered 2.0.0", "Deferred 4.4.2", "Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Theory]
    [InlineData("S: 250 Ok\n! close", 2, "Deferred 4.4.2")]
    [InlineData("S: 250 Ok\nS: 250 Ok\nS: 354 Go on\nC: one\nC: .\n! close", 1, "Uncertain 4.4.2")]
    public async Task A_single_host_that_breaks_off_over_the_first_message_gets_the_others_over_a_new_connection(
        string breaks, int times, string outcome)
    {
        const string Rest =
            """
            C: MAIL FROM:<sender@example.com>
            C: RCPT TO:<user2@example.net>
            C: DATA
            S: 250 Ok
            S: 250 Ok
            S: 354 Go on
            C: two
            C: .
            C: MAIL FROM:<sender@example.com>
            C: RCPT TO:<user3@example.net>
            C: DATA
            S: 250 Taken
            S: 250 Ok
            S: 250 Ok
            S: 354 Go on
            C: three
            C: .
            S: 250 Taken
            """;
        await using var server = new ScriptedServer([.. Enumerable.Repeat(Hello + Commands + breaks, times), Hello + Rest]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"), bench.Message("two\r\n"), bench.Message("three\r\n"));
        await server.FinishAsync();
        Assert.Equal([outcome, "Delivered 2.0.0", "Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.False(report.Unreachable);
    }

    [Fact]
    public async Task Who_was_not_tried_because_every_host_broke_off_is_told_nothing_and_the_domain_backs_off()
    {
        await using var server = new ScriptedServer([.. Enumerable.Repeat(Hello + "C: MAIL FROM:<sender@example.com>\n! close", 10)]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"), bench.Message("two\r\n"), bench.Message("three\r\n"));
        Assert.Equal(["Deferred 4.4.2", "Deferred 4.4.2", "NotAttempted 4.0.0"], Bench.Outcomes(report));
        Assert.True(report.Unreachable);
        Assert.Equal(3, server.Connections);
    }

    [Fact]
    public async Task The_next_host_is_tried_when_one_does_not_greet()
    {
        await using var first = new ScriptedServer(["S: 554 5.3.2 Closed for repair"], address: IPAddress.Parse("127.0.0.1"));
        await using var second = new ScriptedServer(
            [Hello + Commands + Content + "S: 250 Taken"], address: IPAddress.Parse("127.0.0.2"), port: first.Port);
        await using var bench = new Bench(options => options.Port = first.Port);
        bench.Dns.WithMx(Bench.Domain, (20, "mx2.example.net"), (10, "mx1.example.net"), (5, "gone.example.net"))
            .WithAddress("mx1.example.net", "127.0.0.1").WithAddress("mx2.example.net", "127.0.0.2");
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.Equal($"mx2.example.net[127.0.0.2]:{second.Port}", report.Results[0].RemoteHost);
        Assert.Equal(1, first.Connections);
    }

    [Fact]
    public async Task A_flood_of_421_ends_after_the_bound_of_hosts()
    {
        await using var server = new ScriptedServer([.. Enumerable.Repeat("S: 421 4.3.2 No", 50)]);
        await using var bench = new Bench(options =>
        {
            options.Port = server.Port;
            options.MaxHosts = 3;
        });
        bench.Dns.WithMx(Bench.Domain, [.. Enumerable.Range(0, 20).Select(i => (i, $"mx{i}.example.net"))]);
        for (var i = 0; i < 20; i++)
            bench.Dns.WithAddress($"mx{i}.example.net", "127.0.0.1");
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(["Deferred 4.3.2"], Bench.Outcomes(report));
        Assert.True(report.Unreachable);
        Assert.Equal(3, server.Connections);
    }

    [Fact]
    public async Task A_refusal_in_the_middle_of_the_content_is_heard()
    {
        await using var server = new ScriptedServer(
        [
            Hello + Commands +
            """
            S: 250 Ok
            S: 250 Ok
            S: 354 Go on
            C: 0123456789
            S: 552 5.3.4 That is too much
            ! hang
            """,
        ]);
        await using var bench = new Bench(options => options.Timeouts.FinalDot = TimeSpan.FromSeconds(5));
        bench.RouteTo(server);
        // The far end reads no more: the client finds the refusal instead of the reply to its dot.
        var report = await bench.RunAsync(bench.Message("0123456789\r\nmore\r\n"));
        Assert.Equal(["Failed 5.3.4"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task Content_that_cannot_be_read_whole_is_never_finished_with_a_dot()
    {
        await using var server = new ScriptedServer(
        [
            Hello + Commands + "S: 250 Ok\nS: 250 Ok\nS: 354 Go on\n! signal",
            Hello +
            """
            C: MAIL FROM:<sender@example.com>
            C: RCPT TO:<user2@example.net>
            C: DATA
            S: 250 Ok
            S: 250 Ok
            S: 354 Go on
            C: two
            C: .
            S: 250 Taken
            """,
        ]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        bench.Content.ChunkBytes = 10;
        bench.Content.Unreadable[1] = 40;
        var report = await bench.RunAsync(bench.Message(new string('x', 100)), bench.Message("two\r\n"));
        Assert.Equal("Deferred 4.3.0", Bench.Outcomes(report)[0]);
        Assert.DoesNotContain(".", server.Surplus);
    }

    [Fact]
    public async Task Content_shorter_than_it_was_when_accepted_is_not_sent()
    {
        await using var server = new ScriptedServer([Hello + Commands + "S: 250 Ok\nS: 250 Ok\nS: 354 Go on\n! signal"]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var message = bench.Message("one\r\n");
        message[0] = message[0] with { SizeBytes = 500 };
        var report = await bench.RunAsync(message);
        Assert.Equal(["Deferred 4.3.0"], Bench.Outcomes(report));
        Assert.DoesNotContain(".", server.Surplus);
    }

    [Fact]
    public async Task A_large_message_arrives_whole_and_in_bounded_pieces()
    {
        const int Lines = 200_000;
        var line = new string('x', 98);
        await using var server = new ScriptedServer(
        [
            Hello + Commands + "S: 250 Ok\nS: 250 Ok\nS: 354 Go on\n" + string.Concat(Enumerable.Repeat($"C: {line}\n", Lines)) + "C: .\nS: 250 Taken",
        ]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message(string.Concat(Enumerable.Repeat(line + "\r\n", Lines))));
        await server.FinishAsync();
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }
}
