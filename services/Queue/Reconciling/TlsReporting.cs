using MailPipeline.Queue.Reports;

namespace MailPipeline.Queue.Reconciling;

/// <summary>Reports to domains, once a day, what became of TLS with their hosts; there is nothing to report unless Delivery counts it.</summary>
internal sealed class TlsReporting(TlsReports reports) : IDuty
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMinutes(10);

    public string Name => "report_tls";

    public DutyPace Pace => new(s_interval);

    public Task<bool> RoundAsync() => reports.ReportDueAsync(CancellationToken.None);
}
