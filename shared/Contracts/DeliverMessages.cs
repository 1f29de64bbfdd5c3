using System.Text.Json.Serialization;
using Orleans;

namespace MailPipeline.Contracts;

/// <summary>
/// Command, Queue to Delivery: try these recipients of one domain once, over one SMTP connection where possible. The
/// worker must win a claim of its own in storage before it speaks to anybody.
/// </summary>
/// <param name="Site">Whose permit the batch has: a worker whom DNS leads to another site hands it back untried. Empty: no site is known; null: it goes wherever DNS leads.</param>
/// <param name="SiteEpoch">Without it, where it is not 0, no claim is won: the permit was given by somebody whose place another has taken.</param>
/// <param name="EndsConnection">The connection is counted: it is not kept for whatever batch follows on this worker.</param>
/// <param name="Sender">Whose rate the batch has a permit of; null: of nobody's.</param>
/// <param name="SenderEpoch">As of the site's permit: where another has taken the place of who gave it, no claim is won.</param>
/// <param name="RedirectTo">Where it goes in the place of the domain's hosts, as an operator says: host:port, or with lmtp: before it. Null: to these.</param>
/// <param name="MayKeep">It may be kept for the batch that has its permit next: the report says where (<see cref="AttemptsCompleted.KeptBy"/>).</param>
/// <param name="KeptAfter">The batch that left the connection that this one is to go over, on this worker; 0: none did.</param>
/// <param name="MessagesPerConnection">A connection takes no more messages than these; 0: nothing is said of it.</param>
public sealed record DeliverMessages(
    string Domain, [property: JsonPropertyName("claimId")] long BatchId, QueuedRecipient[] Recipients, string? Site = null, long SiteEpoch = 0, bool EndsConnection = false,
    string? Sender = null, long SenderEpoch = 0, string? RedirectTo = null, bool MayKeep = false, long KeptAfter = 0, int MessagesPerConnection = 0);

/// <summary>Command, Queue to Mailbox: put these messages into the maildrops of these local recipients.</summary>
public sealed record StoreMessages(string Domain, [property: JsonPropertyName("claimId")] long BatchId, QueuedRecipient[] Recipients);

/// <summary>A recipient that waits for an attempt, with what an attempt needs of its message's envelope.</summary>
/// <param name="Body">As storage numbers what a content needs.</param>
/// <param name="Attempts">So far; the worker's claim names it. In a command to Delivery, of a message with REQUIRETLS, its bitwise complement, and of one with another next hop a million more:
/// workers that do not know that win no claim.</param>
/// <param name="Route">As storage numbers routes.</param>
/// <param name="Priority">Among others of the same sender, the highest first.</param>
[GenerateSerializer, Immutable]
public sealed record QueuedRecipient(
    [property: Id(0)] long RecipientId,
    [property: Id(1)] string Address,
    [property: Id(2)] string Sender,
    [property: Id(3)] long SizeBytes,
    [property: Id(4)] int Body,
    [property: Id(5)] int Attempts,
    [property: Id(6)] DateTimeOffset AcceptedAt,
    [property: Id(7)] DateTimeOffset NextAttemptAt,
    [property: Id(8)] int Route,
    [property: Id(9)] string TraceParent,
    [property: Id(10)] string Original,
    [property: Id(11)] string Flow,
    [property: Id(12)] int Priority = 0);
