using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Text;
using MailPipeline.ServiceDefaults;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>
/// Serves POP3 on connections that Kestrel accepted, and holds what they share. A connection that fails takes no other with
/// it.
/// </summary>
internal sealed class Pop3Server(
    IMaildrops maildrops,
    IOptions<MailboxOptions> options,
    ServerCertificate certificate,
    MailboxTelemetry telemetry,
    TimeProvider time,
    ILogger<Pop3Server> logger) : IDisposable
{
    private const string TooManyConnections = "-ERR [SYS/TEMP] too many connections";

    private readonly ConcurrentDictionary<MailboxListener, SessionPlaces> _places = [];

    internal IMaildrops Maildrops => maildrops;

    internal MailboxOptions Options => options.Value;

    internal MailboxTelemetry Telemetry => telemetry;

    internal TimeProvider Time => time;

    internal ILogger Logger => logger;

    internal Pop3Refusals Refusals { get; } = new(options.Value, time, logger);

    /// <summary>Serves one connection to its end; what goes wrong with it ends here.</summary>
    public async Task ServeAsync(ConnectionContext connection, MailboxListener listener)
    {
        var tls = listener.Tls;
        var address = AddressOf(connection.RemoteEndPoint);
        // Through a socket for both families an IPv4 client comes as ::ffff:192.0.2.1, which nobody looks for in a log.
        if (connection.RemoteEndPoint is IPEndPoint client)
            connection.RemoteEndPoint = new IPEndPoint(address, client.Port);
        using var place = _places.GetOrAdd(listener, _ => Places()).TryTake(address, out var limit);
        if (place is null)
        {
            telemetry.ConnectionRefused();
            Refusals.Connection(
                connection.ConnectionId, connection.RemoteEndPoint, listener.Name, limit, tls == ListenerTls.Implicit ? "" : TooManyConnections);
            // Nothing is owed to such a client, least of all a TLS handshake.
            if (tls != ListenerTls.Implicit)
                await connection.Transport.Output.WriteAsync(Encoding.ASCII.GetBytes(TooManyConnections + "\r\n"));
            return;
        }
        telemetry.ConnectionOpened(tls);
        logger.ConnectionOpened(connection.ConnectionId, connection.RemoteEndPoint, listener.Name);
        try
        {
            await using var session = new Pop3Connection(this, connection, tls, place);
            await session.RunAsync();
        }
        catch (Exception failure) when (failure is IOException or OperationCanceledException)
        {
            // RFC 1939 §3: a session that ends without QUIT deletes nothing and says nothing.
            logger.ConnectionLost(connection.ConnectionId, connection.RemoteEndPoint, failure.Message);
            connection.Abort(new ConnectionAbortedException("The session ended without QUIT"));
        }
        catch (Exception failure)
        {
            Refusals.ConnectionFailed(connection.ConnectionId, connection.RemoteEndPoint, failure);
            connection.Abort(new ConnectionAbortedException("The session failed"));
        }
        finally
        {
            telemetry.ConnectionClosed(tls);
        }
    }

    /// <summary>Whether a client there may send its password without TLS.</summary>
    internal bool AllowsCleartextLogin(EndPoint? client) => options.Value.AllowCleartextLogin switch
    {
        CleartextLogin.Always => true,
        CleartextLogin.Loopback => IPAddress.IsLoopback(AddressOf(client)),
        _ => false,
    };

    internal SslServerAuthenticationOptions TlsOptions() => certificate.ServerOptions();

    internal void LoginRefused(ConnectionContext connection, string userName)
    {
        telemetry.Login(LoginResult.Refused);
        Refusals.Login(connection.ConnectionId, connection.RemoteEndPoint, userName, Pop3Session.BadCredentials);
    }

    public void Dispose() => Refusals.Dispose();

    private SessionPlaces Places() => new(
        new SessionLimits(
            Options.MaxConnections, Options.MaxConnectionsLoggedIn, Options.MaxConnectionsPerAddress, Options.PrefixIPv6, KeepsPlaces: true),
        time);

    private static IPAddress AddressOf(EndPoint? endPoint) => endPoint is IPEndPoint { Address: var address }
        ? address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address
        : IPAddress.None;
}
