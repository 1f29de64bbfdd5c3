using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;
using MimeKit;

namespace MailPipeline.Queue.Reports;

/// <summary>A message of which some recipients failed.</summary>
/// <param name="ReportId">Message id kept for the report.</param>
/// <param name="Header">The original header section, at most <see cref="DeliveryStatusNotification.MaxHeaderBytes"/>.</param>
internal sealed record FailedMessage(long ReportId, ReportedMessage Message, byte[] Header);

/// <summary>
/// Tells a sender that his message was not delivered (RFC 3464), with the null reverse-path, so that no report is ever
/// answered by a report (RFC 3464 §2, RFC 5321 §6.1). The original's header section is returned, not its body (RFC 6522 §4).
/// </summary>
internal sealed class DeliveryStatusNotification(IOptions<QueueOptions> options, TimeProvider time)
{
    public const int MaxHeaderBytes = 64 * 1024;

    /// <summary>RFC 5321 §4.5.3.1.6, without CRLF: what fits is not encoded, and reads as it was written.</summary>
    private const int MaxLineLength = 998;

    private const int MaxSubjectLength = 200;

    /// <summary>One report about all of these.</summary>
    public ComposedMessage Compose(FailedMessage failed, IReadOnlyList<UnreportedFailure> failures)
    {
        var content = Write(failed, failures);
        return new ComposedMessage(
            new Envelope(
                failed.ReportId, "", [failed.Message.Sender], content.Length, BodyType.SevenBit, time.GetUtcNow(), failed.Message.TraceParent),
            content);
    }

    /// <summary>The header section of a stored message, up to its empty line.</summary>
    public static async Task<byte[]> ReadHeaderAsync(MessageStore store, long messageId, CancellationToken cancellationToken)
    {
        var header = new ArrayBufferWriter<byte>();
        await foreach (var chunk in store.ReadContentAsync(messageId, cancellationToken))
        {
            header.Write(chunk.Span[..Math.Min(chunk.Length, MaxHeaderBytes - header.WrittenCount)]);
            var end = header.WrittenSpan.IndexOf("\r\n\r\n"u8);
            if (end >= 0)
                return header.WrittenSpan[..(end + 2)].ToArray();
            if (header.WrittenCount == MaxHeaderBytes)
                break;
        }
        return header.WrittenSpan.ToArray();
    }

    private byte[] Write(FailedMessage failed, IReadOnlyList<UnreportedFailure> failures)
    {
        var hostName = options.Value.HostName;
        var report = new MultipartReport("delivery-status") { Explain(failed, failures), Status(failed, failures), Returned(failed) };
        using var message = new MimeMessage { Body = report };
        message.From.Add(new MailboxAddress("Mail Delivery System", $"MAILER-DAEMON@{hostName}"));
        message.Headers.Add(HeaderId.To, failed.Message.Sender);
        message.Subject = "Undelivered Mail Returned to Sender";
        message.Date = time.GetUtcNow();
        // RFC 5322 §3.6.4: ids of messages begin anew with a new store.
        message.MessageId = $"{MessageIds.ToText(failed.ReportId)}.{time.GetUtcNow().ToUnixTimeMilliseconds():x}.dsn@{hostName}";
        // RFC 3834 §5: nobody should answer this automatically.
        message.Headers.Add("Auto-Submitted", "auto-replied");
        // RFC 2045 §6.1: what the far end said may be 8-bit text; the report passes every server all the same.
        message.Prepare(EncodingConstraint.SevenBit, MaxLineLength);
        var format = FormatOptions.Default.Clone();
        format.NewLineFormat = NewLineFormat.Dos;
        format.EnsureNewLine = true;
        using var bytes = new MemoryStream();
        message.WriteTo(format, bytes);
        return bytes.ToArray();
    }

    private TextPart Explain(FailedMessage failed, IReadOnlyList<UnreportedFailure> failures)
    {
        var text = new StringBuilder()
            .Append("This is the mail system at ").Append(options.Value.HostName).Append(".\r\n\r\n")
            .Append("Your message of ").Append(Rfc5322Date(failed.Message.AcceptedAt))
            .Append(SubjectOf(failed.Header) is { Length: > 0 } subject ? $",\r\n\r\n  \"{subject}\",\r\n\r\ncould" : " could")
            .Append(" not be delivered to:\r\n\r\n");
        foreach (var recipient in failures)
        {
            // The sender knows the address he wrote; its keeper wants to know which of its targets it is.
            text.Append(recipient.Original.Length > 0 ? $"  <{recipient.Original}>, which leads to <{recipient.Address}>" : $"  <{recipient.Address}>")
                .Append("\r\n    ")
                .Append(recipient.State == RecipientState.Expired ? "given up, its time is over; last: " : "")
                .Append(Speaker(recipient.Result))
                .Append(recipient.Result.Reply).Append("\r\n")
                .Append(recipient.Result.Outcome == AttemptOutcome.Uncertain ? "    A copy may have arrived: contact was lost while it was being handed over.\r\n" : "")
                .Append("\r\n");
        }
        text.Append("The technical details and the header of your message follow.\r\n");
        return new TextPart("plain") { Text = text.ToString(), ContentDescription = "Notification" };
    }

