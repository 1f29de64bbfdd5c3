using System.Net;
using System.Security.Cryptography;
using System.Text;
using MailPipeline.Dns;
using MailPipeline.MtaSts;
using MailPipeline.MtaSts.Tests;
using MailPipeline.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Administration.Tests;

/// <summary>What domains publish, from a real DNS server, against what is needed.</summary>
public sealed class DomainCheckTests
{
    private static readonly string s_key = Convert.ToBase64String(RSA.Create(2048).ExportSubjectPublicKeyInfo());
    private static readonly string s_shortKey = Convert.ToBase64String(RSA.Create(512).ExportSubjectPublicKeyInfo());
    private static readonly string s_hash = new('a', 64);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_domain_that_has_all_is_all_right_but_for_what_only_DNSSEC_gives()
    {
        var items = await CheckAsync($"""
            example.org. MX 10 mx.example.org.
            mx.example.org. A 192.0.2.25
            mx.example.org. AAAA 2001:db8::25
            mx.example.org. TXT "v=spf1 a -all"
            25.2.0.192.in-addr.arpa. PTR mx.example.org.
            5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mx.example.org.
            example.org. TXT "v=spf1 mx -all"
            s1._domainkey.example.org. TXT "v=DKIM1; k=rsa; p={s_key[..200]}" "{s_key[200..]}"
            ed._domainkey.example.org. TXT "v=DKIM1; k=ed25519; p={Convert.ToBase64String(new byte[32])}"
            _dmarc.example.org. TXT "v=DMARC1; p=reject; rua=mailto:dmarc@example.org"
            _mta-sts.example.org. TXT "v=STSv1; id=20300101"
            mta-sts.example.org. A 192.0.2.80
            _smtp._tls.example.org. TXT "v=TLSRPTv1; rua=mailto:tls@example.org"
            _25._tcp.mx.example.org. TLSA 3 1 1 {s_hash}
            """, new DomainQuestion("Example.ORG.", ["mx.example.org"], ["s1", "ed"]), "version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 1209600\n");
        Assert.Equal(
            [
                "Mx example.org Ok", "Address mx.example.org Ok", "ReverseName 25.2.0.192.in-addr.arpa Ok",
                "ReverseName 5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa Ok", "Spf example.org Ok", "SpfOfHost mx.example.org Ok",
                "Dmarc _dmarc.example.org Ok", "Dkim s1._domainkey.example.org Ok", "Dkim ed._domainkey.example.org Ok", "MtaSts _mta-sts.example.org Ok",
                "MtaStsPolicy https://mta-sts.example.org/.well-known/mta-sts.txt Ok", "TlsReports _smtp._tls.example.org Ok", "Tlsa _25._tcp.mx.example.org Wrong",
            ], items.Select(item => $"{item.Kind} {item.Name} {item.State}"));
        Assert.All(items, item => Assert.Empty(item.Publish));
        Assert.Equal(nameof(RemarkKind.NotAuthenticated), Said(items[^1]));
    }

    [Fact]
    public async Task Of_a_domain_that_has_nothing_each_record_is_said_that_is_to_be_published()
    {
        var items = await CheckAsync("other.example. A 192.0.2.1", new DomainQuestion("example.org", ["mx.example.org"], ["s1"]));
        Assert.All(items, item => Assert.Equal(PublishedState.Missing, item.State));
        Assert.Equal(
            [
                "example.org. MX 10 mx.example.org.", "mx.example.org. A <its IPv4 address>", "mx.example.org. AAAA <its IPv6 address>",
                "example.org. TXT \"v=spf1 mx -all\"", "mx.example.org. TXT \"v=spf1 a -all\"", "_dmarc.example.org. TXT \"v=DMARC1; p=none; rua=mailto:postmaster@example.org\"",
                "s1._domainkey.example.org. TXT \"v=DKIM1; k=rsa; p=<the public key>\"", "_mta-sts.example.org. TXT \"v=STSv1; id=20300102120000\"",
                "_smtp._tls.example.org. TXT \"v=TLSRPTv1; rua=mailto:postmaster@example.org\"", "_25._tcp.mx.example.org. TLSA 3 1 1 <SHA-256 of the public key of its certificate>",
            ], items.SelectMany(item => item.Publish));
    }

