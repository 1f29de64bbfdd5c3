using System.Net;
using System.Net.Sockets;
using MailPipeline.ServiceDefaults;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Logging;

namespace MailPipeline.LineServer;

/// <summary>
/// What becomes of a connection that Kestrel has accepted: its client is named, has a place or is turned away, and is served until one side
/// ends it. Whatever goes wrong in a session ends that session only.
/// </summary>
public sealed partial class LineAcceptor(SessionRegistry sessions, ServerCertificate certificate, TimeProvider time, ILogger<LineAcceptor> log)
{
    /// <summary>Serves one connection until it ends.</summary>
    public async Task ServeAsync(ConnectionContext context, LineListener listener)
    {
        var connection = new LineConnection(context, listener, certificate, time);
        sessions.Enter(connection);
        try
        {
            if (!await IntroducedAsync(connection))
                return;
            using var place = listener.Places.TryTake(connection.Client, out var limit);
            if (place is null)
                await TurnAwayAsync(connection, limit);
            else
                await ServeAsync(context, connection, place);
        }
        finally
        {
            sessions.Leave(connection);
        }
    }

    private async ValueTask<bool> IntroducedAsync(LineConnection connection)
    {
        if (connection is not { Client: { } address, Listener.Balancers: { } balancers } || !balancers.Contains(address))
            return true;
        var balancer = connection.RemoteEndPoint;
        if (await ProxyProtocol.IntroduceAsync(connection, time))
            return true;
        LogNotIntroduced(log, balancer);
        connection.Abort();
        return false;
    }

    /// <summary>
    /// Says that there are too many (RFC 5321 §3.8). Where TLS comes first nothing is said in clear (RFC 8314 §3.3), and a handshake is not
    /// owed to who is one too many: the connection is closed.
    /// </summary>
    private async Task TurnAwayAsync(LineConnection connection, string limit)
    {
        var listener = connection.Listener;
        listener.TurnedAway(connection, limit);
        if (listener.HasImplicitTls)
            return;
        listener.WriteTooMany(connection.Output);
        try
        {
            await connection.FlushAsync(WaitEnd.In(time, listener.TlsTimeout));
        }
        catch (Exception gone) when (IsGone(gone))
        {
            // Turned away either way.
        }
    }

    private static async Task ServeAsync(ConnectionContext context, LineConnection connection, SessionPlaces.Place place)
    {
        var end = SessionEnd.Bug;
        Exception? failure = null;
        var stopping = context.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? default;
        try
        {
            var session = connection.Listener.Begin(connection);
            connection.Begin(session, place);
            using var stop = stopping.Register(static connection => ((LineConnection)connection!).Stop(), connection);
            try
            {
                end = await ConverseAsync(connection, session);
                await connection.FlushAsync();
            }
            finally
            {
                await connection.CloseTlsAsync();
            }
        }
        catch (Exception gone) when (IsGone(gone))
        {
            (end, failure) = (SessionEnd.Disconnected, gone);
            connection.Abort();
        }
        catch (Exception bug)
        {
            // In doubt, temporary: no reply has left, or the right one.
            (end, failure) = (SessionEnd.Bug, bug);
            connection.Abort();
        }
        finally
        {
            connection.Listener.Ended(connection, end, failure);
        }
    }

    private static async Task<SessionEnd> ConverseAsync(LineConnection connection, ILineSession session)
    {
        if (connection.Listener.HasImplicitTls && await connection.StartTlsAsync() is { } failed)
        {
            connection.Listener.TlsFailed(connection, failed);
            return SessionEnd.TlsFailed;
        }

        return await session.RunAsync();
    }

    private static bool IsGone(Exception failure) =>
        failure is IOException or SocketException or OperationCanceledException or ObjectDisposedException;

    [LoggerMessage(8001, LogLevel.Warning, "{RemoteEndPoint} is a load balancer by the settings and sent no PROXY header; its connection is closed")]
    private static partial void LogNotIntroduced(ILogger log, EndPoint? remoteEndPoint);
}
