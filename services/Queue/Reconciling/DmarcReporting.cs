using MailPipeline.Queue.Reports;

namespace MailPipeline.Queue.Reconciling;

/// <summary>Reports to domains, once a day, how mail in their name was judged; there is nothing to report unless Ingress counts it.</summary>
internal sealed class DmarcReporting(DmarcReports reports) : IDuty
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMinutes(10);

    public string Name => "report_dmarc";

    public DutyPace Pace => new(s_interval);

    public Task<bool> RoundAsync() => reports.ReportDueAsync(CancellationToken.None);
}
