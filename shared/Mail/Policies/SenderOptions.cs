using MailPipeline.Smtp;

namespace MailPipeline.Mail;

/// <summary>When mail of some senders is tried again and given up.</summary>
public sealed class SenderOptions : ScheduleOptions
{
    /// <summary>What reports are sent from (RFC 5321 §4.5.5).</summary>
    public const string NullSender = "<>";

    /// <summary>
    /// An address, "*@example.org" or "example.org" (all addresses of the domain), "*.example.org" (all below it), "&lt;&gt;" (reports) or "*". It
    /// fits the account that was logged in, or the sender in the envelope.
    /// </summary>
    public string From { get; set; } = "";

    public void Validate(string setting, List<string> failures)
    {
        if (!SenderPattern.IsOne(From))
        {
            failures.Add(
                $"{setting}:{nameof(From)} is '{From}'; it must be an address, a domain, '*@' or '*.' and a domain, '{NullSender}' for reports, or '*'");
        }
        if (!HasSchedule)
        {
            failures.Add(
                $"{setting} says nothing; it must have {nameof(RetrySteps)}, {nameof(MaxAge)}, {nameof(DelayReportAfter)} or {nameof(Uncertain)}");
        }
        ValidateSchedule(setting, failures);
    }
}

/// <summary>How senders are named in the policy, and compared.</summary>
public static class SenderPattern
{
    public static bool IsOne(string pattern) => pattern is "*" or SenderOptions.NullSender || IsAddress(Key(pattern)) || IsDomain(Key(pattern));

    /// <summary>In the form in which patterns are compared: "*@example.org" is the domain itself.</summary>
    public static string Key(string pattern)
    {
        if (pattern.StartsWith("*@", StringComparison.Ordinal))
            pattern = pattern[2..];
        if (pattern.LastIndexOf('@') is >= 0 and var at)
            return $"{pattern[..at].ToLowerInvariant()}@{DomainName.Key(pattern[(at + 1)..])}";
        return pattern.StartsWith("*.", StringComparison.Ordinal) ? $"*.{DomainName.Key(pattern[2..])}" : DomainName.Key(pattern);
    }

    private static bool IsAddress(string pattern) => pattern.Contains('@', StringComparison.Ordinal) && !pattern.Contains('*', StringComparison.Ordinal)
        && SmtpAddress.TryParse(pattern, out _, allowUtf8: true);

    private static bool IsDomain(string pattern)
    {
        var name = pattern.StartsWith("*.", StringComparison.Ordinal) ? pattern[2..] : pattern;
        return name.Length is > 0 and <= 255 && !name.StartsWith('.') && name.All(c => !char.IsWhiteSpace(c) && c is not ('*' or '@' or ',' or '<' or '>'));
    }
}