    private MessageDeliveryStatus Status(FailedMessage failed, IReadOnlyList<UnreportedFailure> failures)
    {
        // RFC 3464 §2.2: one group about the message, then one for each recipient.
        var status = new MessageDeliveryStatus { ContentDescription = "Delivery report" };
        status.StatusGroups.Add(new HeaderList
        {
            StatusField.Typed("Reporting-MTA", "dns", options.Value.HostName),
            { "Arrival-Date", Rfc5322Date(failed.Message.AcceptedAt) },
        });
        foreach (var recipient in failures)
        {
            var result = recipient.Result;
            var group = new HeaderList();
            // RFC 3464 §2.3.1: by it the sender's programs find what they sent.
            if (recipient.Original.Length > 0)
                group.Add(StatusField.Address("Original-Recipient", recipient.Original));
            group.Add(StatusField.Address("Final-Recipient", recipient.Address));
            group.Add("Action", "failed");
            // RFC 3463 §3.5: an expired message failed for good, whatever the last attempt said.
            group.Add("Status", recipient.State == RecipientState.Expired ? "5.4.7" : result.Status);
            if (result.RemoteHost.Length > 0)
                group.Add(StatusField.Typed("Remote-MTA", "dns", RemoteMta(result.RemoteHost)));
            group.Add(StatusField.Text("Diagnostic-Code", IsSmtpReply(result.Reply) ? "smtp" : "x-mailpipeline", result.Reply));
            if (recipient.WasTried)
                group.Add("Last-Attempt-Date", Rfc5322Date(result.FinishedAt));
            status.StatusGroups.Add(group);
        }
        return status;
    }

    private static MimePart Returned(FailedMessage failed) => new("text", "rfc822-headers")
    {
        Content = new MimeContent(new MemoryStream(failed.Header)),
        // RFC 6522 §4: people and programs read it as it is, even where 8-bit text must not make the report need more than 7 bits.
        ContentTransferEncoding = Ascii.IsValid(failed.Header) ? ContentEncoding.SevenBit : ContentEncoding.QuotedPrintable,
        ContentDescription = "Header of the undelivered message",
    };

    /// <summary>Our own sentences name the host where it has to do with them.</summary>
    private static string Speaker(AttemptResult result) => result switch
    {
        { RemoteHost.Length: 0 } => "",
        _ when IsSmtpReply(result.Reply) => $"{result.RemoteHost} said: ",
        _ when result.Reply.Contains(result.RemoteHost, StringComparison.Ordinal) => "",
        _ => $"while speaking to {result.RemoteHost}: ",
    };

    /// <summary>RFC 3464 §2.3.5: a domain name, or an address literal where there is no name. Given "mx.example.net[192.0.2.1]:25".</summary>
    private static string RemoteMta(string remoteHost)
    {
        var bracket = remoteHost.IndexOf('[', StringComparison.Ordinal);
        var name = bracket < 0 ? remoteHost : remoteHost[..bracket];
        return HostAddress.TryParse(name, out var address) ? HostAddress.Literal(address) : name;
    }

    /// <summary>RFC 3464 §2.3.6: "smtp" is for what an SMTP server said; the rest is our own.</summary>
    private static bool IsSmtpReply(string reply) =>
        reply.Length > 3 && char.IsAsciiDigit(reply[0]) && char.IsAsciiDigit(reply[1]) && char.IsAsciiDigit(reply[2]) && reply[3] is ' ' or '-';

    /// <summary>By it people know which message it was. Empty where the header has none, or cannot be read.</summary>
    private static string SubjectOf(byte[] header)
    {
        try
        {
            var subject = HeaderList.Load(new MemoryStream(header))[HeaderId.Subject] ?? "";
            return PlainText.Cut(PlainText.Of(subject.Trim()), MaxSubjectLength);
        }
        catch (FormatException)
        {
            return "";
        }
    }

    private static string Rfc5322Date(DateTimeOffset at) =>
        at.ToString("ddd, dd MMM yyyy HH:mm:ss '+0000'", CultureInfo.InvariantCulture);
}
