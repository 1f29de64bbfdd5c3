using MailPipeline.Mail;
using MailPipeline.MtaSts;

namespace MailPipeline.Delivery.Tls;

/// <summary>What the certificate of a host is held against.</summary>
internal enum CertificateRule
{
    /// <summary>Nothing. What it is worth is noted.</summary>
    Any = 0,

    /// <summary>The authorities that are trusted, and the name of the host.</summary>
    Authorities,

    /// <summary>The host's TLSA records.</summary>
    Tlsa,
}

/// <summary>
/// What is asked of one connection: of all that is demanded of the host, the one thing that counts. DANE comes before MTA-STS (RFC 8461 §2), and both
/// come only where the operator has said nothing of the domain.
/// </summary>
/// <param name="Word">As metrics and records have it.</param>
/// <param name="Rule">What the certificate is held against.</param>
/// <param name="IsMandatory">Never in clear, and to no host that fails what it is held against.</param>
internal sealed record TlsChoice(string Word, TlsSource Source, CertificateRule Rule, bool IsMandatory)
{
    public const string None = "none";

    /// <summary>STARTTLS is never asked for.</summary>
    public bool IsClear => Word == None;

    /// <summary>Of the policy that the domain publishes, for reports to it (RFC 8460 §4.4): "tlsa", "sts", or "no-policy-found".</summary>
    public string ReportedType => Word switch
    {
        "dane" => "tlsa",
        "sts" or "sts-testing" => "sts",
        _ => "no-policy-found",
    };

    /// <summary>Where TLSA records are there, or are kept back.</summary>
    public static TlsChoice OfDane(TlsDemand demand) => new("dane", Published(demand), CertificateRule.Tlsa, IsMandatory: true);

    public static TlsChoice Of(TlsDemand demand, TlsaSet? tlsa) => demand switch
    {
        _ when tlsa is { IsUsable: true } => OfDane(demand),
        // Records none of which names a certificate ask for TLS and no more (RFC 7672 §2.2), which MTA-STS does as well.
        _ when tlsa is not null && !demand.IsStsEnforced => new("dane", Published(demand), CertificateRule.Any, IsMandatory: true),
        { IsStsEnforced: true } => new("sts", Published(demand), CertificateRule.Authorities, IsMandatory: true),
        { Policy: TlsPolicy.None } => new(None, demand.Source, CertificateRule.Any, IsMandatory: false),
        { Policy: TlsPolicy.Required } => new("required", demand.Source, CertificateRule.Any, IsMandatory: true),
        { Policy: TlsPolicy.Verified } => new("verified", demand.Source, CertificateRule.Authorities, IsMandatory: true),
        { Sts.Mode: StsMode.Testing } => new("sts-testing", Published(demand), CertificateRule.Authorities, IsMandatory: false),
        // Where nobody publishes what the operator wants to be published, no host gets here.
        { Policy: TlsPolicy.Dane } => new("dane", demand.Source, CertificateRule.Tlsa, IsMandatory: true),
        { Policy: TlsPolicy.Sts } => new("sts", demand.Source, CertificateRule.Authorities, IsMandatory: true),
        _ => new("opportunistic", demand.Source, CertificateRule.Any, IsMandatory: false),
    };

    /// <summary>For the record of an attempt that found no TLS.</summary>
    public AttemptTls InClear() => new(Word, SourceWord(Source));

    public static string SourceWord(TlsSource source) => source switch
    {
        TlsSource.Table => "table",
        TlsSource.Route => "route",
        TlsSource.Published => "published",
        TlsSource.Sender => "sender",
        _ => "default",
    };

    public static string CertificateWord(CertificateFault fault, bool byTlsa) => fault switch
    {
        CertificateFault.None => byTlsa ? "tlsa" : "verified",
        CertificateFault.Expired => "expired",
        CertificateFault.WrongName => "wrong-name",
        CertificateFault.Untrusted => "untrusted",
        CertificateFault.Mismatch => "mismatch",
        _ => "unreadable",
    };

    private static TlsSource Published(TlsDemand demand) => demand.Source == TlsSource.Table ? TlsSource.Table : TlsSource.Published;
}
