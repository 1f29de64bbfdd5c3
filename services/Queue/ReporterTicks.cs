using Microsoft.Extensions.Options;

namespace MailPipeline.Queue;

/// <summary>Calls the reporter, wherever it is.</summary>
internal sealed partial class ReporterTicks(
    IGrainFactory grains, IOptions<QueueOptions> options, OutageLog outages, TimeProvider time, ILogger<ReporterTicks> log) : BackgroundService
{
    // What is due at the end waits for the next start.
    protected override Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var reporter = grains.GetGrain<IReporterGrain>(0);
        return new TickLoop(options.Value.ReconcileInterval, time).RunAsync(_ => reporter.ReportDueAsync(), NoteFailed, stoppingToken);
    }

    private void NoteFailed(Exception failure)
    {
        if (outages.MayWrite(2092, failure))
            LogTickFailed(log, failure);
    }

    [LoggerMessage(2092, LogLevel.Warning, "The round of reports failed; next time")]
    private static partial void LogTickFailed(ILogger log, Exception exception);
}
