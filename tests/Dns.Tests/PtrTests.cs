using System.Net;
using MailPipeline.Testing;
using Microsoft.Extensions.Options;

namespace MailPipeline.Dns.Tests;

/// <summary>The names of an address, and where DNS has them.</summary>
public sealed class PtrTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("192.0.2.1", "1.2.0.192.in-addr.arpa")]
    [InlineData("::ffff:192.0.2.1", "1.2.0.192.in-addr.arpa")]
    [InlineData("2001:db8::1a", "a.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa")]
    public void An_address_has_its_names_under_a_name_of_its_own(string address, string name) =>
        Assert.Equal(name, ReverseName.Of(IPAddress.Parse(address)));

    [Fact]
    public async Task A_real_server_says_which_names_an_address_has()
    {
        await using var server = await DnsServer.StartAsync("""
            1.2.0.192.in-addr.arpa. PTR mx.example.net.
            1.2.0.192.in-addr.arpa. PTR other.example.net.
            2.2.0.192.in-addr.arpa. CNAME 2.0-127.2.0.192.in-addr.arpa.
            2.0-127.2.0.192.in-addr.arpa. PTR host.example.org.
            3.2.0.192.in-addr.arpa. PTR .
            """, Cancellation);
        using var lookup = new DnsLookup(
            Options.Create(new DnsOptions { Servers = [$"{server.EndPoint}"], Timeout = TimeSpan.FromSeconds(30), Retries = 0 }), TimeProvider.System);
        Assert.Equal(["mx.example.net", "other.example.net"], await NamesAsync("192.0.2.1"));
        // RFC 2317: networks smaller than an octet are handed on by aliases.
        Assert.Equal(["host.example.org"], await NamesAsync("192.0.2.2"));
        // The root is the name of no host.
        Assert.Empty(await NamesAsync("192.0.2.3"));
        Assert.Equal(DnsStatus.NoSuchName, (await lookup.PtrAsync(ReverseName.Of(IPAddress.Parse("192.0.2.4")), Cancellation)).Status);

        async Task<IEnumerable<string>> NamesAsync(string address) =>
            (await lookup.PtrAsync(ReverseName.Of(IPAddress.Parse(address)), Cancellation)).Records.Select(record => record.Host).Order(StringComparer.Ordinal);
    }
}
