using System.Collections.Concurrent;
using MailPipeline.Mail;
using MailPipeline.Storage;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// How much of each sender waits, in the whole cluster, as far as the policy bounds that. What all senders have is counted as a whole every second or so, or read
/// as the queue has counted it; of those few who may be near their bound storage is asked by itself, before anybody is refused and whenever a quarter of what
/// was left has been used here. What this process takes it counts itself, so that a bound is passed by what is being received at that moment, and by what
/// other processes take within about a second. Without a bound nothing is counted and nothing asked.
/// </summary>
internal sealed partial class SenderQueues(PolicyFile policy, MeasureStore measures, SampleStore samples, TimeProvider time, ILogger<SenderQueues> log)
    : BackgroundService
{
    private const int MostNear = 10_000;

    /// <summary>Counting takes at most a twentieth of the time, of all senders and of each one.</summary>
    private const int Share = 20;

    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    /// <summary>A count of one sender that he has not used up is good for so long.</summary>
    private static readonly TimeSpan s_lasts = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, Sender> _near = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();
    private volatile Counted? _counted;

    /// <summary>Taken here since that was counted, and in the time before, in which it was being counted.</summary>
    private Dictionary<string, long> _taken = new(StringComparer.Ordinal);
    private Dictionary<string, long> _takenBefore = new(StringComparer.Ordinal);

    /// <summary>Some sender has a bound.</summary>
    public bool AreBounded => policy.Current.SenderQueues is not null;

    /// <summary>So many more of him may wait.</summary>
    /// <param name="flow">See <see cref="FlowKey"/>.</param>
    public async ValueTask<bool> HaveRoomAsync(string flow, int recipients, CancellationToken cancellation)
    {
        if (BoundOf(flow) is not { } bound)
            return true;
        // Far below it storage need not be asked.
        if (_counted is { } counted && counted.Of(flow) + TakenOf(flow) + recipients <= bound / 2 && !_near.ContainsKey(flow))
            return true;
        if (_near.Count >= MostNear)
            _near.Clear();
        var sender = _near.GetOrAdd(flow, _ => new Sender());
        if (sender.IsToBeCounted(bound, recipients, time))
            await sender.CountAsync(() => measures.CountOfSenderAsync(flow, CancellationToken.None), time).WaitAsync(cancellation);
        return sender.Waiting + recipients <= bound;
    }

    /// <summary>The message is in storage.</summary>
    public void Accepted(Envelope message)
    {
        if (!AreBounded || BoundOf(message.Flow) is null)
            return;
        lock (_lock)
            _taken[message.Flow] = _taken.GetValueOrDefault(message.Flow) + message.Recipients.Length;
        if (_near.TryGetValue(message.Flow, out var sender))
            sender.Take(message.Recipients.Length);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        for (var pause = s_interval; ;)
        {
            await Task.Delay(pause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (stoppingToken.IsCancellationRequested)
                return;
            var started = time.GetTimestamp();
            await LookAsync(stoppingToken);
            var spent = time.GetElapsedTime(started) * Share;
            pause = spent > s_interval ? spent : s_interval;
        }
    }

    /// <summary>Counts all, if anybody is bounded.</summary>
    internal async Task LookAsync(CancellationToken cancellation)
    {
        if (!AreBounded)
        {
            Forget();
            return;
        }
        try
        {
            // Where much waits the queue has counted it, in its own time.
            var groups = await samples.FindAsync(WaitingBy.Sender, WaitingGroups.Most, cancellation) ?? await measures.CountSendersAsync(cancellation);
            if (_counted?.At == groups.CountedAt)
                return;
            lock (_lock)
                (_takenBefore, _taken) = (_taken, new(StringComparer.Ordinal));
            _counted = new Counted(groups);
            foreach (var (flow, sender) in _near)
            {
                // He is looked at by himself as long as he is near.
                if (BoundOf(flow) is not { } bound || sender.Waiting <= bound / 4)
                    _near.TryRemove(flow, out _);
            }
        }
        catch (Exception away) when (away is StorageUnavailableException || cancellation.IsCancellationRequested)
        {
            // Storage itself says "later" to whoever comes; or the door closes.
        }
        catch (Exception bug)
        {
            LogNotCounted(log, bug);
        }
    }

    private long? BoundOf(string flow) => policy.Current.SenderQueues is { } bounds && SenderPattern.Find(bounds, flow) is > 0 and var bound ? bound : null;

    private long TakenOf(string flow)
    {
        lock (_lock)
            return _taken.GetValueOrDefault(flow) + _takenBefore.GetValueOrDefault(flow);
    }

    private void Forget()
    {
        if (_counted is null && _near.IsEmpty)
            return;
        _counted = null;
        _near.Clear();
        lock (_lock)
        {
            _taken.Clear();
            _takenBefore.Clear();
        }
    }

    /// <summary>What waits of all senders.</summary>
    private sealed class Counted(WaitingGroups groups)
    {
        private readonly Dictionary<string, long> _senders = groups.Groups.ToDictionary(group => group.Key, group => group.Waiting, StringComparer.Ordinal);

        /// <summary>Whoever is not told apart has no more than the last of those who are.</summary>
        private readonly long _others = groups.GroupCount > groups.Groups.Count && groups.Groups is [.., var last] ? last.Waiting : 0;

        public DateTimeOffset At => groups.CountedAt;

        public long Of(string flow) => _senders.TryGetValue(flow, out var waiting) ? waiting : _others;
    }

    /// <summary>One who may be near his bound.</summary>
    private sealed class Sender
    {
        private readonly Lock _lock = new();
        private Task? _counting;
        private long _counted;
        private long _taken;
        private long _countedAt;
        private TimeSpan _took;

        public long Waiting
        {
            get
            {
                lock (_lock)
                    return _counted + _taken;
            }
        }

        public void Take(int recipients)
        {
            lock (_lock)
                _taken += recipients;
        }

        public bool IsToBeCounted(long bound, int recipients, TimeProvider time)
        {
            lock (_lock)
            {
                if (_countedAt == 0)
                    return true;
                var age = time.GetElapsedTime(_countedAt);
                var pause = _took * Share;
                return age >= (pause > s_interval ? pause : s_interval)
                    && (age >= s_lasts || _counted + _taken + recipients > bound || 4 * _taken >= bound - _counted);
            }
        }

        /// <summary>Once for all who want to know meanwhile.</summary>
        public Task CountAsync(Func<Task<long>> count, TimeProvider time)
        {
            lock (_lock)
                return _counting is { IsCompleted: false } counting ? counting : _counting = RunAsync(count, time);
        }

        private async Task RunAsync(Func<Task<long>> count, TimeProvider time)
        {
            var (started, before) = (time.GetTimestamp(), 0L);
            lock (_lock)
                before = _taken;
            var counted = await count();
            lock (_lock)
            {
                // What was taken before is in storage, and was counted there.
                (_counted, _countedAt, _took) = (counted, started, time.GetElapsedTime(started));
                _taken -= before;
            }
        }
    }

    [LoggerMessage(1035, LogLevel.Error, "What waits of each sender could not be counted; next time")]
    private static partial void LogNotCounted(ILogger log, Exception exception);
}
