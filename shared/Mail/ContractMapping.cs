using MailPipeline.Contracts;
using MailPipeline.Smtp;

namespace MailPipeline.Mail;

/// <summary>
/// Mail as the services say it to each other, and back. Nothing else knows both forms: what changes on the wire changes here, and what
/// storage keeps stays as it is.
/// </summary>
public static class ContractMapping
{
    private const int RedirectedAttempts = 1_000_000;

    public static MessageAccepted ToMessageAccepted(this Envelope[] envelopes) => new(
        Array.ConvertAll(envelopes, envelope => envelope.MessageId), Array.ConvertAll(envelopes, ToContract));

    public static AcceptedMessage ToContract(this Envelope envelope) => new(
        envelope.MessageId, envelope.Sender, envelope.Recipients, envelope.SizeBytes, (int)envelope.Body, envelope.AcceptedAt,
        envelope.TraceParent, envelope.Flow, envelope.HoldReason, envelope.Dsn?.ToText() ?? "", envelope.Timing?.ToText() ?? "",
        envelope.HeaderId);

    public static Envelope ToEnvelope(this AcceptedMessage message) => new(
        message.MessageId, message.Sender, message.Recipients, message.SizeBytes, (BodyType)message.Body, message.AcceptedAt,
        message.TraceParent, message.Flow ?? "", message.HoldReason ?? "", EnvelopeDsn.Parse(message.Dsn ?? ""),
        message.Timing is { Length: > 0 } timing ? MailTiming.Parse(timing) : null, HeaderId: message.HeaderId ?? "");

    /// <summary>The endpoint of batches to recipients of this route; a domain that could not be reached has one of its own.</summary>
    public static string EndpointOf(RecipientRoute route, bool isFailing) =>
        route == RecipientRoute.Local ? BusEndpoints.Store : isFailing ? BusEndpoints.DeliverRetry : BusEndpoints.Deliver;

    public static QueuedRecipient ToContract(this Recipient recipient) => new(
        recipient.RecipientId, recipient.Address, recipient.Sender, recipient.SizeBytes, (int)recipient.Body, recipient.Attempts,
        recipient.AcceptedAt, recipient.NextAttemptAt, (int)recipient.Route, recipient.TraceParent, recipient.Original, recipient.Flow,
        recipient.Priority);

    public static Recipient ToRecipient(this QueuedRecipient recipient) => new(
        recipient.RecipientId, recipient.Address, recipient.Sender, recipient.SizeBytes, (BodyType)recipient.Body, recipient.Attempts,
        recipient.AcceptedAt, recipient.NextAttemptAt, (RecipientRoute)recipient.Route, recipient.TraceParent, recipient.Original ?? "",
        recipient.Flow ?? "", recipient.Priority);

    public static BatchCommand ToBatchCommand(this DeliverMessages command) =>
        new(
            command.BatchId, command.Domain, Array.ConvertAll(command.Recipients, recipient => OfWorker(recipient, command.RedirectTo is not null)), command.Site,
            command.SiteEpoch, command.EndsConnection, command.Sender, command.SenderEpoch, command.RedirectTo, command.MayKeep, command.KeptAfter, command.MessagesPerConnection);

    public static BatchCommand ToBatchCommand(this StoreMessages command) =>
        new(command.BatchId, command.Domain, Array.ConvertAll(command.Recipients, ToRecipient));

    public static DeliverMessages ToDeliverMessages(this BatchCommand command) =>
        new(
            command.Domain, command.BatchId, Array.ConvertAll(command.Recipients, recipient => ToWorker(recipient, command.RedirectTo is not null)), command.Site,
            command.SiteEpoch, command.EndsConnection, command.Sender, command.SenderEpoch, command.RedirectTo, command.MayKeep, command.KeptAfter, command.MessagesPerConnection);

    public static StoreMessages ToStoreMessages(this BatchCommand command) =>
        new(command.Domain, command.BatchId, Array.ConvertAll(command.Recipients, ToContract));

    public static AttemptsCompleted ToContract(this AttemptReport report) => new(
        report.Domain, report.ClaimId, Array.ConvertAll(report.Results, ToContract), report.Unreachable, report.NothingWon, report.GoesOn,
        report.HasEnded, report.Site, report.BatchId, report.IsElsewhere, (int)report.SiteState, report.KeptBy, report.IsRedirected);

    /// <summary>Of no claim nothing can be recorded; a worker that knows no claims of their own took the batch's number for one.</summary>
    public static AttemptReport ToReport(this AttemptsCompleted report) => new(
        report.Domain, report.BatchId != 0 ? report.BatchId : report.ClaimId, report.ClaimId, Array.ConvertAll(report.Results, ToResult),
        report.Unreachable, report.NothingWon || report.ClaimId == 0, report.GoesOn, report.HasEnded, report.Site ?? "", report.IsElsewhere,
        Enum.IsDefined((SiteState)report.SiteState) ? (SiteState)report.SiteState : SiteState.Unsaid, report.KeptBy ?? "", report.IsRedirected);

    /// <summary>
    /// What a worker that knows no REQUIRETLS would send in clear text, and what one that knows no other next hop would send to the domain's hosts, it gets with
    /// a number of attempts that nobody has had: it wins no claim, and the recipient waits for another worker.
    /// </summary>
    private static QueuedRecipient ToWorker(Recipient recipient, bool isRedirected)
    {
        var wire = recipient.ToContract();
        if (isRedirected)
            wire = wire with { Attempts = wire.Attempts + RedirectedAttempts };
        return recipient.Body.HasFlag(BodyType.RequireTls) ? Turned(wire) : wire;
    }

    private static Recipient OfWorker(QueuedRecipient recipient, bool isRedirected)
    {
        var own = recipient.Attempts < 0 ? Turned(recipient) : recipient;
        return ToRecipient(isRedirected ? own with { Attempts = own.Attempts - RedirectedAttempts } : own);
    }

    private static QueuedRecipient Turned(QueuedRecipient recipient) => recipient with { Attempts = ~recipient.Attempts };

    private static CompletedAttempt ToContract(AttemptResult result) => new(
        result.RecipientId, (int)result.Outcome, result.Status, result.Reply, result.RemoteHost, result.StartedAt, result.FinishedAt,
        result.Tls?.ToText() ?? "", result.Worker, result.NotBefore);

    /// <summary>An outcome that is none of ours is in doubt: the recipient is tried again later.</summary>
    private static AttemptResult ToResult(CompletedAttempt result) => new(
        result.RecipientId, Enum.IsDefined((AttemptOutcome)result.Outcome) ? (AttemptOutcome)result.Outcome : AttemptOutcome.Deferred,
        result.Status, result.Reply, result.RemoteHost, result.StartedAt, result.FinishedAt, Tls: AttemptTls.Parse(result.Tls), Worker: result.Worker ?? "")
        {
            NotBefore = result.NotBefore,
        };
}
