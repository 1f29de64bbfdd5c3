using MailPipeline.Delivery.Routing;
using MailPipeline.Mail;
using MailPipeline.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>LMTP (RFC 2033): each recipient has an outcome of his own behind the dot.</summary>
public sealed class LmtpTests
{
    private const string Hello =
        """
        S: 220 mail.example.net LMTP
        C: LHLO client.example.com
        S: 250-mail.example.net
        S: 250-PIPELINING
        S: 250 ENHANCEDSTATUSCODES

        """;

    private const string Open = Hello +
        """
        C: MAIL FROM:<sender@example.com>
        C: RCPT TO:<a@example.net>
        C: RCPT TO:<b@example.net>
        C: RCPT TO:<c@example.net>
        C: RCPT TO:<d@example.net>
        C: DATA
        S: 250 2.1.0 Ok
        S: 250 2.1.5 Ok
        S: 550 5.1.1 Not there
        S: 250 2.1.5 Ok
        S: 250 2.1.5 Ok
        S: 354 Go on
        C: one
        C: .

        """;

    private const string End = "C: QUIT\nS: 221 Bye\n";

    private static readonly string[] s_recipients = ["a@example.net", "b@example.net", "c@example.net", "d@example.net"];

    [Theory]
    [InlineData(Cut.Whole)]
    [InlineData(Cut.Lines)]
    [InlineData(Cut.Bytes)]
    public async Task Each_recipient_has_a_reply_behind_the_dot(Cut cut)
    {
        var report = await RunAsync([Open + "S: 250 2.0.0 Kept\nS: 452-4.2.2 Mailbox\nS: 452 4.2.2 full\nS: 554 5.7.1 No\n" + End], cut);
        Assert.Equal(["Delivered 2.0.0", "Failed 5.1.1", "Deferred 4.2.2", "Failed 5.7.1"], Bench.Outcomes(report));
        Assert.Equal(["250 2.0.0 Kept", "550 5.1.1 Not there", "452 4.2.2 Mailbox full", "554 5.7.1 No"], report.Results.Select(result => result.Reply));
        Assert.False(report.Unreachable);
    }

    /// <summary>RFC 2033 §1: it is delivered, and not only taken. Who has asked for nothing is told nothing.</summary>
    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task What_LMTP_takes_is_delivered(bool isLmtp, bool isAsked)
    {
        var hello = isLmtp ? Hello : Hello.Replace("LHLO", "EHLO", StringComparison.Ordinal);
        await using var server = new ScriptedServer(
            hello + "C: MAIL FROM:<sender@example.com>\nC: RCPT TO:<user1@example.net>\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 354 Go on\nC: one\nC: .\nS: 250 2.0.0 Kept\n" + End);
        await using var bench = new Bench();
        bench.Relays[Bench.Domain] = new Relay(new NextHop("127.0.0.1", server.Port, isLmtp));
        var report = await bench.RunAsync(bench.Message("one\r\n", body: isAsked ? BodyType.Dsn : BodyType.SevenBit));
        await server.FinishAsync();
        Assert.Equal((AttemptOutcome.Delivered, isLmtp && isAsked), (report.Results[0].Outcome, report.Results[0].IsFinal));
    }

    /// <summary>Who has his answer keeps it; of the others nobody knows whether they have the message.</summary>
    [Theory]
    [InlineData("! close", "Uncertain 4.4.2", "Uncertain 4.4.2", "Uncertain 4.4.2")]
    [InlineData("S: 250 2.0.0 Kept\n! close", "Delivered 2.0.0", "Uncertain 4.4.2", "Uncertain 4.4.2")]
    [InlineData("S: 250 2.0.0 Kept\n! reset", "Delivered 2.0.0", "Uncertain 4.4.2", "Uncertain 4.4.2")]
    [InlineData("S: 250 2.0.0 Kept\nS: 550 5.2.1 No\n! close", "Delivered 2.0.0", "Failed 5.2.1", "Uncertain 4.4.2")]
    [InlineData("S: 421 4.3.2 Going\n! close", "Deferred 4.3.2", "Uncertain 4.4.2", "Uncertain 4.4.2")]
    [InlineData("S: 250 2.0.0 Kept\nS: what\n! close", "Delivered 2.0.0", "Uncertain 4.4.2", "Uncertain 4.4.2")]
    public async Task A_connection_that_breaks_among_the_replies_leaves_only_the_others_in_doubt(string end, string a, string c, string d)
    {
        var report = await RunAsync([Open + end]);
        Assert.Equal([a, "Failed 5.1.1", c, d], Bench.Outcomes(report));
    }

