using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>
/// Says why mail waits, out of what the queue obeys as of one moment. Never a time that has passed: what has come is
/// <see cref="Due"/>.
/// </summary>
/// <param name="Backoffs">Of the domains that are asked about; one that is missing does not back off.</param>
internal sealed record WaitRules(DateTimeOffset Now, DeliveryPaused? Pause, IReadOnlyDictionary<string, DomainBackoff> Backoffs)
{
    /// <summary>Null: the recipient has its outcome, and waits no more.</summary>
    public WaitReason? Of(RecipientTimeline recipient, IReadOnlyList<AuditEntry> audit) => recipient.State switch
    {
        RecipientState.Queued when recipient.Claimed => new BeingTried(),
        RecipientState.Queued => Waiting(Backoffs.GetValueOrDefault(recipient.Domain, DomainBackoff.None), recipient.NextAttemptAt),
        RecipientState.Held when recipient.HoldReason.Length > 0 => new HeldBySystem(recipient.UpdatedAt, recipient.HoldReason),
        RecipientState.Held => new HeldByOperator(
            recipient.UpdatedAt, audit.LastOrDefault(entry => entry.Action == OperatorAction.Held)?.Operator ?? ""),
        _ => null,
    };

    /// <summary>The reason of a message that the router has not seen.</summary>
    public WaitReason OfUnrouted(MessageTimeline message) => message.ReleaseAt is { } at && at > Now ? new HeldBySender(at) : new NotRouted();

    /// <summary>The reason of what is tried next of a domain.</summary>
    public WaitReason Of(DomainSummary domain) => domain.Claimed == domain.Queued
        ? new BeingTried()
        : Waiting(new DomainBackoff(domain.Failures, domain.BackoffUntil, domain.Reason), domain.NextAttemptAt);

    // In the order in which the queue asks.
    private WaitReason Waiting(DomainBackoff backoff, DateTimeOffset nextAttemptAt)
    {
        if (Pause is { } pause)
            return new Paused(pause.Since, pause.Operator);
        if (backoff.BackoffUntil > Now)
        {
            return new BacksOff(
                backoff.BackoffUntil, backoff.Reason, nextAttemptAt > backoff.BackoffUntil ? nextAttemptAt : backoff.BackoffUntil);
        }
        return nextAttemptAt > Now ? new NextAttempt(nextAttemptAt) : new Due();
    }
}
