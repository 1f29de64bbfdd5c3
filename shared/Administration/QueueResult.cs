using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>What waits for one domain, and why what is tried next of it waits.</summary>
/// <param name="BeingTried">Of the waiting ones, those that a worker tries.</param>
/// <param name="Failures">Attempts in a row in which no host of the domain could be reached.</param>
/// <param name="LastReply">What was last said, or what went wrong; empty when nothing was tried yet.</param>
public sealed record DomainWait(string Domain, long Waiting, long BeingTried, WaitReason Reason, int Failures, string LastReply)
{
    /// <summary>Where its mail goes, which other domains may have in common with it; empty before an attempt that left somebody waiting.</summary>
    public string Site { get; init; } = "";

    /// <summary>When its oldest message was accepted, or let go by its sender; null: not known any more.</summary>
    public DateTimeOffset? OldestAt { get; init; }
}

/// <summary>What waits, for whom and why.</summary>
/// <param name="Pause">Since when delivery is paused and by whom; null when it is not.</param>
/// <param name="Waiting">Recipients that wait for an attempt or are being tried.</param>
/// <param name="Unrouted">Messages that the router has not seen.</param>
/// <param name="Batches">Batches that workers are trying.</param>
/// <param name="Unreported">Failures that the senders have not been told of yet.</param>
/// <param name="Held">Recipients that are held.</param>
/// <param name="HeldMessages">Their messages, the oldest of them.</param>
/// <param name="Domains">Those with most recipients, most first.</param>
/// <param name="HasMoreDomains">There are others besides.</param>
public sealed record QueueOverview(
    Paused? Pause, long Waiting, long Unrouted, long Batches, long Unreported, long Held, IReadOnlyList<HeldMessage> HeldMessages,
    bool HasMoreHeldMessages, IReadOnlyList<DomainWait> Domains, bool HasMoreDomains)
{
    /// <summary>Messages that their senders want to leave later; they are counted nowhere else.</summary>
    public long HeldBySenders { get; init; }

    /// <summary>As of when recipients and domains were counted; null: for this question.</summary>
    public DateTimeOffset? SampledAt { get; init; }
}

/// <summary>What waits and has something in common.</summary>
/// <param name="Key">The domain, the site (empty: not known before an attempt), the word of the reason, the sender (empty: reports).</param>
/// <param name="OldestAt">When its oldest message was accepted, or let go by its sender; null: not known.</param>
/// <param name="Wait">Why what is tried next of a domain waits; null for other groups.</param>
/// <param name="Due">Those that nobody tries, though their time has come and their domain does not back off.</param>
/// <param name="NextAt">The next attempt of the others; null: there are none, or no time is set.</param>
/// <param name="LastReply">What was last said to mail of it that waits; empty when nothing of it was tried.</param>
public sealed record QueueGroup(
    string Key, long Waiting, long BeingTried, DateTimeOffset? OldestAt, WaitReason? Wait, long Due, DateTimeOffset? NextAt, string LastReply);

/// <summary>All that waits, in groups.</summary>
/// <param name="SampledAt">As of when it was counted; null: for this question.</param>
/// <param name="Now">When it was asked for.</param>
/// <param name="Waiting">In all groups. By reason also recipients that are held, and messages that are not routed.</param>
public sealed record QueueGroups(
    WaitingBy By, DateTimeOffset? SampledAt, DateTimeOffset Now, long Waiting, IReadOnlyList<QueueGroup> Groups, bool HasMore);

/// <summary>A recipient that waits, or a message that is not routed with all of its recipients.</summary>
/// <param name="Domain">Empty: it is not routed.</param>
/// <param name="AcceptedAt">When it was accepted, or let go by its sender.</param>
/// <param name="Last">The last attempt; null: it was never tried.</param>
public sealed record QueueEntry(
    long MessageId, string Sender, IReadOnlyList<string> Recipients, string Domain, DateTimeOffset AcceptedAt, WaitReason Wait, int Attempts, LastAttempt? Last);

/// <summary>What a search has found.</summary>
/// <param name="Looked">Recipients and messages that were looked through.</param>
/// <param name="Next">Where to go on; null: all was looked through.</param>
public sealed record QueueListing(IReadOnlyList<QueueEntry> Entries, long Looked, QueuePlace? Next);

/// <summary>What became of pausing or resuming delivery: one of the records in this file, and of no others.</summary>
public abstract record QueueResult
{
    private protected QueueResult(ActStatus status) => Status = status;

    public ActStatus Status { get; }
}

/// <summary>Within seconds nothing more is handed out, and what is being tried is finished. Mail is accepted as before.</summary>
public sealed record DeliveryPausedNow() : QueueResult(ActStatus.Done);

public sealed record DeliveryPausedAlready() : QueueResult(ActStatus.NotDone);

/// <param name="Ended">The pause that was.</param>
public sealed record DeliveryResumed(Paused Ended) : QueueResult(ActStatus.Done);

/// <summary>Delivery is not paused here; a server with Queue:DeliveryPaused keeps to its setting.</summary>
public sealed record DeliveryNotPaused() : QueueResult(ActStatus.NotDone);

/// <param name="Messages">That waited for the domain, and are due.</param>
public sealed record QueueFlushed(string Domain, long Messages) : QueueResult(ActStatus.Done);

public sealed record NothingToFlush(string Domain) : QueueResult(ActStatus.NotDone);

/// <summary>Delivery is paused: nothing would be handed out, and nothing was changed.</summary>
public sealed record FlushWhilePaused(string Domain) : QueueResult(ActStatus.NotDone);
