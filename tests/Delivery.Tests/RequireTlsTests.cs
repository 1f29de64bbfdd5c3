using System.Net;
using MailPipeline.Mail;

namespace MailPipeline.Delivery.Tests;

/// <summary>What senders ask of TLS (RFC 8689): REQUIRETLS, and TLS-Required: No.</summary>
public sealed class RequireTlsTests : IDisposable
{
    private const string Host = "mx.example.net";

    private const string Hello = "S: 220 mx\n* EHLO\nS: 250-mx\nS: 250 STARTTLS\n";

    private const string Upgrade = Hello + "C: STARTTLS\nS: 220 Go on\n! tls\n* EHLO\nS: 250-mx\n";

    private const string Rest = "S: 250 Ok\n* RCPT\nS: 250 Ok\n* DATA\nS: 354 Go on\nC: one\nC: .\nS: 250 Taken\n";

    private const string Quit = "* QUIT\nS: 221 Bye\n";

    private readonly Authority _authority = new();
    private readonly Authority _stranger = new("Another CA");

    [Theory]
    // host is known by   shown        offers  outcome
    [InlineData("dnssec", "right", true, "Delivered 2.0.0", "")]
    [InlineData("dane", "swapped", true, "Delivered 2.0.0", "")]
    [InlineData("sts", "right", true, "Delivered 2.0.0", "")]
    [InlineData("sts-testing", "right", true, "Delivered 2.0.0", "")]
    [InlineData("route", "right", true, "Delivered 2.0.0", "")]
    [InlineData("dnssec", "right", false, "Failed 5.7.30", "Its sender asks for REQUIRETLS; the far end does not offer it, or cannot be proven to be one of the domain's")]
    [InlineData("", "right", true, "Failed 5.7.30", "Its sender asks for REQUIRETLS; the far end does not offer it, or cannot be proven to be one of the domain's")]
    [InlineData("dnssec", "swapped", true, "Failed 5.7.30", "Its sender asks for REQUIRETLS; the far end cannot be proven to be the right one (certificate untrusted)")]
    [InlineData("dnssec", "wrong name", true, "Failed 5.7.30", "Its sender asks for REQUIRETLS; the far end cannot be proven to be the right one (certificate wrong-name)")]
    [InlineData("sts-testing", "expired", true, "Failed 5.7.30", "Its sender asks for REQUIRETLS; the far end cannot be proven to be the right one (certificate expired)")]
    [InlineData("dnssec", "no TLS", true, "Deferred 4.7.30", "Its sender asks for REQUIRETLS, and there is no TLS with the far end")]
    public async Task What_must_go_under_TLS_goes_to_hosts_that_are_proven_and_ask_the_same(string known, string shown, bool offers, string outcome, string reply)
    {
        var delivers = outcome.StartsWith("Delivered", StringComparison.Ordinal);
        var hello = shown == "no TLS" ? "S: 220 mx\n* EHLO\nS: 250-mx\nS: 250-REQUIRETLS\nS: 250 SIZE\n" : Upgrade + (offers ? "S: 250-REQUIRETLS\n" : "") + "S: 250 SIZE\n";
        await using var policies = new PolicyServer(_authority.Issue("mta-sts.example.net"));
        // The other message of the batch goes in any case.
        await using var server = new ScriptedServer(
            hello + (delivers ? "C: MAIL FROM:<sender@example.com> SIZE=5 REQUIRETLS\n" + Rest : "") + "C: MAIL FROM:<sender@example.com> SIZE=5\n" + Rest + Quit)
        {
            Certificate = shown switch
            {
                "swapped" => _stranger.Issue(Host),
                "wrong name" => _authority.Issue("else.example"),
                "expired" => _authority.Issue(Host, -20, -10),
                _ => _authority.Issue(Host),
            },
        };
        await using var bench = new Bench(options => (options.Port, options.MtaSts, options.TrustedRoots) = (server.Port, true, _authority.File));
        bench.Dns.WithMx(Bench.Domain, (10, Host)).WithAddress(Host, "127.0.0.1");
        bench.DnsOptions.Validating = true;
        if (known is "dnssec" or "dane")
            bench.Dns.Signed.Add(Bench.Domain);
        if (known == "dane")
            bench.Dns.WithTlsa($"_{server.Port}._tcp.{Host}", TlsaSetTests.Record(3, 1, 1, server.Certificate));
        if (known.StartsWith("sts", StringComparison.Ordinal))
            PublishPolicy(bench, policies, known == "sts" ? "enforce" : "testing");
        if (known == "route")
            bench.RouteTo($"{Host}:{server.Port}");

        var report = await bench.RunAsync(bench.Message("one\r\n", body: BodyType.RequireTls), bench.Message("one\r\n"));

        Assert.Equal([outcome, "Delivered 2.0.0"], Bench.Outcomes(report));
        if (reply.Length > 0)
            Assert.Equal(reply, report.Results[0].Reply);
        await server.FinishAsync();
        Assert.Empty(server.Surplus);
    }

