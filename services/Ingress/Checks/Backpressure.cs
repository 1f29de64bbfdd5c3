using System.Collections.Concurrent;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// Says "later" at the door (MAIL) while behind it more waits than the operator allows: unrouted messages, queued recipients, a slow
/// commit, a disk that is nearly full. A transaction that has begun goes on. Judged once a second, and counted less often when a
/// long queue takes long to count, so a bound may be passed by what arrives meanwhile.
/// </summary>
internal sealed partial class Backpressure(
    MessageStore store, IOptions<IngressOptions> options, IngressTelemetry telemetry, TimeProvider time, ILogger<Backpressure> log)
    : BackgroundService, ICheck
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_longestInterval = TimeSpan.FromSeconds(10);

    private readonly IngressOptions _options = options.Value;
    private readonly ConcurrentDictionary<long, long> _running = [];
    private volatile StoreLoad _load = new(0, 0, 0);
    private long _slowestTicks;
    private volatile Pressure? _pressure;

    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        if (_pressure is not { } pressure)
            return new(Verdict.GoOn);
        telemetry.HeldBack(pressure.Bound);
        return new(new Verdict(pressure.Reply));
    }

    /// <summary>
    /// A message is being committed, until what is returned is disposed. Of each second the slowest counts that has ended, however,
    /// or is still under way.
    /// </summary>
    public Commit BeginCommit(long messageId)
    {
        _running[messageId] = time.GetTimestamp();
        return new Commit(this, messageId);
    }

    private void EndCommit(long messageId)
    {
        if (!_running.TryRemove(messageId, out var started))
            return;
        var ticks = time.GetElapsedTime(started).Ticks;
        for (var seen = Volatile.Read(ref _slowestTicks); ticks > seen;)
        {
            var before = Interlocked.CompareExchange(ref _slowestTicks, ticks, seen);
            if (before == seen)
                return;
            seen = before;
        }
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken)
    {
        telemetry.CountFromZero();
        return Task.WhenAll(MeasureAgainAndAgainAsync(stoppingToken), JudgeAgainAndAgainAsync(stoppingToken));
    }

    internal async Task LookAsync(CancellationToken cancellation)
    {
        await MeasureAsync(cancellation);
        Judge();
    }

    private async Task MeasureAgainAndAgainAsync(CancellationToken stoppingToken)
    {
        for (var pause = s_interval; await PauseAsync(pause, stoppingToken);)
        {
            var started = time.GetTimestamp();
            await MeasureAsync(stoppingToken);
            // Counting a long queue takes time; it takes at most a twentieth of it.
            var slow = time.GetElapsedTime(started) * 20;
            pause = slow < s_interval ? s_interval : slow < s_longestInterval ? slow : s_longestInterval;
        }
    }

    /// <summary>On its own: a store that does not answer is the very time to see how long commits take.</summary>
    private async Task JudgeAgainAndAgainAsync(CancellationToken stoppingToken)
    {
        while (await PauseAsync(s_interval, stoppingToken))
            Judge();
    }

    private async Task<bool> PauseAsync(TimeSpan pause, CancellationToken stoppingToken)
    {
        await Task.Delay(pause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return !stoppingToken.IsCancellationRequested;
    }

    private async Task MeasureAsync(CancellationToken cancellation)
    {
        try
        {
            _load = await store.MeasureLoadAsync(_options.MaxUnrouted, _options.MaxQueued, cancellation);
        }
        catch (Exception away) when (away is StorageUnavailableException || cancellation.IsCancellationRequested)
        {
            // Storage itself says "later" to whoever comes; or the door closes.
        }
        catch (Exception bug)
        {
            // What was counted before stays in force.
            LogNotCounted(log, bug);
        }
    }

    private void Judge()
    {
        var (load, slowest) = (_load, Slowest());
        telemetry.Measured(
            (double)load.Unrouted / _options.MaxUnrouted, (double)load.Queued / _options.MaxQueued, slowest / _options.MaxCommitTime,
            load.SpaceUsed);
        var pressure = PressureOf(load, slowest);
        if (pressure?.Bound != _pressure?.Bound)
        {
            if (pressure is null)
                LogRelieved(log);
            else
                LogHeldBack(log, pressure.Bound, load.Unrouted, load.Queued, slowest);
        }
        _pressure = pressure;
    }

    private TimeSpan Slowest()
    {
        var slowest = TimeSpan.FromTicks(Interlocked.Exchange(ref _slowestTicks, 0));
        foreach (var (_, started) in _running)
        {
            if (time.GetElapsedTime(started) is var duration && duration > slowest)
                slowest = duration;
        }
        return slowest;
    }

    private Pressure? PressureOf(StoreLoad load, TimeSpan slowest) =>
        load.SpaceUsed >= 1 ? new("space", Replies.C452StorageFull)
        : load.Unrouted >= _options.MaxUnrouted ? new("unrouted", Replies.C451TooMuchUnrouted)
        : load.Queued >= _options.MaxQueued ? new("queued", Replies.C452QueueFull)
        : slowest > _options.MaxCommitTime ? new("commit_time", Replies.C451StorageSlow)
        : null;

    /// <summary>One message on its way into storage.</summary>
    internal readonly struct Commit(Backpressure owner, long messageId) : IDisposable
    {
        public void Dispose() => owner.EndCommit(messageId);
    }

    private sealed record Pressure(string Bound, SmtpReply Reply);

    [LoggerMessage(1030, LogLevel.Warning, "New mail is put off, bound reached: {Bound} ({Unrouted} messages unrouted, {Queued} recipients queued, slowest commit {Slowest})")]
    private static partial void LogHeldBack(ILogger log, string bound, long unrouted, long queued, TimeSpan slowest);

    [LoggerMessage(1031, LogLevel.Information, "New mail is taken again")]
    private static partial void LogRelieved(ILogger log);

    [LoggerMessage(1032, LogLevel.Error, "What waits could not be counted; next time")]
    private static partial void LogNotCounted(ILogger log, Exception exception);
}
