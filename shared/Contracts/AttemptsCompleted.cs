using Orleans;

namespace MailPipeline.Contracts;

/// <summary>
/// Event, Delivery or Mailbox to the domain's queue: what became of one batch under one worker's claim. A hint: when it is lost, the claim's lease runs out and
/// the recipients become due again.
/// </summary>
/// <param name="ClaimId">Of the worker alone; 0 where he won none.</param>
/// <param name="Site">What the domain has in common with others whose mail goes to the same hosts; empty where none were found, or none are needed.</param>
/// <param name="BatchId">As the command names it; 0: the number in <paramref name="ClaimId"/> is its own.</param>
/// <param name="IsElsewhere">Nothing was claimed or tried, because the batch has no permit of <paramref name="Site"/>, or one that counts no more.</param>
/// <param name="SiteState">How the hosts of the site behaved, by number; 0: nothing is said of it.</param>
/// <param name="KeptBy">The endpoint of the worker that keeps the connection, for a short while, for the batch that has its permit next; empty: it has ended.</param>
/// <param name="IsRedirected">It went where an operator leads it, and not to the domain's hosts; null: the worker does not say.</param>
[GenerateSerializer, Immutable]
public sealed record AttemptsCompleted(
    [property: Id(0)] string Domain,
    [property: Id(1)] long ClaimId,
    [property: Id(2)] CompletedAttempt[] Results,
    [property: Id(3)] bool Unreachable,
    [property: Id(4)] bool NothingWon = false,
    [property: Id(5)] bool GoesOn = false,
    [property: Id(6)] bool HasEnded = false,
    [property: Id(7)] string Site = "",
    [property: Id(8)] long BatchId = 0,
    [property: Id(9)] bool IsElsewhere = false,
    [property: Id(10)] int SiteState = 0,
    [property: Id(11)] string KeptBy = "",
    [property: Id(12)] bool? IsRedirected = null);

/// <summary>One attempt for one recipient.</summary>
/// <param name="Outcome">As storage numbers outcomes.</param>
/// <param name="Tls">As storage writes it; empty where nothing is known of it.</param>
/// <param name="Worker">The process that made it, and the address it spoke from; empty where it is not known.</param>
/// <param name="NotBefore">No host was spoken to, because of what we lack ourselves, and there is no use in trying before; null: the schedule decides.</param>
[GenerateSerializer, Immutable]
public sealed record CompletedAttempt(
    [property: Id(0)] long RecipientId,
    [property: Id(1)] int Outcome,
    [property: Id(2)] string Status,
    [property: Id(3)] string Reply,
    [property: Id(4)] string RemoteHost,
    [property: Id(5)] DateTimeOffset StartedAt,
    [property: Id(6)] DateTimeOffset FinishedAt,
    [property: Id(7)] string Tls = "",
    [property: Id(8)] string Worker = "",
    [property: Id(9)] DateTimeOffset? NotBefore = null);
