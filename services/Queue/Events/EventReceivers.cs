using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Events;

/// <summary>
/// The receivers that the settings of this process name, and what is kept for all that storage knows. A receiver is registered before anything else
/// happens, and is kept as long as some process names him: who is in no settings for an hour is forgotten, with what waits for him, so that processes of two
/// settings that run side by side drop nothing.
/// </summary>
internal sealed partial class EventReceivers : IHostedLifecycleService, IDisposable
{
    internal static readonly TimeSpan UnseenFor = TimeSpan.FromHours(1);

    private static readonly TimeSpan s_namedEach = TimeSpan.FromMinutes(1);

    private readonly EventOptions _options;
    private readonly EventStore _store;
    private readonly EventSubscriptions _subscriptions;
    private readonly QueueTelemetry _telemetry;
    private readonly TimeProvider _time;
    private readonly ILogger<EventReceivers> _log;
    private readonly List<WebhookDestination> _pages = [];
    private long? _namedAt;

    public EventReceivers(
        IOptions<EventOptions> options, EventStore store, EventSubscriptions subscriptions, IServiceProvider services, QueueTelemetry telemetry, TimeProvider time,
        ILogger<EventReceivers> log)
    {
        (_options, _store, _subscriptions, _telemetry, _time, _log) = (options.Value, store, subscriptions, telemetry, time, log);
        var senders = new List<EventSender>();
        foreach (var webhook in _options.Webhooks)
        {
            var page = new WebhookDestination(webhook, time);
            _pages.Add(page);
            senders.Add(new EventSender(
                webhook.Name, [.. webhook.WantedKinds.Distinct()], new EventFilter(webhook.Accounts, webhook.SenderDomains), webhook.BatchEvents, page, store, telemetry, time, log));
        }

        if (_options.Bus)
        {
            senders.Add(new EventSender(
                EventOptions.BusName, Enum.GetValues<EventKind>(), EventFilter.All, BusBatch, new BusDestination(services.GetRequiredService<MailBus>()), store, telemetry, time, log));
        }

        Senders = senders;
    }

    private const int BusBatch = 200;

    public IReadOnlyList<EventSender> Senders { get; }

    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        if (Senders.Count == 0)
            return;
        await NameAsync();
        await _subscriptions.ReadAsync(cancellationToken);
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken)
    {
        foreach (var sender in Senders)
            _telemetry.EventsBegin(sender.Name);
        return Task.CompletedTask;
    }

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Names those of the settings, forgets those of none, drops what is too old or too much, and counts what waits.</summary>
    public async Task KeepAsync(CancellationToken cancellationToken)
    {
        if (Senders.Count > 0 && (_namedAt is not { } at || _time.GetElapsedTime(at) >= s_namedEach))
            await NameAsync();
        var known = await _store.ListReceiversAsync(cancellationToken);
        if (known.Count > Senders.Count)
        {
            foreach (var (name, events) in await _store.ForgetUnseenAsync(UnseenFor, cancellationToken))
                LogForgotten(_log, name, events);
        }

        var backlogs = new List<(string, EventBacklog)>();
        foreach (var receiver in known)
        {
            var dropped = await _store.DropOldAsync(receiver.Name, _options.Retention, cancellationToken);
            var backlog = await _store.MeasureAsync(receiver.Name, _options.MostWaiting + MostBeyond, cancellationToken);
            if (backlog.Waiting > _options.MostWaiting)
                dropped += await _store.DropFirstAsync(receiver.Name, backlog.Waiting - _options.MostWaiting, cancellationToken);
            if (dropped > 0)
            {
                LogDropped(_log, dropped, receiver.Name);
                _telemetry.EventsDropped(receiver.Name, dropped);
            }

            backlogs.Add((receiver.Name, backlog));
        }

        _telemetry.EventsMeasured(backlogs);
    }

    /// <summary>Dropped in one round of what is too much.</summary>
    private const int MostBeyond = 100_000;

    public void Dispose()
    {
        foreach (var page in _pages)
            page.Dispose();
    }

    private async Task NameAsync()
    {
        foreach (var sender in Senders)
            await _store.RegisterAsync(sender.Name, sender.Kinds);
        _namedAt = _time.GetTimestamp();
    }

    [LoggerMessage(2182, LogLevel.Error, "{Count} events for {Receiver} were dropped: they had waited for longer than Events:Retention, or there were more than Events:MostWaiting")]
    private static partial void LogDropped(ILogger log, long count, string receiver);

    [LoggerMessage(2183, LogLevel.Warning, "Receiver {Receiver} is named by no settings any more, and is forgotten with {Count} events that waited for him")]
    private static partial void LogForgotten(ILogger log, string receiver, long count);
}
