using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using MailPipeline.Queue.Reconciling;
using MailPipeline.Queue.Reports;
using MailPipeline.Queue.Routing;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue;

/// <summary>What each process looks after for itself: the operator's switch, storage, and the way of its own messages to the router.</summary>
internal sealed partial class ProcessWatch(
    AcceptedReports hints, Router router, DeliveryPause pause, QueueStore store, SteadyStorage steady, IOptions<QueueOptions> options,
    QueueTelemetry telemetry, OutageLog outages, TimeProvider time, ILogger<ProcessWatch> log) : BackgroundService
{
    private bool _isAway;

    protected override Task ExecuteAsync(CancellationToken stoppingToken)
    {
        telemetry.CountFromZero();
        var ticks = new TickLoop(options.Value.ReconcileInterval, time);
        return Task.WhenAll(
            ticks.RunFromNowAsync(pause.ReadAsync, NoteFailed, stoppingToken),
            ticks.RunFromNowAsync(CommitAsync, NoteNoCommit, stoppingToken), RouteHintsAsync(stoppingToken));
    }

    private async Task CommitAsync(CancellationToken stoppingToken)
    {
        await store.CommitNothingAsync(stoppingToken);
        steady.HasCommitted();
        if (!_isAway)
            return;
        _isAway = false;
        outages.End();
    }

    private void NoteNoCommit(Exception failure)
    {
        _isAway = true;
        if (outages.MayWrite(2054, failure))
            LogNoCommit(log, failure);
    }

    private void NoteFailed(Exception failure)
    {
        if (outages.MayWrite(2059, failure))
            LogTickFailed(log, failure);
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
                NoteFailed(exception);
            }
        }
    }

    [LoggerMessage(2054, LogLevel.Warning, "Storage did not commit; no claim is taken back before it has done so for a lease")]
    private static partial void LogNoCommit(ILogger log, Exception exception);

    [LoggerMessage(2059, LogLevel.Warning, "A round of this process failed; next time")]
    private static partial void LogTickFailed(ILogger log, Exception exception);
}
