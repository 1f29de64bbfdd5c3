using System.Net;
using MailPipeline.Delivery.Routing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>From a domain to hosts, by RFC 5321 §5.1 and RFC 7505.</summary>
public sealed class MxResolverTests
{
    [Fact]
    public async Task Hosts_come_by_preference_and_equals_are_shuffled()
    {
        await using var bench = new Bench();
        bench.Dns.WithMx("example.net", (20, "c"), (10, "a"), (20, "d"), (10, "b"));
        var orders = new HashSet<string>();
        for (var i = 0; i < 200; i++)
        {
            var hosts = await HostsAsync(bench, "example.net");
            Assert.Equal(["a", "b"], hosts[..2].Order());
            Assert.Equal(["c", "d"], hosts[2..].Order());
            orders.Add(string.Concat(hosts));
        }

        Assert.Equal(4, orders.Count);
    }

    [Theory]
    [InlineData("nomx.example.net", "nomx.example.net", null)]
    [InlineData("nothing.example.net", null, "5.4.4")]
    [InlineData("unknown.example.net", null, "5.1.2")]
    [InlineData("null.example.net", null, "5.1.10")]
    [InlineData("failing.example.net", null, "4.4.3")]
    [InlineData("halffailing.example.net", null, "4.4.3")]
    [InlineData("loop.example.net", null, "5.4.6")]
    [InlineData("client.example.com", null, "5.4.6")]
    [InlineData("backup.example.net", "better", null)]
    [InlineData("[192.0.2.7]", "192.0.2.7", null)]
    [InlineData("[IPv6:2001:db8::7]", "2001:db8::7", null)]
    [InlineData("[nonsense]", null, "5.1.2")]
    [InlineData("b\u00fccher.example.net", "xn", null)]
    [InlineData("BU\u0308CHER.example.net", "xn", null)]
    [InlineData("mixednull.example.net", "better", null)]
    public async Task A_domain_leads_to_hosts_or_to_a_reason(string domain, string? host, string? status)
    {
        await using var bench = new Bench();
        bench.Dns.WithMx("nomx.example.net").WithAddress("nomx.example.net", "192.0.2.1")
            .WithMx("nothing.example.net").WithAddress("nothing.example.net")
            .WithMx("null.example.net", (0, ""))
            .WithFailure("failing.example.net")
            .WithFailure("halffailing.example.net").WithMx("halffailing.example.net")
            .WithMx("loop.example.net", (10, "CLIENT.example.com"), (10, "equal"), (20, "worse"))
            .WithMx("client.example.com").WithAddress("client.example.com", "192.0.2.1")
            .WithMx("backup.example.net", (5, "better"), (10, "client.example.com"), (20, "worse"))
            .WithMx("xn--bcher-kva.example.net", (5, "xn"))
            .WithMx("mixednull.example.net", (0, ""), (5, "better"));
        var resolution = await bench.Resolver.ResolveAsync(domain);
        Assert.Equal(host is null ? [] : new[] { host }, resolution.Hosts.Select(target => target.Name));
        Assert.Equal(status, resolution.Failure?.Status);
        if (status is not null)
            Assert.Equal(status[0] == '5', resolution.Failure!.IsPermanent);
    }

