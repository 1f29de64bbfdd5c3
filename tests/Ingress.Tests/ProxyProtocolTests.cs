using System.Net;
using System.Text;

namespace MailPipeline.Ingress.Tests;

/// <summary>A load balancer in front names its client (PROXY protocol); nobody else can.</summary>
public sealed class ProxyProtocolTests
{
    [Theory]
    [InlineData("PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\n", "([192.0.2.7])")]
    [InlineData("PROXY TCP6 2001:db8::7 2001:db8::1 40000 25\r\n", "([IPv6:2001:db8::7])")]
    [InlineData("PROXY UNKNOWN\r\n", "([127.0.0.1])")]
    public async Task Behind_a_load_balancer_the_client_is_who_it_says(string header, string seen)
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:ProxyProtocolFrom:0"] = "127.0.0.0/8" });
        await using var client = await Client.OpenAsync(host.Mx);
        await client.SendAsync(header);
        await client.ExpectAsync("220");
        await client.SayAsync("EHLO client.example.net", "250");
        await client.MessageAsync("one");
        var message = await host.NextHintAsync();
        Assert.Contains(seen, Encoding.Latin1.GetString(await host.ContentAsync(message.MessageId)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_socket_for_both_families_sees_IPv4_clients_and_balancers_as_such()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string>
        {
            ["Ingress:Listeners:0:Address"] = "::",
            ["Ingress:ProxyProtocolFrom:0"] = "127.0.0.1",
        });
        await using var client = await Client.OpenAsync(new IPEndPoint(IPAddress.Loopback, host.Mx.Port));
        await client.SendAsync("PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\n");
        await client.ExpectAsync("220");
    }

    [Fact]
    public async Task A_load_balancer_that_introduces_nobody_is_not_served()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:ProxyProtocolFrom:0"] = "127.0.0.0/8" });
        await using var client = await Client.OpenAsync(host.Mx);
        await client.SendAsync("EHLO client.example.net\r\n");
        await client.ExpectEndAsync();
    }
}
