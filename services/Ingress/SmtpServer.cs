using System.Net;
using System.Net.Sockets;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using MailPipeline.Storage;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress;

/// <summary>
/// What all sessions share, and the beginning and end of each. A connection that Kestrel has accepted becomes a session
/// here, or is turned away; whatever goes wrong in a session ends that session only.
/// </summary>
internal sealed partial class SmtpServer(
    IOptions<IngressOptions> options,
    MessageStore store,
    AddressPolicy policy,
    CredentialVerifier credentials,
    ServerCertificate certificate,
    AcceptedMessagePublisher publisher,
    SessionRegistry sessions,
    Backpressure backpressure,
    IngressTelemetry telemetry,
    RefusalLog refusals,
    TimeProvider time,
    ILogger<SmtpServer> log) : IDisposable
{
    /// <summary>Lines with an exception of each kind in a second: what a client says may be what causes them.</summary>
    internal const int MaxFaultLines = 5;

    private readonly LogCap<int> _faults = new(time, MaxFaultLines, TimeSpan.FromSeconds(1), (eventId, count) => LogMoreFaults(log, eventId, count));
    private readonly ClientNetworks _relayClients = new(options.Value.RelayClients);

    public IngressOptions Options { get; } = options.Value;

    public MessageStore Store => store;

    public AddressPolicy Policy => policy;

    public Backpressure Backpressure => backpressure;

    public CredentialVerifier Credentials => credentials;

    public ServerCertificate Certificate => certificate;

    public IngressTelemetry Telemetry => telemetry;

    public TimeProvider Time => time;

    public bool IsRelayClient(IPAddress? address) => address is not null && _relayClients.Contains(address);

    /// <summary>Serves one connection until it ends.</summary>
    public async Task RunAsync(ConnectionContext connection, SmtpListener listener)
    {
        var client = connection.RemoteEndPoint is IPEndPoint remote ? ClientNetworks.Plain(remote.Address) : null;
        using var place = listener.Places.TryTake(client, out var limit);
        if (place is null)
        {
            telemetry.SessionTurnedAway(limit);
            refusals.WriteTurnedAway(connection.ConnectionId, client, limit, listener.HasImplicitTls ? null : Replies.C421TooManyConnections);
            await TurnAwayAsync(connection, listener);
            return;
        }

        var session = new SmtpConnection(this, connection, listener, client, place);
        sessions.Enter(session);
        telemetry.SessionStarted(listener.Kind);
        var end = SessionEnd.Bug;
        var stopping = connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? default;
        try
        {
            using var stop = stopping.Register(static session => ((SmtpConnection)session!).Stop(), session);
            end = await session.RunAsync();
        }
        catch (Exception gone) when (gone is IOException or SocketException or OperationCanceledException or ObjectDisposedException or ConnectionAbortedException)
        {
            end = SessionEnd.Disconnected;
        }
        catch (Exception bug)
        {
            // In doubt, temporary: no reply has left, or the right one.
            if (_faults.MayWrite(1004))
                LogBug(log, connection.ConnectionId, client, bug);
            connection.Abort();
        }
        finally
        {
            sessions.Leave(session);
            telemetry.SessionEnded(listener.Kind);
            if (end != SessionEnd.Quit)
            {
                telemetry.SessionBroken(end);
                LogEnded(log, connection.ConnectionId, client, end);
            }
        }
    }

    /// <summary>Until it is disposed the message is being committed.</summary>
    public Backpressure.Commit BeginCommit(Envelope message) => backpressure.BeginCommit(message.MessageId);

    /// <summary>The message is in storage: tell the queue, the metrics and the log.</summary>
    public void Accepted(SmtpConnection session, Envelope message, TimeSpan duration)
    {
        publisher.Offer(message);
        telemetry.Accepted(session.Listener.Kind, message.SizeBytes, duration);
        if (log.IsEnabled(LogLevel.Information))
        {
            var (id, sender) = (MessageIds.ToText(message.MessageId), LogText.Address(message.Sender));
            foreach (var recipients in LogText.Recipients(message.Recipients))
                LogAccepted(log, id, session.ConnectionId, session.Client, sender, recipients, message.SizeBytes, session.UserName ?? "-");
        }
    }

    /// <summary>Counted always, logged as often as <see cref="RefusalLog"/> allows; wrong credentials are logged with their name.</summary>
    public void Refused(SmtpConnection session, string command, string? asked, SmtpTransaction? transaction, SmtpReply reply)
    {
        telemetry.Refused(command, reply);
        if (reply != Replies.C535BadCredentials)
            refusals.Write(session, command, asked, transaction, reply);
    }

    public void NotAccepted(SmtpConnection session, long messageId, StorageUnavailableException fault)
    {
        // Storage may be away before the message has an id.
        if (_faults.MayWrite(1002))
            LogFault(log, messageId == 0 ? LogText.OrNone("") : MessageIds.ToText(messageId), session.ConnectionId, fault.Fault, fault);
    }

    public void TlsFailed(SmtpConnection session, Exception failure) =>
        LogTlsFailed(log, session.ConnectionId, session.Client, failure);

    public void AuthFailed(SmtpConnection session, string userName) =>
        refusals.WriteAuth(session, userName, Replies.C535BadCredentials);

    public void Dispose() => _faults.Dispose();

    /// <summary>
    /// Greets with 421 (RFC 5321 §3.8). Where TLS comes first nothing is said in clear (RFC 8314 §3.3), and a handshake is not owed to who
    /// is one too many: the connection is closed.
    /// </summary>
    private async Task TurnAwayAsync(ConnectionContext connection, SmtpListener listener)
    {
        if (listener.HasImplicitTls)
            return;
        var output = connection.Transport.Output;
        Replies.C421TooManyConnections.WriteTo(output);
        using var timeout = new CancellationTokenSource(Options.TlsTimeout, time);
        try
        {
            await output.FlushAsync(timeout.Token);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ConnectionAbortedException)
        {
            // Turned away either way.
        }
    }

    [LoggerMessage(1001, LogLevel.Information,
        "message={MessageId} status=accepted from=<{Sender}> {Recipient} size={SizeBytes} client={RemoteEndPoint} user={UserName} session={ConnectionId}")]
    private static partial void LogAccepted(
        ILogger log, string messageId, string connectionId, IPAddress? remoteEndPoint, string sender, string recipient, long sizeBytes, string userName);

    [LoggerMessage(1002, LogLevel.Warning, "message={MessageId} session={ConnectionId} not accepted ({Fault})")]
    private static partial void LogFault(ILogger log, string messageId, string connectionId, StorageFault fault, Exception exception);

    [LoggerMessage(1021, LogLevel.Warning, "The fault of event {FaultId} came {Count} times more, not shown one by one")]
    private static partial void LogMoreFaults(ILogger log, int faultId, long count);

    [LoggerMessage(1003, LogLevel.Debug, "{ConnectionId} {RemoteEndPoint}: session ended: {Reason}")]
    private static partial void LogEnded(ILogger log, string connectionId, IPAddress? remoteEndPoint, SessionEnd reason);

    [LoggerMessage(1004, LogLevel.Error, "{ConnectionId} {RemoteEndPoint}: session failed")]
    private static partial void LogBug(ILogger log, string connectionId, IPAddress? remoteEndPoint, Exception exception);

    [LoggerMessage(1006, LogLevel.Debug, "{ConnectionId} {RemoteEndPoint}: no TLS")]
    private static partial void LogTlsFailed(ILogger log, string connectionId, IPAddress? remoteEndPoint, Exception exception);
}
