using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MailPipeline.ServiceDefaults;

/// <summary>A listener that is not Kestrel's.</summary>
public sealed record FurtherListener(string Name, string Address);

/// <summary>The one line of a service that has started: version, where it listens, with whom it works. No secrets.</summary>
internal static partial class StartLine
{
    public static void Write(IServiceProvider services, string serviceName, IReadOnlyList<string> connections)
    {
        var log = services.GetRequiredService<ILoggerFactory>().CreateLogger("MailPipeline.ServiceDefaults");
        var configuration = services.GetRequiredService<IConfiguration>();
        // The first is that of the health checks.
        var addresses = services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses
            .Select((address, index) => address.Replace("http://", index == 0 ? "http://" : "", StringComparison.Ordinal))
            .Concat(services.GetServices<FurtherListener>().Select(listener => $"{listener.Name} {listener.Address}"));
        LogReady(
            log, serviceName, ProgramVersion.Text, string.Join(", ", addresses),
            string.Join(", ", connections.Select(name => $"{name} {Peer(name, configuration.GetConnectionString(name) ?? "")}")));
    }

    /// <summary>Where a connection string leads, without what proves who connects.</summary>
    internal static string Peer(string connection, string text) => connection switch
    {
        BusHosting.ConnectionName when Uri.TryCreate(text, UriKind.Absolute, out var broker) =>
            $"{broker.Host}:{(broker.IsDefaultPort || broker.Port < 0 ? 5672 : broker.Port)}{broker.AbsolutePath}",
        ServiceHost.StoreConnection => StartupFailure.WithoutSecrets(text),
        // "host:6379,other:6379,password=..."
        _ => string.Join(' ', text.Split(',', StringSplitOptions.TrimEntries).Where(part => !part.Contains('=', StringComparison.Ordinal))),
    };

    [LoggerMessage(6014, LogLevel.Information, "{Service} {Version} is ready; listening on {Listeners}; working with {Peers}")]
    private static partial void LogReady(ILogger log, string service, string version, string listeners, string peers);
}
