using System.Text;
using MimeKit;

namespace MailPipeline.Testing;

/// <summary>Recognises delivery status notifications (RFC 3464) and says which ledger message they report on.</summary>
public static class DsnReader
{
    /// <summary>The notification in these bytes; null when they are anything else.</summary>
    public static DsnReport? Read(ReadOnlyMemory<byte> message)
    {
        using var stream = new MemoryStream(message.ToArray(), writable: false);
        MimeMessage parsed;
        try
        {
            parsed = MimeMessage.Load(stream);
        }
        catch (FormatException)
        {
            return null;
        }
        // RFC 3464 §2: multipart/report; report-type=delivery-status.
        if (parsed.Body is not MultipartReport report
            || !string.Equals(report.ReportType, "delivery-status", StringComparison.OrdinalIgnoreCase)
            || report.OfType<MessageDeliveryStatus>().FirstOrDefault() is not { } status)
        {
            return null;
        }
        // RFC 3464 §2.1: the first group of fields is about the message, each further one about a recipient; an empty line at the end begins none.
        var recipients = status.StatusGroups.Skip(1).Where(group => group.Contains("Action")).Select(ReadRecipient).ToArray();
        return new(parsed.MessageId ?? "", FindToken(report), recipients, report.Any(part => part.ContentType.IsMimeType("message", "rfc822")));
    }

    private static DsnRecipient ReadRecipient(HeaderList fields) => new(
        Address(fields["Original-Recipient"] ?? fields["Final-Recipient"] ?? ""),
        (fields["Action"] ?? "").Trim().ToLowerInvariant(),
        (fields["Status"] ?? "").Trim(),
        (fields["Diagnostic-Code"] ?? "").Trim());

    // RFC 3464 §2.3.2: "rfc822; user@example.com".
    private static string Address(string field) => field[(field.IndexOf(';', StringComparison.Ordinal) + 1)..].Trim();

    private static string FindToken(MultipartReport report)
    {
        foreach (var part in report)
        {
            var token = part switch
            {
                MessagePart { Message: { } original } => original.Headers[LedgerMessage.TokenHeader],
                MimePart { Content: { } content } text when text.ContentType.IsMimeType("text", "rfc822-headers") => TokenIn(content),
                _ => null,
            };
            if (token is { Length: > 0 })
                return token.Trim();
        }
        return "";
    }

    private static string? TokenIn(IMimeContent content)
    {
        using var bytes = new MemoryStream();
        content.DecodeTo(bytes);
        var prefix = LedgerMessage.TokenHeader + ":";
        var line = Encoding.UTF8.GetString(bytes.ToArray())
            .Split('\n')
            .FirstOrDefault(l => l.StartsWith(prefix, StringComparison.OrdinalIgnoreCase));
        return line?[prefix.Length..].Trim();
    }
}
