using System.Text;
using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Ingress.Tests;

/// <summary>
/// A zone of a real DNS server with domains of all kinds, and hosts that ask it. Clients have the address that XCLIENT names: this machine
/// itself is not judged.
/// </summary>
public sealed class AuthenticationZone : IAsyncLifetime
{
    /// <summary>The client that example.net and the others permit.</summary>
    public const string Good = "192.0.2.1";

    public const string Bad = "192.0.2.66";

    private DnsServer? _dns;

    public System.Net.IPEndPoint EndPoint => _dns!.EndPoint;

    public async ValueTask InitializeAsync() => _dns = await DnsServer.StartAsync($$"""
        mx.example.net. TXT "v=spf1 ip4:{{Good}} -all"
        example.net. TXT "v=spf1 ip4:{{Good}} -all exp=why.example.net"
        why.example.net. TXT "Ask postmaster@%{o}, not %{i}"
        _dmarc.example.net. TXT "v=DMARC1; p=reject"
        quarantine.example.org. TXT "v=spf1 ip4:{{Good}} -all"
        _dmarc.quarantine.example.org. TXT "v=DMARC1; p=quarantine"
        none.example.org. TXT "v=spf1 ip4:{{Good}} -all"
        _dmarc.none.example.org. TXT "v=DMARC1; p=none"
        nothing.example.org. TXT "v=spf1 ip4:{{Good}} -all"
        loop.example.org. TXT "v=spf1 include:loop.example.org -all"
        void.example.org. TXT "v=spf1 a:a.invalid a:b.invalid a:c.invalid -all"
        large.example.org. TXT {{string.Join(' ', Enumerable.Repeat($"\"{new string('x', 250)}\"", 80).Prepend("\"v=spf1 \""))}}
        many.example.org. TXT "v=spf1 {{string.Concat(Enumerable.Range(0, 9).Select(i => $"mx:h{i}.example.org "))}}-all"
        {{string.Join('\n', Enumerable.Range(0, 90).Select(i => $"h{i / 10}.example.org. MX 10 m{i}.example.org.\nm{i}.example.org. A 198.51.100.{i}"))}}
        all.example.org. TXT "v=spf1 {{string.Concat(Enumerable.Range(0, 10).Select(i => $"mx:h{i % 9}.example.org "))}}-all"
        xn--bcher-kva.example. TXT "v=spf1 ip4:{{Good}} -all"
        _dmarc.xn--bcher-kva.example. TXT "v=DMARC1; p=reject"
        """, TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (_dns is not null)
            await _dns.DisposeAsync();
    }

    /// <summary>A host with this policy and these settings of "Ingress:Checks:Authentication".</summary>
    internal Task<IngressHost> StartAsync(string policy, params (string Name, string Value)[] settings) => StartAsync($"{_dns!.EndPoint}", policy, settings);

    /// <summary>A host that asks another DNS server.</summary>
    internal static Task<IngressHost> StartAsync(string dns, string policy, params (string Name, string Value)[] settings)
    {
        var all = new Dictionary<string, string>
        {
            ["Dns:Servers"] = dns, ["Dns:Timeout"] = "00:00:20", ["Dns:Retries"] = "0",
            ["Ingress:XclientFrom:0"] = "127.0.0.1", ["Ingress:Checks:Authentication:Policy"] = policy,
        };
        foreach (var (name, value) in settings)
            all[name.StartsWith("Ingress:", StringComparison.Ordinal) ? name : $"Ingress:Checks:Authentication:{name}"] = value;
        return IngressHost.StartAsync(all);
    }

    /// <summary>Connected, and greeted as this client.</summary>
    internal static async Task<Client> AsAsync(IngressHost host, string address, string helo = "mx.example.net")
    {
        var client = await Client.ConnectAsync(host.Mx);
        await client.SayAsync("EHLO proxy.example.com", "250");
        await client.SayAsync($"XCLIENT ADDR={(address.Contains(':', StringComparison.Ordinal) ? $"IPV6:{address}" : address)}", "220");
        await client.SayAsync($"EHLO {helo}", "250");
        return client;
    }

    /// <summary>Sends one message and gives the reply to its content.</summary>
    internal static async Task<string> SendAsync(Client client, string sender, string from, string text = "Subject: x\r\n\r\ntext")
    {
        await client.BeginAsync(sender);
        await client.SendAsync($"{(from.Length > 0 ? $"From: {from}\r\n" : "")}{text}\r\n.\r\n");
        return await client.ReplyAsync() ?? "(end)";
    }

    /// <summary>The field in front of the next message, unfolded; null: none.</summary>
    internal static async Task<string?> FieldAsync(IngressHost host)
    {
        var content = Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId));
        const string Name = "Authentication-Results: ";
        var at = content.IndexOf(Name, StringComparison.Ordinal);
        if (at < 0)
            return null;
        // Above the trace field.
        Assert.InRange(at, 0, content.IndexOf("Received: ", StringComparison.Ordinal));
        var end = at;
        do
            end = content.IndexOf("\r\n", end, StringComparison.Ordinal) + 2;
        while (content[end] == '\t');
        Assert.DoesNotContain($"\r\n{Name}", content[(end - 2)..], StringComparison.Ordinal);
        return content[(at + Name.Length)..(end - 2)].Replace("\r\n\t", " ", StringComparison.Ordinal);
    }

    internal static async Task<MessageTimeline> TimelineAsync(IngressHost host, long messageId) =>
        (await host.Services.GetRequiredService<MessageHistory>().FindAsync(messageId, Deadline.Token))!;
}
