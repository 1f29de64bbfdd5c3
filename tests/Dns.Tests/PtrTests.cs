using System.Net;
using MailPipeline.Testing;
using Microsoft.Extensions.Options;

namespace MailPipeline.Dns.Tests;

/// <summary>The names of addresses, from a real server and by hand.</summary>
public sealed class PtrTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_real_server_is_asked_for_the_names_of_addresses_of_both_families()
    {
        await using var server = await DnsServer.StartAsync($"""
            1.2.0.192.in-addr.arpa. PTR mx.example.net.
            1.2.0.192.in-addr.arpa. PTR MX2.example.net.
            2.2.0.192.in-addr.arpa. CNAME 2.sub.example.net.
            2.sub.example.net. PTR delegated.example.net.
            3.2.0.192.in-addr.arpa. TXT "nothing"
            1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR six.example.net.
            """, Cancellation);
        using var lookup = Lookup(server.EndPoint);
        Assert.Equal(["mx.example.net", "mx2.example.net"], (await NamesAsync(lookup, "192.0.2.1")).Select(name => name.ToLowerInvariant()).Order(StringComparer.Ordinal));
        Assert.Equal(["mx.example.net", "mx2.example.net"], (await NamesAsync(lookup, "::ffff:192.0.2.1")).Select(name => name.ToLowerInvariant()).Order(StringComparer.Ordinal));
        // RFC 2317
        Assert.Equal(["delegated.example.net"], await NamesAsync(lookup, "192.0.2.2"));
        Assert.Equal(["six.example.net"], await NamesAsync(lookup, "2001:db8::1"));
        Assert.Equal(DnsStatus.NoData, (await lookup.PtrAsync(IPAddress.Parse("192.0.2.3"), Cancellation)).Status);
        Assert.Equal(DnsStatus.NoSuchName, (await lookup.PtrAsync(IPAddress.Parse("192.0.2.4"), Cancellation)).Status);
    }

    [Fact]
    public async Task A_name_that_can_be_no_hosts_is_left_out()
    {
        await using var server = new HostileDnsServer(question =>
        [
            DnsWire.Reply(
                question, DnsWire.Record(DnsWire.Asked, 12, DnsWire.Name("a b.example")), DnsWire.Record(DnsWire.Asked, 12, [0]),
                DnsWire.Record(DnsWire.Asked, 12, DnsWire.Name("good.example"))),
        ]);
        using var lookup = Lookup(server.EndPoint);
        Assert.Equal(["good.example"], await NamesAsync(lookup, "192.0.2.1"));
    }

    [Theory]
    [InlineData("192.0.2.99", "99.2.0.192.list.example")]
    [InlineData("::ffff:192.0.2.99", "99.2.0.192.list.example")]
    [InlineData("2001:db8:1:2:3:4:567:89ab", "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.list.example")]
    public void An_address_stands_in_a_zone_by_its_reversed_parts(string address, string name) =>
        Assert.Equal(name, ReversedName.Under(IPAddress.Parse(address), "list.example"));

    private static async Task<IEnumerable<string>> NamesAsync(DnsLookup lookup, string address) =>
        (await lookup.PtrAsync(IPAddress.Parse(address), Cancellation)).Records;

    private static DnsLookup Lookup(IPEndPoint server) =>
        new(Options.Create(new DnsOptions { Servers = [server.ToString()] }), TimeProvider.System);
}
