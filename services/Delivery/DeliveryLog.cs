namespace MailPipeline.Delivery;

/// <summary>Log lines of delivery, event ids 3xxx. What strangers may have had a hand in comes as <see cref="LogWords"/>.</summary>
internal static partial class DeliveryLog
{
    [LoggerMessage(3001, LogLevel.Information,
        "message={MessageId} {Recipient} relay={RemoteEndPoint} site={Site} status={Outcome} dsn={Status} delay={DelaySeconds:0.###} reply={Reply}")]
    public static partial void MessageAttempted(
        this ILogger log, string messageId, string recipient, LogWords remoteEndPoint, LogWords site, string outcome, string status, double delaySeconds, LogWords reply);

    [LoggerMessage(3002, LogLevel.Information, "{Domain}: no host could be spoken to, {Recipients} recipient(s) {Consequence}: {Reply}")]
    public static partial void DomainUnreachable(this ILogger log, LogWords domain, int recipients, string consequence, LogWords reply);

    [LoggerMessage(3014, LogLevel.Information, "{Domain}: every host broke off, {Recipients} recipient(s) were not tried: {Reply}")]
    public static partial void HostsBrokeOff(this ILogger log, LogWords domain, int recipients, LogWords reply);

    [LoggerMessage(3003, LogLevel.Debug, "{Domain}: {RemoteEndPoint} cannot be used: {Reply}")]
    public static partial void HostFailed(this ILogger log, LogWords domain, LogWords remoteEndPoint, LogWords reply);

    [LoggerMessage(3004, LogLevel.Debug, "{Domain}: connected to {RemoteEndPoint}, TLS {Tls}")]
    public static partial void Connected(this ILogger log, LogWords domain, LogWords remoteEndPoint, string tls);

    [LoggerMessage(3005, LogLevel.Warning, "Claim {ClaimId} was lost while its batch was under way")]
    public static partial void ClaimLost(this ILogger log, long claimId);

    [LoggerMessage(3006, LogLevel.Warning, "Claims could not be renewed; batches end when their leases do")]
    public static partial void RenewalFailed(this ILogger log, Exception error);

    [LoggerMessage(3007, LogLevel.Warning, "Storage did not take {Count} delivered recipient(s) of claim {ClaimId}; trying again")]
    public static partial void RecordFailed(this ILogger log, Exception error, long claimId, int count);

    [LoggerMessage(3008, LogLevel.Warning,
        "message={MessageId} delivered, but claim {ClaimId} was lost before it was recorded; a copy may be sent again: {Reply}")]
    public static partial void DeliveryUnrecorded(this ILogger log, string messageId, long claimId, LogWords reply);

    [LoggerMessage(3009, LogLevel.Warning, "A claim for batch {BatchId} of {Domain} could not be taken")]
    public static partial void ClaimNotTaken(this ILogger log, Exception error, long batchId, LogWords domain);

    [LoggerMessage(3010, LogLevel.Error, "message={MessageId} its content could not be read; it stays queued")]
    public static partial void ContentUnreadable(this ILogger log, Exception error, string messageId);

    [LoggerMessage(3011, LogLevel.Error, "The batch of claim {ClaimId} of {Domain} ended by an unexpected error; what is open counts as deferred")]
    public static partial void BatchFailed(this ILogger log, Exception error, long claimId, LogWords domain);

    [LoggerMessage(3012, LogLevel.Warning, "The report of claim {ClaimId} of {Domain} was not taken by the bus; its lease will run out")]
    public static partial void ReportLost(this ILogger log, Exception error, long claimId, LogWords domain);

    [LoggerMessage(3015, LogLevel.Information,
        "{Domain}: {Count} recipient(s) of claim {ClaimId} are not begun and handed back, because this process stops")]
    public static partial void HandedBack(this ILogger log, int count, long claimId, LogWords domain);

    [LoggerMessage(3016, LogLevel.Warning, "{Domain}: {Count} recipient(s) of claim {ClaimId} could not be handed back yet")]
    public static partial void NotHandedBack(this ILogger log, Exception error, int count, long claimId, LogWords domain);

    [LoggerMessage(3017, LogLevel.Warning, "{Address} goes on taking batches until the bus stops")]
    public static partial void EndpointNotStopped(this ILogger log, Exception error, Uri address);

    [LoggerMessage(3018, LogLevel.Warning, "Storage could not be told of the final dots of claim {ClaimId}; none is sent")]
    public static partial void DotsNotNoted(this ILogger log, Exception error, long claimId);

    [LoggerMessage(3019, LogLevel.Warning, "{Domain}: how the attempts of claim {ClaimId} ended could not be noted; should the report be lost, they count as those of a worker that died")]
    public static partial void EndNotNoted(this ILogger log, Exception error, long claimId, LogWords domain);

    [LoggerMessage(3020, LogLevel.Information, "relay={RemoteEndPoint} tls=none mail goes on in clear text: {Reply}")]
    public static partial void WentOnInClear(this ILogger log, LogWords remoteEndPoint, LogWords reply);

    [LoggerMessage(3021, LogLevel.Information, "relay={RemoteEndPoint} tls=none {Count} times more, not shown one by one")]
    public static partial void WentOnInClearAgain(this ILogger log, LogWords remoteEndPoint, long count);

