using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using MailPipeline.Testing;

namespace MailPipeline.MtaSts.Tests;

/// <summary>An authority of the tests, whose certificates are trusted by those who are given its file.</summary>
internal sealed class Authority : IDisposable
{
    private static readonly DateTimeOffset s_now = TimeProvider.System.GetUtcNow();

    private readonly TempFolder _folder = new("authority");

    public Authority(string name = "Test CA", Authority? issuer = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        if (issuer is null)
        {
            Certificate = request.CreateSelfSigned(s_now.AddDays(-1000), s_now.AddDays(1000));
        }
        else
        {
            using var made = request.Create(issuer.Certificate, s_now.AddDays(-900), s_now.AddDays(900), Serial());
            Certificate = made.CopyWithPrivateKey(key);
        }

        File = _folder.Write("roots.pem", Certificate.ExportCertificatePem());
    }

    public X509Certificate2 Certificate { get; }

    /// <summary>A PEM file with its certificate.</summary>
    public string File { get; }

    /// <summary>With its key.</summary>
    public X509Certificate2 Issue(string name, int fromDays = -10, int toDays = 10, string[]? alternatives = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        foreach (var alternative in alternatives ?? [name])
            names.AddDnsName(alternative);
        request.CertificateExtensions.Add(names.Build());
        using var made = request.Create(Certificate, s_now.AddDays(fromDays), s_now.AddDays(toDays), Serial());
        using var withKey = made.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(withKey.Export(X509ContentType.Pkcs12), null);
    }

    /// <summary>One that names this authority as its issuer, and was signed by somebody else.</summary>
    public X509Certificate2 Forge(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        using var otherKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var made = request.Create(
            Certificate.SubjectName, X509SignatureGenerator.CreateForECDsa(otherKey), s_now.AddDays(-10), s_now.AddDays(10), Serial());
        using var withKey = made.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(withKey.Export(X509ContentType.Pkcs12), null);
    }

    public void Dispose()
    {
        Certificate.Dispose();
        _folder.Dispose();
    }

    private static byte[] Serial() => RandomNumberGenerator.GetBytes(8);
}
