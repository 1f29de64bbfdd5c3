using System.Globalization;
using MailPipeline.Mail;
using Microsoft.Extensions.Options;
using MimeKit;

namespace MailPipeline.Queue.Reports;

/// <summary>A report about TLS as mail (RFC 8460 §5.3). It says of itself that it needs no TLS: what it tells of must not keep it away (§3).</summary>
internal sealed class TlsReportMessage(IOptions<QueueOptions> options, TimeProvider time)
{
    public ComposedMessage Compose(long messageId, TlsReportHead head, string mailbox, byte[] report)
    {
        var content = Write(head, mailbox, report);
        return new ComposedMessage(
            new Envelope(messageId, "", [mailbox], content.Length, BodyType.SevenBit | BodyType.TlsOptional, time.GetUtcNow(), ""), content);
    }

    private byte[] Write(TlsReportHead head, string mailbox, byte[] report)
    {
        var host = options.Value.HostName;
        var text = new TextPart("plain")
        {
            Text = $"This is the report of {head.Organization} about TLS with the hosts of {head.Domain} on {head.Start:yyyy-MM-dd} (RFC 8460).\nIt is attached as JSON, under gzip.\n",
        };
        // RFC 8460 §5.1: sender!domain!begin!end!id.
        var name = string.Create(
            CultureInfo.InvariantCulture, $"{host}!{head.Domain}!{head.Start.ToUnixTimeSeconds()}!{head.End.ToUnixTimeSeconds()}!{head.Id.Split('@')[0]}.json.gz");
        var attachment = new MimePart("application", "tlsrpt+gzip")
        {
            Content = new MimeContent(new MemoryStream(report)),
            ContentTransferEncoding = ContentEncoding.Base64,
            ContentDisposition = new ContentDisposition(ContentDisposition.Attachment) { FileName = name },
        };
        var body = new MultipartReport("tlsrpt");
        body.Add(text);
        body.Add(attachment);
        using var message = new MimeMessage { Body = body };
        message.From.Add(new MailboxAddress("TLS reports", head.Contact));
        message.To.Add(MailboxAddress.Parse(mailbox));
        message.Subject = $"Report Domain: {head.Domain} Submitter: {host} Report-ID: <{head.Id}>";
        message.Date = time.GetUtcNow();
        message.MessageId = head.Id;
        message.Headers.Add("TLS-Report-Domain", head.Domain);
        message.Headers.Add("TLS-Report-Submitter", host);
        // RFC 8689 §3.
        message.Headers.Add("TLS-Required", "No");
        message.Headers.Add("Auto-Submitted", "auto-generated");
        var format = FormatOptions.Default.Clone();
        format.NewLineFormat = NewLineFormat.Dos;
        format.EnsureNewLine = true;
        using var bytes = new MemoryStream();
        message.WriteTo(format, bytes);
        return bytes.ToArray();
    }
}
