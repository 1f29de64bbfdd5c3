using System.Net;
using MailPipeline.Contracts;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Smtp;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Testing;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>The next hop of a domain that we relay for is asked about a recipient, and is sent nothing.</summary>
public sealed class RecipientProbeTests
{
    private const string Address = "ann@" + Bench.Domain;

    private const string Hello =
        """
        S: 220 mail.example.net ESMTP
        C: EHLO client.example.com
        S: 250-mail.example.net
        S: 250 ENHANCEDSTATUSCODES
        C: MAIL FROM:<>

        """;

    private const string Rcpt = "S: 250 2.1.0 Ok\nC: RCPT TO:<ann@example.net>\n";

    private const string Quit = "C: QUIT\nS: 221 Bye\n";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(Rcpt + "S: 250 2.1.5 Ok\n", nameof(ProbeAnswer.Taken), "")]
    [InlineData(Rcpt + "S: 251 2.1.5 He is elsewhere\n", nameof(ProbeAnswer.Taken), "")]
    [InlineData(Rcpt + "S: 550-5.1.1 No\nS: 550 5.1.1 such user\n", nameof(ProbeAnswer.Refused), "5.1.1")]
    [InlineData(Rcpt + "S: 554 No\n", nameof(ProbeAnswer.Refused), "5.0.0")]
    [InlineData(Rcpt + "S: 550 5.4.1 Recipient address rejected: Access denied\n", nameof(ProbeAnswer.Refused), "5.4.1")]
    // Of us, of our sender or our connection: another may hear otherwise.
    [InlineData(Rcpt + "S: 550 5.7.1 Your address is listed\n", nameof(ProbeAnswer.PutOff), "")]
    [InlineData(Rcpt + "S: 554 5.3.0 No reports here\n", nameof(ProbeAnswer.PutOff), "")]
    [InlineData(Rcpt + "S: 450 4.2.0 Greylisted\n", nameof(ProbeAnswer.PutOff), "")]
    [InlineData(Rcpt + "S: 452 4.2.2 Full\n", nameof(ProbeAnswer.PutOff), "")]
    // The table of replies to RCPT: too many recipients, and a far end that lost the thread.
    [InlineData(Rcpt + "S: 552 Too many\n", nameof(ProbeAnswer.PutOff), "")]
    [InlineData(Rcpt + "S: 503 5.5.1 What\n", nameof(ProbeAnswer.PutOff), "")]
    // What is said to MAIL is said of us, or of everybody.
    [InlineData("S: 550 5.7.1 No reports here\n", nameof(ProbeAnswer.Away), "")]
    [InlineData("S: 451 4.3.0 Later\n", nameof(ProbeAnswer.Away), "")]
    public async Task What_it_says_to_RCPT_is_the_answer(string dialogue, string answer, string status)
    {
        await using var server = new ScriptedServer(Hello + dialogue + Quit);
        await using var bench = new Bench();
        Assert.Equal(new ProbeResult(Enum.Parse<ProbeAnswer>(answer), status), await AskAsync(bench, server));
        await server.FinishAsync();
    }

    [Theory]
    [InlineData("S: 554 5.7.1 Not you\n" + Quit)]
    [InlineData("S: 220 mail.example.net\nC: EHLO client.example.com\n! close")]
    [InlineData(Hello + "! close")]
    [InlineData(Hello + Rcpt + "! reset")]
    [InlineData(Hello + Rcpt + "S: what\n! close")]
    public async Task Whoever_cannot_be_spoken_to_says_nothing_of_anybody(string dialogue)
    {
        await using var server = new ScriptedServer(dialogue);
        await using var bench = new Bench();
        Assert.Equal(ProbeResult.Away, await AskAsync(bench, server));
    }

    /// <summary>RFC 6531 §3.4, §3.5.</summary>
    [Theory]
    [InlineData("S: 250 SMTPUTF8\nC: MAIL FROM:<> SMTPUTF8\nS: 250 2.1.0 Ok\nC: RCPT TO:<j\u00C3\u00B6rg@example.net>\nS: 250 2.1.5 Ok\n", nameof(ProbeAnswer.Taken), "")]
    [InlineData("S: 250 ENHANCEDSTATUSCODES\n", nameof(ProbeAnswer.Refused), "5.6.7")]
    public async Task A_name_beyond_ASCII_is_asked_about_where_it_could_be_delivered(string dialogue, string answer, string status)
    {
        const string name = "j\u00F6rg@" + Bench.Domain;
        await using var server = new ScriptedServer("S: 220 mail.example.net ESMTP\nC: EHLO client.example.com\nS: 250-mail.example.net\n" + dialogue + Quit);
        await using var bench = new Bench();
        Assert.Equal(new ProbeResult(Enum.Parse<ProbeAnswer>(answer), status), await AskAsync(bench, server, name: name));
        await server.FinishAsync();
    }

    [Fact]
    public async Task LMTP_is_asked_by_its_own_greeting()
    {
        await using var server = new ScriptedServer(Hello.Replace("EHLO", "LHLO", StringComparison.Ordinal) + Rcpt + "S: 550 5.1.1 No\n" + Quit);
        await using var bench = new Bench();
        Assert.Equal(ProbeAnswer.Refused, (await AskAsync(bench, server, isLmtp: true)).Answer);
        await server.FinishAsync();
    }

    [Fact]
    public async Task Nobody_is_asked_about_domains_that_we_do_not_relay_for_or_what_is_no_address()
    {
        await using var server = new ScriptedServer("S: 220 never\n");
        await using var bench = new Bench();
        bench.RouteTo(server);
        Assert.Equal(ProbeAnswer.Away, (await ProbeOf(bench).AskAsync("ann@elsewhere.example", Cancellation)).Answer);
        bench.Relays[Bench.Domain] = new Relay(new NextHop("127.0.0.1", server.Port));
        Assert.Equal(ProbeAnswer.Away, (await ProbeOf(bench).AskAsync("ann>\r\nRSET@" + Bench.Domain, Cancellation)).Answer);
        Assert.Equal(0, server.Connections);
    }

    [Fact]
    public async Task The_next_host_answers_where_the_first_is_away()
    {
        await using var server = new ScriptedServer(Hello + Rcpt + "S: 250 Ok\n" + Quit);
        await using var bench = new Bench(options => options.Port = server.Port);
        bench.Relays[Bench.Domain] = new Relay(null);
        bench.Dns.WithMx(Bench.Domain, (10, "dead.example.net"), (20, "mail.example.net"));
        bench.Dns.WithAddress("dead.example.net", "127.0.0.9").WithAddress("mail.example.net", "127.0.0.1");
        Assert.Equal(ProbeAnswer.Taken, (await ProbeOf(bench).AskAsync(Address, Cancellation)).Answer);
    }

    [Fact]
    public async Task A_better_host_that_is_silent_leaves_time_for_the_next()
    {
        await using var server = new ScriptedServer(Hello + Rcpt + "S: 250 Ok\n" + Quit);
        await using var silent = new ScriptedServer(["! signal\n! hang\n"], address: IPAddress.Parse("127.0.0.9"), port: server.Port);
        var clock = new FakeTimeProvider();
        await using var bench = new Bench(options => options.Port = server.Port, clock);
        bench.Relays[Bench.Domain] = new Relay(null);
        bench.Dns.WithMx(Bench.Domain, (10, "silent.example.net"), (20, "mail.example.net"));
        bench.Dns.WithAddress("silent.example.net", "127.0.0.9").WithAddress("mail.example.net", "127.0.0.1");
        var asking = ProbeOf(bench).AskAsync(Address, Cancellation);
        await silent.Signal.Task;
        clock.Advance(RecipientProbe.LongestStart);
        Assert.Equal(ProbeAnswer.Taken, (await asking).Answer);
    }

    [Fact]
    public async Task A_host_that_is_silent_has_its_time()
    {
        await using var server = new ScriptedServer(Hello + Rcpt + "! hang");
        var clock = new FakeTimeProvider();
        await using var bench = new Bench(time: clock);
        var asking = AskAsync(bench, server);
        await Eventually.EndsAsync(asking, () => clock.Advance(TimeSpan.FromSeconds(5)), Cancellation);
        Assert.Equal(ProbeAnswer.Away, (await asking).Answer);
    }

    [Fact]
    public async Task The_question_comes_over_the_bus_and_so_does_the_answer()
    {
        await using var dovecot = await DovecotServer.StartAsync(["ann"]);
        await using var host = await DeliveryHost.StartAsync([]);
        await host.Get<MailDirectory>().AddDomainAsync(new MailDomain(
            "example.org", Relay: new NextHop(dovecot.Socket, 24, IsLmtp: true).ToString(), Recipients: RelayRecipients.Verify));
        var answers = System.Threading.Channels.Channel.CreateUnbounded<RecipientVerified>();
        var endpoint = await host.Get<BusAnswers>().ListenAsync<RecipientVerified>(answer => answers.Writer.TryWrite(answer));
        foreach (var name in (string[])["ann", "gone"])
        {
            await host.Get<MailBus>().SendAsync(BusEndpoints.VerifyRecipient, new VerifyRecipient($"{name}@example.org", endpoint), Cancellation);
            Assert.Equal(
                name == "ann" ? new RecipientVerified("ann@example.org", RecipientAnswer.Taken) : new RecipientVerified("gone@example.org", RecipientAnswer.Refused, "5.1.1"),
                await answers.Reader.ReadAsync(Cancellation));
        }

        Assert.Empty(dovecot.ReadMaildir("ann"));
    }

    private static Task<ProbeResult> AskAsync(Bench bench, ScriptedServer server, bool isLmtp = false, string name = Address)
    {
        bench.Relays[Bench.Domain] = new Relay(new NextHop("127.0.0.1", server.Port, isLmtp));
        return ProbeOf(bench).AskAsync(name, Cancellation);
    }

    private static RecipientProbe ProbeOf(Bench bench)
    {
        var options = Microsoft.Extensions.Options.Options.Create(bench.Options);
        return new RecipientProbe(
            bench.Relays, bench.Resolver, new HostFailures(options, bench.Time), bench.Connector, bench.Sources, options, bench.Time,
            new FakeLogger<RecipientProbe>());
    }
}
