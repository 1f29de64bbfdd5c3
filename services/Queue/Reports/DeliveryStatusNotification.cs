using System.Text;
using System.Text.Unicode;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;
using MimeKit;

namespace MailPipeline.Queue.Reports;

/// <summary>What reports about one message have in common.</summary>
/// <param name="ReportId">Message id kept for the report.</param>
internal sealed record ReportFrame(long ReportId, ReportedMessage Message, ReturnedContent Returned);

/// <summary>
/// Tells a sender what became of his message (RFC 3464), with the null reverse-path, so that no report is ever answered by a report (RFC 3464
/// §2, RFC 5321 §6.1). The original's header section is returned (RFC 6522 §4), or all of it where he asked for that. To a sender whose own
/// address is in UTF-8 it says addresses as they are, and needs SMTPUTF8 on its way (RFC 6533 §4); to any other it is a message for every
/// host, and what is UTF-8 in it is encoded.
/// </summary>
internal sealed class DeliveryStatusNotification(IOptions<QueueOptions> options, OwnSignature signature, TimeProvider time)
{
    /// <summary>RFC 5321 §4.5.3.1.6, without CRLF: what fits is not encoded, and reads as it was written.</summary>
    private const int MaxLineLength = 998;

    /// <summary>One report about all of these.</summary>
    public ComposedMessage Compose(ReportKind kind, ReportFrame frame, IReadOnlyList<ReportedRecipient> recipients)
    {
        var isGlobal = !Ascii.IsValid(frame.Message.Sender);
        // RFC 5322 §3.6.4: ids of messages begin anew with a new store.
        var headerId = $"{MessageIds.ToText(frame.ReportId)}.{time.GetUtcNow().ToUnixTimeMilliseconds():x}.dsn@{options.Value.HostName}";
        var content = signature.Sign(Write(kind, frame, recipients, isGlobal, headerId), options.Value.HostName);
        // What it returns is returned as it was, with all the bits it had.
        var body = (Ascii.IsValid(content) ? BodyType.SevenBit : BodyType.EightBitMime) | (isGlobal ? BodyType.SmtpUtf8 : BodyType.SevenBit)
            // RFC 8689 §5: it shows as much of the message as needs the same care.
            | (frame.Message.Body & BodyType.RequireTls);
        return new ComposedMessage(
            new Envelope(
                frame.ReportId, "", [frame.Message.Sender], content.Length, body, time.GetUtcNow(), frame.Message.TraceParent, HeaderId: headerId),
            content);
    }

    private byte[] Write(ReportKind kind, ReportFrame frame, IReadOnlyList<ReportedRecipient> recipients, bool isGlobal, string headerId)
    {
        var hostName = options.Value.HostName;
        MimeEntity[] parts =
        [
            new TextPart("plain") { Text = ReportText.Write(hostName, kind, frame, recipients), ContentDescription = "Notification" },
            Status(frame, recipients, isGlobal),
        ];
        // RFC 2045 §6.1: what the far end said may be 8-bit text; these pass every server all the same.
        foreach (var part in parts)
            part.Prepare(isGlobal ? EncodingConstraint.EightBit : EncodingConstraint.SevenBit, MaxLineLength);
        var report = new MultipartReport("delivery-status");
        foreach (var part in parts)
            report.Add(part);
        report.Add(frame.Returned.Whole is { } whole ? Returned(whole, frame, isGlobal) : ReturnedHeader(frame, isGlobal));
        using var message = new MimeMessage { Body = report };
        message.From.Add(new MailboxAddress("Mail Delivery System", $"MAILER-DAEMON@{hostName}"));
        message.Headers.Add(isGlobal
            ? StatusField.Raw("To", $" {PlainText.Of(frame.Message.Sender)}\r\n") : new Header(HeaderId.To, frame.Message.Sender));
        message.Subject = ReportText.Subject(kind, recipients);
        message.Date = time.GetUtcNow();
        message.MessageId = headerId;
        // RFC 3834 §5: nobody should answer this automatically.
        message.Headers.Add("Auto-Submitted", "auto-replied");
        var format = FormatOptions.Default.Clone();
        format.NewLineFormat = NewLineFormat.Dos;
        format.EnsureNewLine = true;
        using var bytes = new MemoryStream();
        message.WriteTo(format, bytes);
        return bytes.ToArray();
    }