    [Theory]
    [InlineData("example.org. MX 0 .", "Mx", "Wrong", "TakesNoMail")]
    [InlineData("example.org. MX 10 other.example.org.", "Mx", "Wrong", "NotAmongThem mx.example.org")]
    [InlineData("mx.example.org. A 10.0.0.1", "Address", "Wrong", "NotReachable 10.0.0.1")]
    [InlineData("mx.example.org. A 192.0.2.25", "ReverseName", "Missing", "OwnerPublishesIt 192.0.2.25")]
    [InlineData("mx.example.org. A 192.0.2.25\n25.2.0.192.in-addr.arpa. PTR host.example.net.", "ReverseName", "Wrong", "LeadsNotBack 192.0.2.25")]
    [InlineData("mx.example.org. A 192.0.2.25\nexample.org. TXT \"v=spf1 ip4:198.51.100.1 -all\"", "Spf", "Wrong", "SenderNotPermitted 192.0.2.25 fail")]
    [InlineData("example.org. TXT \"v=spf1 +all\"", "Spf", "Wrong", "AnybodyMaySend")]
    [InlineData("mx.example.org. A 192.0.2.25\nexample.org. TXT \"v=spf1 ip4:192.0.2.25\"", "Spf", "Ok", "SaysNothingOfOthers")]
    [InlineData("example.org. TXT \"v=spf1 what -all\"", "Spf", "Wrong", "SpfFault 'what' is no term of an SPF record")]
    [InlineData("example.org. TXT \"v=spf1 -all\"\nexample.org. TXT \"v=spf1 mx -all\"", "Spf", "Wrong", "SpfFault 2 SPF records")]
    [InlineData("example.org. TXT \"v=spf1 include:example.org -all\"", "Spf", "Wrong", "SpfFault more than 10 terms that ask DNS")]
    [InlineData("_dmarc.example.org. TXT \"v=DMARC1; p=none\"", "Dmarc", "Ok", "PolicyNone")]
    [InlineData("_dmarc.example.org. TXT \"v=DMARC1; p=refuse\"", "Dmarc", "Wrong", "NoPolicy")]
    [InlineData("_dmarc.example.org. TXT \"v=DMARC1 p=reject\"", "Dmarc", "Wrong", "NoPolicy")]
    [InlineData("_dmarc.example.org. TXT \"v=DMARC1; p=reject; pct=half\"", "Dmarc", "Wrong", "DmarcFaults pct is 'half', and must be 0 to 100")]
    [InlineData("_dmarc.example.org. TXT \"v=DMARC1; p=reject\"\n_dmarc.example.org. TXT \"v=DMARC1; p=none\"", "Dmarc", "Wrong", "SeveralRecords")]
    [InlineData("s1._domainkey.example.org. TXT \"v=DKIM1; p=\"", "Dkim", "Wrong", "KeyRevoked")]
    [InlineData("s1._domainkey.example.org. TXT \"v=DKIM1; p=AAAA\"", "Dkim", "Wrong", "NotAnRsaKey")]
    [InlineData("s1._domainkey.example.org. TXT \"v=DKIM1; k=dsa; p=AAAA\"", "Dkim", "Wrong", "KeyKind dsa")]
    [InlineData("s1._domainkey.example.org. TXT \"v=DKIM1; k=ed25519; p=AAAA\"", "Dkim", "Wrong", "KeyOctets 3 32")]
    [InlineData("s1._domainkey.example.org. TXT \"hello\"", "Dkim", "Wrong", "NoKey")]
    [InlineData("s1._domainkey.example.org. TXT \"v=DKIM1; p=SHORT\"", "Dkim", "Wrong", "KeyTooShort 512 1024")]
    [InlineData("_mta-sts.example.org. TXT \"v=STSv1; id=2030-01-01\"", "MtaSts", "Wrong", "StsId")]
    [InlineData("_mta-sts.example.org. TXT \"v=STSv1; id=1\"", "MtaSts", "Wrong", "StsHostWithoutAddress mta-sts.example.org")]
    [InlineData("_smtp._tls.example.org. TXT \"v=TLSRPTv1; rua=tls@example.org\"", "TlsReports", "Wrong", "TlsReportTargets")]
    [InlineData("_25._tcp.mx.example.org. TLSA 1 1 1 HASH", "Tlsa", "Wrong", "NoUsableTlsa")]
    public async Task What_is_wrong_is_said(string zone, string kind, string state, string remark)
    {
        zone = zone.Replace("SHORT", s_shortKey, StringComparison.Ordinal).Replace("HASH", s_hash, StringComparison.Ordinal);
        var items = await CheckAsync(zone, new DomainQuestion("example.org", ["mx.example.org"], ["s1"]));
        var item = items.First(one => one.Kind.ToString() == kind);
        Assert.Equal((state, remark), (item.State.ToString(), Said(item)));
    }

