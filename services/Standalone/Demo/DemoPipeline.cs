using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Standalone.Demo;

/// <summary>One of the two pipelines of the tour: a domain, a user, a folder and ports of its own.</summary>
internal sealed class DemoPipeline : IAsyncDisposable
{
    private WebApplication? _app;

    private DemoPipeline(string domain, string user, string folder, int portOffset)
    {
        Domain = domain;
        User = $"{user}@{domain}";
        Folder = folder;
        PortOffset = portOffset;
    }

    public string Domain { get; }

    public string User { get; }

    public string Password { get; } = RandomNumberGenerator.GetHexString(16, lowercase: true);

    public string Folder { get; }

    public int PortOffset { get; }

    public ServerCertificate Certificate => Running.Services.GetRequiredService<ServerCertificate>();

    public MessageHistory History => Running.Services.GetRequiredService<MessageHistory>();

    private WebApplication Running => _app ?? throw new InvalidOperationException("The pipeline is not started");

    /// <summary>Makes the folder; nothing listens yet.</summary>
    public static DemoPipeline Create(string domain, string user, string parentFolder, int afterOffset)
    {
        var pipeline = new DemoPipeline(domain, user, Path.Combine(parentFolder, domain), FreeOffset(afterOffset));
        DataFolder.Ensure(pipeline.Folder);
        return pipeline;
    }

    /// <summary>Starts it with its domain and its user, and with a static route that takes the place of the other domain's MX record.</summary>
    public async Task StartAsync(DemoPipeline other, CancellationToken cancellation)
    {
        var arguments = Arguments(
        [
            $"--Delivery:Routes:{other.Domain}=127.0.0.1:{other.PortOf(StandaloneSettings.MxPort)}",
            $"--Ingress:HostName=mail.{Domain}",
            "--Logging:LogLevel:MailPipeline=Warning",
        ]);
        _app = await Server.StartAsync(StandaloneHost.CreateBuilder(arguments, Folder), hangup: null, cancellation);
        var password = StoredPassword.Create(Password, _app.Services.GetRequiredService<LoginOptions>().ScramIterations);
        await _app.Services.GetRequiredService<MailDirectory>().ChangeAsync(
            async change => await change.AddDomainAsync(new MailDomain(Domain)) && await change.AddAccountAsync(User, password));
    }

    public int PortOf(int defaultPort) => defaultPort + PortOffset;

    public async ValueTask DisposeAsync()
    {
        if (_app is null)
            return;
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    private Arguments Arguments(IReadOnlyList<string> settings) => new([], Folder, PortOffset, settings);

    /// <summary>An offset at which all ports are free now, below the range from which the system takes ports for clients.</summary>
    private static int FreeOffset(int after)
    {
        for (var offset = after + 10; offset < 20_000; offset += 10)
        {
            int[] ports = [StandaloneSettings.MxPort, StandaloneSettings.SubmissionPort, StandaloneSettings.Pop3Port, StandaloneSettings.HttpPort, StandaloneSettings.SiloPort];
            if (Array.TrueForAll(ports, port => IsFree(port + offset)))
                return offset;
        }
        throw new DemoException("no free ports were found on 127.0.0.1");
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var probe = new TcpListener(IPAddress.Loopback, port);
            probe.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
