using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace MailPipeline.Sasl.Tests;

/// <summary>tls-server-end-point (RFC 5929 §4), the digest of a certificate by the digest of its own signature; and tls-exporter before it.</summary>
public sealed class ChannelBindingTests
{
    [Theory]
    [InlineData("SHA256", "SHA256")]
    [InlineData("SHA384", "SHA384")]
    [InlineData("SHA512", "SHA512")]
    public void It_is_the_digest_of_the_signature(string signature, string digest)
    {
        using var rsa = RSA.Create(2048);
        using var byRsa = Make(new CertificateRequest("CN=mx.example.org", rsa, new HashAlgorithmName(signature), RSASignaturePadding.Pkcs1));
        using var ecdsa = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var byEcdsa = Make(new CertificateRequest("CN=mx.example.org", ecdsa, new HashAlgorithmName(signature)));
        Assert.All([byRsa, byEcdsa], certificate =>
            Assert.Equal(CryptographicOperations.HashData(new HashAlgorithmName(digest), certificate.RawData), EndPoint(certificate)));
    }

    /// <summary>RFC 5929 §4.1, of a certificate that OpenSSL has signed: too weak by itself.</summary>
    [Fact]
    public void In_the_place_of_SHA1_it_is_SHA256()
    {
        using var certificate = X509Certificate2.CreateFromPem(
            """
            -----BEGIN CERTIFICATE-----
            MIIBhzCCAS6gAwIBAgIUA9J6wfxrCTc+B5JVJ+DLeqvLt5IwCQYHKoZIzj0EATAZ
            MRcwFQYDVQQDDA5teC5leGFtcGxlLm9yZzAgFw0yNjExMzAxNTI3MThaGA8yMTI2
            MTEwNjE1MjcxOFowGTEXMBUGA1UEAwwObXguZXhhbXBsZS5vcmcwWTATBgcqhkjO
            PQIBBggqhkjOPQMBBwNCAASl/taZzMZZiI0GHm7Uk8KE0hsHf+PhkgQeNEMVMzCQ
            o+G0ysiTuizemL3OPdIU9vKKfYidnhiO06pT+29yMpH0o1MwUTAdBgNVHQ4EFgQU
            L05zPhHof0Om96JuFqJRhnBCkEUwHwYDVR0jBBgwFoAUL05zPhHof0Om96JuFqJR
            hnBCkEUwDwYDVR0TAQH/BAUwAwEB/zAJBgcqhkjOPQQBA0gAMEUCIQDASjot9GDS
            /HBCxG9WgCVZO+QNHBORZZSUTEiaSNZRuQIgcKkeZ5iyh6MEfhwQXBGCkw7BY/6o
            0QouosQqceIRyeY=
            -----END CERTIFICATE-----
            """);
        Assert.Equal("1.2.840.10045.4.1", certificate.SignatureAlgorithm.Value);
        Assert.Equal("CC8D1618B6E3BF882513D90AEC696FD121570DFAD08212F453D634678E9E5415", Convert.ToHexString(EndPoint(certificate)));
    }

    [Fact]
    public void Where_the_signature_names_no_digest_there_is_nothing_to_bind_by()
    {
        using var rsa = RSA.Create(2048);
        using var pss = Make(new CertificateRequest("CN=mx.example.org", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pss));
        Assert.Empty(ChannelBinding.Of(pss, null));
        Assert.Empty(ChannelBinding.Of(null, null));
        Assert.Equal(ChannelBinding.Exporter, Assert.Single(ChannelBinding.Of(pss, [1, 2, 3])).Type);
    }

    [Fact]
    public void What_was_exported_comes_first()
    {
        using var ecdsa = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = Make(new CertificateRequest("CN=mx.example.org", ecdsa, HashAlgorithmName.SHA256));
        var bindings = ChannelBinding.Of(certificate, [1, 2, 3]);
        Assert.Equal(["tls-exporter", "tls-server-end-point"], bindings.Select(binding => binding.Type));
        Assert.Equal([1, 2, 3], bindings[0].Octets.ToArray());
        Assert.Equal(EndPoint(certificate), bindings[1].Octets.ToArray());
    }

    private static byte[] EndPoint(X509Certificate2 certificate)
    {
        var binding = Assert.Single(ChannelBinding.Of(certificate, null));
        Assert.Equal("tls-server-end-point", binding.Type);
        return binding.Octets.ToArray();
    }

    private static X509Certificate2 Make(CertificateRequest request) =>
        request.CreateSelfSigned(DateTimeOffset.UnixEpoch, new DateTimeOffset(2100, 1, 1, 0, 0, 0, TimeSpan.Zero));
}
