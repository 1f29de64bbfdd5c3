namespace MailPipeline.Delivery.Tls;

/// <summary>Types of failure, as reports and metrics name them (RFC 8460 §4.3).</summary>
internal static class TlsFailures
{
    public const string NotOffered = "starttls-not-supported";
    public const string NoDnssec = "dnssec-invalid";
    public const string NoDane = "dane-required";

    /// <summary>RFC 8460 §4.3.2.1: none of the records was found to be valid.</summary>
    public const string UnusableDane = "tlsa-invalid";

    /// <summary>None of the others: the handshake broke off, or the host is none of the policy's.</summary>
    public const string Other = "validation-failure";

    public static string TypeOf(CertificateFault? fault) => fault switch
    {
        CertificateFault.Expired => "certificate-expired",
        CertificateFault.WrongName => "certificate-host-mismatch",
        CertificateFault.Untrusted => "certificate-not-trusted",
        CertificateFault.Mismatch => UnusableDane,
        _ => Other,
    };
}
