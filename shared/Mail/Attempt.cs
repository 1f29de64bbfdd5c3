namespace MailPipeline.Mail;

/// <summary>The result of one attempt for one recipient.</summary>
/// <param name="Status">Enhanced status code (RFC 3463), e.g. "2.0.0", "4.4.1"; never empty.</param>
/// <param name="Reply">The remote reply in one line, or our own words for what happened before one came.</param>
/// <param name="RemoteHost">Name and address of the host that answered, e.g. "mx.example.net[192.0.2.1]:25"; empty if none.</param>
/// <param name="ReportsHandedOn">That host offers DSN and was told what the sender wants to know: from its 250 on it is the one to report.</param>
/// <param name="IsFinal">That host delivers itself (LMTP): with its 250 the message is where it was to go, and its sender may want to know.</param>
/// <param name="TellsOfRelay">The sender is to be told that this host took it, unless he wants no reports at all (RFC 2852 §4.1.4).</param>
/// <param name="Tls">Under what TLS it was made, and why; null where no host was spoken to, or none is needed.</param>
/// <param name="Worker">The process that made it, and the address it spoke from, e.g. "delivery-7d4f[10.0.0.7]"; empty where it is not known.</param>
public sealed record AttemptResult(
    long RecipientId,
    AttemptOutcome Outcome,
    string Status,
    string Reply,
    string RemoteHost,
    DateTimeOffset StartedAt,
    DateTimeOffset FinishedAt,
    bool ReportsHandedOn = false,
    bool IsFinal = false,
    bool TellsOfRelay = false,
    AttemptTls? Tls = null,
    string Worker = "")
{
    /// <summary>What it was about, as the queue says of an attempt that did not deliver.</summary>
    public ReplyClass Class { get; init; }

    /// <summary>Nobody was spoken to: why a recipient was given up before his first attempt.</summary>
    public bool IsUntried { get; init; }

    /// <summary>No host was spoken to, because of what we lack ourselves, and there is no use in trying before; null: the schedule decides.</summary>
    public DateTimeOffset? NotBefore { get; init; }

    /// <summary>It was tried: so how it ended says something of the domain and its hosts.</summary>
    public bool IsOfHosts => Outcome != AttemptOutcome.NotAttempted && NotBefore is null;
}

/// <summary>How an attempt ended. The numbers are stored; they never change meaning.</summary>
public enum AttemptOutcome
{
    /// <summary>Accepted by the far end, or in the maildrop. Final.</summary>
    Delivered = 1,

    /// <summary>A temporary failure: try again later.</summary>
    Deferred = 2,

    /// <summary>A permanent failure: bounce.</summary>
    Failed = 3,

    /// <summary>Contact was lost between the final dot and its reply: perhaps delivered; tried again and counted.</summary>
    Uncertain = 4,

    /// <summary>Not tried: the claim was not won, or handed back before anything was sent. Costs no attempt.</summary>
    NotAttempted = 5,
}

/// <summary>
/// What became of one claim. Delivered recipients are already recorded by the worker; all others are recorded by the queue, which alone
/// decides what follows. A hint as well: when it is lost, the claim's lease runs out and the recipients become due again.
/// </summary>
/// <param name="BatchId">That was given out; 0: as the claim, of workers that know no other.</param>
/// <param name="ClaimId">Of the worker: what of its recipients is still under it is the queue's to decide. 0: he won none.</param>
/// <param name="Results">One for each recipient of the claim that was not handed back before, in any order.</param>
/// <param name="Unreachable">
/// No host of the domain could be spoken to at all (DNS, connection or greeting failed), or each broke off before it had answered
/// for a single message, so that trying further recipients of the domain now is pointless.
/// </param>
/// <param name="NothingWon">
/// The worker did not get the claim, so it is not his to end: whoever holds it now, if anybody, reports for himself. What is
/// due is read again.
/// </param>
/// <param name="GoesOn">
/// The worker stops: the recipients named here are free again already, and he is still at others of the claim, of which he
/// reports when they have ended. Comes together with <paramref name="NothingWon"/>.
/// </param>
/// <param name="HasEnded">All were delivered, and the claim ended with the record of it: nothing is left to be written.</param>
/// <param name="Site">The key of the hosts that were to be tried first, which other domains may have as well; empty where there are none.</param>
/// <param name="IsElsewhere">
/// The batch has no permit of <paramref name="Site"/>, or one that counts no more: nothing was claimed or tried, and all of it waits as before.
/// </param>
/// <param name="SiteState">How the hosts of the site behaved.</param>
/// <param name="KeptBy">The endpoint of the worker that keeps the connection for the batch that has its permit next; empty: it has ended.</param>
/// <param name="IsRedirected">It went where an operator leads it, and not to the domain's hosts; null: nobody says.</param>
public sealed record AttemptReport(
    string Domain,
    long BatchId,
    long ClaimId,
    AttemptResult[] Results,
    bool Unreachable,
    bool NothingWon = false,
    bool GoesOn = false,
    bool HasEnded = false,
    string Site = "",
    bool IsElsewhere = false,
    SiteState SiteState = SiteState.Unsaid,
    string KeptBy = "",
    bool? IsRedirected = null);

/// <summary>What a batch has learned of the hosts of its site, whatever became of the mail. The numbers travel; they never change meaning.</summary>
public enum SiteState
{
    /// <summary>Nothing: no host was spoken to, DNS had no answer, or what failed is the domain's own affair, as the TLS that it asks for.</summary>
    Unsaid = 0,

    /// <summary>A host was ready for mail.</summary>
    Answered = 1,

    /// <summary>No host could be connected to, or none greeted.</summary>
    Unreachable = 2,

    /// <summary>A host has asked to be left alone for a while, or for fewer connections.</summary>
    SlowDown = 3,
}