    /// <summary>In one transaction, or in as many as it takes, each has the reply that is his.</summary>
    [Theory]
    [InlineData(1000)]
    [InlineData(100)]
    public async Task A_thousand_recipients_of_which_each_third_fails_have_an_outcome_each(int most)
    {
        var recipients = Enumerable.Range(0, 1000).Select(number => $"r{number}@example.net").ToArray();
        var script = new System.Text.StringBuilder(Hello);
        foreach (var some in recipients.Chunk(most))
        {
            script.Append("C: MAIL FROM:<sender@example.com>\n");
            foreach (var recipient in some)
                script.Append(null, $"C: RCPT TO:<{recipient}>\n");
            script.Append("C: DATA\nS: 250 Ok\n");
            foreach (var recipient in some)
                script.Append("S: 250 Ok\n");
            script.Append("S: 354 Go on\nC: one\nC: .\n");
            foreach (var recipient in some)
                script.Append(IsThird(recipient) ? "S: 550 5.2.1 No\n" : "S: 250 2.0.0 Kept\n");
        }

        await using var server = new ScriptedServer(script.Append(End).ToString());
        await using var bench = new Bench(options => options.MaxRecipients = most);
        bench.Relays[Bench.Domain] = new Relay(new NextHop("127.0.0.1", server.Port, IsLmtp: true));
        var report = await bench.RunAsync(bench.Message("one\r\n", recipients));
        await server.FinishAsync();
        Assert.Equal(recipients.Select(recipient => IsThird(recipient) ? "Failed 5.2.1" : "Delivered 2.0.0"), Bench.Outcomes(report));
        Assert.Equal(667, bench.Claims.Recorded.Count);

        static bool IsThird(string recipient) => int.Parse(recipient[1..recipient.IndexOf('@', StringComparison.Ordinal)], System.Globalization.CultureInfo.InvariantCulture) % 3 == 2;
    }

