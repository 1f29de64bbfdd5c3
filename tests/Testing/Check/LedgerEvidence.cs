namespace MailPipeline.Testing;

/// <summary>Everything a run is judged by. Only records: the checker asks nobody.</summary>
public sealed record LedgerEvidence
{
    /// <summary>All ledgers of the run together. The records of one maildrop must be in their order.</summary>
    public required IReadOnlyList<LedgerRecord> Records { get; init; }

    /// <summary>
    /// Copies that may exist beyond one for each time a message was handed in: zero without faults, else the attempts that
    /// were between final dot and recorded outcome at each fault.
    /// </summary>
    public int DuplicateBudget { get; init; }

    /// <summary>What the system itself counted as uncertain; null when it is not asked. Duplicates may not exceed it.</summary>
    public int? UncertainCounted { get; init; }

    /// <summary>
    /// The addresses of those attempts, one for each; null when they are not asked. An attempt in doubt explains one more copy for its
    /// recipient, and none for anybody else.
    /// </summary>
    public IReadOnlyList<string>? UncertainRecipients { get; init; }

    /// <summary>What was left some seconds after the last fault: due recipients, unrouted messages, claims, bytes without an owner.</summary>
    public IReadOnlyList<Remainder> Remaining { get; init; } = [];

    /// <summary>Things that had to happen in time while something else was broken.</summary>
    public IReadOnlyList<LivenessSample> Liveness { get; init; } = [];
}

/// <summary>What was left after a run, by name; anything but zero is a finding.</summary>
public sealed record Remainder(string What, long Count);

/// <summary>How long something took that had to go on; null when it never came.</summary>
public sealed record LivenessSample(string What, TimeSpan? Took, TimeSpan Bound);

/// <summary>A broken promise, with the message and recipient it was broken for where there is one.</summary>
public sealed record Violation(ViolationKind Kind, string Token, string Recipient, string Detail)
{
    public override string ToString() => $"{Kind} token={Token} recipient={Recipient}: {Detail}";
}

/// <summary>The findings of the checker, grouped by the invariant they break.</summary>
public enum ViolationKind
{
    // I1: accepted means one outcome.

    /// <summary>Accepted, and neither delivered nor bounced.</summary>
    Lost,

    /// <summary>Handed in once, delivered and bounced.</summary>
    DeliveredAndBounced,

    /// <summary>More different notifications of failure than times it was accepted.</summary>
    BouncedTwice,

    /// <summary>Bounced although the far end takes it.</summary>
    UnexpectedBounce,

    /// <summary>Delivered although the far end refuses it for good.</summary>
    UnexpectedDelivery,

    /// <summary>The notification has another status than the refusal.</summary>
    WrongStatus,

    /// <summary>A notification about a message with the null sender (RFC 5321 §6.1).</summary>
    NullSenderBounced,

    /// <summary>A notification that went to somebody else than the sender.</summary>
    MisdirectedBounce,

    // I9: reports as they were asked for.

    /// <summary>Somebody was told of what he did not want to hear of.</summary>
    ReportUnasked,

    /// <summary>Somebody who wanted to hear of success did not.</summary>
    ReportMissing,

    /// <summary>More different notifications of success or delay than times it was handed in.</summary>
    ReportedTwice,

    /// <summary>Success was reported, and there is none.</summary>
    ReportFalse,

    /// <summary>It says another thing than what happened, or returns another part of the message than was asked for.</summary>
    ReportWrong,

    // I2: refused means nothing happens.

    RefusedDelivered,
    RefusedBounced,

    // I3: no answer.

    /// <summary>The last word on a message is still missing: the run did not send it again.</summary>
    Unresolved,

    // I4: nothing that was not sent.

    /// <summary>Delivered, but in no ledger.</summary>
    Phantom,

    /// <summary>A notification about a message or a recipient in no ledger.</summary>
    PhantomBounce,

    /// <summary>Delivered to somebody it was not addressed to.</summary>
    Misdelivered,

    /// <summary>Delivered with other bytes: truncated, mixed, rewritten.</summary>
    Damaged,

    // I5: duplicates.

    DuplicatesOverBudget,
    DuplicatesUncounted,

    /// <summary>More copies for one recipient than attempts that ended in doubt there, whatever was in doubt elsewhere.</summary>
    DuplicatesUnexplained,

    // I6, I7.

    NotDrained,
    Stalled,

    // I8: maildrops.

    /// <summary>A message is gone that nobody deleted.</summary>
    MaildropLost,

    /// <summary>A message is back whose deletion was confirmed.</summary>
    DeletedReturned,

    /// <summary>A unique id names other bytes than before.</summary>
    UidReused,

    /// <summary>A listing names one unique id twice (RFC 1939 §7).</summary>
    UidRepeated,

    /// <summary>A listed message could not be read.</summary>
    MaildropUnreadable,
}