    private MessageDeliveryStatus Status(ReportFrame frame, IReadOnlyList<ReportedRecipient> recipients, bool isGlobal)
    {
        // RFC 3464 §2.2: one group about the message, then one for each recipient.
        var status = new MessageDeliveryStatus { ContentDescription = "Delivery report" };
        // RFC 6533 §4.1
        if (isGlobal)
            status.ContentType.MediaSubtype = "global-delivery-status";
        var ofMessage = new HeaderList();
        // RFC 3464 §2.2.1
        if (frame.Message.Dsn.EnvelopeIdText is { Length: > 0 } id)
            ofMessage.Add(StatusField.Text("Original-Envelope-Id", id));
        ofMessage.Add(StatusField.Typed("Reporting-MTA", "dns", options.Value.HostName));
        ofMessage.Add("Arrival-Date", ReportText.Rfc5322Date(frame.Message.AcceptedAt));
        // RFC 2852 §5
        if (frame.Message.Timing.By is { } by)
            ofMessage.Add("Deliver-By-Date", ReportText.Rfc5322Date(by.At));
        // RFC 4865 §4
        if (frame.Message.Timing.Release is { } release)
            ofMessage.Add("Future-Release-Request", release.Asked);
        status.StatusGroups.Add(ofMessage);
        foreach (var recipient in recipients)
            status.StatusGroups.Add(Group(recipient, isGlobal));
        return status;
    }

    private static HeaderList Group(ReportedRecipient recipient, bool isGlobal)
    {
        var group = new HeaderList();
        // RFC 3464 §2.3.1: by it the sender's programs find what they sent.
        if (recipient.OriginalRecipient.Length > 0)
            group.Add(StatusField.OriginalRecipient("Original-Recipient", recipient.OriginalRecipient, isGlobal));
        else if (recipient.Original.Length > 0)
            group.Add(StatusField.Address("Original-Recipient", recipient.Original, isGlobal));
        group.Add(StatusField.Address("Final-Recipient", recipient.Address, isGlobal));
        group.Add("Action", Word(recipient.Action));
        group.Add("Status", recipient.Status);
        if (recipient.RemoteHost.Length > 0)
            group.Add(StatusField.Typed("Remote-MTA", "dns", RemoteMta(recipient.RemoteHost)));
        if (recipient.Reply.Length > 0)
            group.Add(StatusField.Text("Diagnostic-Code", StatusField.IsSmtpReply(recipient.Reply) ? "smtp" : "x-mailpipeline", recipient.Reply));
        if (recipient.LastAttemptAt is { } last)
            group.Add("Last-Attempt-Date", ReportText.Rfc5322Date(last));
        if (recipient.RetriedUntil is { } end)
            group.Add("Will-Retry-Until", ReportText.Rfc5322Date(end));
        return group;
    }

    private static string Word(ReportAction action) => action switch
    {
        ReportAction.Failed => "failed",
        ReportAction.Delayed => "delayed",
        ReportAction.Delivered => "delivered",
        ReportAction.Relayed => "relayed",
        _ => "expanded",
    };

    /// <summary>RFC 6533 §4.3: of a type of its own where the message was one with SMTPUTF8, or the report is.</summary>
    private static MimePart ReturnedHeader(ReportFrame frame, bool isGlobal)
    {
        var header = frame.Returned.Header;
        var isUtf8 = (isGlobal || frame.Message.Body.HasFlag(BodyType.SmtpUtf8)) && !Ascii.IsValid(header) && Utf8.IsValid(header);
        return new(isUtf8 ? "message" : "text", isUtf8 ? "global-headers" : "rfc822-headers")
        {
            Content = new MimeContent(new MemoryStream(header)),
            // RFC 6522 §4: people and programs read it as it is, even where 8-bit text must not make the report need more than 7 bits.
            ContentTransferEncoding = Ascii.IsValid(header) ? ContentEncoding.SevenBit
                : isGlobal && isUtf8 ? ContentEncoding.EightBit : ContentEncoding.QuotedPrintable,
            ContentDescription = "Header of the message",
        };
    }

    /// <summary>
    /// RFC 2046 §5.2.1: never encoded, but for a message with SMTPUTF8 in a report that is to pass every host (RFC 6533 §4.5), which is of a
    /// type of its own (§4.2): a header of another message that is not ASCII, in whatever it is, makes none of it.
    /// </summary>
    private static MimePart Returned(byte[] whole, ReportFrame frame, bool isGlobal)
    {
        var header = frame.Returned.Header;
        var isUtf8 = frame.Message.Body.HasFlag(BodyType.SmtpUtf8) || (isGlobal && !Ascii.IsValid(header) && Utf8.IsValid(header));
        return new("message", isUtf8 ? "global" : "rfc822")
        {
            Content = new MimeContent(new MemoryStream(whole)),
            ContentTransferEncoding = Ascii.IsValid(whole) ? ContentEncoding.SevenBit : isUtf8 && !isGlobal ? ContentEncoding.Base64 : ContentEncoding.EightBit,
            ContentDescription = "The message",
        };
    }

    /// <summary>RFC 3464 §2.3.5: a domain name, or an address literal where there is no name. Given "mx.example.net[192.0.2.1]:25".</summary>
    private static string RemoteMta(string remoteHost)
    {
        var bracket = remoteHost.IndexOf('[', StringComparison.Ordinal);
        var name = bracket < 0 ? remoteHost : remoteHost[..bracket];
        return HostAddress.TryParse(name, out var address) ? HostAddress.Literal(address) : name;
    }
}
