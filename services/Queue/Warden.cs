using MailPipeline.Contracts;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;
using Orleans.Concurrency;

namespace MailPipeline.Queue;

/// <summary>
/// One for the cluster, key 0. Calls come from every silo; those that come too early do nothing. What needs storage alone does not
/// wait for what needs the bus.
/// </summary>
internal interface IWardenGrain : IGrainWithIntegerKey
{
    /// <summary>Routes what was forgotten, wakes what is due.</summary>
    Task TickAsync();

    /// <summary>Takes back the claims of workers that died.</summary>
    [AlwaysInterleave]
    Task TakeBackAsync();

    /// <summary>Counts what waits.</summary>
    [AlwaysInterleave]
    Task MeasureAsync();
}

/// <summary>
/// Repairs what was lost on the way, from storage: messages that nobody routed, due recipients whose queue sleeps, claims
/// whose lease ran out. A broker outage, a lost hint, a dead silo and a dead worker all end here.
/// </summary>
internal sealed partial class WardenGrain(
    QueueStore store, MessageHistory history, Router router, DeliveryPause pause, DeadWorkers deadWorkers, IOptions<QueueOptions> options,
    QueueTelemetry telemetry, TimeProvider time, ILogger<WardenGrain> log) : Grain, IWardenGrain
{
    private const int Page = 500;

    /// <summary>Most domains woken in one tick; the rest in the next.</summary>
    private const int MaxWakes = 10_000;

    private const int WakesAtOnce = 64;

    private static readonly TimeSpan s_housekeeping = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_measuring = TimeSpan.FromSeconds(5);

    /// <summary>A queue that is awake goes on by itself, and while the bus is away that takes long.</summary>
    private static readonly TimeSpan s_waking = TimeSpan.FromSeconds(1);

    private readonly Round _ticks = new(options.Value.WardenInterval, time);
    private readonly Round _takeBacks = new(options.Value.WardenInterval, time);
    private readonly Round _measures = new(s_measuring, time);
    private long _lastHousekeeping;

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _lastHousekeeping = time.GetTimestamp();
        return Task.CompletedTask;
    }

    public Task TickAsync() => _ticks.RunAsync(async () =>
    {
        await RouteForgottenAsync();
        if (!pause.IsPaused)
            await WakeDueDomainsAsync();
        if (time.GetElapsedTime(_lastHousekeeping) >= s_housekeeping)
        {
            _lastHousekeeping = time.GetTimestamp();
            await history.ForgetAsync(time.GetUtcNow() - options.Value.HistoryRetention, CancellationToken.None);
            await history.ReclaimSpaceAsync(CancellationToken.None);
        }
    });

    public Task TakeBackAsync() => _takeBacks.RunAsync(() => deadWorkers.TakeBackAsync(CancellationToken.None));

    // A domain that has as many workers as it begins with lacks none: whether it gets more is up to how it answers.
    public Task MeasureAsync() => _measures.RunAsync(async () =>
        telemetry.Measured(await store.MeasureAsync(options.Value.InitialConcurrency, CancellationToken.None)));

    private async Task RouteForgottenAsync()
    {
        var before = time.GetUtcNow() - options.Value.UnroutedGrace;
        for (var after = 0L; ;)
        {
            var messages = await store.ListUnroutedAsync(after, before, Page, CancellationToken.None);
            if (messages.Count == 0)
                return;
            telemetry.Forgotten(messages.Count);
            await RouteAsync(messages);
            after = messages[^1].MessageId;
        }
    }

    private async Task RouteAsync(IReadOnlyList<AcceptedMessage> messages)
    {
        try
        {
            await router.RouteAsync(messages, CancellationToken.None);
        }
        // A store that refuses what it was given is there: it is the message's own fault, like any other.
        catch (Exception exception) when (exception is not StorageUnavailableException { Fault: not StorageFault.Refused })
        {
            if (messages is [var alone])
            {
                using var trace = telemetry.TraceOf(alone.TraceParent);
                LogNotRouted(log, MessageIds.ToText(alone.MessageId), exception);
                return;
            }
            // One that cannot be routed holds up none of the others.
            foreach (var message in messages)
                await RouteAsync([message]);
        }
    }

    private async Task WakeDueDomainsAsync()
    {
        var now = time.GetUtcNow();
        var after = new DueDomain("", DateTimeOffset.UnixEpoch);
        for (var woken = 0; woken < MaxWakes;)
        {
            var domains = await store.ListDueDomainsAsync(now, after, Page, CancellationToken.None);
            if (domains.Count == 0)
                return;
            // Grain calls from a grain stay on its scheduler: a bounded number at a time.
            foreach (var part in domains.Chunk(WakesAtOnce))
                await Task.WhenAll(part.Select(WakeAsync));
            woken += domains.Count;
            after = domains[^1];
        }
    }

    private async Task WakeAsync(DueDomain due)
    {
        try
        {
            await GrainFactory.GetGrain<IDomainQueueGrain>(due.Domain).WakeAsync().WaitAsync(s_waking, time);
        }
        catch (TimeoutException)
        {
            // It goes on by itself, or the next tick wakes it.
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            // Whatever is wrong with one domain, the others are woken.
            LogNotWoken(log, due.Domain, exception);
        }
    }

    [LoggerMessage(2051, LogLevel.Warning, "{Domain} could not be woken; next time")]
    private static partial void LogNotWoken(ILogger log, string domain, Exception exception);

    [LoggerMessage(2053, LogLevel.Error, "{MessageId} cannot be routed and stays; the others go on")]
    private static partial void LogNotRouted(ILogger log, string messageId, Exception exception);
}

/// <summary>What is done again and again, one at a time, by whomever it is called for.</summary>
internal sealed class Round(TimeSpan interval, TimeProvider time)
{
    private long? _last;
    private bool _isRunning;

    public async Task RunAsync(Func<Task> run)
    {
        // Half an interval: the calls of several silos are not in step.
        if (_isRunning || (_last is { } last && time.GetElapsedTime(last) < interval / 2))
            return;
        _last = time.GetTimestamp();
        _isRunning = true;
        try
        {
            await run();
        }
        finally
        {
            _isRunning = false;
        }
    }
}

/// <summary>Ticks for the warden and for the look at the operator's switch, and the way of this process's own messages to the router.</summary>
internal sealed partial class WardenTicks(
    IGrainFactory grains, AcceptedHints hints, Router router, DeliveryPause pause, QueueStore store, SteadyStorage steady, IOptions<QueueOptions> options,
    QueueTelemetry telemetry, TimeProvider time, ILogger<WardenTicks> log) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken)
    {
        telemetry.CountFromZero();
        return Task.WhenAll(
            TickAsync(warden => warden.TickAsync(), stoppingToken), TickAsync(warden => warden.TakeBackAsync(), stoppingToken),
            TickAsync(warden => warden.MeasureAsync(), stoppingToken), WatchPauseAsync(stoppingToken), WatchStorageAsync(stoppingToken),
            RouteHintsAsync(stoppingToken));
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

    /// <summary>On its own: a warden in a silo that died keeps its callers waiting.</summary>
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

    [LoggerMessage(2052, LogLevel.Warning, "The warden's round failed; next time")]
    private static partial void LogTickFailed(ILogger log, Exception exception);
}
