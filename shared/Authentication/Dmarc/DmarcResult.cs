namespace MailPipeline.Authentication.Dmarc;

/// <summary>What DMARC says of a message that says it is from a domain (RFC 7489 §6.6).</summary>
/// <param name="Status">Pass, fail, none (no policy), temporary or permanent error.</param>
/// <param name="Author">The domain of From that decides; empty where there is none.</param>
public sealed record DmarcResult(AuthenticationStatus Status, string Author)
{
    /// <summary>What the domain publishes for such mail; none where it publishes nothing.</summary>
    public DmarcPolicy Published { get; init; }

    /// <summary>
    /// What is to be done with the message by that, after sampling (pct) and testing (t); none for what passed. Where it is not known whether
    /// the message passes, what would be if it did not.
    /// </summary>
    public DmarcPolicy Disposition { get; init; }

    /// <summary>Where the record was found; empty: nowhere.</summary>
    public string RecordDomain { get; init; } = "";

    public DmarcRecord? Record { get; init; }

    /// <summary>SPF passed for a domain that is aligned.</summary>
    public bool IsSpfAligned { get; init; }

    /// <summary>A signature of an aligned domain is valid.</summary>
    public bool IsDkimAligned { get; init; }

    /// <summary>In words, for the operator; empty: nothing is to be said.</summary>
    public string Reason { get; init; } = "";
}

/// <summary>How policies and organisations are found.</summary>
public enum DmarcDiscoveryMode
{
    /// <summary>By the Public Suffix List (RFC 7489 §3.2, §6.6.3).</summary>
    PublicSuffixList,

    /// <summary>By asking DNS up the tree (DMARCbis, draft-ietf-dmarc-dmarcbis §4.10).</summary>
    TreeWalk,
}
