using MailPipeline.Contracts;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// Keeps the <see cref="EndpointGate"/> of this process: asks the broker how many consume batches, and tries whether it takes messages
/// again once it has refused one. A broker that says nothing closes no endpoint.
/// </summary>
internal sealed partial class WorkerWatch(
    EndpointGate gate, EndpointConsumers consumers, MailBus bus, TimeProvider time, ILogger<WorkerWatch> log) : BackgroundService
{
    /// <summary>While all is well.</summary>
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    /// <summary>While workers are missing: they are noticed soon, and that is all there is to do.</summary>
    private static readonly TimeSpan s_shortInterval = TimeSpan.FromMilliseconds(250);

    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(5);

    private readonly GrowingPause _tries = new(s_interval, s_longestPause);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(WatchConsumersAsync(stoppingToken), TryBusAsync(stoppingToken));

    private async Task WatchConsumersAsync(CancellationToken stoppingToken)
    {
        while (consumers.AreKnown && !stoppingToken.IsCancellationRequested)
        {
            var allThere = true;
            foreach (var endpoint in EndpointGate.Endpoints)
            {
                var count = await consumers.CountAsync(endpoint, stoppingToken);
                allThere &= count != 0;
                if (!gate.NoteConsumers(endpoint, count))
                    continue;
                if (count == 0)
                    LogNoWorkers(log, endpoint);
                else
                    LogWorkers(log, endpoint);
            }
            await DelayAsync(allThere ? s_interval : s_shortInterval, stoppingToken);
        }
    }

    /// <summary>By a hint that names no message, one at a time, as long as it takes.</summary>
    private async Task TryBusAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            await DelayAsync(s_interval, stoppingToken);
            var now = time.GetUtcNow();
            if (!gate.WaitsForBus)
            {
                if (!_tries.Lasts(now))
                    _tries.Forget();
                continue;
            }
            if (_tries.Lasts(now))
                continue;
            // A bus that takes this and refuses the next batch is tried less and less often.
            _tries.Begin(now);
            try
            {
                await bus.SendAsync(BusEndpoints.MessageAccepted, new MessageAccepted([]), s_longestPause, stoppingToken);
                gate.NoteTaken();
            }
            catch (BusUnavailableException)
            {
                // Whoever had a batch refused has said so.
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private async Task DelayAsync(TimeSpan pause, CancellationToken stoppingToken)
    {
        await Task.Delay(pause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    [LoggerMessage(2080, LogLevel.Warning, "Nobody consumes '{Endpoint}': its mail waits in storage until somebody does")]
    private static partial void LogNoWorkers(ILogger log, string endpoint);

    [LoggerMessage(2081, LogLevel.Information, "'{Endpoint}' is consumed again: its mail goes on")]
    private static partial void LogWorkers(ILogger log, string endpoint);
}
