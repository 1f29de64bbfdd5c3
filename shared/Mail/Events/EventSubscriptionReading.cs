using MailPipeline.Storage;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Mail;

/// <summary>
/// Keeps <see cref="EventSubscriptions"/> as storage has them, in each process that records outcomes: read before the process does anything, and then every few
/// seconds. While storage does not answer they stay as they were; nothing is recorded then either.
/// </summary>
internal sealed partial class EventSubscriptionReading(EventSubscriptions subscriptions, TimeProvider time, ILogger<EventSubscriptionReading> log)
    : BackgroundService, IHostedLifecycleService
{
    /// <summary>Who is told of outcomes from now on is told of them within this time, wherever they are recorded.</summary>
    internal static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    public Task StartingAsync(CancellationToken cancellationToken) => subscriptions.ReadAsync(cancellationToken);

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        var isRead = true;
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                try
                {
                    await subscriptions.ReadAsync(stoppingToken);
                    isRead = true;
                }
                catch (StorageUnavailableException exception)
                {
                    if (isRead)
                        LogNotRead(log, exception);
                    isRead = false;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // It stops.
        }
    }

    [LoggerMessage(9020, LogLevel.Warning, "Who is told of outcomes could not be read; it stays as it was until it can be")]
    private static partial void LogNotRead(ILogger log, Exception exception);
}
