using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;
using Orleans.Concurrency;

namespace MailPipeline.Queue;

/// <summary>
/// One for the cluster, key 0. Calls come from every silo; those that come too early do nothing. None waits for another: what needs
/// storage alone not for what needs the bus, and what is quick not for what takes long.
/// </summary>
internal interface IWardenGrain : IGrainWithIntegerKey
{
    /// <summary>Routes what was forgotten.</summary>
    [AlwaysInterleave]
    Task RouteAsync();

    /// <summary>Wakes the queues of what is due.</summary>
    /// <param name="atOnce">However soon after the last time: there are workers again.</param>
    [AlwaysInterleave]
    Task WakeAsync(bool atOnce);

    /// <summary>Takes back the claims of workers that died.</summary>
    [AlwaysInterleave]
    Task TakeBackAsync();

    /// <summary>Counts what waits.</summary>
    [AlwaysInterleave]
    Task MeasureAsync();

    /// <summary>Forgets what is finished, and gives back its space.</summary>
    [AlwaysInterleave]
    Task CleanUpAsync();
}

/// <summary>
/// Repairs what was lost on the way, from storage: messages that nobody routed, due recipients whose queue sleeps, claims
/// whose lease ran out. A broker outage, a lost hint, a dead silo and a dead worker all end here.
/// </summary>
internal sealed partial class WardenGrain : Grain, IWardenGrain
{
    private const int Page = 500;

    private static readonly TimeSpan s_cleaning = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_measuring = TimeSpan.FromSeconds(5);

    /// <summary>A queue that is awake goes on by itself, and while the bus is away that takes long.</summary>
    private static readonly TimeSpan s_waking = TimeSpan.FromSeconds(1);

    private readonly QueueStore _store;
    private readonly MeasureStore _measureStore;
    private readonly MessageHistory _history;
    private readonly Router _router;
    private readonly DeliveryPause _pause;
    private readonly HandOutGate _gate;
    private readonly DeadWorkers _deadWorkers;
    private readonly QueueOptions _options;
    private readonly QueueTelemetry _telemetry;
    private readonly TimeProvider _time;
    private readonly ILogger<WardenGrain> _log;
    private readonly Waking _waking;
    private readonly Round _routes;
    private readonly Round _wakes;
    private readonly Round _takeBacks;
    private readonly Round _measures;
    private readonly Round _cleanings;

    public WardenGrain(
        QueueStore store, MeasureStore measureStore, MessageHistory history, Router router, DeliveryPause pause, HandOutGate gate, DeadWorkers deadWorkers,
        IOptions<QueueOptions> options, QueueTelemetry telemetry, TimeProvider time, ILogger<WardenGrain> log)
    {
        (_store, _measureStore, _history, _router, _pause) = (store, measureStore, history, router, pause);
        (_deadWorkers, _options, _telemetry, _time, _log) = (deadWorkers, options.Value, telemetry, time, log);
        _gate = gate;
        _waking = new Waking(ListDueDomainsAsync, WakeAsync, time);
        _routes = new Round(_options.WardenInterval, time);
        _wakes = new Round(_options.WardenInterval, time, share: 0.2);
        _takeBacks = new Round(_options.WardenInterval, time);
        _measures = new Round(s_measuring, time, share: 0.05);
        _cleanings = new Round(s_cleaning, time);
    }

    public Task RouteAsync() => _routes.RunAsync(RouteForgottenAsync);

    public Task WakeAsync(bool atOnce) => _wakes.RunAsync(async () => !_pause.IsPaused && await _waking.RoundAsync(), atOnce);

    public Task TakeBackAsync() => _takeBacks.RunAsync(() => _deadWorkers.TakeBackAsync(CancellationToken.None));

    // A domain that has as many workers as it begins with lacks none: whether it gets more is up to how it answers.
    public Task MeasureAsync() => _measures.RunAsync(async () =>
    {
        var started = _time.GetTimestamp();
        var measure = await _measureStore.MeasureAsync(_options.InitialConcurrency, CancellationToken.None);
        _telemetry.Measured(measure, _measures.PauseAfter(_time.GetElapsedTime(started)));
        return false;
    });

    public Task CleanUpAsync() => _cleanings.RunAsync(async () =>
    {
        await _history.ForgetAsync(_time.GetUtcNow() - _options.HistoryRetention, CancellationToken.None);
        await _history.ReclaimSpaceAsync(CancellationToken.None);
    });

    private async Task RouteForgottenAsync()
    {
        var before = _time.GetUtcNow() - _options.UnroutedGrace;
        for (var after = 0L; ;)
        {
            var messages = await _store.ListUnroutedAsync(after, before, Page, CancellationToken.None);
            if (messages.Count == 0)
                return;
            _telemetry.Forgotten(messages.Count);
            await RouteAsync(messages);
            after = messages[^1].MessageId;
        }
    }

    private async Task RouteAsync(IReadOnlyList<Envelope> messages)
    {
        try
        {
            await _router.RouteAsync(messages, CancellationToken.None);
        }
        // A store that refuses what it was given is there: it is the message's own fault, like any other.
        catch (Exception exception) when (exception is not StorageUnavailableException { Fault: not StorageFault.Refused })
        {
            if (messages is [var alone])
            {
                using var trace = _telemetry.TraceOf(alone.TraceParent);
                LogNotRouted(_log, MessageIds.ToText(alone.MessageId), exception);
                return;
            }
            // One that cannot be routed holds up none of the others.
            foreach (var message in messages)
                await RouteAsync([message]);
        }
    }

    /// <summary>Where nobody takes hand-outs nobody is woken.</summary>
    private async Task<IReadOnlyList<DueDomain>> ListDueDomainsAsync(DueDomain after, int most)
    {
        var open = new OpenRoutes(
            Local: _gate.IsOpen(BusEndpoints.Store), Remote: _gate.IsOpen(BusEndpoints.Deliver), Failing: _gate.IsOpen(BusEndpoints.DeliverRetry));
        return open == OpenRoutes.None ? [] : await _store.ListDueDomainsAsync(_time.GetUtcNow(), after, most, CancellationToken.None, open);
    }

    private async Task<bool> WakeAsync(DueDomain due)
    {
        try
        {
            return await GrainFactory.GetGrain<IDomainQueueGrain>(due.Domain).WakeAsync().WaitAsync(s_waking, _time);
        }
        catch (TimeoutException)
        {
            // It goes on by itself, or another round wakes it.
            return false;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            // Whatever is wrong with one domain, the others are woken.
            LogNotWoken(_log, due.Domain, exception);
            return false;
        }
    }

    [LoggerMessage(2051, LogLevel.Warning, "{Domain} could not be woken; next time")]
    private static partial void LogNotWoken(ILogger log, string domain, Exception exception);

    [LoggerMessage(2053, LogLevel.Error, "message={MessageId} cannot be routed and stays; the others go on")]
    private static partial void LogNotRouted(ILogger log, string messageId, Exception exception);
}
