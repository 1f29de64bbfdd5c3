using MailPipeline.Mail;
using MailPipeline.Storage;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// Tells senders of failures. Those of one message that come together, whatever their domains, share a report; each is in one report.
/// </summary>
internal sealed partial class FailureReports(UnreportedStore unreported, ReportMaker maker, ILogger<FailureReports> log)
{
    private const int Page = 500;

    /// <summary>What cannot be reported for its own sake is not tried again before.</summary>
    private static readonly TimeSpan s_failurePause = TimeSpan.FromMinutes(10);

    /// <summary>Reports what has waited for company long enough; false where nothing was reported.</summary>
    public async Task<bool> ReportDueAsync(CancellationToken cancellationToken)
    {
        var reported = false;
        for (var after = DueFailure.Start; ;)
        {
            var due = await unreported.ListDueAsync(after, Page, cancellationToken);
            if (due.Count == 0)
                return reported;
            reported |= await ReportAsync(due.Select(failure => failure.MessageId).Distinct(), cancellationToken);
            after = due[^1];
        }
    }

    /// <summary>
    /// Reports all failures of these messages; false where it could report none. What cannot be reported stays, and is tried again when it
    /// is due.
    /// </summary>
    public Task<bool> ReportAsync(IEnumerable<long> messageIds, CancellationToken cancellationToken) =>
        ReportsAtOnce.MakeAsync(messageIds, id => TryReportAsync(id, cancellationToken));

    private async Task<bool> TryReportAsync(long messageId, CancellationToken cancellationToken)
    {
        try
        {
            try
            {
                await maker.ReportFailuresAsync(messageId, cancellationToken);
                return true;
            }
            catch (Exception exception) when (exception is not (OperationCanceledException or StorageUnavailableException { Fault: not StorageFault.Refused }))
            {
                // Whatever is wrong with one message, the others are reported.
                LogNotReported(log, MessageIds.ToText(messageId), exception);
                await unreported.PostponeAsync(messageId, s_failurePause);
            }
        }
        catch (StorageUnavailableException away)
        {
            LogStorageAway(log, MessageIds.ToText(messageId), away);
        }
        return false;
    }

    [LoggerMessage(2090, LogLevel.Warning, "message={MessageId} its failures are reported when the store is back")]
    private static partial void LogStorageAway(ILogger log, string messageId, Exception exception);

    [LoggerMessage(2091, LogLevel.Error, "message={MessageId} its failures cannot be reported now, and are tried again in ten minutes; the others go on")]
    private static partial void LogNotReported(ILogger log, string messageId, Exception exception);
}
