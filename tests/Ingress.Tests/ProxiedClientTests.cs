using System.Text;

namespace MailPipeline.Ingress.Tests;

/// <summary>XCLIENT: the client that a proxy names is judged, and not the proxy.</summary>
public sealed class ProxiedClientTests
{
    [Fact]
    public async Task What_is_allowed_to_the_proxy_is_not_allowed_to_its_client()
    {
        await using var host = await StartAsync(("Ingress:RelayClients:0", "127.0.0.0/8"), ("Ingress:EtrnClients:0", "127.0.0.1"));
        await using var client = await Client.GreetedAsync(host.Mx);
        await RelayAsync(client, "250");
        foreach (var address in new[] { "192.0.2.1", "[UNAVAILABLE]", "IPV6:2001:db8::1" })
        {
            await client.SayAsync($"XCLIENT ADDR={address}", "220 mx.example.com ESMTP");
            await client.SayAsync("ETRN example.net", "503");
            Assert.DoesNotContain("ETRN", await client.SayAsync("EHLO client.example.net", "250"), StringComparison.Ordinal);
            await RelayAsync(client, "550 5.7.1 Relaying denied");
        }
    }

    [Fact]
    public async Task What_is_allowed_to_the_client_is_allowed_by_the_proxy()
    {
        await using var host = await StartAsync(("Ingress:RelayClients:0", "192.0.2.0/24"));
        await using var client = await Client.GreetedAsync(host.Mx);
        await RelayAsync(client, "550 5.7.1");
        await client.SayAsync("XCLIENT ADDR=192.0.2.1 HELO=client.example.net PROTO=ESMTP", "220");
        await RelayAsync(client, "250");
    }

    [Fact]
    public async Task The_trace_names_the_client()
    {
        await using var host = await StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("XCLIENT NAME=host.example.net ADDR=192.0.2.1 PORT=4242 DESTADDR=192.0.2.25 DESTPORT=25", "220");
        await client.SayAsync("EHLO client.example.net", "250");
        await client.MessageAsync("x: y\r\n");
        var content = Encoding.ASCII.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId));
        Assert.StartsWith("Received: from client.example.net (host.example.net [192.0.2.1])\r\n", content, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_login_at_the_proxy_is_one_here()
    {
        await using var host = await StartAsync();
        await using var client = await Client.GreetedAsync(host.Submission);
        await client.SayAsync("XCLIENT ADDR=192.0.2.1 LOGIN=nobody@example.com", "550 5.7.1 That user has no account here");
        await client.SayAsync("MAIL FROM:<ann@example.com>", "530");
        await client.SayAsync("XCLIENT ADDR=192.0.2.1 LOGIN=ann+40example.com", "220");
        await client.SayAsync("EHLO client.example.net", "250");
        await client.SayAsync("MAIL FROM:<bob@example.com>", "553");
        await client.SayAsync("MAIL FROM:<ann@example.com>", "250");
        await client.SayAsync("XCLIENT LOGIN=[UNAVAILABLE]", "503");
        await client.SayAsync("RSET", "250");
        await client.SayAsync("XCLIENT LOGIN=[UNAVAILABLE]", "220");
        await client.SayAsync("EHLO client.example.net", "250");
        await client.SayAsync("MAIL FROM:<ann@example.com>", "530");
    }

    [Fact]
    public async Task A_client_whose_network_is_refused_is_turned_away()
    {
        await using var host = await StartAsync(("Ingress:Checks:ClientNetwork:Refused:0", "192.0.2.0/24"));
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("XCLIENT ADDR=192.0.2.1", "554 5.7.1");
        await client.SayAsync("EHLO client.example.net", "503");
        await client.SayAsync("QUIT", "221");
    }

    private static Task<IngressHost> StartAsync(params (string Name, string Value)[] settings) => IngressHost.StartAsync(
        settings.Append(("Ingress:XclientFrom:0", "127.0.0.1")).ToDictionary(setting => setting.Item1, setting => setting.Item2));

    private static async Task RelayAsync(Client client, string reply)
    {
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync("RCPT TO:<you@example.net>", reply);
        await client.SayAsync("RSET", "250");
    }
}
