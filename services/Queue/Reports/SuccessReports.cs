using MailPipeline.Mail;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// Tells senders who asked for it (RFC 3461 §4.1, SUCCESS) what has reached a maildrop, a host that makes no reports, or the targets of an
/// alias. Recipients of one message that end together share a report.
/// </summary>
internal sealed class SuccessReports(
    ReportStore store, ReportMaker maker, UnmadeReports unmade, IOptions<QueueOptions> options, TimeProvider time)
{
    private const int Page = 1000;

    /// <summary>Reports what has waited for company long enough, or need not wait; false where nothing was done.</summary>
    public async Task<bool> ReportDueAsync(CancellationToken cancellationToken)
    {
        var useful = false;
        for (var after = 0L; ;)
        {
            var owed = await store.ListOwedAsync(after, Page, cancellationToken);
            if (owed.Count == 0)
                return useful;
            // Refused, expired or removed: that is told by others, or nobody.
            var otherwise = owed.Where(recipient => !IsSuccess(recipient)).Select(recipient => recipient.RecipientId).ToList();
            if (otherwise.Count > 0)
                await store.SettleAsync(otherwise);
            useful |= otherwise.Count > 0;
            useful |= await ReportsAtOnce.MakeAsync(
                owed.Where(IsSuccess).GroupBy(recipient => RecipientIds.MessageId(recipient.RecipientId)),
                async ended => await IsDueAsync(ended.Key, ended.Min(recipient => recipient.EndedAt), cancellationToken)
                    && await unmade.TryAsync(ReportKind.Succeeded, ended.Key, () => maker.ReportSucceededAsync(ended.Key, cancellationToken)));
            after = owed[^1].RecipientId;
        }
    }

    private static bool IsSuccess(OwedSuccess recipient) => recipient.State is RecipientState.Delivered or RecipientState.Expanded;

    private async ValueTask<bool> IsDueAsync(long messageId, DateTimeOffset since, CancellationToken cancellationToken)
    {
        // Whoever noted the end may have another clock.
        var waited = (time.GetUtcNow() - since).Duration();
        return waited >= options.Value.ReportDelay || await store.IsCompleteAsync(messageId, cancellationToken);
    }
}
