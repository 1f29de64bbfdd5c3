using System.Diagnostics;
using System.Diagnostics.Metrics;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Delivery;

/// <summary>What a batch waits for before it is spoken about with a far end.</summary>
internal enum BatchWaitReason
{
    /// <summary>The hosts of its domain, or their addresses.</summary>
    Dns,

    /// <summary>A free connection.</summary>
    Connection,

    /// <summary>A connection less from the source addresses of its pool.</summary>
    Source,
}

/// <summary>
/// What delivery shows of itself: counters and durations without domains or addresses, and one activity per attempt, a child
/// of the SMTP transaction that brought the message.
/// </summary>
internal sealed class DeliveryTelemetry : IDisposable
{
    public const string SourceName = "MailPipeline.Delivery";

    private readonly Meter _meter;
    private readonly ActivitySource _activities = new(SourceName);
    private readonly Counter<long> _attempts;
    private readonly Histogram<double> _attemptDuration;
    private readonly Counter<long> _handshakes;
    private readonly Counter<long> _tlsSessions;
    private readonly Counter<long> _policies;
    private readonly Counter<long> _reused;
    private readonly Counter<long> _races;
    private readonly Counter<long> _sourceMessages;
    private readonly Counter<long> _putOff;
    private readonly Counter<long> _uncertain;
    private readonly Counter<long> _unrecorded;
    private readonly Counter<long> _recordRetries;
    private readonly Counter<long> _claimsLost;
    private readonly Counter<long> _reportsLost;
    private readonly Histogram<double> _resolution;
    private readonly UpDownCounter<long> _detached;
    private readonly UpDownCounter<long> _waiting;
    private readonly Lock _lock = new();
    private readonly Dictionary<BatchWaitReason, SortedDictionary<long, int>> _waitingSince = new()
    {
        [BatchWaitReason.Dns] = [],
        [BatchWaitReason.Connection] = [],
        [BatchWaitReason.Source] = [],
    };

    private TimeProvider? _time;
    private Func<(string Pool, string State, int Connections)[]> _connections = () => [];
    private Func<(string Source, int Connections)[]> _sources = () => [];

    public DeliveryTelemetry(IMeterFactory meters)
    {
        _meter = meters.Create(SourceName);
        _attempts = _meter.CreateCounter<long>(
            "mailpipeline.delivery.attempts", "{recipient}", "Attempts by outcome.");
        _attemptDuration = _meter.CreateHistogram<double>(
            "mailpipeline.delivery.attempt.duration", "s", "Time from MAIL to the last reply of one message.");
        _meter.CreateObservableGauge(
            "mailpipeline.delivery.connections", MeasureConnections, "{connection}",
            "Open connections by pool (healthy, retry) and state: active holds a slot, stalled only waits for its far end.");
        _handshakes = _meter.CreateCounter<long>(
            "mailpipeline.delivery.handshakes", "{connection}", "Connections tried, by result and by TLS.");
        _tlsSessions = _meter.CreateCounter<long>(
            "mailpipeline.delivery.tls.sessions", "{session}", "Sessions with hosts, by what TLS policy asked of them, and the result: ok, or the type of failure of RFC 8460.");
        _policies = _meter.CreateCounter<long>(
            "mailpipeline.delivery.tls.policies", "{policy}", "MTA-STS policies fetched, by result: ok, or the type of failure of RFC 8460.");
        _reused = _meter.CreateCounter<long>(
            "mailpipeline.delivery.connections.reused", "{connection}", "Batches that went over a connection left by the one before.");
        _races = _meter.CreateCounter<long>(
            "mailpipeline.delivery.races", "{host}", "Hosts with several addresses that were raced for (RFC 8305), by which won: first, other or none.");
        _sourceMessages = _meter.CreateCounter<long>(
            "mailpipeline.delivery.source.messages", "{message}", "Messages begun, by the source address of a pool that they left from.");
        _putOff = _meter.CreateCounter<long>(
            "mailpipeline.delivery.source.put.off", "{recipient}", "Recipients that were put off because no source address of their pool could be used, by reason: plan, elsewhere, fault or family.");
        _meter.CreateObservableGauge(
            "mailpipeline.delivery.source.connections", MeasureSources, "{connection}", "Open connections from each source address of a pool.");
        _uncertain = _meter.CreateCounter<long>(
            "mailpipeline.delivery.uncertain", "{recipient}", "Contact lost between final dot and reply; a copy may be sent twice.");
        _unrecorded = _meter.CreateCounter<long>(
            "mailpipeline.delivery.unrecorded", "{recipient}", "Delivered, but the claim was lost before it was recorded; a copy may be sent twice.");
        _recordRetries = _meter.CreateCounter<long>(
            "mailpipeline.delivery.record.retries", "{write}", "Failed writes of delivered recipients, each repeated.");
        _claimsLost = _meter.CreateCounter<long>(
            "mailpipeline.delivery.claims.lost", "{claim}", "Claims that ran out while their batch was under way.");
        _reportsLost = _meter.CreateCounter<long>(
            "mailpipeline.delivery.reports.lost", "{report}", "Reports that the bus did not take; the lease repairs it.");
        _resolution = _meter.CreateHistogram<double>(
            "mailpipeline.delivery.resolution.duration", "s", "Time to find the hosts of a domain, by result.");
        _detached = _meter.CreateUpDownCounter<long>(
            "mailpipeline.delivery.batches.detached", "{batch}", "Batches that wait or take long and go on now without a consumer: the bus message is acknowledged.");
        _waiting = _meter.CreateUpDownCounter<long>(
            "mailpipeline.delivery.waiting", "{batch}", "Batches that wait before a far end is spoken to, by reason: dns, connection or source.");
        _meter.CreateObservableGauge(
            "mailpipeline.delivery.waiting.oldest", MeasureOldest, "s", "How long the oldest of the waiting batches has waited, by reason.");
    }

