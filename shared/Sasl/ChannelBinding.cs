using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace MailPipeline.Sasl;

/// <summary>
/// What ties a login to the TLS connection that it comes by. By tls-exporter (RFC 9266) those are octets that its two ends alone can compute; by
/// tls-server-end-point (RFC 5929 §4) a digest of the certificate that the server has shown. Whoever sits between has others.
/// </summary>
/// <param name="Type">As it is registered.</param>
public sealed record ChannelBinding(string Type, ReadOnlyMemory<byte> Octets)
{
    public const string Exporter = "tls-exporter";

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

    /// <summary>All that a connection has; none where there is no TLS.</summary>
    /// <param name="shown">The certificate that the server has shown in the handshake. Without one, or with one whose signature has no digest of its
    /// own (Ed25519, RSASSA-PSS), there is no tls-server-end-point.</param>
    /// <param name="exported">The octets of tls-exporter; null: there are none.</param>
    public static IReadOnlyList<ChannelBinding> Of(X509Certificate? shown, byte[]? exported)
    {
        var bindings = new List<ChannelBinding>(2);
        if (exported is not null)
            bindings.Add(new(Exporter, exported));
        if (shown is X509Certificate2 certificate && s_digests.TryGetValue(certificate.SignatureAlgorithm.Value ?? "", out var digest))
            bindings.Add(new(ServerEndPoint, CryptographicOperations.HashData(digest, certificate.RawDataMemory.Span)));
        return bindings;
    }
}
