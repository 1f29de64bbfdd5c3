using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Tls;
using MailPipeline.Mail;
using MailPipeline.MtaSts;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>Connections that are counted, and kept for the batch that has their permit next.</summary>
public sealed class KeptConnectionTests
{
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

    private const string Quit = "C: QUIT\nS: 221 Bye\n";

    private static readonly string s_two = One.Replace("user1", "user2", StringComparison.Ordinal);

    [Fact]
    public async Task The_batch_that_has_the_permit_next_goes_over_it_whatever_its_domain()
    {
        await using var server = new ScriptedServer(Hello + One + s_two + Quit);
        await using var bench = BenchFor(server);
        Command(bench, server, 77);
        Assert.True(await bench.RunAsync(bench.Message("one\r\n")) is { KeptBy: "pod_delivery_bus_1", Results: [{ Outcome: AttemptOutcome.Delivered }] });
        Assert.Equal(1, bench.Slots.Taken);
        bench.Clock.Advance(TimeSpan.FromSeconds(1));

        Command(bench, server, 78, after: 77, domain: "other.example");
        Assert.True(await bench.RunAsync(bench.Message("one\r\n")) is { KeptBy: "pod_delivery_bus_1", Results: [{ Outcome: AttemptOutcome.Delivered }] });
        // Storage knew from the claim on that the attempt has begun.
        Assert.Equal([true, true], bench.Claims.Begun);
        bench.Clock.Advance(KeptConnection.Time - TimeSpan.FromMilliseconds(1));
        Assert.Equal(1, bench.Slots.Taken);
        bench.Clock.Advance(TimeSpan.FromMilliseconds(1));
        await server.FinishAsync();
        Assert.Equal(0, bench.Slots.Taken);
    }

    [Fact]
    public async Task Domains_that_DNS_leads_to_the_same_hosts_share_it()
    {
        await using var server = new ScriptedServer(Hello + One + s_two + Quit);
        await using var bench = new Bench(options => options.Port = server.Port, new FakeTimeProvider());
        bench.Dns.WithMx(Bench.Domain, (10, "mx.example.net")).WithMx("other.example", (20, "mx.example.net")).WithAddress("mx.example.net", "127.0.0.1");
        foreach (var (batch, after, domain) in new[] { (77, 0, Bench.Domain), (78, 77, "other.example") })
        {
            bench.Commanded = command => command with
            {
                BatchId = batch, Domain = domain, Site = $"mx.example.net:{server.Port}", EndsConnection = true, MayKeep = true, KeptAfter = after,
            };
            Assert.True(await bench.RunAsync(bench.Message("one\r\n")) is { KeptBy.Length: > 0, Results: [{ Outcome: AttemptOutcome.Delivered }] });
        }

        bench.Clock.Advance(KeptConnection.Time);
        await server.FinishAsync();
    }

    [Fact]
    public void What_a_domain_says_of_its_hosts_is_that_domains_alone()
    {
        var made = new TargetHost("mx.example.net", 25, 10) { Tls = TlsDemand.Opportunistic with { Domain = "a.example" } };
        var wanted = new TargetHost("mx.example.net", 25, 20) { Tls = TlsDemand.Opportunistic with { Domain = "b.example" } };
        Assert.True(made.Serves(wanted));
        Assert.False((made with { Port = 26 }).Serves(wanted));
        Assert.False((made with { Tls = made.Tls with { Policy = TlsPolicy.Verified } }).Serves(wanted));
        Assert.False(made.Serves(wanted with { Tls = wanted.Tls with { IsMxAuthenticated = true } }));
        var policy = new StsPolicy("1", StsMode.Enforce, TimeSpan.FromDays(1), "mx: mx.example.net");
        Assert.False(made.Serves(wanted with { Tls = wanted.Tls with { Sts = policy } }));
        Assert.False((made with { Tls = made.Tls with { Sts = policy } }).Serves(wanted with { Tls = wanted.Tls with { Sts = policy } }));
        var own = made with { Tls = made.Tls with { Sts = policy } };
        Assert.True(own.Serves(own));
    }

    [Fact]
    public async Task Another_batch_of_the_domain_does_not_get_it()
    {
        await using var server = new ScriptedServer([Hello + One + Quit, Hello + s_two + Quit]);
        await using var bench = BenchFor(server);
        Command(bench, server, 77);
        await bench.RunAsync(bench.Message("one\r\n"));
        Command(bench, server, 78);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal(2, bench.Slots.Taken);
        bench.Clock.Advance(KeptConnection.Time);
        await server.FinishAsync();
    }

