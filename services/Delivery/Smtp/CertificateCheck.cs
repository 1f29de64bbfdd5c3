using System.Globalization;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Smtp;

/// <summary>
/// The far end's certificate under the policy of its domain: any is taken unless it has to be verified, and what is wrong with one that
/// has is said in words (RFC 5280 §6, RFC 9525).
/// </summary>
/// <param name="hostName">The name that it has to be for, or an address.</param>
/// <param name="peer">For example "mx.example.net[192.0.2.1]:25".</param>
internal sealed class CertificateCheck(string hostName, string peer, bool isVerified, TimeProvider time)
{
    private const int NamesShown = 3;
    private const int LongestName = 100;

    private readonly bool _isAddress = HostAddress.TryParse(hostName, out _);

    /// <summary>Why the certificate was refused; null while it was not.</summary>
    public string? Fault { get; private set; }

    public SslClientAuthenticationOptions Options => new()
    {
        TargetHost = _isAddress ? "" : hostName,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        // RFC 7435: without a published policy nobody could say which certificate is the right one.
        RemoteCertificateValidationCallback = (_, certificate, chain, errors) => !isVerified || IsGood(certificate, chain, errors),
    };

    internal bool IsGood(X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (errors == SslPolicyErrors.None)
            return true;
        if (certificate is not X509Certificate2 shown)
        {
            Fault = $"{peer} has no certificate";
            return false;
        }

        List<string> faults = [];
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch))
            faults.Add(_isAddress ? "cannot be checked, as the route leads to an address and not to a name" : NameFault(shown));
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
            faults.AddRange(ChainFaults(shown, chain));
        Fault = $"The certificate of {peer} {string.Join(", and ", faults.Distinct().DefaultIfEmpty("is refused"))}";
        return false;
    }

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
            return $"is for {Names(shown)} and not for {hostName}";
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