    [Fact]
    public async Task The_policy_of_an_organisation_counts_for_names_below_it()
    {
        var items = await CheckAsync("_dmarc.example.co.uk. TXT \"v=DMARC1; p=reject; sp=none\"", new DomainQuestion("mail.example.co.uk", [], []));
        var item = items.Single(one => one.Kind == PublishedKind.Dmarc);
        Assert.Equal(("_dmarc.example.co.uk", PublishedState.Ok, "PolicyNone"), (item.Name, item.State, Said(item)));
    }

    [Fact]
    public async Task What_DNS_does_not_answer_is_unknown_and_not_missing()
    {
        await using var silent = new SilentDnsServer();
        await using var services = Services($"{silent.EndPoint}", "00:00:00.1");
        var found = (DomainChecked)await services.GetRequiredService<DomainCheck>().CheckAsync(new DomainQuestion("example.org", ["mx.example.org"], ["s1"]), Cancellation);
        Assert.All(found.Items, item => Assert.Equal((PublishedState.Unknown, 0), (item.State, item.Publish.Count)));
    }

    [Theory]
    [InlineData("example..org")]
    [InlineData("a b")]
    [InlineData("[192.0.2.1]")]
    [InlineData("")]
    public async Task What_is_no_domain_is_refused(string typed)
    {
        await using var services = Services("127.0.0.1", "00:00:01");
        Assert.Equal(new CheckMistyped(CheckedThing.Domain, typed), await services.GetRequiredService<DomainCheck>().CheckAsync(new DomainQuestion(typed, [], []), Cancellation));
    }

    [Theory]
    [InlineData("mode: enforce\nmx: *.example.org\nmax_age: 1209600", "Ok", "")]
    [InlineData("mode: testing\nmx: mx.example.org\nmx: old.example.org\nmax_age: 86400", "Ok", "StsTesting; StsIdlePattern old.example.org; StsShortAge 86400 1209600")]
    [InlineData("mode: none\nmax_age: 60", "Ok", "StsNone")]
    [InlineData("mode: enforce\nmx: mx.example.net\nmax_age: 60", "Wrong", "StsHostsShutOut mx.example.org")]
    [InlineData("mode: testing\nmx: mx.example.net\nmax_age: 60", "Wrong", "StsHostsUnnamed mx.example.org")]
    [InlineData("mode: always\nmx: mx.example.org\nmax_age: 60", "Wrong", "StsNotToBeHad its mode is none of enforce, testing and none")]
    [InlineData("404", "Wrong", "StsNotToBeHad mta-sts.example.org answered 404")]
    [InlineData("wrong name", "Wrong", "StsNotToBeHad ")]
    public async Task The_policy_for_TLS_is_fetched_and_held_against_the_hosts(string policy, string state, string remark)
    {
        var item = Assert.Single(
            await CheckAsync(
                PolicyZone, new DomainQuestion("example.org", [], []), policy.Contains(':', StringComparison.Ordinal) ? $"version: STSv1\n{policy}\n" : policy),
            item => item.Kind == PublishedKind.MtaStsPolicy);
        Assert.Equal(state, $"{item.State}");
        if (state == "Ok")
        {
            Assert.Equal(remark, Said(item));
            Assert.Empty(item.Publish);
            return;
        }

        Assert.StartsWith(remark, Said(item), StringComparison.Ordinal);
        Assert.Equal("https://mta-sts.example.org/.well-known/mta-sts.txt:", item.Publish[0]);
        var mode = policy.StartsWith("mode: enforce", StringComparison.Ordinal) ? "enforce" : "testing";
        Assert.Equal(["  version: STSv1", $"  mode: {mode}", "  mx: mx.example.org", "  max_age: 1209600"], item.Publish.Skip(1));
    }

