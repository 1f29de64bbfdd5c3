using CsCheck;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Tls;

namespace MailPipeline.Delivery.Tests;

/// <summary>Which domains share a site, and what each of their hosts has to show.</summary>
public sealed class SiteTests
{
    private static readonly TargetHost s_host = new("mx.example.net", 25);

    [Fact]
    public async Task Domains_with_the_same_best_hosts_are_one_site()
    {
        await using var bench = new Bench();
        bench.Dns.WithMx("one.example", (10, "mx1.example.net"), (10, "mx2.example.net"), (20, "backup.one.example"))
            .WithMx("two.example", (5, "MX2.example.net"), (5, "Mx1.Example.Net"), (7, "backup.two.example"))
            .WithMx("three.example", (10, "mx1.example.net"), (20, "mx2.example.net"))
            .WithMx("bare.example").WithAddress("bare.example", "192.0.2.1")
            .WithMx("hosted.example", (10, "bare.example"))
            .WithMx("null.example", (0, ""));
        Assert.Equal("mx1.example.net,mx2.example.net", await SiteAsync(bench, "one.example"));
        Assert.Equal("mx1.example.net,mx2.example.net", await SiteAsync(bench, "TWO.example"));
        Assert.Equal("mx1.example.net", await SiteAsync(bench, "three.example"));
        // Without an MX the domain is its host, as it is for a domain whose MX names it.
        Assert.Equal("bare.example", await SiteAsync(bench, "bare.example"));
        Assert.Equal("bare.example", await SiteAsync(bench, "hosted.example"));
        Assert.Equal("", await SiteAsync(bench, "null.example"));
        Assert.Equal("", await SiteAsync(bench, "gone.example"));
    }

    [Theory]
    [InlineData("smarthost.example.org", "smarthost.example.org")]
    [InlineData("SmartHost.example.org.", "smarthost.example.org")]
    [InlineData("smarthost.example.org:587", "smarthost.example.org:587")]
    [InlineData("192.0.2.1:2525", "192.0.2.1:2525")]
    [InlineData("::ffff:192.0.2.1", "192.0.2.1")]
    [InlineData("2001:DB8:0:0::1", "2001:db8::1")]
    [InlineData("[2001:db8::1]:2525", "[2001:db8::1]:2525")]
    public async Task A_route_leads_all_its_domains_to_one_site(string route, string site)
    {
        await using var bench = new Bench();
        bench.RouteTo(route);
        Assert.Equal(site, await SiteAsync(bench, "one.example"));
        Assert.Equal(site, await SiteAsync(bench, "two.example"));
    }

    [Theory]
    [InlineData("[192.0.2.1]", "192.0.2.1")]
    [InlineData("[IPv6:2001:DB8:0::1]", "2001:db8::1")]
    [InlineData("[IPv6:::ffff:192.0.2.1]", "192.0.2.1")]
    public async Task An_address_literal_is_the_site_of_its_address(string domain, string site)
    {
        await using var bench = new Bench();
        Assert.Equal(site, await SiteAsync(bench, domain));
    }

    [Fact]
    public async Task The_site_stays_when_worse_hosts_are_ourselves_and_goes_with_the_hosts()
    {
        await using var bench = new Bench(options => options.OwnAddresses = ["192.0.2.9"]);
        bench.Dns.WithMx("behind.example", (10, "better"), (20, "us")).WithMx("ours.example", (10, "us"), (20, "worse"))
            .WithAddress("better", "192.0.2.1").WithAddress("us", "192.0.2.9").WithAddress("worse", "192.0.2.2");
        Assert.Equal("better", (await bench.Resolver.ResolveToAddressAsync("behind.example")).Site);
        Assert.Equal("", (await bench.Resolver.ResolveToAddressAsync("ours.example")).Site);
    }

    [Fact]
    public void A_key_depends_on_neither_order_nor_case_nor_final_dots()
    {
        var name = Gen.String[Gen.Char["abcXYZ019-"], 1, 60].Select(label => $"{label}.example.net");
        Gen.Select(name.Array[1, 30], Gen.Int).Sample((names, seed) =>
        {
            TargetHost[] hosts = [.. names.Select(host => s_host with { Name = host })];
            TargetHost[] others = [.. names.Select(host => s_host with { Name = host.ToUpperInvariant() + ".", Tls = new TlsDemand(TlsPolicy.Verified) })];
            new Random(seed).Shuffle(others);
            var key = Site.KeyOf(hosts);
            Assert.InRange(key.Length, 1, Site.MaxKeyChars);
            Assert.Equal(key, Site.KeyOf(others));
            // The last host counts, also in a key that is cut.
            Assert.NotEqual(key, Site.KeyOf([.. hosts, s_host with { Name = "zz.example.org" }]));
        });
    }

    [Fact]
    public async Task Each_host_has_to_show_what_the_policy_of_the_domain_asks()
    {
        await using var bench = new Bench(options =>
        {
            options.Tls = TlsPolicy.Required;
            options.TlsDomains["strict.example"] = nameof(TlsPolicy.Verified);
            options.TlsDomains["[192.0.2.1]"] = nameof(TlsPolicy.None);
        });
        bench.Dns.WithMx("strict.example", (10, "mx1.example.net"), (20, "mx2.example.net")).WithMx("plain.example", (10, "mx1.example.net"));
        Assert.Equal([TlsPolicy.Verified, TlsPolicy.Verified], (await bench.Resolver.ResolveAsync("STRICT.example")).Hosts.Select(host => host.Tls.Policy));
        Assert.Equal([TlsPolicy.Required], (await bench.Resolver.ResolveAsync("plain.example")).Hosts.Select(host => host.Tls.Policy));
        Assert.Equal([TlsPolicy.None], (await bench.Resolver.ResolveAsync("[192.0.2.1]")).Hosts.Select(host => host.Tls.Policy));
        Assert.Equal(await SiteAsync(bench, "strict.example"), await SiteAsync(bench, "plain.example"));
    }

    private static async Task<string> SiteAsync(Bench bench, string domain) => (await bench.Resolver.ResolveAsync(domain)).Site;
}
