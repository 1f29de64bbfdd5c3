using MailPipeline.Mail;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Events;

/// <summary>
/// Reads complaints that providers send to addresses of ours (RFC 5965), beside the way of the mail, which goes where it is addressed whatever is in it. A complaint counts
/// where all of these hold: the report is proven (DMARC) to be from the domain in its From; the message in it has the Message-ID of one of ours; we
/// have handed that message to a host of the recipient's domain; and that domain is of the reporter's organisation, where no other of its recipients is. That proves the provider and not the user:
/// another user there may know the Message-ID, of an answer or an archive. So such a complaint is recorded and told, and keeps nobody from mail. Whom an operator trusts puts recipients on suppression lists, and
/// may speak for recipients of any domain, for one of several, and by the id in our Received field alone.
/// </summary>
internal sealed partial class FeedbackInbox(
    ComplaintStore store, SuppressionStore suppressions, DmarcReportStore arrived, MessageStore messages, IOptions<EventOptions> events, IOptions<QueueOptions> queue, QueueTelemetry telemetry, TimeProvider time,
    ILogger<FeedbackInbox> log)
{
    private const int MostAtOnce = 50;

    private const int MostTries = 3;

    private readonly string[] _trusted = [.. events.Value.FeedbackFrom.Select(DomainName.Key)];

    /// <summary>False: there was nothing to read.</summary>
    public async Task<bool> ReadAsync(CancellationToken cancellationToken)
    {
        var unread = await store.ListUnreadAsync(MostAtOnce, cancellationToken);
        foreach (var (reportId, tries) in unread)
            await ReadAsync(reportId, tries, cancellationToken);
        return unread.Count > 0;
    }

    private async Task ReadAsync(long reportId, int tries, CancellationToken cancellationToken)
    {
        if (await store.PostponeHeldAsync(reportId, cancellationToken))
            return;
        // One over which processes die is left alone.
        await store.TryAsync(reportId);
        var octets = await ReadBeginningAsync(reportId, cancellationToken);
        var (report, fault) = tries >= MostTries ? (null, $"its reading was begun {tries} times")
            : octets.IsEmpty ? (null, "")
            // It may take a while, for which no grain's turn is there.
            : await Task.Run(() => FeedbackReport.TryRead(octets, queue.Value.HostName, out var report, out var fault) ? (report, "") : (null, fault), cancellationToken);
        if (report is null)
        {
            await store.DropAsync(reportId);
            telemetry.FeedbackRead(fault.Length == 0 ? "gone" : "unreadable");
            if (fault.Length > 0)
                LogUnreadable(log, MessageIds.ToText(reportId), fault);
            return;
        }

        var author = ReportAuthor.Of(octets);
        var isTrusted = Array.Exists(_trusted, trusted => author == trusted || author.EndsWith($".{trusted}", StringComparison.Ordinal));
        var (found, outcome) = await FindAsync(reportId, report, author, isTrusted, cancellationToken);
        if (found.Count == 0)
            await store.DropAsync(reportId);
        var now = time.GetUtcNow();
        foreach (var recipient in found)
        {
            var complaint = new Complaint(recipient.RecipientId, reportId, now, report.Type, report.Source, author, report.Recipients.Count > 0 ? report.Recipients[0] : "", report.Host, isTrusted);
            var suppression = isTrusted ? await suppressions.OfComplaintAsync(recipient.Flow, recipient.Address, complaint.Feedback, cancellationToken) : null;
            if (await store.RecordAsync(recipient, complaint, suppression) == ComplaintKept.Known)
                outcome = "known";
            else
                LogComplaint(log, MessageIds.ToText(RecipientIds.MessageId(recipient.RecipientId)), ServiceDefaults.LogText.Address(recipient.Address), report.Type, MessageIds.ToText(reportId));
        }

        telemetry.FeedbackRead(outcome);
        LogRead(log, MessageIds.ToText(reportId), PlainText.Line(report.Type, 64), author, outcome);
    }

    /// <summary>Whom it is about; nobody, and why.</summary>
    private async Task<(IReadOnlyList<SentRecipient> Recipients, string Outcome)> FindAsync(
        long reportId, FeedbackReport report, string author, bool isTrusted, CancellationToken cancellationToken)
    {
        if (report.Type == FeedbackReport.AuthenticationFailure)
            return ([], "auth_failure");
        if (report.Type == FeedbackReport.NotSpam)
            return ([], "not_spam");
        if (author.Length == 0 || await arrived.FindMessageAsync(reportId, cancellationToken) is not { IsProven: true })
            return ([], "unproven");
        var named = report.Recipients.Select(MailName.Key).ToHashSet(StringComparer.Ordinal);
        foreach (var messageId in await store.FindMessagesAsync(report.HeaderId, report.MessageId, idSuffices: isTrusted, cancellationToken))
        {
            var his = (await store.ListSentAsync(messageId, cancellationToken)).FindAll(recipient => isTrusted || ReportAuthor.AreOneOrganization(author, recipient.Domain));
            var meant = named.Count == 0
                ? his : his.FindAll(recipient => named.Contains(MailName.Key(recipient.Address)) || named.Contains(MailName.Key(recipient.Original)));
            if (meant.Count > 0)
                return his.Count > 1 && (named.Count == 0 || !isTrusted) ? ([], "ambiguous") : (meant, isTrusted ? "recorded" : "untrusted");
        }

        return ([], "unmatched");
    }

    private async Task<ReadOnlyMemory<byte>> ReadBeginningAsync(long messageId, CancellationToken cancellationToken)
    {
        using var content = new MemoryStream();
        await foreach (var piece in messages.ReadContentAsync(messageId, cancellationToken))
        {
            var room = FeedbackReport.MaxBytes - (int)content.Length;
            content.Write(piece.Span[..Math.Min(piece.Length, room)]);
            if (piece.Length >= room)
                break;
        }

        return content.ToArray();
    }

    [LoggerMessage(2184, LogLevel.Information, "message={MessageId} to=<{Recipient}> status=complained type={Type} report={ReportId}")]
    private static partial void LogComplaint(ILogger log, string messageId, string recipient, string type, string reportId);

    [LoggerMessage(2185, LogLevel.Information, "message={MessageId} status=feedback-{Outcome} type={Type} from={Author}")]
    private static partial void LogRead(ILogger log, string messageId, string type, string author, string outcome);

    [LoggerMessage(2186, LogLevel.Information, "message={MessageId} came to an address for complaints, and is none that can be read: {Reason}")]
    private static partial void LogUnreadable(ILogger log, string messageId, string reason);
}
