using MailPipeline.Contracts;

namespace MailPipeline.Mail;

/// <summary>
/// Mail as the services say it to each other, and back. Nothing else knows both forms: what changes on the wire changes here, and what
/// storage keeps stays as it is.
/// </summary>
public static class ContractMapping
{
    public static MessageAccepted ToMessageAccepted(this Envelope[] envelopes) => new(
        Array.ConvertAll(envelopes, envelope => envelope.MessageId), Array.ConvertAll(envelopes, ToContract));

    public static AcceptedMessage ToContract(this Envelope envelope) => new(
        envelope.MessageId, envelope.Sender, envelope.Recipients, envelope.SizeBytes, (int)envelope.Body, envelope.AcceptedAt,
        envelope.TraceParent, envelope.Flow, envelope.HoldReason, envelope.Dsn?.ToText() ?? "");

    public static Envelope ToEnvelope(this AcceptedMessage message) => new(
        message.MessageId, message.Sender, message.Recipients, message.SizeBytes, (BodyType)message.Body, message.AcceptedAt,
        message.TraceParent, message.Flow ?? "", message.HoldReason ?? "", EnvelopeDsn.Parse(message.Dsn ?? ""));

    public static QueuedRecipient ToContract(this Recipient recipient) => new(
        recipient.RecipientId, recipient.Address, recipient.Sender, recipient.SizeBytes, (int)recipient.Body, recipient.Attempts,
        recipient.AcceptedAt, recipient.NextAttemptAt, (int)recipient.Route, recipient.TraceParent, recipient.Original, recipient.Flow);

    public static Recipient ToRecipient(this QueuedRecipient recipient) => new(
        recipient.RecipientId, recipient.Address, recipient.Sender, recipient.SizeBytes, (BodyType)recipient.Body, recipient.Attempts,
        recipient.AcceptedAt, recipient.NextAttemptAt, (RecipientRoute)recipient.Route, recipient.TraceParent, recipient.Original ?? "",
        recipient.Flow ?? "");

    public static Claim ToClaim(this DeliverMessages command) =>
        new(command.ClaimId, command.Domain, Array.ConvertAll(command.Recipients, ToRecipient));

    public static Claim ToClaim(this StoreMessages command) =>
        new(command.ClaimId, command.Domain, Array.ConvertAll(command.Recipients, ToRecipient));

    public static DeliverMessages ToDeliverMessages(this Claim claim) =>
        new(claim.Domain, claim.Id, Array.ConvertAll(claim.Recipients, ToContract));

    public static StoreMessages ToStoreMessages(this Claim claim) =>
        new(claim.Domain, claim.Id, Array.ConvertAll(claim.Recipients, ToContract));

    public static AttemptsCompleted ToContract(this AttemptReport report) => new(
        report.Domain, report.ClaimId, Array.ConvertAll(report.Results, ToContract), report.Unreachable, report.NothingWon, report.GoesOn,
        report.HasEnded, report.Site);

    public static AttemptReport ToReport(this AttemptsCompleted report) => new(
        report.Domain, report.ClaimId, Array.ConvertAll(report.Results, ToResult), report.Unreachable, report.NothingWon, report.GoesOn,
        report.HasEnded, report.Site ?? "");

    private static CompletedAttempt ToContract(AttemptResult result) => new(
        result.RecipientId, (int)result.Outcome, result.Status, result.Reply, result.RemoteHost, result.StartedAt, result.FinishedAt);

    /// <summary>An outcome that is none of ours is in doubt: the recipient is tried again later.</summary>
    private static AttemptResult ToResult(CompletedAttempt result) => new(
        result.RecipientId, Enum.IsDefined((AttemptOutcome)result.Outcome) ? (AttemptOutcome)result.Outcome : AttemptOutcome.Deferred,
        result.Status, result.Reply, result.RemoteHost, result.StartedAt, result.FinishedAt);
}
