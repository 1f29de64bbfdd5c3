using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// A certificate nobody vouches for: enough for opportunistic TLS between mail servers (RFC 7435) and for trying things
/// out, not for mail programs that check names.
/// </summary>
internal static class SelfSignedCertificate
{
    internal const string CertificateFile = TlsOptions.SelfSignedCertificateFile;
    internal const string KeyFile = "key.pem";

    private const string LockFile = "lock";

    private static readonly TimeSpan Lifetime = TimeSpan.FromDays(5 * 365);
    private static readonly TimeSpan RenewBefore = TimeSpan.FromDays(30);

    // Making the pair takes another process some milliseconds.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Makes the two files when they are missing, no pair or about to expire. Of several processes with one folder one makes them.
    /// </summary>
    internal static (string CertificatePath, string KeyPath) Ensure(string folder, IEnumerable<string> hostNames, DateTimeOffset now)
    {
        var certificatePath = Path.Combine(folder, CertificateFile);
        var keyPath = Path.Combine(folder, KeyFile);
        if (!IsUsable(certificatePath, keyPath, now))
        {
            Directory.CreateDirectory(folder);
            using var turn = WaitForTurn(Path.Combine(folder, LockFile));
            if (IsUsable(certificatePath, keyPath, now))
                return (certificatePath, keyPath);
            var (certificate, key) = Create([.. hostNames.Append("localhost").Distinct(StringComparer.OrdinalIgnoreCase)], now);
            // The key first: a certificate without its key would be taken for a pair.
            Replace(keyPath, key, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            Replace(certificatePath, certificate,
                UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        }
        return (certificatePath, keyPath);
    }

    internal static (string Certificate, string Key) Create(IReadOnlyList<string> hostNames, DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var subject = new X500DistinguishedNameBuilder();
        subject.AddCommonName(hostNames[0].Length <= 64 ? hostNames[0] : "mail"); // RFC 5280 A.1: ub-common-name is 64
        var request = new CertificateRequest(subject.Build(), key, HashAlgorithmName.SHA256);

        var names = new SubjectAlternativeNameBuilder();
        foreach (var host in hostNames)
        {
            if (HostAddress.TryParseLiteral(host, out var address))
                names.AddIpAddress(address);
            else
                names.AddDnsName(host);
        }

        names.AddIpAddress(IPAddress.Loopback);
        names.AddIpAddress(IPAddress.IPv6Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, hasPathLengthConstraint: false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], critical: false)); // serverAuth

        // An hour back, for clients whose clock is slow.
        using var certificate = request.CreateSelfSigned(now - TimeSpan.FromHours(1), now + Lifetime);
        return (certificate.ExportCertificatePem() + "\n", key.ExportPkcs8PrivateKeyPem() + "\n");
    }

    private static bool IsUsable(string certificatePath, string keyPath, DateTimeOffset now)
    {
        if (!File.Exists(certificatePath) || !File.Exists(keyPath))
            return false;
        try
        {
            using var pair = X509Certificate2.CreateFromPemFile(certificatePath, keyPath);
            return pair.NotAfter.ToUniversalTime() - RenewBefore > now.UtcDateTime;
        }
        catch (Exception unusable) when (unusable is CryptographicException or ArgumentException)
        {
            // ArgumentException: the key is not the certificate's.
            return false;
        }
    }

    /// <summary>Nobody else has the file open until it is closed; a process that dies closes it.</summary>
    private static FileStream WaitForTurn(string path)
    {
        FileStream? turn = null;
        IOException? taken = null;
        return SpinWait.SpinUntil(TryTake, Patience) ? turn! : throw taken!;

        bool TryTake()
        {
            try
            {
                turn = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
                return true;
            }
            catch (IOException exception)
            {
                taken = exception;
                return false;
            }
        }
    }

    private static void Replace(string path, string text, UnixFileMode mode)
    {
        var next = path + ".new";
        File.Delete(next);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = mode;
        using (var file = new FileStream(next, options))
        using (var writer = new StreamWriter(file))
        {
            writer.Write(text);
            writer.Flush();
            file.Flush(flushToDisk: true);
        }
        File.Move(next, path, overwrite: true);
    }
}
