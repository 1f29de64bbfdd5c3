namespace MailPipeline.Administration;

/// <summary>Who ends a wait.</summary>
public enum WaitOwner
{
    /// <summary>The router of Queue, which makes recipients out of an envelope.</summary>
    Router,

    /// <summary>The worker that holds the claim: Delivery, or Mailbox for a maildrop here.</summary>
    Worker,

    /// <summary>The queue of the recipient's domain.</summary>
    DomainQueue,

    /// <summary>The retry schedule, which set the time of the next attempt.</summary>
    RetrySchedule,

    /// <summary>An operator, and nobody else.</summary>
    Operator,
}

/// <summary>
/// Why a message, a recipient or a domain's mail waits: one of the records in this file, and of no others. Each has the one who ends
/// the wait, and its end where a time is set for it.
/// </summary>
public abstract record WaitReason
{
    private protected WaitReason(WaitOwner owner, DateTimeOffset? until = null) => (Owner, Until) = (owner, until);

    public WaitOwner Owner { get; }

    /// <summary>When the wait ends by itself; null where it depends on what somebody does.</summary>
    public DateTimeOffset? Until { get; }
}

/// <summary>The message is accepted, and the router has not seen it yet.</summary>
public sealed record NotRouted() : WaitReason(WaitOwner.Router);

/// <summary>Its sender wants it to leave no earlier than at a time (RFC 4865); the router takes it then.</summary>
public sealed record HeldBySender(DateTimeOffset At) : WaitReason(WaitOwner.Router, At);

/// <summary>A worker holds a claim of it: what becomes of the attempt is recorded, or the claim's lease ends.</summary>
public sealed record BeingTried() : WaitReason(WaitOwner.Worker);

/// <summary>Nothing keeps it from being tried; its domain's queue hands it out in turn.</summary>
public sealed record Due() : WaitReason(WaitOwner.DomainQueue);

/// <summary>An attempt was made, or a time was set, and the next one comes at a time of its own.</summary>
public sealed record NextAttempt(DateTimeOffset At) : WaitReason(WaitOwner.RetrySchedule, At);

/// <summary>No host of its domain can be reached, and none is tried before a time.</summary>
/// <param name="BackoffUntil">The end of the back-off, for all mail of the domain.</param>
/// <param name="Cause">What was last said, or what went wrong.</param>
/// <param name="At">The next attempt: not before the end of the back-off, nor before the recipient's own time.</param>
public sealed record BacksOff(DateTimeOffset BackoffUntil, string Cause, DateTimeOffset At) : WaitReason(WaitOwner.DomainQueue, At);

/// <summary>An operator has paused delivery, of all mail.</summary>
public sealed record Paused(DateTimeOffset Since, string Operator) : WaitReason(WaitOwner.Operator);

/// <summary>An operator holds it.</summary>
/// <param name="Operator">Empty when it is not known who it was.</param>
public sealed record HeldByOperator(DateTimeOffset Since, string Operator) : WaitReason(WaitOwner.Operator);

/// <summary>The pipeline holds it, and lets an operator decide.</summary>
public sealed record HeldBySystem(DateTimeOffset Since, string Cause) : WaitReason(WaitOwner.Operator);