    [LoggerMessage(3022, LogLevel.Information, "verify=<{Recipient}> relay={RemoteEndPoint} answer={Answer} reply={Reply}")]
    public static partial void RecipientVerified(this ILogger log, LogWords recipient, LogWords remoteEndPoint, string answer, LogWords reply);

    [LoggerMessage(3023, LogLevel.Error, "verify=<{Recipient}> could not be asked about")]
    public static partial void NotVerified(this ILogger log, Exception error, LogWords recipient);

    [LoggerMessage(3024, LogLevel.Debug, "verify=<{Recipient}> the answer found nobody who waits for it")]
    public static partial void AnswerLost(this ILogger log, Exception error, LogWords recipient);

    [LoggerMessage(3025, LogLevel.Information,
        "relay={RemoteEndPoint} offers CHUNKING and does not know BDAT; for a day it gets DATA: {Reply}")]
    public static partial void ChunksRefused(this ILogger log, LogWords remoteEndPoint, LogWords reply);

    [LoggerMessage(3028, LogLevel.Information,
        "relay={RemoteEndPoint} offers PIPELINING and loses commands that travel together; for a day it gets one after the other: {Reply}")]
    public static partial void PipeliningBroken(this ILogger log, LogWords remoteEndPoint, LogWords reply);

    [LoggerMessage(3029, LogLevel.Warning, "The broker gives this worker no endpoint of its own; counted connections end with their batch")]
    public static partial void NoOwnEndpoint(this ILogger log, Exception error);

    [LoggerMessage(3030, LogLevel.Error, "Batch {BatchId} for {Domain} failed")]
    public static partial void OwnBatchFailed(this ILogger log, Exception error, long batchId, LogWords domain);

    [LoggerMessage(3026, LogLevel.Warning, "{Reply} [{Setting}]")]
    public static partial void NoLogin(this ILogger log, LogWords reply, LogWords setting);

    [LoggerMessage(3027, LogLevel.Warning, "{Reply} [{Setting}], {Count} times more, not shown one by one")]
    public static partial void NoLoginAgain(this ILogger log, LogWords reply, LogWords setting, long count);

    [LoggerMessage(3031, LogLevel.Warning, "{Domain}: policies of MTA-STS cannot be read or kept now; what is remembered holds")]
    public static partial void PoliciesAway(this ILogger log, Exception error, LogWords domain);

    [LoggerMessage(3032, LogLevel.Information, "{Domain}: its policy of MTA-STS could not be fetched, and what was fetched before holds: {Reply}")]
    public static partial void PolicyNotFetched(this ILogger log, LogWords domain, LogWords reply);

    [LoggerMessage(3033, LogLevel.Information, "{Domain}: policy of MTA-STS fetched, mode={Mode} id={PolicyId}")]
    public static partial void PolicyFetched(this ILogger log, LogWords domain, string mode, string policyId);

    [LoggerMessage(3034, LogLevel.Warning, "{Count} count(s) of TLS results could not be kept yet")]
    public static partial void TlsResultsKept(this ILogger log, Exception error, int count);

    [LoggerMessage(3035, LogLevel.Error, "The source addresses in {Path} cannot be read, and what was read before stays in force: {Reason}")]
    public static partial void SourcesUnreadable(this ILogger log, string path, string reason);

    [LoggerMessage(3036, LogLevel.Error, "The source addresses in {Path} are not taken, and what was read before stays in force: {Failures}")]
    public static partial void SourcesRefused(this ILogger log, string path, string failures);

    [LoggerMessage(3037, LogLevel.Information, "The source addresses in {Path} have changed, and are in force")]
    public static partial void SourcesTaken(this ILogger log, string path);

    [LoggerMessage(3038, LogLevel.Warning, "source={Source} is not used for a while: {Reply}")]
    public static partial void SourceFaulty(this ILogger log, string source, LogWords reply);

    [LoggerMessage(3039, LogLevel.Warning, "source={Source} is not used for a while: {Reply}, {Count} times more, not shown one by one")]
    public static partial void SourceFaultyAgain(this ILogger log, string source, LogWords reply, long count);

    [LoggerMessage(3040, LogLevel.Warning, "pool={Pool} {Recipients} recipient(s) are put off until {Until:u}: {Reply}")]
    public static partial void SourcesLacking(this ILogger log, string pool, LogWords reply, int recipients, DateTimeOffset until);

    [LoggerMessage(3041, LogLevel.Warning, "pool={Pool} {Count} batches more, not shown one by one, were put off: {Reply}")]
    public static partial void SourcesLackingAgain(this ILogger log, string pool, LogWords reply, long count);

    [LoggerMessage(3042, LogLevel.Warning, "{Count} message(s) of today's plan of {Source} could not be given back to storage")]
    public static partial void PlanNotGivenBack(this ILogger log, Exception error, int count, string source);

    [LoggerMessage(3013, LogLevel.Debug, "{Domain}: connection to {RemoteEndPoint} ended in mid-batch: {Reply}")]
    public static partial void ConnectionEnded(this ILogger log, LogWords domain, LogWords remoteEndPoint, LogWords reply);
}