    [Fact]
    public async Task The_batch_for_one_that_is_gone_makes_a_new_one_in_its_place()
    {
        await using var server = new ScriptedServer([Hello + One + Quit, Hello + s_two + Quit]);
        await using var bench = BenchFor(server);
        Command(bench, server, 77);
        await bench.RunAsync(bench.Message("one\r\n"));
        bench.Clock.Advance(KeptConnection.Time);
        Command(bench, server, 78, after: 77);
        Assert.True(await bench.RunAsync(bench.Message("one\r\n")) is { KeptBy.Length: > 0, Results: [{ Outcome: AttemptOutcome.Delivered }] });
        bench.Clock.Advance(KeptConnection.Time);
        await server.FinishAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task It_is_closed_when_its_batch_comes_to_nothing(bool isElsewhere)
    {
        await using var server = new ScriptedServer(Hello + One + Quit);
        await using var bench = BenchFor(server);
        Command(bench, server, 77);
        await bench.RunAsync(bench.Message("one\r\n"));
        Command(bench, server, 78, after: 77);
        if (isElsewhere)
            bench.Commanded = command => command with { BatchId = 78, Site = "elsewhere.example", KeptAfter = 77 };
        else
            bench.Claims.IsStale = true;
        Assert.True(await bench.RunAsync(bench.Message("one\r\n")) is { IsElsewhere: true, KeptBy: "" });
        // Before that was reported.
        Assert.Equal(0, bench.Slots.Taken);
        await server.FinishAsync();
    }

    [Theory]
    [InlineData("S: 450 4.7.1 Too many connections\n", true)]
    [InlineData("S: 250 Taken\n", false)]
    public async Task It_is_not_kept_at_hosts_that_want_fewer_nor_where_the_broker_gives_no_endpoint(string reply, bool hasEndpoint)
    {
        await using var server = new ScriptedServer(Hello + One.Replace("S: 250 Taken\n", reply, StringComparison.Ordinal) + Quit);
        await using var bench = BenchFor(server);
        if (!hasEndpoint)
            bench.OwnName = "";
        Command(bench, server, 77);
        Assert.Equal("", (await bench.RunAsync(bench.Message("one\r\n"))).KeptBy);
        Assert.Equal(0, bench.Slots.Taken);
        await server.FinishAsync();
    }

    [Fact]
    public async Task Its_time_counts_from_its_last_message_as_storage_may_know_then_that_the_batch_has_ended()
    {
        await using var server = new ScriptedServer(Hello + One + Quit);
        await using var bench = BenchFor(server);
        Command(bench, server, 77);
        bench.Claims.OnRecord = () => bench.Clock.Advance(KeptConnection.Time);
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal("", report.KeptBy);
        Assert.Equal(0, bench.Slots.Taken);
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(0, 1)]
    public async Task A_connection_takes_no_more_messages_than_the_operator_says(int bySetting, int byPolicy)
    {
        await using var server = new ScriptedServer([Hello + One + Quit, Hello + s_two + Quit]);
        await using var bench = BenchFor(server, options => options.MessagesPerConnection = bySetting);
        bench.Commanded = command => command with { Site = SiteOf(server), EndsConnection = true, MayKeep = true, MessagesPerConnection = byPolicy };
        var report = await bench.RunAsync(bench.Message("one\r\n"), bench.Message("one\r\n"));
        Assert.Equal(["Delivered 2.0.0", "Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.Equal("", report.KeptBy);
        await server.FinishAsync();
    }

    [Fact]
    public async Task Messages_of_several_batches_count_together()
    {
        await using var server = new ScriptedServer([Hello + One + s_two + Quit, Hello + One.Replace("user1", "user3", StringComparison.Ordinal) + Quit]);
        await using var bench = BenchFor(server, options => options.MessagesPerConnection = 2);
        Command(bench, server, 77);
        Assert.NotEqual("", (await bench.RunAsync(bench.Message("one\r\n"))).KeptBy);
        Command(bench, server, 78, after: 77);
        var report = await bench.RunAsync(bench.Message("one\r\n"), bench.Message("one\r\n"));
        Assert.Equal(["Delivered 2.0.0", "Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.NotEqual("", report.KeptBy);
        bench.Clock.Advance(KeptConnection.Time);
        await server.FinishAsync();
    }

    [Fact]
    public async Task A_transaction_that_was_refused_last_is_cleared_before_the_first_of_the_next_batch()
    {
        await using var server = new ScriptedServer(
            Hello +
            """
            C: MAIL FROM:<sender@example.com>
            C: RCPT TO:<user1@example.net>
            C: DATA
            S: 250 Ok
            S: 550 5.1.1 Nobody
            S: 503 No recipients
            C: RSET
            C: MAIL FROM:<sender@example.com>
            C: RCPT TO:<user2@example.net>
            C: DATA
            S: 250 Ok
            S: 250 Ok
            S: 250 Ok
            S: 354 Go on
            C: one
            C: .
            S: 250 Taken

            """ + Quit);
        await using var bench = BenchFor(server);
        Command(bench, server, 77);
        Assert.Equal(["Failed 5.1.1"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Command(bench, server, 78, after: 77);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        bench.Clock.Advance(KeptConnection.Time);
        await server.FinishAsync();
        Assert.Empty(server.Surplus);
    }

    private static Bench BenchFor(ScriptedServer server, Action<DeliveryOptions>? configure = null)
    {
        var bench = new Bench(configure, new FakeTimeProvider());
        bench.RouteTo(server);
        return bench;
    }

    private static string SiteOf(ScriptedServer server) => $"127.0.0.1:{server.Port}";

    private static void Command(Bench bench, ScriptedServer server, long batch, long after = 0, string domain = Bench.Domain) =>
        bench.Commanded = command => command with
        {
            BatchId = batch, Domain = domain, Site = SiteOf(server), EndsConnection = true, MayKeep = true, KeptAfter = after,
        };
}
