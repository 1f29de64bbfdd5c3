using System.Globalization;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Tls;
using MailPipeline.MtaSts;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Smtp;

/// <summary>
/// The far end's certificate under the policy of its domain: any is taken unless it has to be verified, and what is wrong with one that
/// has is said in words (RFC 5280 §6, RFC 9525; RFC 7672 §3 where the host has TLSA records). What a certificate is worth is known in any case.
/// </summary>
/// <param name="host">Whose certificate it has to be.</param>
/// <param name="peer">For example "mx.example.net[192.0.2.1]:25".</param>
/// <param name="choice">What it is held against.</param>
/// <param name="roots">Who may have issued it.</param>
internal sealed class CertificateCheck(TargetHost host, string peer, TlsChoice choice, TrustedRoots roots, TimeProvider time)
{
    private const int NamesShown = 3;
    private const int LongestName = 100;

    private readonly bool _isAddress = HostAddress.TryParse(host.Name, out _);

    /// <summary>What the certificate is held against; null: that is something else.</summary>
    private TlsaSet? Tlsa => choice.Rule == CertificateRule.Tlsa ? host.Tlsa : null;

    /// <summary>What is wrong with the certificate, whether it was refused for that or not; null where all is well, or none was shown yet.</summary>
    public string? Fault { get; private set; }

    /// <summary>What is wrong with the certificate, in a word; null: none was shown yet.</summary>
    public CertificateFault? Result { get; private set; }

    public SslClientAuthenticationOptions Options => new()
    {
        TargetHost = _isAddress ? "" : Tlsa?.Name ?? host.Name,
        CertificateChainPolicy = TrustedRoots.ChainPolicy(),
        // RFC 7435: without a published policy nobody could say which certificate is the right one.
        RemoteCertificateValidationCallback = (_, certificate, chain, errors) => IsGood(certificate, chain, errors) || !choice.IsMandatory || choice.Rule == CertificateRule.Any,
    };

    internal bool IsGood(X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        try
        {
            Result = Check(certificate, chain, errors);
        }
        catch (Exception error) when (IsUnreadable(error))
        {
            (Result, Fault) = (CertificateFault.Unreadable, $"The certificate of {peer} cannot be read");
        }

        return Result == CertificateFault.None;
    }

    private CertificateFault Check(X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (certificate is not X509Certificate2 shown)
        {
            Fault = $"{peer} has no certificate";
            return CertificateFault.Unreadable;
        }

        return choice.Rule == CertificateRule.Tlsa ? CheckByTlsa(shown, chain) : CheckByAuthorities(shown, chain, errors);
    }

    private CertificateFault CheckByTlsa(X509Certificate2 shown, X509Chain? chain)
    {
        // RFC 7672 §3.2.2: the host's name, or that of the domain.
        var fault = Tlsa?.Check(shown, [.. chain?.ChainPolicy.ExtraStore ?? []], [Tlsa.Name, host.Tls.Domain], time.GetUtcNow()) ?? CertificateFault.Mismatch;
        Fault = fault switch
        {
            CertificateFault.None => null,
            CertificateFault.WrongName => $"The certificate of {peer} {NameFault(shown)}",
            CertificateFault.Expired => $"The certificate of {peer} is not valid at this time",
            CertificateFault.Mismatch => $"The certificate of {peer} matches none of its TLSA records",
            _ => $"The certificate of {peer} was not issued by an authority that its TLSA records name",
        };
        return fault;
    }

