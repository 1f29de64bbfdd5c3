using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using MimeKit;

namespace MailPipeline.Queue.Events;

/// <summary>What a provider reports of a message that it has got (RFC 5965): what of it is needed to find the message, and to tell of it.</summary>
/// <param name="Type">Feedback-Type in lower case: abuse, fraud, not-spam, auth-failure (RFC 6591), and so on.</param>
/// <param name="Recipients">Original-Rcpt-To, without brackets; many providers leave it out.</param>
/// <param name="Source">Source-IP; empty where there is none that is an address.</param>
/// <param name="Host">Reporting-MTA, without its type; or empty.</param>
/// <param name="HeaderId">Message-ID of the reported message, without brackets; or empty.</param>
/// <param name="MessageId">Our id of it, as the Received field says that we have put there; null: there is none.</param>
internal sealed partial record FeedbackReport(
    string Type, IReadOnlyList<string> Recipients, string Source, string Host, string HeaderId, long? MessageId)
{
    /// <summary>Of a message; what is behind that is not looked at, for there the reported message goes on.</summary>
    public const int MaxBytes = 512 * 1024;

    public const string AuthenticationFailure = "auth-failure";

    public const string NotSpam = "not-spam";

    private const int MostRecipients = 20;

    private const int MostReceived = 50;

    private const int MaxField = 1000;

    /// <summary>Each may begin a part, which costs the parser some kilobytes.</summary>
    private const int MostBoundaries = 200;

    /// <summary>Each may be a field of a header.</summary>
    private const int MostLines = 20_000;

    // The report, the message in it, and what that consists of, into which nobody looks.
    private static readonly ParserOptions s_options = new() { MaxMimeDepth = 4 };

    /// <summary>False, and why in words: there is no report in it, or none that can be read. Time and memory are bounded, whatever is in it.</summary>
    /// <param name="octets">The beginning of a message, up to <see cref="MaxBytes"/>.</param>
    /// <param name="ourName">By which our own Received field is known.</param>
    public static bool TryRead(ReadOnlyMemory<byte> octets, string ourName, [NotNullWhen(true)] out FeedbackReport? report, out string fault)
    {
        report = null;
        if (Count(octets.Span, "\n--"u8) > MostBoundaries || Count(octets.Span, "\n"u8) > MostLines)
        {
            fault = $"it has more than {MostBoundaries} parts or {MostLines} lines";
            return false;
        }

        try
        {
            using var stream = new MemoryStream(octets.ToArray(), writable: false);
            using var message = MimeMessage.Load(s_options, stream);
            report = Read(message, ourName, out fault);
            return report is not null;
        }
        catch (Exception unreadable) when (unreadable is FormatException or IOException or ArgumentException or InvalidOperationException)
        {
            fault = PlainText.Line(unreadable.Message, 300);
            return false;
        }
    }

    private static FeedbackReport? Read(MimeMessage message, string ourName, out string fault)
    {
        fault = "it is no multipart/report of feedback (RFC 5965)";
        if (message.Body is not MultipartReport { ReportType: { } kind } parts || !kind.Equals("feedback-report", StringComparison.OrdinalIgnoreCase))
            return null;
        fault = "it has no part message/feedback-report with a Feedback-Type";
        if (parts.OfType<MessageFeedbackReport>().FirstOrDefault()?.Fields is not { } fields || Text(fields, "Feedback-Type") is not { Length: > 0 and <= 64 } type)
            return null;
        fault = "";
        // RFC 5965 §3.1 wants the second part to be the report, and the third one the message or its header.
        var header = parts.OfType<MessagePart>().FirstOrDefault()?.Message?.Headers;
        return new FeedbackReport(
            type.ToLowerInvariant(),
            [.. Values(fields, "Original-Rcpt-To").Take(MostRecipients).Select(Address).Where(address => address.Length > 0)],
            HostAddress.TryParse(Text(fields, "Source-IP"), out var source) ? source.ToString() : "",
            AfterType(Text(fields, "Reporting-MTA")),
            header is null ? "" : HeaderIdOf(Text(header, "Message-ID")),
            header is null ? null : OurIdOf(header, ourName));
    }

    private static string Text(HeaderList fields, string name) => Values(fields, name).FirstOrDefault() ?? "";

    private static IEnumerable<string> Values(HeaderList fields, string name) =>
        fields.Where(field => field.Field.Equals(name, StringComparison.OrdinalIgnoreCase)).Select(field => PlainText.Cut(field.Value.Trim(), MaxField));

    /// <summary>"&lt;ann@example.org&gt;", with or without brackets, or "rfc822; ann@example.org".</summary>
    private static string Address(string text)
    {
        text = AfterType(text).Trim('<', '>', ' ');
        return SmtpAddress.TryParse(text, out _, allowUtf8: true) ? text : "";
    }

    private static string AfterType(string text) => PlainText.Of(text[(text.IndexOf(';', StringComparison.Ordinal) + 1)..].Trim());

    // As the door keeps it.
    private static string HeaderIdOf(string text) =>
        text is ['<', ..] && text.IndexOf('>', StringComparison.Ordinal) is > 0 and var end ? text[1..end] : text;

    /// <summary>The topmost field of ours: what stands below it came with the message, and says what its sender likes.</summary>
    private static long? OurIdOf(HeaderList header, string ourName)
    {
        foreach (var value in Values(header, "Received").Take(MostReceived))
        {
            if (Received().Match(value) is { Success: true } match && match.Groups["by"].Value.Equals(ourName, StringComparison.OrdinalIgnoreCase))
                return MessageIds.TryParse(match.Groups["id"].Value, out var id) ? id : null;
        }

        return null;
    }

    private static int Count(ReadOnlySpan<byte> octets, ReadOnlySpan<byte> what) => octets.Count(what);

    [GeneratedRegex(@"\bby\s+(?<by>\S+)\s+with\s+\S+\s+id\s+(?<id>[0-9A-F]{1,12})\b")]
    private static partial Regex Received();
}
