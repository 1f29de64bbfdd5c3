using MailPipeline.Queue.Policies;
using MailPipeline.Queue.Reports;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reconciling;

/// <summary>Reports to senders what waits for long. It looks at all that waits, so seldom, and for a small share of the time.</summary>
internal sealed class LateMail(DelayReports reports, QueuePolicyFile policy, IOptions<QueueOptions> options) : IDuty
{
    private static readonly TimeSpan s_longestInterval = TimeSpan.FromMinutes(1);

    // To look through millions takes half a minute, and who is told of hours loses nothing by minutes.
    private static readonly TimeSpan s_longestPause = TimeSpan.FromMinutes(20);

    public string Name => "report_delay";

    public DutyPace Pace => new(Interval, Share: 0.02, s_longestPause);

    public Task<bool> RoundAsync() => reports.ReportDueAsync(CancellationToken.None);

    // Where little is late, it need not be told of to the second.
    private TimeSpan Interval
    {
        get
        {
            var interval = (policy.Schedules.ShortestDelayReport ?? s_longestInterval) / 20;
            return interval < options.Value.ReconcileInterval ? options.Value.ReconcileInterval : interval > s_longestInterval ? s_longestInterval : interval;
        }
    }
}
