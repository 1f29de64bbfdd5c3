using MailPipeline.Queue.Reports;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reconciling;

/// <summary>Reports to senders what was recorded as failed in whatever process, and has waited for company long enough.</summary>
internal sealed class OwedReports(FailureReports reports, IOptions<QueueOptions> options) : IDuty
{
    public string Name => "report";

    public DutyPace Pace => new(options.Value.ReconcileInterval, Share: 0.1);

    public Task<bool> RoundAsync() => reports.ReportDueAsync(CancellationToken.None);
}
