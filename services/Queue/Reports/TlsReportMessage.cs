using System.Globalization;
using MailPipeline.Mail;
using Microsoft.Extensions.Options;
using MimeKit;

namespace MailPipeline.Queue.Reports;

/// <summary>A report about TLS as mail (RFC 8460 §5.3). It says of itself that it needs no TLS: what it tells of must not keep it away (§3).</summary>
internal sealed class TlsReportMessage(DomainReportMail mail, IOptions<QueueOptions> options)
{
    public ComposedMessage Compose(long messageId, DomainReportHead head, string mailbox, byte[] report)
    {
        var host = options.Value.HostName;
        var text = new TextPart("plain")
        {
            Text = $"This is the report of {head.Organization} about TLS with the hosts of {head.Domain} on {head.Start:yyyy-MM-dd} (RFC 8460).\nIt is attached as JSON, under gzip.\n",
        };
        // RFC 8460 §5.1: sender!domain!begin!end!id.
        var name = string.Create(
            CultureInfo.InvariantCulture, $"{host}!{head.Domain}!{head.Start.ToUnixTimeSeconds()}!{head.End.ToUnixTimeSeconds()}!{head.UniqueId}.json.gz");
        var body = new MultipartReport("tlsrpt") { text, DomainReportMail.Attach("application", "tlsrpt+gzip", name, report) };
        // RFC 8689 §3.
        return mail.Compose(
            messageId,
            new DomainReport(
                head, "TLS reports", host, body, BodyType.TlsOptional, ("TLS-Report-Domain", head.Domain), ("TLS-Report-Submitter", host), ("TLS-Required", "No")),
            mailbox);
    }
}