    [Fact]
    public async Task A_policy_to_whose_host_no_connection_leads_is_unknown_and_not_wrong()
    {
        var item = Assert.Single(await CheckAsync(PolicyZone, new DomainQuestion("example.org", [], []), "no connection"), item => item.Kind == PublishedKind.MtaStsPolicy);
        Assert.Equal(PublishedState.Unknown, item.State);
        Assert.StartsWith("StsNotFetched ", Said(item), StringComparison.Ordinal);
        Assert.Empty(item.Publish);
    }

    [Fact]
    public async Task A_policy_of_whose_host_DNS_says_nothing_is_not_said_to_be_missing()
    {
        await using var dns = new HostileDnsServer(question => [HostileDnsServer.Failed(question)]);
        await using var services = Services($"{dns.EndPoint}", "00:00:20");
        var fetched = await services.GetRequiredService<StsFetch>().FetchAsync("example.org", "0");
        Assert.True(fetched.IsUnanswered);
        Assert.StartsWith("DNS gave no answer: ", fetched.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("version: STSv1\nmode: enforce\nmx: mx.example.net\nmax_age: 1209600\n", "Ok", "StsHostsUnknown")]
    [InlineData("404", "Wrong", "StsNotToBeHad mta-sts.example.org answered 404")]
    public async Task Where_DNS_does_not_say_which_hosts_take_mail_a_policy_is_held_against_none(string policy, string state, string remark)
    {
        var item = Assert.Single(
            await CheckAsync(PolicyZone, new DomainQuestion("example.org", [], []), policy, "\u0007example\u0003org\0\0\u000f"), item => item.Kind == PublishedKind.MtaStsPolicy);
        Assert.Equal((state, remark), ($"{item.State}", Said(item)));
        Assert.Empty(item.Publish);
    }

    [Fact]
    public async Task Addresses_of_another_organisation_get_reports_where_that_says_so()
    {
        var items = await CheckAsync(
            """
            _dmarc.example.org. TXT "v=DMARC1; p=none; rua=mailto:a@mail.example.org,mailto:b@willing.example!10m,mailto:c@silent.example,https://example.com/"
            example.org._report._dmarc.willing.example. TXT "v=DMARC1"
            """, new DomainQuestion("example.org", [], []));
        Assert.Equal(
            ["example.org._report._dmarc.willing.example Ok", "example.org._report._dmarc.silent.example Missing"],
            items.Where(item => item.Kind == PublishedKind.DmarcReports).Select(item => $"{item.Name} {item.State}"));
        Assert.Contains("example.org._report._dmarc.silent.example. TXT \"v=DMARC1\"", items.SelectMany(item => item.Publish));
    }

    [Theory]
    [InlineData("", "Missing", "Missing", "srs.example.org. MX 10 mx.example.org.|srs.example.org. TXT \"v=spf1 mx -all\"")]
    [InlineData("srs.example.org. MX 10 mx.example.org.\nsrs.example.org. TXT \"v=spf1 mx -all\"", "Ok", "Ok", "")]
    // What comes back goes to somebody else; our hosts may not send for it; anybody may.
    [InlineData("srs.example.org. MX 10 mx.example.net.\nsrs.example.org. TXT \"v=spf1 ip4:192.0.2.25 -all\"", "Wrong", "Ok", "srs.example.org. MX 10 mx.example.org.")]
    [InlineData("srs.example.org. MX 10 mx.example.org.\nsrs.example.org. TXT \"v=spf1 ip4:198.51.100.1 -all\"", "Ok", "Wrong", "srs.example.org. TXT \"v=spf1 mx -all\"")]
    [InlineData("srs.example.org. MX 10 mx.example.org.\nsrs.example.org. TXT \"v=spf1 +all\"", "Ok", "Wrong", "srs.example.org. TXT \"v=spf1 mx -all\"")]
    public async Task The_domain_that_forwarded_mail_leaves_under_has_our_hosts_in_its_records(string zone, string exchanges, string policy, string publish)
    {
        var items = await CheckAsync(
            $"example.org. MX 10 mx.example.org.\nmx.example.org. A 192.0.2.25\n{zone}", new DomainQuestion("example.org", [], [], ForwardedAs: "SRS.example.org"));
        PublishedItem[] forwarded = [.. items.Where(item => item.Kind is PublishedKind.ForwardedMx or PublishedKind.ForwardedSpf)];
        Assert.Equal([$"ForwardedMx srs.example.org {exchanges}", $"ForwardedSpf srs.example.org {policy}"], forwarded.Select(item => $"{item.Kind} {item.Name} {item.State}"));
        Assert.Equal(publish, string.Join('|', forwarded.SelectMany(item => item.Publish)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("example.org")]
    public async Task Of_forwarded_mail_nothing_more_is_looked_at_where_it_leaves_under_no_other_domain(string forwardedAs)
    {
        var items = await CheckAsync("example.org. MX 10 mx.example.org.", new DomainQuestion("example.org", [], [], forwardedAs));
        Assert.DoesNotContain(items, item => item.Kind is PublishedKind.ForwardedMx or PublishedKind.ForwardedSpf);
    }

    [Fact]
    public async Task TLSA_records_may_stand_behind_the_alias_of_a_host()
    {
        var items = await CheckAsync(
            $"example.org. MX 10 mx.example.org.\nmx.example.org. CNAME real.example.org.\nreal.example.org. A 192.0.2.25\n_25._tcp.real.example.org. TLSA 3 1 1 {s_hash}",
            new DomainQuestion("example.org", [], []));
        var item = Assert.Single(items, item => item.Kind == PublishedKind.Tlsa);
        Assert.Equal(("_25._tcp.real.example.org", 1), (item.Name, item.Found.Count));
    }

    private static string Said(PublishedItem item) => string.Join("; ", item.Remarks.Select(remark => $"{remark.Kind} {string.Join(' ', remark.Values)}".TrimEnd()));

    private const string PolicyZone =
        """
        example.org. MX 10 mx.example.org.
        _mta-sts.example.org. TXT "v=STSv1; id=1"
        mta-sts.example.org. A 192.0.2.80
        """;

    /// <param name="policy">What the host of the policy answers: a policy, "404", with a certificate of a wrong name, or "no connection".</param>
    /// <param name="failing">Octets of questions to which DNS gives no answer.</param>
    private static async Task<IReadOnlyList<PublishedItem>> CheckAsync(string zone, DomainQuestion question, string policy = "", string failing = "-")
    {
        await using var asked = await DnsServer.StartAsync(zone, Cancellation);
        await using var dns = new HostileDnsServer(
            item => [item.AsSpan().IndexOf(Encoding.ASCII.GetBytes(failing)) >= 0 && failing.Length > 1 ? HostileDnsServer.Failed(item) : HostileDnsServer.Ask(asked.EndPoint, item)]);
        using var authority = new Authority();
        using var certificate = authority.Issue(policy == "wrong name" ? "example.org" : "mta-sts.example.org");
        await using var server = new PolicyServer(certificate) { Body = policy, Status = policy == "404" ? "404 Not Found" : "200 OK" };
        var hosts = new FakePolicyHosts();
        hosts.Known.Add("mta-sts.example.org", policy == "no connection" ? new IPEndPoint(IPAddress.Loopback, 1) : server.EndPoint);
        using var fetch = new StsFetch(hosts, new TrustedRoots(authority.File), TimeSpan.FromSeconds(20), TimeProvider.System);
        await using var services = Services($"{dns.EndPoint}", "00:00:20", fetch);
        return ((DomainChecked)await services.GetRequiredService<DomainCheck>().CheckAsync(question, Cancellation)).Items;
    }

    private static ServiceProvider Services(string dns, string timeout, StsFetch? fetch = null)
    {
        var services = new ServiceCollection().AddLogging().AddMetrics()
            .AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(
                [new("Dns:Servers", dns), new("Dns:Timeout", timeout), new("Dns:Retries", "0")]).Build())
            .AddAdministrationChecks();
        services.AddDns();
        // The day is known; DNS takes the time that it takes.
        services.AddSingleton<DomainCheck>(provider => new DomainCheck(
            provider.GetRequiredService<IDnsLookup>(), fetch ?? provider.GetRequiredService<StsFetch>(), new FakeTimeProvider(new DateTimeOffset(2030, 1, 2, 12, 0, 0, TimeSpan.Zero))));
        return services.BuildServiceProvider();
    }
}