    /// <summary>From now on those of each source address are.</summary>
    public void WatchSources(Func<(string Source, int Connections)[]> count) => _sources = count;

    /// <param name="winner">first, other or none of its addresses.</param>
    public void Raced(string winner) => _races.Add(1, new KeyValuePair<string, object?>("winner", winner));

    public void SourceSent(string source, int messages) => _sourceMessages.Add(messages, new KeyValuePair<string, object?>("source", source));

    /// <param name="reason">plan, elsewhere, fault or family.</param>
    public void PutOff(string reason, int recipients) => _putOff.Add(recipients, new KeyValuePair<string, object?>("reason", reason));

    /// <summary>From now on the open connections are measured.</summary>
    public void Watch(Func<(string Pool, string State, int Connections)[]> count) => _connections = count;

    /// <summary>A counter that is not there before its first event shows no increase by it.</summary>
    public void CountFromZero()
    {
        foreach (var outcome in Enum.GetValues<AttemptOutcome>())
            _attempts.Add(0, new KeyValuePair<string, object?>("outcome", OutcomeTag(outcome)));
        foreach (var reason in Enum.GetValues<BatchWaitReason>())
            _waiting.Add(0, new KeyValuePair<string, object?>("reason", ReasonTag(reason)));
        foreach (var counter in new[] { _uncertain, _unrecorded, _recordRetries, _claimsLost, _reportsLost })
            counter.Add(0);
    }

    public void Attempted(AttemptOutcome outcome, int recipients)
    {
        _attempts.Add(recipients, new KeyValuePair<string, object?>("outcome", OutcomeTag(outcome)));
        if (outcome == AttemptOutcome.Uncertain)
            _uncertain.Add(recipients);
    }

    public void AttemptTook(TimeSpan duration) => _attemptDuration.Record(duration.TotalSeconds);

    public void Detached() => _detached.Add(1);

    public void DetachedEnded() => _detached.Add(-1);

    /// <param name="since">Timestamp of its beginning, of the clock given.</param>
    public void Waits(BatchWaitReason reason, long since, TimeProvider time)
    {
        _waiting.Add(1, new KeyValuePair<string, object?>("reason", ReasonTag(reason)));
        lock (_lock)
        {
            _time = time;
            _waitingSince[reason][since] = _waitingSince[reason].GetValueOrDefault(since) + 1;
        }
    }