    [Fact]
    public async Task The_next_message_follows_when_all_have_answered()
    {
        await using var server = new ScriptedServer(
            Open + "S: 250 2.0.0 Kept\nS: 250 2.0.0 Kept\nS: 450 4.2.0 Later\n"
            + "C: MAIL FROM:<sender@example.com>\nC: RCPT TO:<user2@example.net>\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 354 Go on\nC: two\nC: .\nS: 250 2.0.0 Kept\n" + End);
        await using var bench = new Bench();
        bench.Relays[Bench.Domain] = new Relay(new NextHop("127.0.0.1", server.Port, IsLmtp: true));
        var report = await bench.RunAsync(bench.Message("one\r\n", s_recipients), bench.Message("two\r\n"));
        await server.FinishAsync();
        Assert.Equal(["Delivered 2.0.0", "Failed 5.1.1", "Delivered 2.0.0", "Deferred 4.2.0", "Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task A_reply_too_many_is_not_taken_for_the_next_message()
    {
        await using var server = new ScriptedServer(
        [
            // In one piece: a reply that comes when the next message has begun cannot be told from the reply to that one.
            Open + "! raw 250 2.0.0 Kept\\r\\n250 2.0.0 Kept\\r\\n450 4.2.0 Later\\r\\n250 2.0.0 Kept\\r\\n\n",
            Hello + "C: MAIL FROM:<sender@example.com>\nC: RCPT TO:<user2@example.net>\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 354 Go on\nC: two\nC: .\nS: 250 2.0.0 Kept\n" + End,
        ]);
        await using var bench = new Bench();
        bench.Relays[Bench.Domain] = new Relay(new NextHop("127.0.0.1", server.Port, IsLmtp: true));
        var report = await bench.RunAsync(bench.Message("one\r\n", s_recipients), bench.Message("two\r\n"));
        await server.FinishAsync();
        Assert.Equal(["Delivered 2.0.0", "Failed 5.1.1", "Delivered 2.0.0", "Deferred 4.2.0", "Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task Nobody_says_HELO_to_a_server_of_LMTP()
    {
        var report = await RunAsync(["S: 220 mail.example.net\nC: LHLO client.example.com\nS: 500 5.5.1 Unknown\n" + End]);
        Assert.All(report.Results, result => Assert.Equal((AttemptOutcome.Deferred, "500 5.5.1 Unknown"), (result.Outcome, result.Reply)));
        Assert.True(report.Unreachable);
    }

    [Fact]
    public async Task Content_for_nobody_is_not_ended()
    {
        const string Refusals = "S: 250 Ok\nS: 550 5.1.1 No\nS: 550 5.1.1 No\nS: 550 5.1.1 No\nS: 452 4.2.2 Full\n";
        var report = await RunAsync([Open[..Open.IndexOf("S: 250 2.1.0", StringComparison.Ordinal)] + Refusals + "S: 354 Go on\n"]);
        Assert.Equal(["Failed 5.1.1", "Failed 5.1.1", "Failed 5.1.1", "Deferred 4.2.2"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task A_relay_comes_before_the_routes()
    {
        await using var bench = new Bench();
        bench.RouteTo("192.0.2.1");
        bench.Relays["example.org"] = new Relay(new NextHop("/run/lmtp", 24, IsLmtp: true));
        bench.Relays["backup.example"] = new Relay(null);
        bench.Dns.WithMx("backup.example", (10, "mx.backup.example"));
        Assert.Equal(["/run/lmtp"], (await bench.Resolver.ResolveAsync("Example.org")).Hosts.Select(host => host.Name));
        Assert.Equal(["mx.backup.example"], (await bench.Resolver.ResolveAsync("backup.example")).Hosts.Select(host => host.Name));
        Assert.Equal(["192.0.2.1"], (await bench.Resolver.ResolveAsync("example.net")).Hosts.Select(host => host.Name));
    }

    [Fact]
    public async Task A_backup_sends_to_better_exchanges_only()
    {
        await using var bench = new Bench();
        bench.Relays["backup.example"] = bench.Relays["best.example"] = new Relay(null);
        bench.Dns.WithMx("backup.example", (10, "mx.backup.example"), (20, "client.example.com"), (30, "last.backup.example"));
        bench.Dns.WithMx("best.example", (10, "client.example.com"), (20, "mx.best.example"));
        Assert.Equal(["mx.backup.example"], (await bench.Resolver.ResolveAsync("backup.example")).Hosts.Select(host => host.Name));
        Assert.Equal(ResolutionFailure.Loop, (await bench.Resolver.ResolveAsync("best.example")).Failure);
    }

    [Fact]
    public async Task Dovecot_keeps_what_comes_over_TCP_and_over_its_socket()
    {
        await using var dovecot = await DovecotServer.StartAsync(["ann", "bob"]);
        foreach (var route in (string[])[$"lmtp:{dovecot.EndPoint}", $"lmtp:{dovecot.Socket}"])
        {
            await using var host = await DeliveryHost.StartAsync(new() { ["Delivery:Routes:example.org"] = route });
            var report = await host.DeliverAsync(await host.QueueAsync("Subject: a\r\n\r\n.\r\n..dots\r\n"u8.ToArray(), "ann@example.org", "gone@example.org", "bob+x@example.org"));
            Assert.Equal(["Delivered 2.0.0", "Failed 5.1.1", "Delivered 2.0.0"], Bench.Outcomes(report));
            Assert.StartsWith("250 2.0.0 <bob+x@example.org> ", report.Results[2].Reply, StringComparison.Ordinal);
        }

        foreach (var user in (string[])["ann", "bob"])
        {
            var kept = dovecot.ReadMaildir(user);
            Assert.Equal(2, kept.Count);
            Assert.All(kept, message => Assert.EndsWith("Subject: a\n\n.\n..dots\n", System.Text.Encoding.ASCII.GetString(message), StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task A_socket_that_is_not_there_is_a_reason_to_wait()
    {
        await using var host = await DeliveryHost.StartAsync(new() { ["Delivery:Routes:example.org"] = "lmtp:/nowhere/at/all" });
        var report = await host.DeliverAsync(await host.QueueAsync("Subject: a\r\n\r\n"u8.ToArray(), "ann@example.org"));
        Assert.Equal(["Deferred 4.4.1"], Bench.Outcomes(report));
        Assert.True(report.Unreachable);
        Assert.Contains("/nowhere/at/all", report.Results[0].Reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_domain_of_the_directory_goes_where_the_operator_said()
    {
        await using var dovecot = await DovecotServer.StartAsync(["ann"]);
        await using var host = await DeliveryHost.StartAsync([]);
        await host.Get<MailDirectory>().AddDomainAsync(new MailDomain("example.org", Relay: new NextHop(dovecot.Socket, 24, IsLmtp: true).ToString()));
        var report = await host.DeliverAsync(await host.QueueAsync("Subject: a\r\n\r\n"u8.ToArray(), "ann@example.org"));
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.Single(dovecot.ReadMaildir("ann"));
    }

    private static async Task<AttemptReport> RunAsync(string[] scripts, Cut cut = Cut.Whole)
    {
        await using var server = new ScriptedServer(scripts, cut);
        await using var bench = new Bench();
        bench.Relays[Bench.Domain] = new Relay(new NextHop("127.0.0.1", server.Port, IsLmtp: true));
        var report = await bench.RunAsync(bench.Message("one\r\n", s_recipients));
        await server.FinishAsync();
        return report;
    }
}
