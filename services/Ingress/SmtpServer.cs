using System.Globalization;
using System.Net;
using MailPipeline.Ingress.Checks;
using MailPipeline.Ingress.Filters;
using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress;

/// <summary>What all sessions share, and what is counted and logged of each.</summary>
internal sealed partial class SmtpServer(
    IOptions<IngressOptions> options,
    MessageStore store,
    CheckTable checks,
    CredentialVerifier credentials,
    MailDirectory directory,
    LoginOptions logins,
    QueueStart queues,
    MessageSigning signing,
    DmarcResults results,
    OwnAddresses own,
    AcceptedMessagePublisher publisher,
    Backpressure backpressure,
    IngressTelemetry telemetry,
    RefusalLog refusals,
    DoorLimits limits,
    SenderQueues senderQueues,
    FilterSet filters,
    TlsExporter exporter,
    TimeProvider time,
    ILogger<SmtpServer> log) : IDisposable
{
    /// <summary>Lines with an exception of each kind in a second: what a client says may be what causes them.</summary>
    internal const int MaxFaultLines = 5;

    private readonly LogCap<int> _faults = new(time, MaxFaultLines, TimeSpan.FromSeconds(1), (eventId, count) => LogMoreFaults(log, eventId, count));
    private readonly ClientNetworks _relayClients = new(options.Value.RelayClients);
    private readonly ClientNetworks _etrnClients = new(options.Value.EtrnClients);
    private readonly ClientNetworks _proxies = new(options.Value.XclientFrom);
    private readonly ClientNetworks _lmtpClients = new(options.Value.LmtpClientsOrDefault);

    public IngressOptions Options { get; } = options.Value;

    public MessageStore Store => store;

    public CheckTable Checks => checks;

    public CredentialVerifier Credentials => credentials;

    public MailDirectory Directory => directory;

    public LoginOptions Logins => logins;

    public QueueStart Queues => queues;

    public DoorLimits Limits => limits;

    public MessageSigning Signing => signing;

    public DmarcResults Results => results;

    public OwnAddresses Own => own;

    public IngressTelemetry Telemetry => telemetry;

    public TlsExporter Exporter => exporter;

    public TimeProvider Time => time;

    /// <summary>The filters of a session that begins; null: there are none on its listener.</summary>
    public SessionFilters? BeginFilters(SmtpListener listener) => filters.Begin(ListenerSet.KindsOf(listener.Kind), listener.Name);

    /// <summary>The operator lists the client: as one that relays, or, where LMTP is spoken, as one that hands mail in.</summary>
    /// <param name="proxy">Who speaks for it, and hands in what it brings; itself where nobody does.</param>
    public bool IsListed(SmtpListener listener, IPAddress? client, IPAddress? proxy) => listener.Kind == ListenerKind.Lmtp
        ? listener.IsSocket || (proxy is not null && _lmtpClients.Contains(proxy))
        : client is not null && _relayClients.Contains(client);

    /// <summary>What the operator allows a client.</summary>
    /// <param name="proxy">Who speaks for it; itself where nobody does.</param>
    public ClientTraits Listed(IPAddress? client, IPAddress? proxy) =>
        (client is not null && _etrnClients.Contains(client) ? ClientTraits.StartsQueues : ClientTraits.None)
        | (proxy is not null && _proxies.Contains(proxy) ? ClientTraits.NamesClients : ClientTraits.None);

    public void ClientNamed(SmtpConnection session, IPAddress? proxy, ProxiedClient client)
    {
        if (log.IsEnabled(LogLevel.Debug))
            LogClientNamed(
                log, session.ConnectionId, proxy, session.Client, client.Port, LogText.Address(client.HostName ?? "-"), LogText.Address(client.Login ?? "-"),
                client.LocalAddress, client.LocalPort);
    }

    /// <summary>Until it is disposed the message is being committed.</summary>
    public Backpressure.Commit BeginCommit(Envelope message) => backpressure.BeginCommit(message.MessageId);

    /// <summary>The message is in storage: tell the queue, the metrics and the log.</summary>
    public void Accepted(SmtpConnection session, Envelope message, MessageNote? note, TimeSpan duration)
    {
        // What its sender has held is not to be routed now.
        if (message.Timing?.Release is not { } release || release.At <= message.AcceptedAt)
            publisher.Offer(message);
        senderQueues.Accepted(message);
        telemetry.Accepted(session.Listener.Kind, message.SizeBytes, duration);
        if (log.IsEnabled(LogLevel.Information))
        {
            var (id, sender) = (MessageIds.ToText(message.MessageId), LogText.Address(message.Sender));
            var said = Said(message.Timing) + (note is null ? "" : Said(note));
            foreach (var recipients in LogText.Recipients(message.Recipients))
                LogAccepted(log, id, session.ConnectionId, session.Client, sender, recipients, message.SizeBytes, session.UserName ?? "-", said);
        }
    }

    /// <summary>Counted always, logged as often as <see cref="RefusalLog"/> allows; wrong credentials are logged with their name.</summary>
    /// <param name="rule">Of a check, by which it was refused; null where there is none.</param>
    public void Refused(SmtpConnection session, string command, string? asked, SmtpTransaction? transaction, SmtpReply reply, string? rule)
    {
        telemetry.Refused(command, reply);
        if (reply == Replies.C535BadCredentials)
            return;
        if (reply.IsPermanentFailure && limits.Counts(LimitWhat.FailedCommands))
            _ = limits.CountFailedCommandAsync(session.Checked);
        refusals.Write(session, command, asked, transaction, reply, rule);
    }

    public void NotAccepted(SmtpConnection session, long messageId, StorageUnavailableException fault)
    {
        // Storage may be away before the message has an id.
        if (_faults.MayWrite(1002))
            LogFault(log, messageId == 0 ? LogText.OrNone("") : MessageIds.ToText(messageId), session.ConnectionId, fault.Fault, fault);
    }

    public void TurnedAway(LineConnection connection, string limit)
    {
        telemetry.SessionTurnedAway(limit);
        refusals.WriteTurnedAway(
            connection.ConnectionId, connection.Client, limit, connection.Listener.HasImplicitTls ? null : Replies.C421TooManyConnections);
    }

    public void TlsFailed(LineConnection connection, Exception failure) =>
        LogTlsFailed(log, connection.ConnectionId, connection.Client, failure);

    /// <param name="failure">What was thrown, if anything.</param>
    public void Ended(LineConnection connection, SessionEnd end, Exception? failure)
    {
        if (end == SessionEnd.Quit)
            return;
        if (end == SessionEnd.Bug && _faults.MayWrite(1004))
            LogBug(log, connection.ConnectionId, connection.Client, failure);
        telemetry.SessionBroken(end);
        LogEnded(log, connection.ConnectionId, connection.Client, end);
    }

    /// <param name="reason">What there is to say besides; null: nothing.</param>
    public void AuthFailed(SmtpConnection session, string userName, string? reason) =>
        refusals.WriteAuth(session, userName, Replies.C535BadCredentials, reason);

    public void Dispose() => _faults.Dispose();

    /// <summary>What checks said of a message, with a space before each key.</summary>
    private static string Said(MessageNote note)
    {
        var tags = note.Tags.Count > 0 ? $" tags={string.Join(',', note.Tags)}" : "";
        return note.HoldReason.Length > 0 ? $"{tags} held=\"{note.HoldReason}\"" : tags;
    }

    /// <summary>What MAIL said of time, with a space before each key.</summary>
    private static string Said(MailTiming? timing) =>
        (timing?.Release is { } release ? string.Create(CultureInfo.InvariantCulture, $" release={release.At.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ}") : "")
        + (timing?.Priority is { } priority ? string.Create(CultureInfo.InvariantCulture, $" priority={priority}") : "")
        + (timing?.By is { } by ? string.Create(CultureInfo.InvariantCulture, $" by={by.At.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ};{by.Mode}") : "");

    [LoggerMessage(1001, LogLevel.Information,
        "message={MessageId} status=accepted from=<{Sender}> {Recipient} size={SizeBytes} client={RemoteEndPoint} user={UserName} session={ConnectionId}{Checks}")]
    private static partial void LogAccepted(
        ILogger log, string messageId, string connectionId, IPAddress? remoteEndPoint, string sender, string recipient, long sizeBytes, string userName,
        string checks);

    [LoggerMessage(1002, LogLevel.Warning, "message={MessageId} session={ConnectionId} not accepted ({Fault})")]
    private static partial void LogFault(ILogger log, string messageId, string connectionId, StorageFault fault, Exception exception);

    [LoggerMessage(1021, LogLevel.Warning, "The fault of event {FaultId} came {Count} times more, not shown one by one")]
    private static partial void LogMoreFaults(ILogger log, int faultId, long count);

    [LoggerMessage(1003, LogLevel.Debug, "{ConnectionId} {RemoteEndPoint}: session ended: {Reason}")]
    private static partial void LogEnded(ILogger log, string connectionId, IPAddress? remoteEndPoint, SessionEnd reason);

    [LoggerMessage(1004, LogLevel.Error, "{ConnectionId} {RemoteEndPoint}: session failed")]
    private static partial void LogBug(ILogger log, string connectionId, IPAddress? remoteEndPoint, Exception? exception);

    [LoggerMessage(1033, LogLevel.Debug,
        "{ConnectionId} proxy {Proxy} speaks for {RemoteEndPoint} port {Port} name={Name} user={UserName}, which came to {Local} port {LocalPort}")]
    private static partial void LogClientNamed(
        ILogger log, string connectionId, IPAddress? proxy, IPAddress? remoteEndPoint, int? port, string name, string userName, IPAddress? local, int? localPort);

    [LoggerMessage(1006, LogLevel.Debug, "{ConnectionId} {RemoteEndPoint}: no TLS")]
    private static partial void LogTlsFailed(ILogger log, string connectionId, IPAddress? remoteEndPoint, Exception exception);
}