    /// <summary>RFC 8689 §4.2.1: each of the domain's hosts is asked.</summary>
    [Theory]
    [InlineData(true, "Delivered 2.0.0")]
    [InlineData(false, "Failed 5.7.30")]
    [InlineData(null, "Deferred 4.7.30")]
    public async Task What_the_first_host_may_not_have_goes_to_the_next_one_that_is_safe(bool? nextOffers, string outcome)
    {
        const string Next = "mx2.example.net";
        await using var first = new ScriptedServer(
            [Upgrade + "S: 250 SIZE\nC: MAIL FROM:<sender@example.com> SIZE=5\n" + Rest + Quit]) { Certificate = _authority.Issue(Host) };
        await using var next = new ScriptedServer(
            [Upgrade + (nextOffers == true ? "S: 250-REQUIRETLS\nS: 250 SIZE\nC: MAIL FROM:<sender@example.com> SIZE=5 REQUIRETLS\n" + Rest : "S: 250 SIZE\n") + Quit],
            address: IPAddress.Parse("127.0.0.2"), port: first.Port) { Certificate = _authority.Issue(Next) };
        await using var bench = new Bench(options => (options.Port, options.TrustedRoots) = (first.Port, _authority.File));
        bench.Dns.WithMx(Bench.Domain, (10, Host), (20, Next)).WithAddress(Host, "127.0.0.1").WithAddress(Next, nextOffers is null ? "127.0.0.3" : "127.0.0.2");
        bench.DnsOptions.Validating = true;
        bench.Dns.Signed.Add(Bench.Domain);

        var report = await bench.RunAsync(bench.Message("one\r\n", body: BodyType.RequireTls), bench.Message("one\r\n"));

        Assert.Equal([outcome, "Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.StartsWith(nextOffers is null ? Host : Next, report.Results[0].RemoteHost);
        Assert.Equal("verified", report.Results[0].Tls!.Certificate);
        Assert.False(report.Unreachable);
        await first.FinishAsync();
        if (nextOffers is not null)
            await next.FinishAsync();
    }

    [Fact]
    public async Task Who_does_not_care_for_TLS_has_his_mail_delivered_where_the_policy_of_the_domain_fails()
    {
        await using var policies = new PolicyServer(_authority.Issue("mta-sts.example.net"));
        await using var server = new ScriptedServer(
            [Hello + "C: STARTTLS\nS: 220 Go on\n! tls\n! close", Upgrade + "S: 250 SIZE\n* MAIL\n" + Rest + "* MAIL\n" + Rest + Quit]) { Certificate = _stranger.Issue(Host) };
        await using var bench = new Bench(options => (options.Port, options.MtaSts, options.TrustedRoots) = (server.Port, true, _authority.File));
        bench.Dns.WithMx(Bench.Domain, (10, Host)).WithAddress(Host, "127.0.0.1");
        PublishPolicy(bench, policies, "enforce");
        var report = await bench.RunAsync(
            bench.Message("one\r\n", body: BodyType.TlsOptional), bench.Message("one\r\n"), bench.Message("one\r\n", body: BodyType.TlsOptional));
        Assert.Equal(["Delivered 2.0.0", "Deferred 4.7.5", "Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.Equal(
            ["opportunistic sender untrusted", "sts published untrusted", "opportunistic sender untrusted"],
            report.Results.Select(result => $"{result.Tls!.Policy} {result.Tls.Source} {result.Tls.Certificate}"));
        Assert.True(report.Unreachable);
        await server.FinishAsync();
    }

    [Fact]
    public async Task Neither_is_it_kept_by_TLSA_records_that_DNS_does_not_give()
    {
        await using var server = new ScriptedServer(Upgrade + "S: 250 SIZE\n* MAIL\n" + Rest + Quit);
        await using var bench = new Bench(options => options.Port = server.Port);
        bench.DnsOptions.Validating = true;
        bench.Dns.WithMx(Bench.Domain, (10, Host)).WithAddress(Host, "127.0.0.1").WithFailure($"_{server.Port}._tcp.{Host}").Signed.Add(Bench.Domain);
        var report = await bench.RunAsync(bench.Message("one\r\n", body: BodyType.TlsOptional));
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.False(report.Unreachable);
        Assert.Equal(["Deferred 4.7.5"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
    }

    [Fact]
    public async Task The_operators_word_on_a_domain_is_not_the_senders_to_ignore()
    {
        const string Script = Hello + "C: STARTTLS\nS: 220 Go on\n! tls\n! close";
        await using var server = new ScriptedServer([Script, Script]);
        await using var bench = new Bench(options =>
        {
            options.Port = server.Port;
            options.TlsDomains[Bench.Domain] = "Verified";
        });
        bench.Dns.WithMx(Bench.Domain, (10, Host)).WithAddress(Host, "127.0.0.1");
        var report = await bench.RunAsync(bench.Message("one\r\n", body: BodyType.TlsOptional));
        Assert.Equal(["Deferred 4.7.5"], Bench.Outcomes(report));
        Assert.True(report.Unreachable);
    }

    public void Dispose()
    {
        _stranger.Dispose();
        _authority.Dispose();
    }

    private static void PublishPolicy(Bench bench, PolicyServer policies, string mode)
    {
        bench.Dns.WithTxt("_mta-sts.example.net", "v=STSv1; id=1;");
        bench.PolicyHosts.Known["mta-sts.example.net"] = policies.EndPoint;
        policies.Body = $"version: STSv1\nmode: {mode}\nmx: {Host}\nmax_age: 86400\n";
    }
}
