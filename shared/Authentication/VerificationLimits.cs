namespace MailPipeline.Authentication;

/// <summary>How much of a message is looked at to find out who sent it. What is beyond is not judged, and counted.</summary>
public sealed record VerificationLimits
{
    /// <summary>DKIM signatures that are judged, from the top down. Default 8: an author's, a provider's and two lists' have two each.</summary>
    public int MaxSignatures { get; init; } = 8;

    /// <summary>ARC sets that are judged. Default 50, more than which no chain has (RFC 8617 §4.2.1).</summary>
    public int MaxArcSets { get; init; } = 50;

    /// <summary>Octets of the header section, which has to be held until the body has ended. Default 256 KiB: four times what other checks read.</summary>
    public int MaxHeaderBytes { get; init; } = 256 * 1024;

    /// <summary>
    /// Fields of the header section, each of which costs far more memory than a short one has octets. Default 2,000: a message that went over
    /// many hosts has some hundred.
    /// </summary>
    public int MaxFields { get; init; } = 2000;
}
