using System.Security.Cryptography.X509Certificates;

namespace MailPipeline.Delivery.Tests;

/// <summary>
/// What a domain publishes, what its host shows, and what becomes of mail: delivered, deferred, and what is counted for the report to the domain.
/// </summary>
public sealed class PublishedTlsTests : IDisposable
{
    private const string Host = "mx.example.net";

    private const string Hello = "S: 220 mx\n* EHLO\nS: 250-mx\nS: 250 STARTTLS\n";

    private const string Upgrade = Hello + "C: STARTTLS\nS: 220 Go on\n! tls\n";

    private const string Transaction =
        "* MAIL\nS: 250 Ok\n* RCPT\nS: 250 Ok\n* DATA\nS: 354 Go on\nC: one\nC: .\nS: 250 Taken\n* QUIT\nS: 221 Bye\n";

    private readonly Authority _authority = new();
    private readonly Authority _stranger = new("Another CA");
    private readonly Authority _between;
    private readonly X509Certificate2 _right;

    public PublishedTlsTests()
    {
        _between = new Authority("Between CA", _authority);
        _right = _between.Issue(Host);
    }

    [Theory]
    // published                   shown         outcome             record                                  counted
    [InlineData("", "right", "Delivered 2.0.0", "opportunistic default verified TLS", "no-policy-found:")]
    [InlineData("", "wrong name", "Delivered 2.0.0", "opportunistic default wrong-name TLS", "no-policy-found:")]
    [InlineData("", "expired", "Delivered 2.0.0", "opportunistic default expired TLS", "no-policy-found:")]
    [InlineData("", "swapped", "Delivered 2.0.0", "opportunistic default untrusted TLS", "no-policy-found:")]
    [InlineData("", "no TLS", "Delivered 2.0.0", "opportunistic default - - -", "no-policy-found:starttls-not-supported")]
    [InlineData("", "454", "Delivered 2.0.0", "opportunistic default - - -", "no-policy-found:validation-failure")]
    [InlineData("sts-enforce", "right", "Delivered 2.0.0", "sts published verified TLS", "sts:")]
    [InlineData("sts-enforce", "wrong name", "Deferred 4.7.5", "sts published wrong-name -", "sts:certificate-host-mismatch")]
    [InlineData("sts-enforce", "common name", "Deferred 4.7.5", "sts published wrong-name -", "sts:certificate-host-mismatch")]
    [InlineData("sts-enforce", "expired", "Deferred 4.7.5", "sts published expired -", "sts:certificate-expired")]
    [InlineData("sts-enforce", "swapped", "Deferred 4.7.5", "sts published untrusted -", "sts:certificate-not-trusted")]
    [InlineData("sts-enforce", "no TLS", "Deferred 4.7.4", "sts published - - -", "sts:starttls-not-supported")]
    [InlineData("sts-enforce", "454", "Deferred 4.7.0", "sts published - - -", "sts:validation-failure")]
    [InlineData("sts-enforce, other host", "right", "Deferred 4.7.5", null, "sts:validation-failure")]
    [InlineData("sts-testing", "right", "Delivered 2.0.0", "sts-testing published verified TLS", "sts:")]
    [InlineData("sts-testing", "wrong name", "Delivered 2.0.0", "sts-testing published wrong-name TLS", "sts:certificate-host-mismatch")]
    [InlineData("sts-testing", "expired", "Delivered 2.0.0", "sts-testing published expired TLS", "sts:certificate-expired")]
    [InlineData("sts-testing", "swapped", "Delivered 2.0.0", "sts-testing published untrusted TLS", "sts:certificate-not-trusted")]
    [InlineData("sts-testing", "no TLS", "Delivered 2.0.0", "sts-testing published - - -", "sts:starttls-not-supported")]
    [InlineData("sts-testing, other host", "right", "Delivered 2.0.0", "sts-testing published verified TLS", "sts:validation-failure")]
    [InlineData("sts-none", "swapped", "Delivered 2.0.0", "opportunistic default untrusted TLS", "no-policy-found:")]
    [InlineData("sts-none, other host", "right", "Delivered 2.0.0", "opportunistic default verified TLS", "no-policy-found:")]
    [InlineData("dane-ee", "right", "Delivered 2.0.0", "dane published tlsa TLS", "tlsa:")]
    [InlineData("dane-ee", "swapped", "Deferred 4.7.5", "dane published mismatch -", "tlsa:tlsa-invalid")]
    [InlineData("dane-ee", "no TLS", "Deferred 4.7.4", "dane published - - -", "tlsa:starttls-not-supported")]
    [InlineData("dane-ta", "right", "Delivered 2.0.0", "dane published tlsa TLS", "tlsa:")]
    [InlineData("dane-ta", "wrong name", "Deferred 4.7.5", "dane published wrong-name -", "tlsa:certificate-host-mismatch")]
    [InlineData("dane-ta", "expired", "Deferred 4.7.5", "dane published expired -", "tlsa:certificate-expired")]
    [InlineData("dane-ta", "swapped", "Deferred 4.7.5", "dane published mismatch -", "tlsa:tlsa-invalid")]
    [InlineData("dane-unusable", "swapped", "Delivered 2.0.0", "dane published untrusted TLS", "tlsa:")]
    [InlineData("dane-unusable", "no TLS", "Deferred 4.7.4", "dane published - - -", "tlsa:starttls-not-supported")]
    [InlineData("dane-silent", "right", "Deferred 4.7.5", null, "tlsa:dnssec-invalid")]
    [InlineData("dane-bogus, unsigned MX", "swapped", "Delivered 2.0.0", "opportunistic default untrusted TLS", "no-policy-found:")]
    [InlineData("dane-bogus, unsigned address", "swapped", "Delivered 2.0.0", "opportunistic default untrusted TLS", "no-policy-found:")]
    [InlineData("dane-bogus, unsigned TLSA", "swapped", "Delivered 2.0.0", "opportunistic default untrusted TLS", "no-policy-found:")]
    [InlineData("dane-bogus, no trust", "swapped", "Delivered 2.0.0", "opportunistic default untrusted TLS", "no-policy-found:")]
    // RFC 8461 §2: DANE counts where there are both.
    [InlineData("dane-ee sts-enforce, other host", "right", "Delivered 2.0.0", "dane published tlsa TLS", "tlsa:")]
    // Records that name no certificate take nothing from what MTA-STS demands.
    [InlineData("dane-unusable sts-enforce", "right", "Delivered 2.0.0", "sts published verified TLS", "sts:")]
    [InlineData("dane-unusable sts-enforce", "swapped", "Deferred 4.7.5", "sts published untrusted -", "sts:certificate-not-trusted")]
    [InlineData("dane-unusable sts-enforce", "no TLS", "Deferred 4.7.4", "sts published - - -", "sts:starttls-not-supported")]
    [InlineData("dane-unusable sts-enforce, other host", "right", "Deferred 4.7.5", null, "sts:validation-failure")]
    [InlineData("dane-unusable sts-testing", "swapped", "Delivered 2.0.0", "dane published untrusted TLS", "tlsa:")]
    [InlineData("dane-unusable sts-testing", "no TLS", "Deferred 4.7.4", "dane published - - -", "tlsa:starttls-not-supported")]
    [InlineData("dane-silent sts-enforce", "right", "Deferred 4.7.5", null, "tlsa:dnssec-invalid")]
    [InlineData("dane-bogus sts-enforce", "right", "Deferred 4.7.5", "dane published mismatch -", "tlsa:tlsa-invalid")]
    [InlineData("dane-bogus, unsigned TLSA sts-enforce", "right", "Delivered 2.0.0", "sts published verified TLS", "sts:")]
    [InlineData("dane-bogus, unsigned TLSA sts-enforce", "swapped", "Deferred 4.7.5", "sts published untrusted -", "sts:certificate-not-trusted")]
    // The operator's word on the domain counts over both.
    [InlineData("dane-bogus sts-enforce, table Opportunistic", "swapped", "Delivered 2.0.0", "opportunistic table untrusted TLS", "no-policy-found:")]
    [InlineData("dane-bogus sts-enforce, table None", "in clear", "Delivered 2.0.0", "none table - - -", "")]
    [InlineData("dane-ee, table Verified", "swapped", "Deferred 4.7.5", "verified table untrusted -", "no-policy-found:certificate-not-trusted")]
    [InlineData("table Verified:else.example", "wrong name", "Delivered 2.0.0", "verified table verified TLS", "no-policy-found:")]
    [InlineData("table Verified:else.example", "right", "Deferred 4.7.5", "verified table wrong-name -", "no-policy-found:certificate-host-mismatch")]
    [InlineData("table Dane", "right", "Deferred 4.7.5", null, "tlsa:dane-required")]
    [InlineData("dane-ee, table Dane", "right", "Delivered 2.0.0", "dane table tlsa TLS", "tlsa:")]
    [InlineData("dane-ee, table Dane", "swapped", "Deferred 4.7.5", "dane table mismatch -", "tlsa:tlsa-invalid")]
    [InlineData("dane-unusable, table Dane", "right", "Deferred 4.7.5", null, "tlsa:tlsa-invalid")]
    [InlineData("dane-silent, table Dane", "right", "Deferred 4.7.5", null, "tlsa:dnssec-invalid")]
    [InlineData("table OpportunisticDane", "swapped", "Delivered 2.0.0", "opportunistic table untrusted TLS", "no-policy-found:")]
    [InlineData("table OpportunisticDane", "no TLS", "Delivered 2.0.0", "opportunistic table - - -", "no-policy-found:starttls-not-supported")]
    [InlineData("sts-enforce, other host, table OpportunisticDane", "right", "Delivered 2.0.0", "opportunistic table verified TLS", "no-policy-found:")]
    [InlineData("dane-ee, table OpportunisticDane", "right", "Delivered 2.0.0", "dane table tlsa TLS", "tlsa:")]
    [InlineData("dane-ee, table OpportunisticDane", "swapped", "Deferred 4.7.5", "dane table mismatch -", "tlsa:tlsa-invalid")]
    [InlineData("dane-unusable, table OpportunisticDane", "swapped", "Delivered 2.0.0", "dane table untrusted TLS", "tlsa:")]
    [InlineData("dane-unusable, table OpportunisticDane", "no TLS", "Deferred 4.7.4", "dane table - - -", "tlsa:starttls-not-supported")]
    [InlineData("dane-silent, table OpportunisticDane", "right", "Deferred 4.7.5", null, "tlsa:dnssec-invalid")]
    [InlineData("table Sts", "right", "Deferred 4.7.0", null, "")]
    [InlineData("sts-testing, table Sts", "right", "Delivered 2.0.0", "sts table verified TLS", "sts:")]
    [InlineData("sts-testing, table Sts", "swapped", "Deferred 4.7.5", "sts table untrusted -", "sts:certificate-not-trusted")]
    public async Task Mail_goes_as_the_domain_wants_it(string published, string shown, string outcome, string? record, string counted)
    {
        await using var policies = new PolicyServer(_authority.Issue("mta-sts.example.net"));
        await using var server = new ScriptedServer([.. Scripts(shown, outcome)]) { Certificate = Shown(shown), Chain = [_between.Certificate] };
        await using var bench = new Bench(options =>
        {
            (options.Port, options.MtaSts, options.TlsReports, options.TrustedRoots) = (server.Port, true, true, _authority.File);
            if (published.Split("table ") is [_, var policy])
                options.TlsDomains[Bench.Domain] = policy;
        });
        Publish(published, bench, policies, server.Port);

        var report = await bench.RunAsync(bench.Message("one\r\n"));

        Assert.Equal([outcome], Bench.Outcomes(report));
        if (record is null)
            Assert.Null(report.Results[0].Tls);
        else
            Assert.StartsWith(record, report.Results[0].Tls!.ToText());
        await bench.Results.StopAsync(default);
        Assert.Equal(
            counted.Length == 0 ? [] : [counted],
            bench.Counted.Select(count => $"{count.Key.Policy.Split('\n')[0]}:{count.Key.Result}"));
        Assert.All(bench.Counted, count => Assert.Equal((Bench.Domain, 1), (count.Key.Domain, count.Sessions)));
    }

