namespace MailPipeline.Delivery.Tls;

/// <summary>What is wrong with a certificate; the least comes first.</summary>
internal enum CertificateFault
{
    None = 0,

    /// <summary>It has expired or does not hold yet, or one that it was issued by.</summary>
    Expired,

    /// <summary>It is for other names.</summary>
    WrongName,

    /// <summary>Nobody who is trusted has issued it.</summary>
    Untrusted,

    /// <summary>No TLSA record of the host names it, or who issued it.</summary>
    Mismatch,

    /// <summary>There is none, or it cannot be read.</summary>
    Unreadable,
}