    public void WaitsNoLonger(BatchWaitReason reason, long since)
    {
        _waiting.Add(-1, new KeyValuePair<string, object?>("reason", ReasonTag(reason)));
        lock (_lock)
        {
            if (--_waitingSince[reason][since] == 0)
                _waitingSince[reason].Remove(since);
        }
    }

    public void ConnectionReused() => _reused.Add(1);

    /// <param name="result">ready, connect, greeting, hello, tls or auth: the step that failed.</param>
    /// <param name="tls">TLS protocol in use, or none.</param>
    public void Handshake(string result, string tls) => _handshakes.Add(
        1, new KeyValuePair<string, object?>("result", result), new KeyValuePair<string, object?>("tls", tls));

    /// <param name="policy">What was asked of the host, as <see cref="AttemptTls.Policy"/> has it.</param>
    /// <param name="result">ok, or the type of failure (RFC 8460 §4.3).</param>
    public void TlsSession(string policy, string result) => _tlsSessions.Add(
        1, new KeyValuePair<string, object?>("policy", policy), new KeyValuePair<string, object?>("result", result));

    /// <param name="result">ok, or the type of failure (RFC 8460 §4.3.2.2).</param>
    public void PolicyFetched(string result) => _policies.Add(1, new KeyValuePair<string, object?>("result", result));

    /// <summary>Delivered, but storage refused the record: counted as uncertain too, because the copy may be sent again.</summary>
    public void DeliveryUnrecorded() => _unrecorded.Add(1);

    public void RecordRetried() => _recordRetries.Add(1);

    public void ClaimLost() => _claimsLost.Add(1);

    public void ReportLost() => _reportsLost.Add(1);

    /// <param name="result">found, or how it failed: permanent, temporary.</param>
    public void Resolved(string result, TimeSpan duration) => _resolution.Record(
        duration.TotalSeconds, new KeyValuePair<string, object?>("result", result));

    /// <summary>Null when nobody listens; then nothing is parsed.</summary>
    public Activity? StartAttempt(string traceParent)
    {
        if (!_activities.HasListeners())
            return null;
        var batch = Activity.Current?.Context;
        var links = batch is { } context ? new[] { new ActivityLink(context) } : null;
        return ActivityContext.TryParse(traceParent, null, isRemote: true, out var parent)
            ? _activities.StartActivity("deliver", ActivityKind.Client, parent, tags: null, links)
            : _activities.StartActivity("deliver", ActivityKind.Client);
    }

    /// <summary>Until it is disposed, log lines carry the trace of the message.</summary>
    /// <param name="attempt">The attempt that they are about, where there is one under way.</param>
    public MessageTrace TraceOf(string traceParent, Activity? attempt = null) => MessageTrace.Enter(_activities, traceParent, attempt);

    public void Dispose()
    {
        _meter.Dispose();
        _activities.Dispose();
    }

    private IEnumerable<Measurement<int>> MeasureConnections() => _connections().Select(open => new Measurement<int>(
        open.Connections, new KeyValuePair<string, object?>("pool", open.Pool), new KeyValuePair<string, object?>("state", open.State)));

    private IEnumerable<Measurement<int>> MeasureSources() =>
        _sources().Select(open => new Measurement<int>(open.Connections, new KeyValuePair<string, object?>("source", open.Source)));

    private List<Measurement<double>> MeasureOldest()
    {
        lock (_lock)
        {
            return [.. _waitingSince.Select(reason => new Measurement<double>(
                reason.Value.Count == 0 ? 0 : _time!.GetElapsedTime(reason.Value.Keys.First()).TotalSeconds,
                new KeyValuePair<string, object?>("reason", ReasonTag(reason.Key))))];
        }
    }

    private static string ReasonTag(BatchWaitReason reason) => reason switch
    {
        BatchWaitReason.Dns => "dns",
        BatchWaitReason.Source => "source",
        _ => "connection",
    };

    internal static string OutcomeTag(AttemptOutcome outcome) => outcome switch
    {
        AttemptOutcome.Delivered => "delivered",
        AttemptOutcome.Deferred => "deferred",
        AttemptOutcome.Failed => "failed",
        AttemptOutcome.Uncertain => "uncertain",
        _ => "not_attempted",
    };
}
