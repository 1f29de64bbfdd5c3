using Microsoft.Extensions.Options;

namespace MailPipeline.Queue;

/// <summary>
/// Calls the warden for each of its duties, each in a loop of its own: one that takes long, or that waits in a silo that died, keeps
/// none of the others waiting.
/// </summary>
internal sealed partial class WardenTicks(
    IGrainFactory grains, HandOutGate gate, IOptions<QueueOptions> options, OutageLog outages, TimeProvider time, ILogger<WardenTicks> log) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        TickAsync(warden => warden.RouteAsync(), stoppingToken), TickAsync(warden => warden.WakeAsync(atOnce: false), stoppingToken),
        TickAsync(warden => warden.TakeBackAsync(), stoppingToken), TickAsync(warden => warden.MeasureAsync(), stoppingToken),
        TickAsync(warden => warden.CleanUpAsync(), stoppingToken), WakeAtOpeningsAsync(stoppingToken));

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
                    await Task.Delay(options.Value.WardenInterval, time, stoppingToken);
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
            await grains.GetGrain<IWardenGrain>(0).WakeAsync(atOnce: true);
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

    private Task TickAsync(Func<IWardenGrain, Task> tick, CancellationToken stoppingToken)
    {
        var warden = grains.GetGrain<IWardenGrain>(0);
        return new TickLoop(options.Value.WardenInterval, time).RunAsync(_ => tick(warden), NoteFailed, stoppingToken);
    }

    private void NoteFailed(Exception failure)
    {
        if (outages.MayWrite(2052, failure))
            LogTickFailed(log, failure);
    }

    [LoggerMessage(2052, LogLevel.Warning, "The warden's round failed; next time")]
    private static partial void LogTickFailed(ILogger log, Exception exception);
}
