using System.Globalization;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;
using MimeKit;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// Reports to domains how mail in their name was judged (RFC 7489 §7.2): each day that is over, once, to whom their record names then. A policy that was changed
/// on that day has a report of its own. What nobody wants to know, or nobody could be told in time, is forgotten.
/// </summary>
internal sealed partial class DmarcReports(
    DmarcResultStore results, DmarcReportTargets targets, MessageStore messages, DomainReportMail mail, ReportCalendar calendar, AcceptedReports hints,
    IOptions<QueueOptions> options, QueueTelemetry telemetry, TimeProvider time, ILogger<DmarcReports> log)
    : IDisposable
{
    /// <summary>Of one domain's day; how many messages are beyond is said.</summary>
    internal const int MostRows = 2000;

    /// <summary>Of one domain's day.</summary>
    internal const int MostPolicies = 5;

    // A report is made whole in memory, so that there is one at a time; DNS answers side by side.
    private readonly SemaphoreSlim _turn = new(1);

    private readonly string[] _except = [.. options.Value.DmarcReports.ExceptDomains.Select(DomainName.Key)];

    /// <summary>False: nothing was reported.</summary>
    public Task<bool> ReportDueAsync(CancellationToken cancellationToken) =>
        calendar.ReportDueAsync(results, (day, domain) => ReportAsync(day, domain, cancellationToken), cancellationToken);

    public void Dispose() => _turn.Dispose();

    private async Task<bool> ReportAsync(long day, string domain, CancellationToken cancellationToken)
    {
        if (Array.Exists(_except, name => domain == name || domain.EndsWith($".{name}", StringComparison.Ordinal)))
        {
            await results.ForgetAsync(day, domain);
            return true;
        }

        var found = await targets.FindAsync(domain);
        if (!found.IsComplete && (found.Targets.Count == 0 || calendar.MayWait(day)))
            return false;
        foreach (var unwilling in found.Unwilling)
        {
            telemetry.DmarcReported("unwilling");
            LogUnwilling(log, domain, unwilling);
        }

        await _turn.WaitAsync(cancellationToken);
        try
        {
            await TellAsync(day, domain, found.Targets, cancellationToken);
            return true;
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task TellAsync(long day, string domain, IReadOnlyList<DmarcReportTarget> to, CancellationToken cancellationToken)
    {
        var mails = await ComposeAsync(day, domain, to, cancellationToken);
        if (mails.Count == 0)
        {
            await results.ForgetAsync(day, domain);
            return;
        }

        if (!await results.ReportAsync(day, domain, [.. mails.Select(one => one.Mail)], [.. mails.Select(one => one.Sent)]))
            return;
        foreach (var (made, _) in mails)
        {
            hints.Offer(made.Message);
            telemetry.DmarcReported("mailed");
            LogReported(log, MessageIds.ToText(made.Message.MessageId), domain, made.Message.Recipients[0]);
        }
    }

    private async Task<List<(ComposedMessage Mail, SentDmarcReport Sent)>> ComposeAsync(
        long day, string domain, IReadOnlyList<DmarcReportTarget> to, CancellationToken cancellationToken)
    {
        List<(ComposedMessage, SentDmarcReport)> mails = [];
        if (to.Count == 0)
            return mails;
        var counted = await results.FindAsync(day, domain, MostRows, cancellationToken);
        var judged = counted.Counts.Select(count => (Judgement: DmarcJudgement.Parse(count.Key.Judgement), count.Messages)).Where(one => one.Judgement is not null).ToList();
        var policies = judged.GroupBy(one => one.Judgement!.Policy).Take(MostPolicies).ToList();
        var untold = counted.Messages - policies.Sum(rows => rows.Sum(one => one.Messages));
        foreach (var rows in policies)
        {
            var id = await messages.NextMessageIdAsync(cancellationToken);
            var head = HeadOf(day, domain, id);
            var report = new DmarcReport(
                new(head.Organization, head.Contact, head.Id, head.Start, head.End) { Errors = untold > 0 ? [$"{untold} further messages of that day are in no row"] : [] },
                rows.Key, [.. rows.Select(row => new DmarcReportRow(row.Judgement!.Source, row.Messages))]);
            untold = 0;
            var content = DmarcReportWriter.Compress(report);
            var isFirst = true;
            foreach (var target in to)
            {
                if (target.MaxBytes < content.Length)
                {
                    telemetry.DmarcReported("too_large");
                    LogTooLarge(log, domain, target.Mailbox, content.Length);
                    continue;
                }

                var made = Compose(isFirst ? id : await messages.NextMessageIdAsync(cancellationToken), head, target.Mailbox, content);
                isFirst = false;
                mails.Add((made, new SentDmarcReport(
                    made.Message.MessageId, day, domain, target.Mailbox, head.Id, report.Rows.Count, report.Rows.Sum(row => row.Messages), time.GetUtcNow())));
            }
        }

        return mails;
    }

    private DomainReportHead HeadOf(long day, string domain, long id)
    {
        var settings = options.Value.DmarcReports;
        var host = options.Value.HostName;
        var contact = settings.Contact is { Length: > 0 } address ? address : $"postmaster@{host}";
        return new DomainReportHead(
            day, domain, settings.Organization is { Length: > 0 } organization ? organization : host, contact,
            string.Create(CultureInfo.InvariantCulture, $"{MessageIds.ToText(id)}dmarc{day}@{host}"));
    }

    private ComposedMessage Compose(long messageId, DomainReportHead head, string mailbox, byte[] report)
    {
        // RFC 7489 §7.2.1.1: receiver!domain!begin!end!id, the receiver by the domain that the report comes from.
        var submitter = head.Contact[(head.Contact.LastIndexOf('@') + 1)..];
        var name = string.Create(
            CultureInfo.InvariantCulture, $"{submitter}!{head.Domain}!{head.Start.ToUnixTimeSeconds()}!{head.End.ToUnixTimeSeconds()}!{head.UniqueId}.xml.gz");
        var text = new TextPart("plain")
        {
            Text = $"This is the report of {head.Organization} about mail in the name of {head.Domain} on {head.Start:yyyy-MM-dd} (DMARC, RFC 7489).\nIt is attached as XML, under gzip.\n",
        };
        var body = new Multipart("mixed") { text, DomainReportMail.Attach("application", "gzip", name, report) };
        return mail.Compose(messageId, new DomainReport(head, "DMARC reports", submitter, body, BodyType.SevenBit), mailbox);
    }

    [LoggerMessage(2112, LogLevel.Information, "message={MessageId} status=dmarc-report {Domain} is told how mail in its name was judged, at {Recipient}")]
    private static partial void LogReported(ILogger log, string messageId, string domain, string recipient);

    [LoggerMessage(2113, LogLevel.Information, "{Domain} wants reports by DMARC at {Recipient}, whose domain does not say that it takes them; none is sent there")]
    private static partial void LogUnwilling(ILogger log, string domain, string recipient);

    [LoggerMessage(2114, LogLevel.Information, "{Domain} wants no report by DMARC at {Recipient} that is as large as the one of {SizeBytes} octets; none is sent there")]
    private static partial void LogTooLarge(ILogger log, string domain, string recipient, int sizeBytes);
}
