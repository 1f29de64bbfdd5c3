using System.Globalization;
using MailPipeline.Dns;
using MailPipeline.Mail;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// Reports to domains what became of TLS with their hosts (RFC 8460): each day that is over, once, to whom their record names. What nobody wants to know, or
/// nobody could be told for two days, is forgotten.
/// </summary>
internal sealed partial class TlsReports(
    TlsResultStore results, DnsCache dns, MessageStore messages, TlsReportMessage message, TlsReportPost post, ReportCalendar calendar, AcceptedReports hints,
    IOptions<QueueOptions> options, QueueTelemetry telemetry, ILogger<TlsReports> log)
{
    /// <summary>Of one domain's day; what is beyond is left out.</summary>
    private const int MostResults = 1000;

    /// <summary>False: nothing was reported.</summary>
    public Task<bool> ReportDueAsync(CancellationToken cancellationToken) =>
        calendar.ReportDueAsync(results, (day, domain) => ReportAsync(day, domain, cancellationToken), cancellationToken);

    private async Task<bool> ReportAsync(long day, string domain, CancellationToken cancellationToken)
    {
        var answer = await dns.TxtAsync($"_smtp._tls.{domain}");
        if (answer.Status == DnsStatus.Failed)
            return false;
        var targets = TlsReportTargets.Parse(answer.Records.Select(record => record.Text));
        if (targets.IsEmpty)
        {
            await results.ForgetAsync(day, domain);
            return true;
        }

        var id = await messages.NextMessageIdAsync(cancellationToken);
        var host = options.Value.HostName;
        var head = new DomainReportHead(
            day, domain, host, options.Value.TlsReportContact is { Length: > 0 } contact ? contact : $"postmaster@{host}",
            string.Create(CultureInfo.InvariantCulture, $"{MessageIds.ToText(id)}tlsrpt{day}@{host}"));
        var report = TlsReport.Compress(head, await results.FindAsync(day, domain, MostResults, cancellationToken));
        var isTaken = targets.Mailboxes.Count > 0;
        foreach (var page in targets.Pages)
        {
            var failure = await post.SendAsync(page, report, cancellationToken);
            isTaken |= failure is null;
            telemetry.TlsReported(failure is null ? "posted" : "failed");
            if (failure is not null)
                LogNotPosted(log, domain, failure);
        }

        // Tried again with the next round.
        if (!isTaken)
            return true;
        List<ComposedMessage> mails = [];
        foreach (var mailbox in targets.Mailboxes)
            mails.Add(message.Compose(mails.Count == 0 ? id : await messages.NextMessageIdAsync(cancellationToken), head, mailbox, report));
        if (!await results.ReportAsync(day, domain, mails))
            return true;
        foreach (var mail in mails)
        {
            hints.Offer(mail.Message);
            telemetry.TlsReported("mailed");
            LogReported(log, MessageIds.ToText(mail.Message.MessageId), domain, mail.Message.Recipients[0]);
        }

        return true;
    }

    [LoggerMessage(2110, LogLevel.Information, "message={MessageId} status=tls-report {Domain} is told what became of TLS with its hosts, at {Recipient}")]
    private static partial void LogReported(ILogger log, string messageId, string domain, string recipient);

    [LoggerMessage(2111, LogLevel.Warning, "{Domain}: the report about TLS with its hosts could not be handed over: {Reason}")]
    private static partial void LogNotPosted(ILogger log, string domain, string reason);
}
