using MailPipeline.Smtp;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress;

/// <summary>
/// Says "later" at the door (MAIL) while behind it more waits than the operator allows: unrouted messages, queued recipients, a slow
/// commit, a disk that is nearly full. A transaction that has begun goes on. Looked at once a second, less often when a long
/// queue takes long to count, so a bound may be passed by what arrives meanwhile.
/// </summary>
internal sealed partial class Backpressure(
    MessageStore store, IOptions<IngressOptions> options, IngressTelemetry telemetry, TimeProvider time, ILogger<Backpressure> log)
    : BackgroundService
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    private readonly IngressOptions _options = options.Value;
    private long _slowestTicks;
    private volatile Pressure? _pressure;

    /// <summary>Null: mail is taken.</summary>
    public SmtpReply? Refusal
    {
        get
        {
            if (_pressure is not { } pressure)
                return null;
            telemetry.HeldBack(pressure.Bound);
            return pressure.Reply;
        }
    }

    /// <summary>A message was committed; the slowest of each second counts.</summary>
    public void CommitTook(TimeSpan duration)
    {
        var ticks = duration.Ticks;
        for (var seen = Volatile.Read(ref _slowestTicks); ticks > seen;)
        {
            var before = Interlocked.CompareExchange(ref _slowestTicks, ticks, seen);
            if (before == seen)
                return;
            seen = before;
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            for (var pause = s_interval; ;)
            {
                await Task.Delay(pause, time, stoppingToken);
                var started = time.GetTimestamp();
                await LookAsync(stoppingToken);
                // Counting a long queue takes time; looking takes at most a twentieth of it.
                var slow = time.GetElapsedTime(started) * 20;
                pause = slow > s_interval ? slow : s_interval;
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The door closes.
        }
    }

    internal async Task LookAsync(CancellationToken cancellation)
    {
        StoreLoad load;
        try
        {
            load = await store.MeasureLoadAsync(_options.MaxUnrouted, _options.MaxQueued, cancellation);
        }
        catch (StorageUnavailableException)
        {
            // Storage itself says "later" to whoever comes.
            return;
        }
        var slowest = TimeSpan.FromTicks(Interlocked.Exchange(ref _slowestTicks, 0));
        telemetry.Measured(
            (double)load.Unrouted / _options.MaxUnrouted, (double)load.Queued / _options.MaxQueued, slowest / _options.MaxCommitTime,
            load.SpaceUsed);
        var pressure = Judge(load, slowest);
        if (pressure?.Bound != _pressure?.Bound)
        {
            if (pressure is null)
                LogRelieved(log);
            else
                LogHeldBack(log, pressure.Bound, load.Unrouted, load.Queued, slowest);
        }
        _pressure = pressure;
    }

    private Pressure? Judge(StoreLoad load, TimeSpan slowest) =>
        load.SpaceUsed >= 1 ? new("space", Replies.C452StorageFull)
        : load.Unrouted >= _options.MaxUnrouted ? new("unrouted", Replies.C451TooMuchUnrouted)
        : load.Queued >= _options.MaxQueued ? new("queued", Replies.C452QueueFull)
        : slowest > _options.MaxCommitTime ? new("commit_time", Replies.C451StorageSlow)
        : null;

    private sealed record Pressure(string Bound, SmtpReply Reply);

    [LoggerMessage(1030, LogLevel.Warning, "New mail is put off, bound reached: {Bound} ({Unrouted} messages unrouted, {Queued} recipients queued, slowest commit {Slowest})")]
    private static partial void LogHeldBack(ILogger log, string bound, long unrouted, long queued, TimeSpan slowest);

    [LoggerMessage(1031, LogLevel.Information, "New mail is taken again")]
    private static partial void LogRelieved(ILogger log);
}