    private CertificateFault CheckByAuthorities(X509Certificate2 shown, X509Chain? chain, SslPolicyErrors errors)
    {
        var isMisnamed = host.Tls.Names is { } names
            ? !names.Any(name => shown.MatchesHostname(name))
            : errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch) || (host.Tls.Sts is not null && !IsNamedFor(shown));
        var isChained = !errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors);
        using var again = isChained ? null : roots.Rebuild(shown, chain);
        isChained |= again is { ChainStatus.Length: 0 };
        if (!isMisnamed && isChained)
        {
            Fault = null;
            return CertificateFault.None;
        }

        List<string> faults = [];
        if (isMisnamed)
            faults.Add(_isAddress && host.Tls.Names is null ? "cannot be checked, as the route leads to an address and not to a name" : NameFault(shown));
        if (!isChained)
            faults.AddRange(ChainFaults(shown, again ?? chain));
        Fault = $"The certificate of {peer} {string.Join(", and ", faults.Distinct().DefaultIfEmpty("is refused"))}";
        if (isChained)
            return CertificateFault.WrongName;
        return !isMisnamed && (again ?? chain)?.ChainStatus.All(status => status.Status == X509ChainStatusFlags.NotTimeValid) is true
            ? CertificateFault.Expired : CertificateFault.Untrusted;
    }

    // RFC 8461 §4.2: a common name does not stand for it.
    private bool IsNamedFor(X509Certificate2 shown) => shown.MatchesHostname(host.Name, allowWildcards: true, allowCommonName: false);

    private IEnumerable<string> ChainFaults(X509Certificate2 shown, X509Chain? chain)
    {
        if (chain is null)
            yield break;
        var isTimely = true;
        foreach (var element in chain.ChainElements)
        {
            if (!element.ChainElementStatus.Any(status => status.Status.HasFlag(X509ChainStatusFlags.NotTimeValid)))
                continue;
            isTimely = false;
            var whose = element.Certificate.Equals(shown) ? "" : $"was issued by {Issued(element.Certificate)}, whose own ";
            yield return whose + (element.Certificate.NotAfter.ToUniversalTime() < time.GetUtcNow()
                ? $"expired on {Date(element.Certificate.NotAfter)}"
                : $"is not valid before {Date(element.Certificate.NotBefore)}");
        }

        foreach (var status in chain.ChainStatus)
        {
            if (status.Status is X509ChainStatusFlags.UntrustedRoot or X509ChainStatusFlags.PartialChain or X509ChainStatusFlags.ExplicitDistrust)
            {
                yield return shown.SubjectName.RawData.AsSpan().SequenceEqual(shown.IssuerName.RawData)
                    ? "is self-signed"
                    : $"comes from an authority that is not trusted ({Issuer(shown)})";
            }
            else if (status.Status != X509ChainStatusFlags.NotTimeValid || isTimely)
            {
                yield return $"is refused: {status.Status}";
            }
        }
    }

    private string NameFault(X509Certificate2 shown)
    {
        try
        {
            return $"is for {Names(shown)} and not for {string.Join(", ", host.Tls.Names ?? [Tlsa?.Name ?? host.Name])}";
        }
        catch (Exception error) when (IsUnreadable(error))
        {
            return "has names that cannot be read";
        }
    }

    /// <summary>What the reading of a part of a certificate throws that is not what it should be; whoever made it chose its octets.</summary>
    internal static bool IsUnreadable(Exception error) =>
        error is CryptographicException or ArgumentException or FormatException or OverflowException;

    private static string Names(X509Certificate2 certificate)
    {
        string[] names = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().FirstOrDefault() is { } alternatives
            ? [.. alternatives.EnumerateDnsNames().Take(NamesShown + 1)]
            : [];
        if (names.Length == 0)
            names = [certificate.GetNameInfo(X509NameType.DnsName, forIssuer: false) is { Length: > 0 } name ? name : "no name"];
        return string.Join(", ", names.Take(NamesShown).Select(Clean)) + (names.Length > NamesShown ? " and others" : "");
    }

    private static string Issued(X509Certificate2 authority) => SimpleName(authority, forIssuer: false);

    private static string Issuer(X509Certificate2 certificate) => SimpleName(certificate, forIssuer: true);

    private static string SimpleName(X509Certificate2 certificate, bool forIssuer)
    {
        try
        {
            return Clean(certificate.GetNameInfo(X509NameType.SimpleName, forIssuer));
        }
        catch (Exception error) when (IsUnreadable(error))
        {
            return "a name that cannot be read";
        }
    }

    private static string Clean(string name) => PlainText.Line(name, LongestName);

    private static string Date(DateTime date) => date.ToUniversalTime().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
}
