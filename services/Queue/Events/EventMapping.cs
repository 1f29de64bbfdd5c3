using MailPipeline.Contracts;
using MailPipeline.Mail;

namespace MailPipeline.Queue.Events;

/// <summary>An event in words for others.</summary>
internal static class EventMapping
{
    /// <summary>As the bus and pages are told of it.</summary>
    public static MailEventRecorded ToContract(this WaitingEvent happened) => new(
        happened.Id, happened.Kind.ToString().ToLowerInvariant(), happened.At, MessageIds.ToText(RecipientIds.MessageId(happened.RecipientId)), happened.HeaderId,
        happened.Sender, happened.AccountAddress, happened.Recipient, happened.Original, happened.Domain, happened.Host, happened.Status, happened.Reply,
        happened.Class == ReplyClass.None ? "" : happened.Class.ToString().ToLowerInvariant(), happened.Kind == EventKind.Complained ? 0 : (int)happened.Number, happened.NextAttemptAt,
        happened.Details.HasFlag(EventDetails.Held), happened.Details.HasFlag(EventDetails.Expired), happened.Details.HasFlag(EventDetails.Uncertain), happened.EnvelopeId,
        happened.Complaint is { } complaint
            ? new MailFeedback(complaint.Feedback, complaint.Reporter, complaint.Host, complaint.Source, complaint.Original, MessageIds.ToText(complaint.ReportId), complaint.IsTrusted) : null);
}
