using Microsoft.Extensions.Options;

namespace MailPipeline.Queue;

/// <summary>
/// Calls the warden for each of its duties, each in a loop of its own: one that takes long, or that waits in a silo that died, keeps
/// none of the others waiting.
/// </summary>
internal sealed partial class WardenTicks(
    IGrainFactory grains, HandOutGate gate, IOptions<QueueOptions> options, TimeProvider time, ILogger<WardenTicks> log) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        TickAsync(warden => warden.RouteAsync(), stoppingToken), TickAsync(warden => warden.WakeAsync(atOnce: false), stoppingToken),
        TickAsync(warden => warden.TakeBackAsync(), stoppingToken), TickAsync(warden => warden.MeasureAsync(), stoppingToken),
        TickAsync(warden => warden.CleanUpAsync(), stoppingToken), WakeAtOpeningsAsync(stoppingToken));

    /// <summary>When workers are back what waits for them is woken at once.</summary>
    private async Task WakeAtOpeningsAsync(CancellationToken stoppingToken)
    {
        for (var openings = 0; !stoppingToken.IsCancellationRequested;)
        {
            try
            {
                await gate.OpeningAfter(openings).WaitAsync(stoppingToken);
                openings = gate.Openings;
                await grains.GetGrain<IWardenGrain>(0).WakeAsync(atOnce: true);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                LogTickFailed(log, exception);
            }
        }
    }

    private async Task TickAsync(Func<IWardenGrain, Task> tick, CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.WardenInterval, time);
        var warden = grains.GetGrain<IWardenGrain>(0);
        while (await WaitAsync(timer, stoppingToken))
        {
            try
            {
                await tick(warden);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogTickFailed(log, exception);
            }
        }
    }

    private static async ValueTask<bool> WaitAsync(PeriodicTimer timer, CancellationToken stoppingToken)
    {
        try
        {
            return await timer.WaitForNextTickAsync(stoppingToken);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    [LoggerMessage(2052, LogLevel.Warning, "The warden's round failed; next time")]
    private static partial void LogTickFailed(ILogger log, Exception exception);
}
