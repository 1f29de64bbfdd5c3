using MailPipeline.Queue.Domains;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reconciling;

/// <summary>
/// Calls the reconciler of each duty, each in a loop of its own: one that takes long, or that waits in a silo that died, keeps none of the
/// others waiting.
/// </summary>
internal sealed partial class ReconcilerTicks(
    IGrainFactory grains, IEnumerable<IDuty> duties, EndpointGate gate, IOptions<QueueOptions> options, OutageLog outages, TimeProvider time,
    ILogger<ReconcilerTicks> log) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll([.. duties.Select(duty => TickAsync(duty.Name, stoppingToken)), WakeAtOpeningsAsync(stoppingToken)]);

    private Task TickAsync(string duty, CancellationToken stoppingToken)
    {
        var reconciler = grains.GetGrain<IReconcilerGrain>(duty);
        return new TickLoop(options.Value.ReconcileInterval, time).RunAsync(
            _ => reconciler.RunAsync(atOnce: false), failure => NoteFailed(duty, failure), stoppingToken);
    }

    /// <summary>When workers are back what waits for them is woken at once, and where that fails at every interval until it does not.</summary>
    private async Task WakeAtOpeningsAsync(CancellationToken stoppingToken)
    {
        var woken = 0;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await gate.OpeningAfter(woken).WaitAsync(stoppingToken);
                var openings = gate.Openings;
                if (await TryWakeAsync(stoppingToken))
                    woken = openings;
                else
                    await Task.Delay(options.Value.ReconcileInterval, time, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private async Task<bool> TryWakeAsync(CancellationToken stoppingToken)
    {
        try
        {
            await grains.GetGrain<IReconcilerGrain>(DueDomains.DutyName).RunAsync(atOnce: true);
            return true;
        }
#pragma warning disable CA1031 // The loop is what brings back whatever goes wrong.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            if (!stoppingToken.IsCancellationRequested)
                NoteFailed(DueDomains.DutyName, exception);
            return false;
        }
    }

    private void NoteFailed(string duty, Exception failure)
    {
        if (outages.MayWrite(2052, failure))
            LogRoundFailed(log, duty, failure);
    }

    [LoggerMessage(2052, LogLevel.Warning, "A round of the reconciler's duty '{Duty}' failed; next time")]
    private static partial void LogRoundFailed(ILogger log, string duty, Exception exception);
}
