using Orleans;

namespace MailPipeline.Contracts;

/// <summary>
/// Command, Queue to Delivery: try these recipients of one domain once, over one SMTP connection where possible. The
/// worker must win the claim in storage before it speaks to anybody.
/// </summary>
/// <param name="Domain">The destination domain, lower case; also the name of the domain queue that waits for the report.</param>
/// <param name="ClaimId">Names this batch; the fence of every write that follows from it.</param>
public sealed record DeliverMessages(string Domain, long ClaimId, QueuedRecipient[] Recipients);

/// <summary>Command, Queue to Mailbox: put these messages into the maildrops of these local recipients.</summary>
public sealed record StoreMessages(string Domain, long ClaimId, QueuedRecipient[] Recipients);

/// <summary>A recipient that waits for an attempt, with what an attempt needs of its message's envelope.</summary>
/// <param name="RecipientId">See <see cref="RecipientIds"/>.</param>
/// <param name="Address">Forward-path without brackets, after aliases.</param>
/// <param name="Sender">Reverse-path without brackets; empty for the null sender.</param>
/// <param name="Attempts">Attempts already recorded; a claim is refused when storage counts more.</param>
/// <param name="Original">What the sender wrote, where an alias led on from there; else empty. For the log: nobody is written to there.</param>
[GenerateSerializer, Immutable]
public sealed record QueuedRecipient(
    [property: Id(0)] long RecipientId,
    [property: Id(1)] string Address,
    [property: Id(2)] string Sender,
    [property: Id(3)] long SizeBytes,
    [property: Id(4)] BodyType Body,
    [property: Id(5)] int Attempts,
    [property: Id(6)] DateTimeOffset AcceptedAt,
    [property: Id(7)] DateTimeOffset NextAttemptAt,
    [property: Id(8)] RecipientRoute Route,
    [property: Id(9)] string TraceParent,
    [property: Id(10)] string Original = "")
{
    public long MessageId => RecipientIds.MessageId(RecipientId);
}

/// <summary>Which service makes the attempt.</summary>
public enum RecipientRoute
{
    /// <summary>Delivery, by SMTP.</summary>
    Remote = 0,

    /// <summary>Mailbox, into a maildrop.</summary>
    Local = 1,
}
