using MailPipeline.Queue.Reports;

namespace MailPipeline.Queue.Reconciling;

/// <summary>Looks what messages to addresses for reports by DMARC tell; there is nothing to read unless such addresses are named.</summary>
internal sealed class DmarcReading(DmarcInbox inbox) : IDuty
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(10);

    public string Name => "read_dmarc";

    public DutyPace Pace => new(s_interval);

    public Task<bool> RoundAsync() => inbox.ReadAsync(CancellationToken.None);
}
