using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>A policy of the door in a file of its own, and hosts that obey it. Its clients seem to be elsewhere: this machine is no stranger.</summary>
internal sealed class WrittenPolicy : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mailpipeline-policy-").FullName;

    public WrittenPolicy(string json) => Write(json);

    public string Path => System.IO.Path.Combine(_folder, "policy.json");

    public void Write(string json) => File.WriteAllText(Path, json);

    public Task<IngressHost> StartAsync(
        IPEndPoint? dns = null, IReadOnlyDictionary<string, string>? settings = null, FakeTimeProvider? time = null, Action<IServiceCollection>? services = null)
    {
        var all = new Dictionary<string, string>(settings ?? new Dictionary<string, string>())
        {
            ["Ingress:Checks:PolicyFile"] = Path,
            ["Ingress:ProxyProtocolFrom:0"] = "127.0.0.1",
            // Nobody answers there: what a test does not mean to ask is not answered by the machine's own servers.
            ["Dns:Servers"] = (dns ?? new IPEndPoint(IPAddress.Loopback, 9)).ToString(),
        };
        return IngressHost.StartAsync(all, time, services);
    }

    /// <summary>A client at that address, as a load balancer names it; nothing is read yet.</summary>
    public static async Task<Client> OpenAsync(IPEndPoint server, string address, string more = "")
    {
        var client = await Client.OpenAsync(server);
        var family = address.Contains(':', StringComparison.Ordinal) ? "TCP6" : "TCP4";
        var local = family == "TCP6" ? "2001:db8::25" : "192.0.2.25";
        // Of this machine nobody is named.
        var named = address == "127.0.0.1" ? "PROXY UNKNOWN" : $"PROXY {family} {address} {local} 4711 25";
        await client.SendAsync($"{named}\r\n{more}");
        return client;
    }

    public static async Task<Client> GreetedAsync(IPEndPoint server, string address, string name = "client.example.net")
    {
        var client = await OpenAsync(server, address);
        await client.ExpectAsync("220");
        await client.SayAsync($"EHLO {name}", "250");
        return client;
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
