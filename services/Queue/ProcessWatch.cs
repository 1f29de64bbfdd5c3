using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue;

/// <summary>What each process looks after for itself: the operator's switch, storage, and the way of its own messages to the router.</summary>
internal sealed partial class ProcessWatch(
    AcceptedHints hints, Router router, DeliveryPause pause, QueueStore store, SteadyStorage steady, IOptions<QueueOptions> options,
    QueueTelemetry telemetry, TimeProvider time, ILogger<ProcessWatch> log) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken)
    {
        telemetry.CountFromZero();
        return Task.WhenAll(WatchPauseAsync(stoppingToken), WatchStorageAsync(stoppingToken), RouteHintsAsync(stoppingToken));
    }

    private async Task WatchPauseAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.WardenInterval, time);
        do
        {
            try
            {
                await pause.ReadAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogTickFailed(log, exception);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
        while (await WaitAsync(timer, stoppingToken));
    }

    private async Task WatchStorageAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.WardenInterval, time);
        do
        {
            try
            {
                await store.CommitNothingAsync(stoppingToken);
                steady.HasCommitted();
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogNoCommit(log, exception);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
        while (await WaitAsync(timer, stoppingToken));
    }

    private async Task RouteHintsAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await router.RouteAsync(await hints.TakeAsync(stoppingToken), stoppingToken);
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

    [LoggerMessage(2054, LogLevel.Warning, "Storage did not commit; no claim is taken back before it has done so for a lease")]
    private static partial void LogNoCommit(ILogger log, Exception exception);

    [LoggerMessage(2059, LogLevel.Warning, "A round of this process failed; next time")]
    private static partial void LogTickFailed(ILogger log, Exception exception);
}
