using MailPipeline.Authentication.Dmarc;
using MailPipeline.Mail;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// Reads what others report to addresses of ours (RFC 7489 §7.2), beside the way of the mail, which goes where it is addressed whatever is in it. What is no report,
/// or is read away by its reader first, costs a count. What an operator has to release is read once that is done. One over which processes die is left alone. Reports about domains of which nobody here is told are not kept.
/// </summary>
internal sealed partial class DmarcInbox(
    DmarcReportStore store, MessageStore messages, DmarcReportConcerns concerns, QueueTelemetry telemetry, TimeProvider time, ILogger<DmarcInbox> log)
{
    private const int MostAtOnce = 50;

    private const int MostTries = 3;

    private const string Foreign = "foreign";

    private const string Unanswered = "unanswered";

    private static readonly TimeSpan s_dnsPause = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan s_roomPause = TimeSpan.FromHours(6);

    /// <summary>Since the message came.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromDays(3);

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
        if (await store.PostponeHeldAsync(messageId, cancellationToken))
            return;
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

        var outcome = await concerns.AskAsync(report.Domain, cancellationToken) switch
        {
            true => QueueTelemetry.Word(await store.KeepAsync(report)),
            false => Foreign,
            null => Unanswered,
        };
        if (outcome == Foreign)
            await store.DropAsync(messageId);
        else if (outcome == Unanswered || outcome == QueueTelemetry.Word(DmarcReportKept.NoRoom))
            await PostponeAsync(messageId, outcome == Unanswered ? s_dnsPause : s_roomPause, cancellationToken);
        telemetry.DmarcReceived(outcome);
        LogRead(log, MessageIds.ToText(messageId), report.Organization, report.Domain, outcome);
    }

    /// <summary>Unless it is old by now.</summary>
    private async Task PostponeAsync(long messageId, TimeSpan pause, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (await store.FindMessageAsync(messageId, cancellationToken) is { } message && now + pause < message.AcceptedAt + s_patience)
            await store.PostponeAsync(messageId, now + pause);
        else
            await store.DropAsync(messageId);
    }

    /// <summary>Null, and without a fault: the message is gone.</summary>
    private async Task<(ReceivedDmarcReport? Report, string Fault)> FindAsync(long messageId, CancellationToken cancellationToken)
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
        var octets = content.GetBuffer().AsMemory(0, (int)content.Length);
        var (report, fault) = await Task.Run(() => DmarcReportFile.TryRead(octets, out var report, out var fault) ? (report, "") : (null, fault), cancellationToken);
        if (report is null)
            return (null, fault);
        var author = ReportAuthor.Of(octets);
        var isProven = author.Length > 0 && IsOfOrganization(author, report.Head.Email) && await store.FindMessageAsync(messageId, cancellationToken) is { IsProven: true };
        return (Keep(messageId, report, author, isProven), "");
    }

    private static bool IsOfOrganization(string author, string email) =>
        email.LastIndexOf('@') is >= 0 and var at && ReportAuthor.AreOneOrganization(author, email[(at + 1)..]);

    private static ReceivedDmarcReport Keep(long messageId, DmarcReport report, string author, bool isProven) => new(
        messageId, report.Policy.Domain, report.Head.Organization, report.Head.Email, report.Head.Id, report.Head.Begin, report.Head.End, report.Policy.Policy,
        [.. report.Rows.Select(row => new ReceivedDmarcRow(
            row.Source.Address, row.Source.HeaderFrom, row.Messages, row.Source.Disposition, row.Source.IsDkimAligned, row.Source.IsSpfAligned))],
        report.OmittedMessages, author, isProven);

    [LoggerMessage(2115, LogLevel.Information, "message={MessageId} status=dmarc-report-{Kept} {Organization} reports how mail in the name of {Domain} was judged")]
    private static partial void LogRead(ILogger log, string messageId, string organization, string domain, string kept);

    [LoggerMessage(2116, LogLevel.Information, "message={MessageId} came to an address for reports by DMARC, and is none that can be read: {Reason}")]
    private static partial void LogUnreadable(ILogger log, string messageId, string reason);
}
