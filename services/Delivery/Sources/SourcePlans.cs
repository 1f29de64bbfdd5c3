using System.Collections.Concurrent;
using MailPipeline.Mail;
using MailPipeline.Storage;

namespace MailPipeline.Delivery.Sources;

/// <summary>What is kept of the plans of source addresses, for all processes together.</summary>
internal interface ISourceDays
{
    /// <inheritdoc cref="SourceDayStore.TakeAsync"/>
    Task<int> TakeAsync(string source, int day, int wanted, int plan);

    /// <inheritdoc cref="SourceDayStore.GiveBackAsync"/>
    Task GiveBackAsync(string source, int day, int messages);
}

/// <summary>That of storage.</summary>
internal sealed class StoredSourceDays(SourceDayStore store) : ISourceDays
{
    public Task<int> TakeAsync(string source, int day, int wanted, int plan) => store.TakeAsync(source, day, wanted, plan);

    public Task GiveBackAsync(string source, int day, int messages) => store.GiveBackAsync(source, day, messages);
}

/// <summary>
/// How many messages may still leave today from each address that has a plan: some are taken from storage at a time, so that few messages cost a write. What
/// is left when the process ends in order is given back.
/// </summary>
internal sealed class SourcePlans(ISourceDays days, TimeProvider time, ILogger<SourcePlans> log) : IHostedService
{
    /// <summary>Others may give back what they have taken: so long nobody asks again.</summary>
    private static readonly TimeSpan s_exhausted = TimeSpan.FromMinutes(10);

    private readonly ConcurrentDictionary<string, Block> _blocks = new(StringComparer.Ordinal);

    public DateOnly Today => DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);

    /// <summary>When the plans of tomorrow begin.</summary>
    public DateTimeOffset Tomorrow => new(Today.AddDays(1), TimeOnly.MinValue, TimeSpan.Zero);

    /// <summary>Nothing is left of its plan for today, as far as is known.</summary>
    public bool IsExhausted(Source source) =>
        source.WarmUp?.PlanOf(Today) is { } plan && (plan == 0 || (_blocks.TryGetValue(source.Name, out var block) && block.IsExhausted(Today, plan, time)));

    /// <summary>Some messages of today's plan; <see cref="MessageAllowance.IsSpent"/>: none are left.</summary>
    /// <param name="messages">There is mail for so many.</param>
    /// <exception cref="StorageUnavailableException">Nobody knows how many are left.</exception>
    public async ValueTask<MessageAllowance> TakeAsync(Source source, int messages)
    {
        var today = Today;
        if (source.WarmUp?.PlanOf(today) is not { } plan)
            return new MessageAllowance(int.MaxValue);
        var block = _blocks.GetOrAdd(source.Name, _ => new Block());
        if (block.TryTake(today, plan, messages, time) is { } taken)
            return new MessageAllowance(taken) { Day = today.DayNumber };
        await block.Turn.WaitAsync();
        try
        {
            // Whoever was before us may have taken enough.
            if (block.TryTake(today, plan, messages, time) is { } enough)
                return new MessageAllowance(enough) { Day = today.DayNumber };
            block.Add(today, plan, plan == 0 ? 0 : await days.TakeAsync(source.Name, SinceEpoch(today), messages, plan), time);
            return new MessageAllowance(block.TryTake(today, plan, messages, time) ?? 0) { Day = today.DayNumber };
        }
        finally
        {
            block.Turn.Release();
        }
    }

    /// <summary>What was not sent may be sent by another connection; of a day that is over nothing is left.</summary>
    public void GiveBack(Source source, MessageAllowance allowance)
    {
        if (allowance.Day != 0 && allowance.Left > 0 && _blocks.TryGetValue(source.Name, out var block))
            block.GiveBack(allowance.Day, allowance.Left);
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        foreach (var (source, block) in _blocks)
        {
            var (day, left) = block.TakeAll();
            if (left == 0 || day != Today)
                continue;
            try
            {
                await days.GiveBackAsync(source, SinceEpoch(day), left);
            }
            catch (StorageUnavailableException away)
            {
                log.PlanNotGivenBack(away, left, source);
            }
        }
    }

    private static int SinceEpoch(DateOnly day) => day.DayNumber - DateOnly.FromDateTime(DateTime.UnixEpoch).DayNumber;

    /// <summary>What this process has taken of the plan of one address.</summary>
    private sealed class Block
    {
        private static readonly TimeSpan s_again = s_exhausted;

        private readonly Lock _lock = new();
        private DateOnly _day;
        private int _plan;
        private int _left;
        private long? _exhaustedAt;

        /// <summary>One asks storage at a time.</summary>
        public SemaphoreSlim Turn { get; } = new(1);

        public bool IsExhausted(DateOnly today, int plan, TimeProvider time)
        {
            lock (_lock)
                return IsOf(today, plan) && _left == 0 && _exhaustedAt is { } at && time.GetElapsedTime(at) < s_again;
        }

        /// <summary>Null: storage has to be asked. 0: it has been, and had none.</summary>
        public int? TryTake(DateOnly today, int plan, int messages, TimeProvider time)
        {
            lock (_lock)
            {
                if (!IsOf(today, plan))
                    return null;
                if (_left == 0)
                    return _exhaustedAt is { } at && time.GetElapsedTime(at) < s_again ? 0 : null;
                var taken = Math.Min(_left, Math.Max(messages, 1));
                _left -= taken;
                return taken;
            }
        }

        public void Add(DateOnly today, int plan, int messages, TimeProvider time)
        {
            lock (_lock)
            {
                _left = _day == today ? _left + messages : messages;
                (_day, _plan) = (today, plan);
                _exhaustedAt = _left == 0 ? time.GetTimestamp() : null;
            }
        }

        public void GiveBack(int day, int messages)
        {
            lock (_lock)
            {
                if (_day.DayNumber == day)
                    _left += messages;
            }
        }

        public (DateOnly Day, int Left) TakeAll()
        {
            lock (_lock)
            {
                var left = _left;
                _left = 0;
                return (_day, left);
            }
        }

        // Of a plan that has been changed since, what was taken counts; whether there is more is asked.
        private bool IsOf(DateOnly today, int plan) => _day == today && (_plan == plan || _left > 0);
    }
}

/// <summary>How many messages may be sent over a connection, because of where it comes from.</summary>
internal sealed class MessageAllowance(int messages)
{
    private int _left = messages;

    /// <summary>Of whose plan they are; 0: there is none.</summary>
    public int Day { get; init; }

    public int Left => _left;

    /// <summary>So many have been sent.</summary>
    public int Used { get; private set; }

    public bool IsSpent => _left == 0;

    public void Use()
    {
        _left--;
        Used++;
    }

    /// <summary>The one that was taken last was not sent after all.</summary>
    public void Refund()
    {
        _left++;
        Used--;
    }
}
