using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>Who ends a wait.</summary>
public enum WaitOwner
{
    /// <summary>The router of Queue, which makes recipients out of an envelope.</summary>
    Router,

    /// <summary>The worker that holds the claim, or one that is not there yet: Delivery, or Mailbox for a maildrop here.</summary>
    Worker,

    /// <summary>The queue of the recipient's domain.</summary>
    DomainQueue,

    /// <summary>What domains whose mail goes to the same hosts have in common.</summary>
    Site,

    /// <summary>The rate of its sender, whatever the domain.</summary>
    SenderRate,

    /// <summary>The retry schedule, which set the time of the next attempt.</summary>
    RetrySchedule,

    /// <summary>An operator, and nobody else.</summary>
    Operator,
}

/// <summary>
/// Why a message, a recipient or a domain's mail waits: one of the records in this file, and of no others, each for one of
/// <see cref="WaitKind"/>. Each has the one who ends the wait, and its end where a time is set for it.
/// </summary>
public abstract record WaitReason
{
    private protected WaitReason(WaitKind kind, WaitOwner owner, DateTimeOffset? until = null) => (Kind, Owner, Until) = (kind, owner, until);

    public WaitKind Kind { get; }

    public WaitOwner Owner { get; }

    /// <summary>When the wait ends by itself; null where it depends on what somebody does.</summary>
    public DateTimeOffset? Until { get; }
}

/// <summary>The message is accepted, and the router has not seen it yet.</summary>
public sealed record NotRouted() : WaitReason(WaitKind.NotRouted, WaitOwner.Router);

/// <summary>Its sender wants it to leave no earlier than at a time (RFC 4865); the router takes it then.</summary>
public sealed record HeldBySender(DateTimeOffset At) : WaitReason(WaitKind.HeldBySender, WaitOwner.Router, At);

/// <summary>A worker holds a claim of it: what becomes of the attempt is recorded, or the claim's lease ends.</summary>
public sealed record BeingTried() : WaitReason(WaitKind.BeingTried, WaitOwner.Worker);

/// <summary>Nothing keeps it from being tried; its domain's queue is about to hand it out.</summary>
public sealed record Due() : WaitReason(WaitKind.Due, WaitOwner.DomainQueue);

/// <summary>What the last attempt came to.</summary>
/// <param name="Host">Empty: none was spoken to.</param>
public sealed record LastAttempt(string Status, string Reply, string Host);

/// <summary>An attempt was made, or a time was set, and the next one comes at a time of its own.</summary>
/// <param name="After">Null: it was never tried, or what is told of are several recipients.</param>
public sealed record NextAttempt(DateTimeOffset At, LastAttempt? After = null) : WaitReason(WaitKind.NextAttempt, WaitOwner.RetrySchedule, At);

/// <summary>No host of its domain can be reached, and none is tried before a time.</summary>
/// <param name="BackoffUntil">The end of the back-off, for all mail of the domain.</param>
/// <param name="Cause">What was last said, or what went wrong.</param>
/// <param name="At">The next attempt: not before the end of the back-off, nor before the recipient's own time.</param>
public sealed record BacksOff(DateTimeOffset BackoffUntil, string Cause, DateTimeOffset At) : WaitReason(WaitKind.BacksOff, WaitOwner.DomainQueue, At);

/// <summary>It is due, and as many batches of its domain are under way as are allowed. The next one comes when one of them ends.</summary>
/// <param name="Batches">Under way.</param>
public sealed record DomainLimit(long Batches) : WaitReason(WaitKind.DomainLimit, WaitOwner.DomainQueue);

/// <summary>It is due, and as many connections to its site are open as are allowed. The next one comes when one of them ends.</summary>
/// <param name="Domains">That wait for one.</param>
public sealed record SiteLimit(string Site, int Connections, int Domains) : WaitReason(WaitKind.SiteLimit, WaitOwner.Site);

/// <summary>It is due, and as many messages have been sent to its site, or by its sender, lately as are allowed.</summary>
/// <param name="Site">Empty where it is a sender's rate.</param>
/// <param name="Domains">That wait for their turn; 0: that is not known.</param>
/// <param name="Sender">Whose rate it is: an account, a domain, or nothing for reports; null where it is the site's, or that of several senders.</param>
public sealed record RateLimit(string Site, int Domains, string? Sender = null) : WaitReason(WaitKind.RateLimit, Site.Length > 0 ? WaitOwner.Site : WaitOwner.SenderRate);

/// <summary>It is due, and so are more of its domain than its queue has room for: others come first.</summary>
public sealed record SenderTurn() : WaitReason(WaitKind.SenderTurn, WaitOwner.DomainQueue);

/// <summary>It is due, and nobody takes batches of its kind.</summary>
/// <param name="Endpoint">Of the bus.</param>
/// <param name="BusRefuses">The bus takes nothing for it; else no worker consumes it.</param>
public sealed record NoWorker(string Endpoint, bool BusRefuses, DateTimeOffset Since) : WaitReason(WaitKind.NoWorker, WaitOwner.Worker);

/// <summary>Delivery of all mail is paused.</summary>
/// <param name="Operator">Who paused it, or the setting that did.</param>
public sealed record Paused(DateTimeOffset Since, string Operator) : WaitReason(WaitKind.Paused, WaitOwner.Operator);

/// <summary>An operator holds it.</summary>
/// <param name="Operator">Empty when it is not known who it was.</param>
/// <param name="Rule">The rule by which he does; empty: he holds its message.</param>
/// <param name="Why">As he says of the rule.</param>
/// <param name="Ends">Of the rule; null: it has no end.</param>
public sealed record HeldByOperator(DateTimeOffset Since, string Operator, string Rule = "", string Why = "", DateTimeOffset? Ends = null)
    : WaitReason(WaitKind.HeldByOperator, WaitOwner.Operator, Ends);

/// <summary>By a rule of an operator nothing is tried for its destination.</summary>
/// <inheritdoc cref="HeldByOperator"/>
public sealed record Suspended(DateTimeOffset Since, string Operator, string Rule, string Why, DateTimeOffset? Ends)
    : WaitReason(WaitKind.Suspended, WaitOwner.Operator, Ends);

/// <summary>The pipeline, or a rule at the door, holds it, and lets an operator decide.</summary>
public sealed record HeldBySystem(DateTimeOffset Since, string Cause) : WaitReason(WaitKind.HeldBySystem, WaitOwner.Operator);
