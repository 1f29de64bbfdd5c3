using System.Net;
using MailPipeline.LineServer;

namespace MailPipeline.Mailbox;

/// <summary>Event ids 4000 to 4999. User names come from clients; they hold no control characters (Pop3Session refuses such lines).</summary>
internal static partial class MailboxLog
{
    [LoggerMessage(4001, LogLevel.Information, "message={MessageId} to=<{Recipient}>{Original} relay=maildrop status={Outcome} dsn={Status} reply={Reply}")]
    internal static partial void RecipientStored(
        this ILogger logger, string messageId, string recipient, string original, string outcome, string status, string reply);

    [LoggerMessage(4002, LogLevel.Warning, "Storing {Count} messages for {Domain} failed; they are deferred")]
    internal static partial void StoreFailed(this ILogger logger, int count, string domain, Exception failure);

    [LoggerMessage(4004, LogLevel.Error, "Storage refuses one of {Count} messages for {Domain}")]
    internal static partial void StoreRefused(this ILogger logger, int count, string domain, Exception failure);

    [LoggerMessage(4003, LogLevel.Debug, "The report of batch {BatchId} of {Domain} was not taken by the bus; the queue will miss it")]
    internal static partial void ReportLost(this ILogger logger, string domain, long batchId, Exception failure);

    [LoggerMessage(4010, LogLevel.Information, "status=ended client={RemoteEndPoint} session={ConnectionId} user={UserName} sent={Sent} octets={Octets} deleted={Deleted}")]
    internal static partial void SessionEnded(
        this ILogger logger, IPAddress? remoteEndPoint, string connectionId, string userName, int sent, long octets, int deleted);

    [LoggerMessage(4011, LogLevel.Warning, "status=refused client={RemoteEndPoint} session={ConnectionId} command=PASS user={UserName}{Reason} reply={Reply}")]
    internal static partial void LoginRefused(
        this ILogger logger, IPAddress? remoteEndPoint, string connectionId, string userName, string reason, string reply);

    [LoggerMessage(4012, LogLevel.Warning, "{ConnectionId} the maildrop cannot be opened")]
    internal static partial void MaildropUnavailable(this ILogger logger, string connectionId, Exception failure);

    [LoggerMessage(4013, LogLevel.Warning, "message={MessageId} session={ConnectionId} cannot be read for the POP3 client")]
    internal static partial void MessageUnreadable(this ILogger logger, string connectionId, string messageId, Exception failure);

    [LoggerMessage(4014, LogLevel.Warning, "{ConnectionId} {UserName}: the deletions failed, {Deleted} of {Marked} messages are deleted")]
    internal static partial void CommitFailed(this ILogger logger, string connectionId, string userName, int deleted, int marked, Exception failure);

    [LoggerMessage(4015, LogLevel.Warning, "{ConnectionId} {UserName}: the hold on the maildrop is lost, the session ends without deleting")]
    internal static partial void LeaseLost(this ILogger logger, string connectionId, string userName);

    [LoggerMessage(4016, LogLevel.Warning, "The hold on the maildrop of account {AccountId} could not be renewed; it is tried again")]
    internal static partial void RenewalFailed(this ILogger logger, long accountId, Exception failure);

    [LoggerMessage(4017, LogLevel.Warning, "The maildrop of account {AccountId} could not be unlocked; its lease will run out")]
    internal static partial void UnlockFailed(this ILogger logger, long accountId, Exception failure);

    [LoggerMessage(4019, LogLevel.Debug, "{ConnectionId} from {RemoteEndPoint} on {Listener}")]
    internal static partial void ConnectionOpened(this ILogger logger, string connectionId, EndPoint? remoteEndPoint, string listener);

    [LoggerMessage(4020, LogLevel.Warning, "status=refused client={RemoteEndPoint} session={ConnectionId} listener={Listener} limit={Limit} reply={Reply}")]
    internal static partial void ConnectionRefused(
        this ILogger logger, IPAddress? remoteEndPoint, string connectionId, string listener, string limit, string reply);

    [LoggerMessage(4023, LogLevel.Warning, "status=refused client={RemoteEndPoint} {Count} times more, not shown one by one")]
    internal static partial void MoreRefused(this ILogger logger, IPAddress remoteEndPoint, long count);

    [LoggerMessage(4025, LogLevel.Warning, "status=refused client={RemoteEndPoint} command=PASS {Count} times more, not shown one by one")]
    internal static partial void MoreLoginsRefused(this ILogger logger, IPAddress remoteEndPoint, long count);

    [LoggerMessage(4026, LogLevel.Warning, "status=refused client=many {Count} times more, not shown one by one")]
    internal static partial void MoreRefusedOfAll(this ILogger logger, long count);

    [LoggerMessage(4027, LogLevel.Warning, "status=refused client=many command=PASS {Count} times more, not shown one by one")]
    internal static partial void MoreLoginsRefusedOfAll(this ILogger logger, long count);

    [LoggerMessage(4024, LogLevel.Warning, "The failure of event {FailureId} came {Count} times more, not shown one by one")]
    internal static partial void MoreFailed(this ILogger logger, int failureId, long count);

    [LoggerMessage(4021, LogLevel.Debug, "{ConnectionId} from {RemoteEndPoint} ended without QUIT: {Reason} {Failure}")]
    internal static partial void ConnectionLost(this ILogger logger, string connectionId, EndPoint? remoteEndPoint, SessionEnd reason, string? failure);

    [LoggerMessage(4028, LogLevel.Debug, "{ConnectionId} from {RemoteEndPoint}: no TLS")]
    internal static partial void HandshakeFailed(this ILogger logger, string connectionId, EndPoint? remoteEndPoint, Exception failure);

    [LoggerMessage(4022, LogLevel.Error, "{ConnectionId} from {RemoteEndPoint} failed")]
    internal static partial void ConnectionFailed(this ILogger logger, string connectionId, EndPoint? remoteEndPoint, Exception? failure);
}