    /// <summary>Queues name domains in A-labels, and operators as they like.</summary>
    [Theory]
    [InlineData("xn--bcher-kva.example.net")]
    [InlineData("www.xn--caf-dma.example.net")]
    public async Task What_the_operator_says_of_a_domain_in_U_labels_is_obeyed(string domain)
    {
        await using var bench = new Bench(options =>
        {
            options.Routes["b\u00fccher.example.net"] = "hop.example.org:2525";
            options.Routes["*.Cafe\u0301.example.net"] = "hop.example.org:2525";
            options.TlsDomains["B\u00dccher.example.net"] = nameof(TlsPolicy.Required);
            options.TlsDomains["www.caf\u00e9.example.net"] = nameof(TlsPolicy.Required);
        });
        var host = Assert.Single((await bench.Resolver.ResolveAsync(domain)).Hosts);
        Assert.Equal(("hop.example.org", 2525, TlsPolicy.Required), (host.Name, host.Port, host.Tls.Policy));
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("127.8.8.8")]
    [InlineData("0.0.0.0")]
    [InlineData("0.1.2.3")]
    [InlineData("169.254.7.7")]
    [InlineData("224.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("::1")]
    [InlineData("::")]
    [InlineData("::7f00:1")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("::ffff:0.0.0.0")]
    [InlineData("fe80::1")]
    [InlineData("ff02::1")]
    [InlineData("203.0.113.5")]
    [InlineData("::ffff:203.0.113.5")]
    [InlineData("::203.0.113.5")]
    [InlineData("::ffff:0:127.0.0.1")]
    [InlineData("::ffff:0:203.0.113.5")]
    [InlineData("64:ff9b::127.0.0.1")]
    [InlineData("64:ff9b::0.0.0.0")]
    [InlineData("64:ff9b::169.254.1.1")]
    [InlineData("64:ff9b::203.0.113.5")]
    [InlineData("64:ff9b:1::127.0.0.1")]
    [InlineData("64:ff9b:1:abcd::203.0.113.5")]
    [InlineData("64:ff9b:1:cb00:71:500::")]
    [InlineData("64:ff9b:1:22cb:0:7105::")]
    [InlineData("64:ff9b:1:2222:cb:71:500:0")]
    [InlineData("64:ff9b:1:7f00:0:100::")]
    [InlineData("2002:7f00:1::1")]
    [InlineData("2002::")]
    [InlineData("2002:cb00:7105::25")]
    [InlineData("2001:0:c000:201:0:0:80ff:fffe")]
    [InlineData("2001:0:c000:201:8000:63bf:34ff:8efa")]
    public async Task Mail_to_an_address_of_ours_loops_whoever_names_it(string address)
    {
        await using var bench = new Bench(options => (options.LocalAddresses, options.OwnAddresses) = (AddressRule.Refuse, ["203.0.113.5"]));
        bench.Dns.WithMx("mx.example.net", (10, "host.example.net"), (20, "worse.example.net"))
            .WithMx("implicit.example.net").WithAddress("implicit.example.net", MachineAddresses.Other(1), address)
            .WithAddress("host.example.net", address).WithAddress("worse.example.net", MachineAddresses.Other(2));
        var literal = address.Contains(':', StringComparison.Ordinal) ? $"[IPv6:{address}]" : $"[{address}]";
        foreach (var domain in (string[])["mx.example.net", "implicit.example.net", literal])
        {
            var resolution = await bench.Resolver.ResolveToAddressAsync(domain);
            Assert.Empty(resolution.Hosts);
            Assert.Equal((true, "5.4.6"), (resolution.Failure!.IsPermanent, resolution.Failure.Status));
        }
    }

    [Theory]
    [InlineData("64:ff9b::192.88.99.1")]
    [InlineData("64:ff9b:1::192.88.99.1")]
    [InlineData("64:ff9b:1:c058:63:100::")]
    [InlineData("64:ff9b:1:800:8:800::")]
    [InlineData("64:ff9b:1:7fc0:58:6301::")]
    [InlineData("64:ff9b:1:7f00:c0:5863:100:0")]
    [InlineData("64:ff9b:2::127.0.0.1")]
    [InlineData("2002:c058:6301::127.0.0.1")]
    [InlineData("2001:0:7f00:1:0:0:3fa7:9cfe")]
    [InlineData("2001:1::80ff:fffe")]
    [InlineData("2001:db8::127.0.0.1")]
    public async Task An_address_that_leads_to_another_machine_is_not_ours(string address)
    {
        // 192.88.99.1 was an anycast address (RFC 7526): no machine has it.
        await using var bench = new Bench(options =>
            (options.LocalAddresses, options.PrivateAddresses, options.OwnAddresses) = (AddressRule.Refuse, AddressRule.Refuse, ["203.0.113.5"]));
        Assert.Null((await bench.Resolver.ResolveToAddressAsync($"[IPv6:{address}]")).Failure);
    }

    [Fact]
    public async Task An_address_of_ours_is_known_in_every_form_where_those_of_the_machine_are_allowed()
    {
        await using var bench = new Bench(options => options.OwnAddresses = ["203.0.113.5"]);
        foreach (var own in (string[])["::203.0.113.5", "64:ff9b::203.0.113.5", "2002:cb00:7105::"])
            Assert.Equal("5.4.6", (await bench.Resolver.ResolveToAddressAsync($"[IPv6:{own}]")).Failure?.Status);
        Assert.Null((await bench.Resolver.ResolveToAddressAsync("[IPv6:64:ff9b::127.0.0.1]")).Failure);
    }

    [Fact]
    public async Task The_addresses_of_this_machine_and_its_own_name_are_ours()
    {
        await using var bench = new Bench(options => options.LocalAddresses = AddressRule.Refuse);
        bench.Dns.WithMx("here.example.net", (10, "host.example.net")).WithAddress("host.example.net", [.. MachineAddresses.All])
            .WithMx("localhost.example.net", (10, "LocalHost")).WithMx("below.example.net", (10, "mail.localhost"));
        foreach (var domain in (string[])["here.example.net", "localhost.example.net", "below.example.net"])
            Assert.Equal("5.4.6", (await bench.Resolver.ResolveToAddressAsync(domain)).Failure?.Status);
    }

    [Theory]
    [InlineData("10.1.2.3")]
    [InlineData("172.31.0.1")]
    [InlineData("192.168.1.1")]
    [InlineData("100.64.0.1")]
    [InlineData("fd00::1")]
    [InlineData("64:ff9b::10.1.2.3")]
    [InlineData("64:ff9b:1::192.168.1.1")]
    [InlineData("::ffff:0:192.168.1.1")]
    [InlineData("2002:a01:203::1")]
    [InlineData("2001:0:c000:201:0:0:f5fe:fdfc")]
    public async Task Private_networks_are_for_the_operator_to_refuse(string address)
    {
        foreach (var rule in (AddressRule[])[AddressRule.Allow, AddressRule.Refuse])
        {
            await using var bench = new Bench(options => options.PrivateAddresses = rule);
            bench.Dns.WithMx("only.example.net", (10, "host.example.net")).WithAddress("host.example.net", address)
                .WithMx("both.example.net", (10, "both")).WithAddress("both", "192.0.2.1", "2001:db8::1", address);
            Assert.Equal(rule == AddressRule.Allow ? null : "5.4.4", (await bench.Resolver.ResolveToAddressAsync("only.example.net")).Failure?.Status);
            Assert.Null((await bench.Resolver.ResolveToAddressAsync("both.example.net")).Failure);
            Assert.Equal(rule == AddressRule.Allow, (await bench.Resolver.AddressesAsync(new TargetHost("both", 25))).Addresses.Contains(IPAddress.Parse(address)));
        }
    }

    [Theory]
    [InlineData("1")]
    [InlineData("127.1")]
    [InlineData("0x7f.1")]
    [InlineData("010.0.0.1")]
    [InlineData("2130706433")]
    [InlineData("192.0.2.256")]
    [InlineData("a\\046b.example")]
    public async Task What_is_neither_a_host_name_nor_four_octets_is_no_address(string host)
    {
        await using var bench = new Bench(options => options.LocalAddresses = AddressRule.Refuse);
        bench.Dns.WithMx(Bench.Domain, (10, host));
        Assert.Equal((true, "5.4.4"), await bench.Resolver.ResolveToAddressAsync(Bench.Domain) is { Failure: { } failure } ? (failure.IsPermanent, failure.Status) : default);
        Assert.DoesNotContain(bench.Dns.Questions, question => question.EndsWith(host, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("0x7f000009")]
    [InlineData("0x7f.0x9")]
    public async Task A_host_name_that_only_a_parser_of_addresses_takes_for_one_is_asked_about(string host)
    {
        await using var bench = new Bench();
        bench.Dns.WithMx(Bench.Domain, (10, host)).WithAddress(host, "192.0.2.9");
        Assert.Equal("192.0.2.9", (await bench.Resolver.ResolveToAddressAsync(Bench.Domain)).First?.ToString());
    }

    [Fact]
    public async Task A_route_may_lead_to_this_machine()
    {
        await using var bench = new Bench(options => options.LocalAddresses = AddressRule.Refuse);
        bench.RouteTo("localhost:2526");
        bench.Dns.WithAddress("localhost", "127.0.0.1");
        Assert.Equal("127.0.0.1", (await bench.Resolver.ResolveToAddressAsync("example.net")).First?.ToString());
    }

    [Theory]
    [InlineData(AddressPreference.IPv4First, "192.0.2.1 2001:db8::1")]
    [InlineData(AddressPreference.IPv6First, "2001:db8::1 192.0.2.1")]
    [InlineData(AddressPreference.IPv4Only, "192.0.2.1")]
    [InlineData(AddressPreference.IPv6Only, "2001:db8::1")]
    public async Task Addresses_come_in_the_order_asked_for(AddressPreference preference, string expected)
    {
        await using var bench = new Bench(options => options.Addresses = preference);
        bench.Dns.WithAddress("mx", "192.0.2.1", "2001:db8::1");
        var found = await bench.Resolver.AddressesAsync(new TargetHost("mx", 25));
        Assert.Equal(expected, string.Join(' ', found.Addresses));
    }

    [Fact]
    public async Task Answers_are_remembered_as_long_as_they_live_and_no_longer_than_the_bound()
    {
        await using var bench = new Bench(time: new FakeTimeProvider()) { DnsOptions = { CacheTime = TimeSpan.FromMinutes(2) } };
        bench.Dns.TimeToLive = TimeSpan.FromMinutes(1);
        bench.Dns.WithMx("short.example.net", (1, "a"));
        bench.Dns.TimeToLive = TimeSpan.FromDays(1);
        bench.Dns.WithMx("long.example.net", (1, "a"));
        await AskBothAsync(bench);
        bench.Clock.Advance(TimeSpan.FromSeconds(59));
        await AskBothAsync(bench);
        Assert.Equal(2, bench.Dns.Questions.Count);
        bench.Clock.Advance(TimeSpan.FromSeconds(2));
        await AskBothAsync(bench);
        Assert.Equal(3, bench.Dns.Questions.Count);
        bench.Clock.Advance(TimeSpan.FromSeconds(59));
        await AskBothAsync(bench);
        Assert.Equal(4, bench.Dns.Questions.Count);
    }

    [Fact]
    public async Task Failures_are_remembered_briefly()
    {
        await using var bench = new Bench(time: new FakeTimeProvider()) { DnsOptions = { FailureTime = TimeSpan.FromSeconds(20) } };
        bench.Dns.WithFailure("example.net");
        Assert.NotNull((await bench.Resolver.ResolveAsync("example.net")).Failure);
        bench.Clock.Advance(TimeSpan.FromSeconds(19));
        Assert.NotNull((await bench.Resolver.ResolveAsync("example.net")).Failure);
        Assert.Single(bench.Dns.Questions);
        bench.Clock.Advance(TimeSpan.FromSeconds(1));
        bench.Dns.WithMx("example.net", (1, "a"));
        Assert.Equal(["a"], await HostsAsync(bench, "example.net"));
    }

    [Fact]
    public async Task All_who_ask_at_once_share_one_question()
    {
        await using var bench = new Bench();
        bench.Dns.Gate = new TaskCompletionSource();
        bench.Dns.WithFailure("example.net");
        var asked = Enumerable.Range(0, 50).Select(_ => bench.Resolver.ResolveAsync("example.net")).ToArray();
        bench.Dns.Gate.SetResult();
        Assert.All(await Task.WhenAll(asked), resolution => Assert.Equal("4.4.3", resolution.Failure!.Status));
        Assert.Single(bench.Dns.Questions);
    }

    [Fact]
    public async Task A_route_goes_before_DNS()
    {
        await using var bench = new Bench();
        bench.RouteTo("smarthost.example.org:2525");
        var resolution = await bench.Resolver.ResolveAsync("example.net");
        Assert.Equal(new TargetHost("smarthost.example.org", 2525) { IsRouted = true }, Assert.Single(resolution.Hosts));
        Assert.Empty(bench.Dns.Questions);
    }

    private static async Task AskBothAsync(Bench bench)
    {
        await bench.Resolver.ResolveAsync("short.example.net");
        await bench.Resolver.ResolveAsync("long.example.net");
    }

    private static async Task<string[]> HostsAsync(Bench bench, string domain) =>
        [.. (await bench.Resolver.ResolveAsync(domain)).Hosts.Select(host => host.Name)];
}