    [Fact]
    public async Task A_host_that_is_not_as_its_domain_wants_it_leaves_its_mail_to_the_next()
    {
        await using var policies = new PolicyServer(_authority.Issue("mta-sts.example.net"));
        await using var server = new ScriptedServer([Upgrade, Upgrade + "* EHLO\nS: 250 mx\n" + Transaction]) { Certificate = _authority.Issue("next.example.net") };
        await using var bench = new Bench(options => (options.Port, options.MtaSts, options.TrustedRoots) = (server.Port, true, _authority.File));
        Publish("sts-enforce", bench, policies, server.Port);
        policies.Body = policies.Body.Replace("mx: mx.", "mx: *.", StringComparison.Ordinal);
        bench.Dns.WithMx(Bench.Domain, (10, Host), (20, "next.example.net")).WithAddress("next.example.net", "127.0.0.1");
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.StartsWith("next.example.net", report.Results[0].RemoteHost, StringComparison.Ordinal);
    }

    /// <summary>A connection that was left by a batch before the domain had a policy is not used after.</summary>
    [Fact]
    public async Task A_kept_connection_is_used_again_only_under_the_same_demand()
    {
        await using var policies = new PolicyServer(_authority.Issue("mta-sts.example.net"));
        var kept = Upgrade + "* EHLO\nS: 250 mx\n" + Transaction[..Transaction.IndexOf("* QUIT", StringComparison.Ordinal)];
        await using var server = new ScriptedServer([kept, Upgrade]) { Certificate = _stranger.Issue(Host) };
        await using var bench = new Bench(options =>
            (options.Port, options.MtaSts, options.TrustedRoots, options.IdleTime) = (server.Port, true, _authority.File, TimeSpan.FromMinutes(5)));
        bench.DnsOptions.CacheTime = TimeSpan.Zero;
        bench.Dns.WithMx(Bench.Domain, (10, Host)).WithAddress(Host, "127.0.0.1");
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Publish("sts-enforce", bench, policies, server.Port);
        Assert.Equal(["Deferred 4.7.5"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal(2, server.Connections);
    }

    /// <summary>Two domains with the same host: each has its own policy, and none the other's.</summary>
    [Fact]
    public async Task A_domain_that_shares_a_host_does_not_share_its_policy()
    {
        await using var policies = new PolicyServer(_authority.Issue("mta-sts.example.net"));
        await using var bench = new Bench(options => (options.MtaSts, options.TrustedRoots) = (true, _authority.File));
        Publish("sts-enforce", bench, policies, 25);
        bench.Dns.WithMx("example.org", (10, Host));
        Assert.True(Assert.Single((await bench.Resolver.ResolveAsync(Bench.Domain)).Hosts).Tls.IsStsEnforced);
        Assert.False(Assert.Single((await bench.Resolver.ResolveAsync("example.org")).Hosts).Tls.IsStsEnforced);
        Assert.Equal(
            (await bench.Resolver.ResolveAsync(Bench.Domain)).Site, (await bench.Resolver.ResolveAsync("example.org")).Site);
    }

    [Fact]
    public async Task A_host_whose_TLS_failed_has_mail_in_clear_for_a_while()
    {
        // What is counted is of one day.
        var clock = new Microsoft.Extensions.Time.Testing.FakeTimeProvider(new DateTimeOffset(2030, 1, 2, 12, 0, 0, TimeSpan.Zero));
        string[] again = [Hello + "C: STARTTLS\nS: 220 Go on\n! close", Hello + Transaction];
        await using var server = new ScriptedServer([.. again, Hello + Transaction, .. again]);
        await using var bench = new Bench(options => (options.Port, options.TlsReports) = (server.Port, true), clock);
        bench.Dns.WithMx(Bench.Domain, (10, Host)).WithAddress(Host, "127.0.0.1");
        foreach (var connections in (int[])[2, 3])
        {
            Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
            Assert.Equal(connections, server.Connections);
        }

        clock.Advance(bench.Options.BrokenTlsTime);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal(5, server.Connections);
        await bench.Results.StopAsync(default);
        Assert.Equal(["no-policy-found:validation-failure 2"], bench.Counted.Select(count => $"{count.Key.Policy}:{count.Key.Result} {count.Sessions}"));
    }

    [Fact]
    public async Task A_policy_forbids_clear_text_also_where_TLS_failed_a_moment_ago()
    {
        await using var server = new ScriptedServer([Hello + "C: STARTTLS\nS: 220 Go on\n! close", Hello + Transaction, Hello + "C: STARTTLS\nS: 220 Go on\n! close"]);
        await using var bench = new Bench(options => options.Port = server.Port);
        bench.DnsOptions.Validating = true;
        bench.Dns.WithMx(Bench.Domain, (10, Host)).WithAddress(Host, "127.0.0.1");
        bench.DnsOptions.CacheTime = TimeSpan.Zero;
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        bench.Dns.Signed.Add("example.net");
        bench.Dns.WithTlsa($"_{server.Port}._tcp.{Host}", TlsaSetTests.Record(3, 1, 1, ScriptedServer.SelfSigned));
        Assert.Equal(["Deferred 4.7.5"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
    }

    public void Dispose()
    {
        _right.Dispose();
        _between.Dispose();
        _stranger.Dispose();
        _authority.Dispose();
    }

    private X509Certificate2 Shown(string shown) => shown switch
    {
        "wrong name" => _between.Issue("else.example"),
        "common name" => _between.Issue(Host, alternatives: ["else.example"]),
        "expired" => _between.Issue(Host, -20, -10),
        "swapped" => _stranger.Issue(Host),
        _ => _right,
    };

    private static IEnumerable<string> Scripts(string shown, string outcome)
    {
        var delivered = outcome.StartsWith("Delivered", StringComparison.Ordinal);
        return (shown, delivered) switch
        {
            ("no TLS", _) => ["S: 220 mx\n* EHLO\nS: 250 mx\n" + (delivered ? Transaction : "! close")],
            ("454", _) => [Hello + "C: STARTTLS\nS: 454 4.7.0 Not now\n" + (delivered ? Transaction : "* QUIT\nS: 221 Bye")],
            ("in clear", _) => [Hello + Transaction],
            (_, true) => [Upgrade + "* EHLO\nS: 250 mx\n" + Transaction],
            _ => [Upgrade + "! close"],
        };
    }

    private void Publish(string published, Bench bench, PolicyServer policies, int port)
    {
        bench.DnsOptions.Validating = !published.Contains("no trust", StringComparison.Ordinal);
        var dns = bench.Dns.WithMx(Bench.Domain, (10, Host)).WithAddress(Host, "127.0.0.1");
        bench.PolicyHosts.Known["mta-sts.example.net"] = policies.EndPoint;
        foreach (var mode in (string[])["enforce", "testing", "none"])
        {
            if (!published.Contains($"sts-{mode}", StringComparison.Ordinal))
                continue;
            dns.WithTxt("_mta-sts.example.net", "v=STSv1; id=1;");
            policies.Body = $"version: STSv1\nmode: {mode}\nmx: {(published.Contains("other host", StringComparison.Ordinal) ? "other.example.net" : Host)}\nmax_age: 86400\n";
        }

        if (!published.Contains("dane", StringComparison.Ordinal))
            return;
        string[] signed = [Bench.Domain, Host, "_tcp." + Host];
        dns.Signed.Add(published switch
        {
            _ when published.Contains("unsigned MX", StringComparison.Ordinal) => Host,
            _ when published.Contains("unsigned address", StringComparison.Ordinal) => "_none",
            _ when published.Contains("unsigned TLSA", StringComparison.Ordinal) => "_none",
            _ => Bench.Domain,
        });
        if (published.Contains("unsigned address", StringComparison.Ordinal) || published.Contains("unsigned TLSA", StringComparison.Ordinal))
            dns.SignedAlone.UnionWith(published.Contains("address", StringComparison.Ordinal) ? [signed[0], $"_{port}.{signed[2]}"] : [signed[0], signed[1]]);
        var tlsa = $"_{port}._tcp.{Host}";
        if (published.Contains("dane-ee", StringComparison.Ordinal))
            dns.WithTlsa(tlsa, TlsaSetTests.Record(3, 1, 1, _right));
        else if (published.Contains("dane-ta", StringComparison.Ordinal))
            dns.WithTlsa(tlsa, TlsaSetTests.Record(2, 0, 1, _between.Certificate));
        else if (published.Contains("dane-unusable", StringComparison.Ordinal))
            dns.WithTlsa(tlsa, TlsaSetTests.Record(1, 1, 1, _right));
        else if (published.Contains("dane-bogus", StringComparison.Ordinal))
            dns.WithTlsa(tlsa, TlsaSetTests.Record(3, 1, 1, _stranger.Certificate));
        else
            dns.WithFailure(tlsa);
    }
}
