using Microsoft.Extensions.Options;

namespace MailPipeline.Queue;

/// <summary>
/// Calls the reconciler for each of its duties, each in a loop of its own: one that takes long, or that waits in a silo that died, keeps
/// none of the others waiting.
/// </summary>
internal sealed partial class ReconcilerTicks(
    IGrainFactory grains, EndpointGate gate, IOptions<QueueOptions> options, OutageLog outages, TimeProvider time, ILogger<ReconcilerTicks> log) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        TickAsync(reconciler => reconciler.RouteAsync(), stoppingToken), TickAsync(reconciler => reconciler.WakeAsync(atOnce: false), stoppingToken),
        TickAsync(reconciler => reconciler.TakeBackAsync(), stoppingToken), TickAsync(reconciler => reconciler.MeasureAsync(), stoppingToken),
        TickAsync(reconciler => reconciler.CleanUpAsync(), stoppingToken), WakeAtOpeningsAsync(stoppingToken));

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
            await grains.GetGrain<IReconcilerGrain>(0).WakeAsync(atOnce: true);
            return true;
        }
#pragma warning disable CA1031 // The loop is what brings back whatever goes wrong.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            if (!stoppingToken.IsCancellationRequested)
                NoteFailed(exception);
            return false;
        }
    }

    private Task TickAsync(Func<IReconcilerGrain, Task> tick, CancellationToken stoppingToken)
    {
        var reconciler = grains.GetGrain<IReconcilerGrain>(0);
        return new TickLoop(options.Value.ReconcileInterval, time).RunAsync(_ => tick(reconciler), NoteFailed, stoppingToken);
    }

    private void NoteFailed(Exception failure)
    {
        if (outages.MayWrite(2052, failure))
            LogTickFailed(log, failure);
    }

    [LoggerMessage(2052, LogLevel.Warning, "The reconciler's round failed; next time")]
    private static partial void LogTickFailed(ILogger log, Exception exception);
}
