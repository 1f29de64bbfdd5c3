using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using MailPipeline.Dns;

namespace MailPipeline.Delivery.Tls;

/// <summary>
/// The TLSA records of a host that DNSSEC vouches for (RFC 7672 §3). Usage 2 and 3 count; 0 and 1, which ask for the public authorities as well, have no
/// place in mail between servers (§3.1.3), and records with numbers that nobody has given a meaning to, or of a wrong length, say nothing.
/// </summary>
internal sealed class TlsaSet
{
    private const int TrustAnchor = 2;
    private const int EndEntity = 3;
    private const int PublicKey = 1;

    /// <summary>Looked at: a message of DNS has room for two thousand, and each is held against each certificate that is shown.</summary>
    private const int MostRecords = 100;

    /// <summary>Of a chain that a host shows: more is nobody's.</summary>
    private const int MostCertificates = 20;

    private readonly List<TlsaRecord> _usable;

    private TlsaSet(List<TlsaRecord> usable, IReadOnlyList<string> texts, string name)
    {
        _usable = usable;
        Texts = texts;
        Name = name;
    }

    /// <summary>Of the host in its records' place: where that is an alias, the name behind it (RFC 7672 §2.2.3). What a certificate is for, and is asked for by.</summary>
    public string Name { get; }

    /// <summary>A record says what certificate is the right one. Otherwise the host has to be spoken to under TLS, with any (RFC 7672 §2.2).</summary>
    public bool IsUsable => _usable.Count > 0;

    /// <summary>As they stand in a zone file, for reports (RFC 8460 §4.4).</summary>
    public IReadOnlyList<string> Texts { get; }

    public static TlsaSet Of(IReadOnlyList<TlsaRecord> records, string name = "")
    {
        var some = records.Take(MostRecords).ToList();
        return new TlsaSet(
            some.FindAll(record => record is { Usage: TrustAnchor or EndEntity, Selector: 0 or PublicKey } && IsWhole(record)),
            [.. some.Select(record => $"{record.Usage} {record.Selector} {record.MatchingType} {Convert.ToHexStringLower(record.Data.Span)}")],
            name);
    }

    /// <summary>
    /// The certificate is one that a record names, or an authority that a record names has issued it for one of the names. Of one that is named itself
    /// neither name nor dates count (RFC 7671 §5.1).
    /// </summary>
    /// <param name="shown">Of the host.</param>
    /// <param name="others">That it sent along.</param>
    /// <param name="names">Of the host, and of the domain whose mail goes there (RFC 7672 §3.2.2).</param>
    /// <param name="now">As of which dates count.</param>
    public CertificateFault Check(X509Certificate2 shown, IReadOnlyList<X509Certificate2> others, IReadOnlyList<string> names, DateTimeOffset now)
    {
        if (_usable.Exists(record => record.Usage == EndEntity && new Selected(shown).Matches(record)))
            return CertificateFault.None;
        var anchors = _usable.FindAll(record => record.Usage == TrustAnchor);
        if (anchors.Count == 0)
            return CertificateFault.Mismatch;
        var candidates = others.Take(MostCertificates).Append(shown).Concat(anchors.Select(Whole).OfType<X509Certificate2>()).ToList();
        var issuers = candidates.FindAll(candidate => new Selected(candidate) is var selected && anchors.Exists(selected.Matches));
        if (issuers.Count == 0)
            return CertificateFault.Mismatch;
        var fault = issuers.Select(issuer => DaneChain.Check(shown, candidates, issuer, now)).Min();
        return fault != CertificateFault.None || names.Any(name => shown.MatchesHostname(name)) ? fault : CertificateFault.WrongName;
    }

    private static bool IsWhole(TlsaRecord record) => record.MatchingType switch
    {
        0 => record.Data.Length > 0,
        1 => record.Data.Length == SHA256.HashSizeInBytes,
        2 => record.Data.Length == SHA512.HashSizeInBytes,
        _ => false,
    };

    /// <summary>RFC 7671 §5.2.2: an authority that stands in the record itself need not be sent.</summary>
    private static X509Certificate2? Whole(TlsaRecord record)
    {
        if (record is not { Selector: 0, MatchingType: 0 })
            return null;
        try
        {
            return X509CertificateLoader.LoadCertificate(record.Data.Span);
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    /// <summary>What records may name of a certificate; each form is made once, however many records there are.</summary>
    private sealed class Selected(X509Certificate2 certificate)
    {
        private readonly byte[]?[] _forms = new byte[6][];

        public bool Matches(TlsaRecord record)
        {
            ref var form = ref _forms[(record.Selector * 3) + record.MatchingType];
            form ??= Form(record);
            return record.Data.Span.SequenceEqual(form);
        }

        private byte[] Form(TlsaRecord record)
        {
            var part = record.Selector == PublicKey ? certificate.PublicKey.ExportSubjectPublicKeyInfo() : certificate.RawData;
            return record.MatchingType switch { 1 => SHA256.HashData(part), 2 => SHA512.HashData(part), _ => part };
        }
    }
}

/// <summary>Whether a certificate was issued, over any number of others, by an authority that a TLSA record names (RFC 7671 §5.2).</summary>
internal static class DaneChain
{
    // What an authority says of itself that nobody but the record vouches for.
    private const X509ChainStatusFlags OfNoRoot =
        X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.RevocationStatusUnknown | X509ChainStatusFlags.OfflineRevocation;

    public static CertificateFault Check(X509Certificate2 shown, IReadOnlyList<X509Certificate2> candidates, X509Certificate2 issuer, DateTimeOffset now)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        // Nobody is asked for what a stranger's certificate names.
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(issuer);
        chain.ChainPolicy.VerificationTime = now.UtcDateTime;
        chain.ChainPolicy.VerificationTimeIgnored = false;
        foreach (var candidate in candidates)
            chain.ChainPolicy.ExtraStore.Add(candidate);
        chain.Build(shown);
        var fault = CertificateFault.None;
        foreach (var element in chain.ChainElements)
        {
            foreach (var status in element.ChainElementStatus)
            {
                if ((status.Status & ~OfNoRoot) == X509ChainStatusFlags.NoError)
                    continue;
                fault = status.Status == X509ChainStatusFlags.NotTimeValid && fault is CertificateFault.None ? CertificateFault.Expired : CertificateFault.Untrusted;
            }

            if (element.Certificate.RawDataMemory.Span.SequenceEqual(issuer.RawDataMemory.Span))
                return fault;
        }

        return CertificateFault.Untrusted;
    }
}
