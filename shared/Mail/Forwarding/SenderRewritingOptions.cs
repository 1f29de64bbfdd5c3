using System.Text;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mail;

/// <summary>Senders of forwarded mail, and the reports that come back to them (SRS, Sender Rewriting Scheme). Section "Srs".</summary>
public sealed class SenderRewritingOptions
{
    public const string Section = "Srs";

    /// <summary>
    /// The domain of the addresses that forwarded mail leaves under: its MX is our door, its SPF record names the addresses that our mail comes from.
    /// Default: none, and forwarded mail keeps its sender.
    /// </summary>
    public string Domain { get; set; } = "";

    /// <summary>
    /// A file with one secret a line, 16 octets or more each: the first one signs, all of them verify. Empty lines and those that begin with # are
    /// passed over. Read again when it changes. Default: none.
    /// </summary>
    public string SecretFile { get; set; } = "";

    /// <summary>Senders are rewritten. Default true; false: what comes back to senders rewritten before is still taken.</summary>
    public bool Rewrite { get; set; } = true;

    /// <summary>
    /// How long reports are taken for a sender that was rewritten, in whole days. Default 21 days: another server gives up after 5 (RFC 5321 §4.5.4.1), and
    /// what was forwarded once more takes as long again.
    /// </summary>
    public TimeSpan MaxAge { get; set; } = TimeSpan.FromDays(21);

    /// <summary>
    /// Longest local part that is made, in octets. Default 64, what every host has to take (RFC 5321 §4.5.3.1.1); a sender that would be longer stays
    /// as he is.
    /// </summary>
    public int MaxLocalPartBytes { get; set; } = LeastLocalPartBytes;

    /// <summary>Whose mail to rewritten senders is taken. Default Null: reports come from nobody (RFC 5321 §4.5.5).</summary>
    public ReturnPathSenders AcceptFrom { get; set; }

    /// <summary>How often the file is looked at for changes. Default 10 s, as keys are.</summary>
    public TimeSpan CheckInterval { get; set; } = TimeSpan.FromSeconds(10);

    internal const int LeastLocalPartBytes = 64;

    internal const int MaxDays = 365;

    internal int MaxDaysOfAge => (int)Math.Ceiling(MaxAge.TotalDays);
}

/// <summary>Whose mail to rewritten senders is taken.</summary>
public enum ReturnPathSenders
{
    /// <summary>The null sender's.</summary>
    Null,

    /// <summary>Anybody's: who has seen such an address may write to whom it stands for, as long as it is valid.</summary>
    Any,
}

internal sealed class SenderRewritingOptionsValidator : IValidateOptions<SenderRewritingOptions>
{
    private const string Section = SenderRewritingOptions.Section;

    public ValidateOptionsResult Validate(string? name, SenderRewritingOptions options)
    {
        var failures = Failures(options).ToList();
        return failures.Count > 0 ? ValidateOptionsResult.Fail(failures) : ValidateOptionsResult.Success;
    }

    private static IEnumerable<string> Failures(SenderRewritingOptions options)
    {
        if (options.MaxAge < TimeSpan.FromDays(1) || options.MaxAge > TimeSpan.FromDays(SenderRewritingOptions.MaxDays))
            yield return $"{Section}:MaxAge is {options.MaxAge}; it must be 1 to {SenderRewritingOptions.MaxDays} days";
        if (options.MaxLocalPartBytes is < SenderRewritingOptions.LeastLocalPartBytes or > SmtpLimits.LocalPartBytes)
            yield return $"{Section}:MaxLocalPartBytes is {options.MaxLocalPartBytes}; it must be {SenderRewritingOptions.LeastLocalPartBytes} to {SmtpLimits.LocalPartBytes}";
        if (!Enum.IsDefined(options.AcceptFrom))
            yield return $"{Section}:AcceptFrom is {options.AcceptFrom}; it must be one of {string.Join(", ", Enum.GetNames<ReturnPathSenders>())}";
        if (options.CheckInterval < TimeSpan.FromMilliseconds(10) || options.CheckInterval > TimeSpan.FromDays(1))
            yield return $"{Section}:CheckInterval is {options.CheckInterval}; it must be 10 ms to 1 day";
        if (options.Domain.Length > 0 && (!SmtpAddress.TryParse($"x@{options.Domain}", out var address, allowUtf8: true) || address!.HasAddressLiteral))
            yield return $"{Section}:Domain is '{options.Domain}'; it must be a domain name such as srs.example.org";
        if (options.Domain.Length == 0 != (options.SecretFile.Length == 0))
        {
            yield return options.Domain.Length == 0
                ? $"{Section}:SecretFile is set, but {Section}:Domain is not; both are needed, or none"
                : $"{Section}:Domain is '{options.Domain}', but {Section}:SecretFile is not set; it must name a file with one secret a line";
        }
        else if (options.SecretFile.Length > 0 && FaultOf(options.SecretFile) is { } fault)
        {
            yield return fault;
        }
    }

    private static string? FaultOf(string path)
    {
        try
        {
            SrsSecretFile.Read(path);
            return null;
        }
        catch (Exception unfit) when (unfit is IOException or UnauthorizedAccessException or FormatException or DecoderFallbackException)
        {
            return $"{Section}:SecretFile is '{path}', which cannot be used: {unfit.Message}";
        }
    }
}
