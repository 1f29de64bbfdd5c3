using System.Net;
using MailPipeline.ServiceDefaults;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace MailPipeline.LineServer;

/// <summary>Composition of what protocols of lines share. Each protocol of a host may add it.</summary>
public static class LineServerHosting
{
    /// <summary>Needs the service defaults in the same host.</summary>
    public static IServiceCollection AddLineServer(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<SessionRegistry>();
        services.TryAddSingleton<LineAcceptor>();
        return services.RequireServerCertificate();
    }

    /// <summary>Listens there, and serves what comes as that listener says.</summary>
    /// <param name="create">Called once, at the first connection: what it needs, storage among it, is opened after Kestrel is configured.</param>
    public static void ListenLines(this KestrelServerOptions kestrel, IPEndPoint endPoint, Func<IServiceProvider, LineListener> create) =>
        kestrel.Listen(endPoint, listen =>
        {
            var services = listen.ApplicationServices;
            var listener = new Lazy<LineListener>(() => create(services));
            var acceptor = new Lazy<LineAcceptor>(services.GetRequiredService<LineAcceptor>);
            listen.Run(connection => acceptor.Value.ServeAsync(connection, listener.Value));
        });
}
