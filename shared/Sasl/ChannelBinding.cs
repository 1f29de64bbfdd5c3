using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace MailPipeline.Sasl;

/// <summary>
/// What ties a login to the TLS connection that it comes by: the type tls-server-end-point (RFC 5929 §4), a digest of the certificate that
/// the server has shown. Whoever sits between, and shows another, has another. It is the one type that works with every version of TLS and
/// that a program on .NET can know: SslStream exports nothing for tls-exporter (RFC 9266).
/// </summary>
public static class ChannelBinding
{
    /// <summary>As it is registered.</summary>
    public const string ServerEndPoint = "tls-server-end-point";

    // RFC 5929 §4.1: the digest of the certificate's own signature; in the place of MD5 and SHA-1 that is SHA-256.
    private static readonly Dictionary<string, HashAlgorithmName> s_digests = new()
    {
        ["1.2.840.113549.1.1.4"] = HashAlgorithmName.SHA256,
        ["1.2.840.113549.1.1.5"] = HashAlgorithmName.SHA256,
        ["1.2.840.113549.1.1.11"] = HashAlgorithmName.SHA256,
        ["1.2.840.113549.1.1.12"] = HashAlgorithmName.SHA384,
        ["1.2.840.113549.1.1.13"] = HashAlgorithmName.SHA512,
        ["1.2.840.10045.4.1"] = HashAlgorithmName.SHA256,
        ["1.2.840.10045.4.3.2"] = HashAlgorithmName.SHA256,
        ["1.2.840.10045.4.3.3"] = HashAlgorithmName.SHA384,
        ["1.2.840.10045.4.3.4"] = HashAlgorithmName.SHA512,
    };

    /// <summary>Null where there is no certificate, or its signature has no digest of its own (Ed25519, RSASSA-PSS).</summary>
    /// <param name="shown">By the server, in the handshake.</param>
    public static byte[]? Of(X509Certificate? shown) =>
        shown is X509Certificate2 certificate && s_digests.TryGetValue(certificate.SignatureAlgorithm.Value ?? "", out var digest)
            ? CryptographicOperations.HashData(digest, certificate.RawDataMemory.Span)
            : null;
}
