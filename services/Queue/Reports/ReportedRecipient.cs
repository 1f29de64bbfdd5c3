using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Queue.Reports;

/// <summary>What became of a recipient (RFC 3464 §2.3.3).</summary>
internal enum ReportAction
{
    Failed,

    /// <summary>It is tried again.</summary>
    Delayed,

    /// <summary>It is in a maildrop, here or behind a host that speaks LMTP.</summary>
    Delivered,

    /// <summary>A host took it that was not told what the sender wants to know.</summary>
    Relayed,

    /// <summary>The address led on to several.</summary>
    Expanded,
}

/// <summary>A recipient as a report tells of it.</summary>
/// <param name="Original">What the sender wrote, where an alias led on from there; else empty.</param>
/// <param name="OriginalRecipient">ORCPT, as <see cref="MailPipeline.Smtp.RcptDsn"/> has it; empty where there was none.</param>
/// <param name="Reply">What the far end said, or our own words; empty where there is nothing to say.</param>
/// <param name="RemoteHost">Who said it; empty where nobody did.</param>
internal sealed record ReportedRecipient(
    string Address, string Original, string OriginalRecipient, ReportAction Action, string Status, string Reply, string RemoteHost)
{
    /// <summary>Null where no attempt was made.</summary>
    public DateTimeOffset? LastAttemptAt { get; init; }

    /// <summary>When it is tried again; null where it is not.</summary>
    public DateTimeOffset? NextAttemptAt { get; init; }

    /// <summary>When it is given up; null where it is not tried again.</summary>
    public DateTimeOffset? RetriedUntil { get; init; }

    /// <summary>Its time was over, whatever the last attempt said.</summary>
    public bool IsExpired { get; init; }

    /// <summary>In some attempt contact was lost between the final dot and its reply: nobody may say that it did not arrive.</summary>
    public bool MayHaveArrived { get; init; }

    public static ReportedRecipient Of(UnreportedFailure failure)
    {
        var (isExpired, result) = (failure.State == RecipientState.Expired, failure.Result);
        // RFC 3463 §3.5: an expired message failed for good, whatever the last attempt said. So did one that an operator has given up with a reply that says to
        // try again; nobody says so of what may have arrived.
        var status = isExpired ? "5.4.7" : result is { Outcome: AttemptOutcome.Deferred, Status: ['4', .. var rest] } ? $"5{rest}" : result.Status;
        return new(
            failure.Address, failure.Original, failure.OriginalRecipient, ReportAction.Failed, status, result.Reply,
            result.RemoteHost)
        {
            LastAttemptAt = failure.WasTried ? result.FinishedAt : null,
            IsExpired = isExpired,
            MayHaveArrived = result.Outcome == AttemptOutcome.Uncertain,
        };
    }

    /// <param name="retriedUntil">When its time is over.</param>
    /// <param name="by">The time by which the sender wanted it delivered; null: he named none.</param>
    public static ReportedRecipient OfLate(TellableRecipient late, DateTimeOffset now, DateTimeOffset retriedUntil, DeliverBy? by)
    {
        var (status, reply, host) = late switch
        {
            { Last: { } last } => (last.Status.StartsWith('4') ? last.Status : "4.0.0", last.Reply, last.RemoteHost),
            // RFC 3463 §3.5: no host of the domain could be spoken to.
            { DomainReason.Length: > 0 } => ("4.4.1", late.DomainReason, ""),
            _ => ("4.3.2", "it waits for its turn in this system, and has not been tried yet", ""),
        };
        // RFC 2852 §4.1.2
        if (by?.At <= now)
            status = "4.4.7";
        return new(late.Address, late.Original, late.OriginalRecipient, ReportAction.Delayed, status, reply, host)
        {
            LastAttemptAt = late.Last?.FinishedAt,
            NextAttemptAt = late.NextAttemptAt > now ? late.NextAttemptAt : null,
            RetriedUntil = retriedUntil,
            MayHaveArrived = late.Last?.Outcome == AttemptOutcome.Uncertain,
        };
    }

    public static ReportedRecipient OfSucceeded(TellableRecipient ended)
    {
        var action = ended.State == RecipientState.Expanded ? ReportAction.Expanded
            : ended.Route == RecipientRoute.Local || ended.IsDeliveredThere ? ReportAction.Delivered : ReportAction.Relayed;
        return new(
            ended.Address, ended.Original, ended.OriginalRecipient, action, ended.Last?.Status ?? "2.0.0",
            // What a maildrop says of itself is nothing that a sender needs.
            action == ReportAction.Relayed ? ended.Last?.Reply ?? "" : "", ended.Last?.RemoteHost ?? "")
        {
            LastAttemptAt = ended.Last?.FinishedAt,
        };
    }
}
