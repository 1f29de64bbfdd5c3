using MailPipeline.Queue.Reports;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reconciling;

/// <summary>Reports to senders what has ended in whatever process, and has waited for company long enough: failures, and successes that they asked for.</summary>
internal sealed class OwedReports(FailureReports failures, SuccessReports successes, IOptions<QueueOptions> options) : IDuty
{
    public string Name => "report";

    public DutyPace Pace => new(options.Value.ReconcileInterval, Share: 0.1);

    public async Task<bool> RoundAsync() =>
        await failures.ReportDueAsync(CancellationToken.None) | await successes.ReportDueAsync(CancellationToken.None);
}
