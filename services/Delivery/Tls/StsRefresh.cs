using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Tls;

/// <summary>
/// Looks every few minutes for MTA-STS policies that it is time to fetch anew, long before they expire: who keeps a domain's policy host away for a while does
/// not rid the domain of its policy (RFC 8461 §10.2).
/// </summary>
internal sealed class StsRefresh(StsPolicies policies, IOptions<DeliveryOptions> options, TimeProvider time, ILogger<StsRefresh> log) : BackgroundService
{
    private const int MostAtOnce = 100;

    private static readonly TimeSpan s_interval = TimeSpan.FromMinutes(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!options.Value.MtaSts && !options.Value.TlsTable.DemandsSts)
            return;
        using var timer = new PeriodicTimer(s_interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await policies.RefreshAsync(MostAtOnce);
            }
            catch (StorageUnavailableException away)
            {
                log.PoliciesAway(away, "*");
            }
        }
    }
}
