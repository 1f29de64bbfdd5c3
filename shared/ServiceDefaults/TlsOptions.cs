using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults;

/// <summary>Section <c>Tls</c>: the certificate this machine shows on every listener that speaks TLS.</summary>
public sealed class TlsOptions
{
    public const string Section = "Tls";

    /// <summary>In <see cref="SelfSignedDirectory"/>: the certificate that a client has to be told to trust.</summary>
    public const string SelfSignedCertificateFile = "certificate.pem";

    /// <summary>PEM file with the certificate, followed by its intermediates. Default: none, a self-signed one is made.</summary>
    public string? CertificatePath { get; set; }

    /// <summary>PEM file with the unencrypted private key. Default: the key is in <see cref="CertificatePath"/>.</summary>
    public string? KeyPath { get; set; }

    /// <summary>Folder in which the self-signed certificate is kept, and made when it is missing. Default "data/tls".</summary>
    public string SelfSignedDirectory { get; set; } = Path.Combine("data", "tls");

    /// <summary>Host names of the self-signed certificate. Default: <see cref="OwnHostName.Default"/>; "localhost" is always added.</summary>
    public IList<string> HostNames { get; init; } = [];

    /// <summary>
    /// Offer TLS 1.2 with CBC ciphers and without forward secrecy as well, for clients of before 2014. Default false (RFC 9325 §4.2).
    /// </summary>
    public bool AllowCbc { get; set; }

    /// <summary>How old the knowledge about the PEM files may be before they are looked at again. Default 10 s.</summary>
    public TimeSpan CheckInterval { get; set; } = TimeSpan.FromSeconds(10);
}

internal sealed class TlsOptionsValidator : IValidateOptions<TlsOptions>
{
    private static readonly TimeSpan s_longestInterval = TimeSpan.FromDays(1);

    public ValidateOptionsResult Validate(string? name, TlsOptions options)
    {
        List<string> failures = [];
        if (options.CertificatePath is null && options.KeyPath is not null)
            failures.Add("Tls:KeyPath is set, so Tls:CertificatePath must be set as well");
        if (options.CertificatePath is null && string.IsNullOrWhiteSpace(options.SelfSignedDirectory))
            failures.Add("Tls:SelfSignedDirectory must name a folder when Tls:CertificatePath is not set");
        if (options.CheckInterval < TimeSpan.Zero || options.CheckInterval > s_longestInterval)
            failures.Add($"Tls:CheckInterval is {options.CheckInterval}; it must be 00:00:00 to {s_longestInterval}");
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }
}
