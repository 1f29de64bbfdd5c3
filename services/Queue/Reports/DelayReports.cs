using MailPipeline.Mail;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// Tells senders who asked for it, or asked for nothing, what still waits after <see cref="QueueOptions.DelayReportAfter"/>, whatever it
/// waits for: once of each recipient.
/// </summary>
internal sealed class DelayReports(ReportStore store, ReportMaker maker, UnmadeReports unmade, IOptions<QueueOptions> options, TimeProvider time)
{
    /// <summary>Looks through all that waits; false where there was nobody to tell.</summary>
    public async Task<bool> ReportDueAsync(CancellationToken cancellationToken)
    {
        if (options.Value.DelayReportAfter == TimeSpan.Zero)
            return false;
        var acceptedBefore = time.GetUtcNow() - options.Value.DelayReportAfter;
        var useful = false;
        for (var place = WaitingPlace.Start; place is not null;)
        {
            (var late, place) = await store.ListLateAsync(acceptedBefore, place, cancellationToken);
            useful |= await ReportsAtOnce.MakeAsync(
                late, id => unmade.TryAsync(ReportKind.Delayed, id, () => maker.ReportLateAsync(id, acceptedBefore, cancellationToken)));
        }
        return useful;
    }
}
