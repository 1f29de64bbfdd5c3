using MailPipeline.Mail;
using MimeKit;

namespace MailPipeline.Queue.Reports;

/// <summary>Which day of which domain a report is about, and who makes it.</summary>
/// <param name="Day">Since 1970, by UTC.</param>
/// <param name="Organization">Ours, for people.</param>
/// <param name="Contact">The mailbox of who answers for it, from which it comes.</param>
/// <param name="Id">Of this report alone, letters and digits before an "@"; its Message-ID too.</param>
internal sealed record DomainReportHead(long Day, string Domain, string Organization, string Contact, string Id)
{
    public const long SecondsOfDay = 86_400;

    public DateTimeOffset Start => DateTimeOffset.FromUnixTimeSeconds(Day * SecondsOfDay);

    public DateTimeOffset End => Start.AddSeconds(SecondsOfDay - 1);

    /// <summary>What stands before the "@" of the id, which names the file: 1*(ALPHA / DIGIT) (RFC 7489 §7.2.1.1, RFC 8460 §5.1).</summary>
    public string UniqueId => Id.Split('@')[0];
}

/// <summary>A report to a domain as a message.</summary>
/// <param name="Author">Beside the contact's address, for people.</param>
/// <param name="Submitter">The domain that reports.</param>
/// <param name="Body">Of this message alone.</param>
/// <param name="Needs">Beside seven bits.</param>
/// <param name="Fields">What stands in its header besides.</param>
internal sealed record DomainReport(
    DomainReportHead Head, string Author, string Submitter, Multipart Body, BodyType Needs, params IReadOnlyList<(string Name, string Value)> Fields);

/// <summary>
/// Reports to domains as mail, with the subject that RFC 8460 §5.3 and RFC 7489 §7.2.1.1 share, and the null sender: nothing that becomes of one is ever
/// reported. They are signed as other mail of ours is.
/// </summary>
internal sealed class DomainReportMail(OwnSignature signature, TimeProvider time)
{
    public static MimePart Attach(string mediaType, string subtype, string fileName, byte[] content) => new(mediaType, subtype)
    {
        Content = new MimeContent(new MemoryStream(content)),
        ContentTransferEncoding = ContentEncoding.Base64,
        ContentDisposition = new ContentDisposition(ContentDisposition.Attachment) { FileName = fileName },
    };

    public ComposedMessage Compose(long messageId, DomainReport report, string mailbox)
    {
        var content = Write(report, mailbox);
        return new ComposedMessage(new Envelope(messageId, "", [mailbox], content.Length, BodyType.SevenBit | report.Needs, time.GetUtcNow(), "", HeaderId: report.Head.Id), content);
    }

    private byte[] Write(DomainReport report, string mailbox)
    {
        var head = report.Head;
        using var message = new MimeMessage { Body = report.Body };
        message.From.Add(new MailboxAddress(report.Author, head.Contact));
        message.To.Add(MailboxAddress.Parse(mailbox));
        message.Subject = $"Report Domain: {head.Domain} Submitter: {report.Submitter} Report-ID: <{head.Id}>";
        message.Date = time.GetUtcNow();
        message.MessageId = head.Id;
        foreach (var (name, value) in report.Fields)
            message.Headers.Add(name, value);
        message.Headers.Add("Auto-Submitted", "auto-generated");
        var format = FormatOptions.Default.Clone();
        format.NewLineFormat = NewLineFormat.Dos;
        format.EnsureNewLine = true;
        using var bytes = new MemoryStream();
        message.WriteTo(format, bytes);
        return signature.Sign(bytes.ToArray(), head.Contact[(head.Contact.LastIndexOf('@') + 1)..]);
    }
}
