using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// The certificate of this machine's listeners. PEM files are read again when they change, so a renewal needs no restart;
/// a renewal that cannot be read leaves the certificate before it in use. Without PEM files a self-signed one is made once
/// and kept. Safe to ask from any thread; asking is cheap.
/// </summary>
public sealed partial class ServerCertificate
{
    // TLS 1.3 whole; of 1.2 what RFC 9325 §4.2 recommends: forward secrecy and authenticated encryption.
    private static readonly TlsCipherSuite[] s_ciphers =
    [
        TlsCipherSuite.TLS_AES_128_GCM_SHA256, TlsCipherSuite.TLS_AES_256_GCM_SHA384, TlsCipherSuite.TLS_CHACHA20_POLY1305_SHA256,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TlsCipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        TlsCipherSuite.TLS_DHE_RSA_WITH_AES_128_GCM_SHA256, TlsCipherSuite.TLS_DHE_RSA_WITH_AES_256_GCM_SHA384,
    ];

    private readonly CipherSuitesPolicy? _ciphers;
    private readonly TlsOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<ServerCertificate> _logger;
    private readonly Lock _gate = new();
    private volatile Loaded? _loaded;
    private long _checkedAt;

    public ServerCertificate(IOptions<TlsOptions> options, TimeProvider time, ILogger<ServerCertificate> logger)
    {
        _options = options.Value;
        _ciphers = _options.AllowCbc || !(OperatingSystem.IsLinux() || OperatingSystem.IsMacOS()) ? null : new CipherSuitesPolicy(s_ciphers);
        _time = time;
        _logger = logger;
    }

    /// <summary>The certificate with its private key.</summary>
    public X509Certificate2 Current => CurrentContext.TargetCertificate;

    /// <summary>
    /// The certificate with its intermediates, for <see cref="SslServerAuthenticationOptions.ServerCertificateContext"/>: cheaper
    /// than <see cref="Current"/> there, since the chain is built once and not per session.
    /// </summary>
    /// <exception cref="ServerCertificateException">At first use only: the configured files cannot be used.</exception>
    public SslStreamCertificateContext CurrentContext
    {
        get
        {
            if (_loaded is { } loaded && _time.GetElapsedTime(Interlocked.Read(ref _checkedAt)) < _options.CheckInterval)
                return loaded.Context;
            lock (_gate)
                return Check().Context;
        }
    }

    /// <summary>How TLS is spoken to clients: with this certificate, and with ciphers that authenticate what they encrypt.</summary>
    public SslServerAuthenticationOptions ServerOptions() => new()
    {
        ServerCertificateContext = CurrentContext,
        AllowRenegotiation = false,
        CipherSuitesPolicy = _ciphers,
    };

    /// <summary>Looks at the files now, however short ago that was; files that cannot be used leave the certificate before them in use.</summary>
    public X509Certificate2 ReadAgain()
    {
        lock (_gate)
            return Check(evenIfFresh: true).Context.TargetCertificate;
    }

    private Loaded Check(bool evenIfFresh = false)
    {
        var before = _loaded;
        if (before is not null && !evenIfFresh && _time.GetElapsedTime(Interlocked.Read(ref _checkedAt)) < _options.CheckInterval)
            return before;
        try
        {
            var (certificatePath, keyPath) = Locate(before);
            var stamp = Stamp(certificatePath) + Stamp(keyPath);
            if (before is null || before.Stamp != stamp)
            {
                _loaded = new Loaded(certificatePath, keyPath, stamp, Read(certificatePath, keyPath));
                LogLoaded(certificatePath, _loaded.Context.TargetCertificate.NotAfter.ToUniversalTime());
            }
        }
        catch (Exception unusable) when (unusable is CryptographicException or ArgumentException or IOException or UnauthorizedAccessException)
        {
            // ArgumentException: the key is not the certificate's.
            if (before is null)
            {
                throw new ServerCertificateException(_options.CertificatePath is null
                    ? $"Tls:SelfSignedDirectory is '{_options.SelfSignedDirectory}', where no certificate can be made or read: {unusable.Message}"
                    : $"Tls:CertificatePath and Tls:KeyPath must name readable PEM files that belong together: {unusable.Message}", unusable);
            }
            // Half a renewal (new certificate, old key) looks like this for a moment.
            LogNotReloaded(unusable);
        }
        Interlocked.Exchange(ref _checkedAt, _time.GetTimestamp());
        return _loaded!;
    }

    private (string CertificatePath, string KeyPath) Locate(Loaded? before)
    {
        if (_options.CertificatePath is { } configured)
            return (configured, _options.KeyPath ?? configured);
        // Renewed in place only when it nears its end, so that whoever trusts it by hand does it once.
        var now = _time.GetUtcNow();
        if (before is not null && before.Context.TargetCertificate.NotAfter.ToUniversalTime() > now.UtcDateTime + TimeSpan.FromDays(30))
            return (before.CertificatePath, before.KeyPath);
        IEnumerable<string> hostNames = _options.HostNames.Count > 0 ? _options.HostNames : OwnHostName.Default.CertificateNames;
        return SelfSignedCertificate.Ensure(_options.SelfSignedDirectory, hostNames, now);
    }

    private static SslStreamCertificateContext Read(string certificatePath, string keyPath)
    {
        var certificate = X509Certificate2.CreateFromPemFile(certificatePath, keyPath);
        var intermediates = new X509Certificate2Collection();
        intermediates.ImportFromPemFile(certificatePath);
        // Offline: no download of missing intermediates while a session waits.
        return SslStreamCertificateContext.Create(certificate, intermediates, offline: true);
    }

    private static string Stamp(string path)
    {
        // Follows links: Kubernetes replaces a mounted secret by moving a link.
        var file = new FileInfo(path);
        var target = file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file;
        return target.Exists
            ? $"{target.FullName} {target.Length} {target.LastWriteTimeUtc.Ticks};"
            : throw new FileNotFoundException($"'{path}' does not exist", path);
    }

    private sealed record Loaded(string CertificatePath, string KeyPath, string Stamp, SslStreamCertificateContext Context);

    [LoggerMessage(6001, LogLevel.Debug, "TLS certificate read from {Path}, valid until {NotAfter:u}")]
    private partial void LogLoaded(string path, DateTime notAfter);

    [LoggerMessage(6002, LogLevel.Error, "TLS certificate changed but cannot be read; the one before it stays in use")]
    private partial void LogNotReloaded(Exception reason);
}

/// <summary>The configured certificate cannot be used; the message names the setting.</summary>
public sealed class ServerCertificateException(string message, Exception inner) : Exception(message, inner);
