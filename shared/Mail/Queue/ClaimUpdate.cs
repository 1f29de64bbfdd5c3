namespace MailPipeline.Mail;

/// <summary>What became of a write that is bound to a claim.</summary>
public enum ClaimUpdate
{
    /// <summary>It is written.</summary>
    Applied,

    /// <summary>Nothing is written: the recipient does not wait as the claim says. He has his outcome, or another holds him, or he was tried since.</summary>
    NotWaiting,

    /// <summary>Nothing is written: the claim is no longer its holder's, who stops.</summary>
    ClaimLost,
}
