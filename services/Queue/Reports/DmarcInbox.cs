using MailPipeline.Authentication.Dmarc;
using MailPipeline.Mail;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// Reads what others report to addresses of ours (RFC 7489 §7.2), beside the way of the mail, which goes where it is addressed whatever is in it. What is no report,
/// or is read away by its reader first, costs a count. One over which processes die is left alone.
/// </summary>
internal sealed partial class DmarcInbox(DmarcReportStore store, MessageStore messages, QueueTelemetry telemetry, ILogger<DmarcInbox> log)
{
    private const int MostAtOnce = 50;

    private const int MostTries = 3;

    /// <summary>False: there was nothing to read.</summary>
    public async Task<bool> ReadAsync(CancellationToken cancellationToken)
    {
        var unread = await store.ListUnreadAsync(MostAtOnce, cancellationToken);
        foreach (var (messageId, tries) in unread)
            await ReadAsync(messageId, tries, cancellationToken);
        return unread.Count > 0;
    }

    private async Task ReadAsync(long messageId, int tries, CancellationToken cancellationToken)
    {
        await store.TryAsync(messageId);
        var (report, fault) = tries < MostTries ? await FindAsync(messageId, cancellationToken) : (null, $"its reading was begun {tries} times");
        if (report is null)
        {
            await store.DropAsync(messageId);
            telemetry.DmarcReceived(fault.Length == 0 ? "gone" : "unreadable");
            if (fault.Length > 0)
                LogUnreadable(log, MessageIds.ToText(messageId), fault);
            return;
        }

        var kept = await store.KeepAsync(Keep(messageId, report));
        telemetry.DmarcReceived(QueueTelemetry.Word(kept));
        LogRead(log, MessageIds.ToText(messageId), report.Head.Organization, report.Policy.Domain, QueueTelemetry.Word(kept));
    }

    /// <summary>Null, and without a fault: the message is gone.</summary>
    private async Task<(DmarcReport? Report, string Fault)> FindAsync(long messageId, CancellationToken cancellationToken)
    {
        using var content = new MemoryStream();
        await foreach (var piece in messages.ReadContentAsync(messageId, cancellationToken))
        {
            if (content.Length + piece.Length > DmarcReportFile.MaxBytes)
                return (null, $"it has more than {DmarcReportFile.MaxBytes} octets");
            content.Write(piece.Span);
        }

        if (content.Length == 0)
            return (null, "");
        // It may take a while, for which no grain's turn is there.
        return await Task.Run(() => DmarcReportFile.TryRead(content.GetBuffer().AsMemory(0, (int)content.Length), out var report, out var fault) ? (report, "") : (null, fault), cancellationToken);
    }

    private static ReceivedDmarcReport Keep(long messageId, DmarcReport report) => new(
        messageId, report.Policy.Domain, report.Head.Organization, report.Head.Email, report.Head.Id, report.Head.Begin, report.Head.End, report.Policy.Policy,
        [.. report.Rows.Select(row => new ReceivedDmarcRow(
            row.Source.Address, row.Source.HeaderFrom, row.Messages, row.Source.Disposition, row.Source.IsDkimAligned, row.Source.IsSpfAligned))],
        report.OmittedMessages);

    [LoggerMessage(2115, LogLevel.Information, "message={MessageId} status=dmarc-report-{Kept} {Organization} reports how mail in the name of {Domain} was judged")]
    private static partial void LogRead(ILogger log, string messageId, string organization, string domain, string kept);

    [LoggerMessage(2116, LogLevel.Information, "message={MessageId} came to an address for reports by DMARC, and is none that can be read: {Reason}")]
    private static partial void LogUnreadable(ILogger log, string messageId, string reason);
}
