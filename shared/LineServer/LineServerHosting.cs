using System.Net;
using System.Net.Sockets;
using MailPipeline.ServiceDefaults;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace MailPipeline.LineServer;

/// <summary>Composition of what protocols of lines share. Each protocol of a host may add it.</summary>
public static class LineServerHosting
{
    // A connection holds at most this much on the way from its socket; what nobody has taken yet stays with the client.
    private const long MaxUnreadBytes = 64 * 1024;

    /// <summary>
    /// Needs the service defaults in the same host. How sockets are read is said to Kestrel for the whole process, its HTTP listeners
    /// included.
    /// </summary>
    public static IServiceCollection AddLineServer(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<SessionRegistry>();
        services.TryAddSingleton<LineAcceptor>();
        services.Configure<SocketTransportOptions>(sockets =>
        {
            sockets.MaxReadBufferSize = MaxUnreadBytes;
            // A dialogue is many short exchanges: without it each costs several changes of thread, some percent of all CPU time.
            // Nothing here blocks a thread (passwords are checked on another one).
            sockets.UnsafePreferInlineScheduling = true;
            // Asking first whether anything has come spares an idle session its buffer of 4 KB, and costs two more calls of the system
            // for each of the client's lines.
            sockets.WaitForDataBeforeAllocatingBuffer = false;
        });
        return services.RequireServerCertificate();
    }

    /// <summary>Listens there, and serves what comes as that listener says.</summary>
    /// <param name="endPoint">An address and a port, or a socket of those that are bound by <see cref="BindSockets"/>.</param>
    /// <param name="create">Called once, at the first connection: what it needs, storage among it, is opened after Kestrel is configured.</param>
    public static void ListenLines(this KestrelServerOptions kestrel, EndPoint endPoint, Func<IServiceProvider, LineListener> create) =>
        kestrel.Listen(endPoint, listen =>
        {
            var services = listen.ApplicationServices;
            var listener = new Lazy<LineListener>(() => create(services));
            var acceptor = new Lazy<LineAcceptor>(services.GetRequiredService<LineAcceptor>);
            listen.Run(connection => acceptor.Value.ServeAsync(connection, listener.Value));
        });

    /// <summary>Unix sockets get their mode before anybody can connect, and take the place of a file that nobody listens on any more.</summary>
    public static void BindSockets(this SocketTransportOptions transport, IReadOnlyList<ListeningSocket> sockets)
    {
        if (sockets.Count == 0)
            return;
        var bindOthers = transport.CreateBoundListenSocket;
        transport.CreateBoundListenSocket = endPoint =>
            endPoint is UnixDomainSocketEndPoint && sockets.FirstOrDefault(socket => socket.Path == endPoint.ToString()) is { } own ? own.Bind() : bindOthers(endPoint);
    }
}
