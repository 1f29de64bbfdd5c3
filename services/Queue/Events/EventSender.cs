using MailPipeline.Mail;

namespace MailPipeline.Queue.Events;

/// <summary>
/// Sends one receiver what waits for him, in order, and takes it away when he has it: so he gets each event at least once, whoever dies in between, and always
/// under the same id. While he takes none there is one try at growing intervals, and all waits behind it. What he refuses again and again is halved down to the one event that he does not
/// want, which is given up, so that the others go on. For one caller at a time.
/// </summary>
internal sealed partial class EventSender(
    string name, IReadOnlyList<EventKind> kinds, EventFilter filter, int batchEvents, IEventDestination destination, EventStore store, QueueTelemetry telemetry, TimeProvider time,
    ILogger log)
{
    /// <summary>A round ends then, though more waits; the next one begins at once.</summary>
    private static readonly TimeSpan s_longestRound = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan s_firstPause = TimeSpan.FromSeconds(1);

    internal static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(5);

    /// <summary>What a receiver asks for beyond it is not heeded.</summary>
    private static readonly TimeSpan s_longestWish = TimeSpan.FromHours(1);

    /// <summary>So often a post is refused, with growing pauses between, before an event in it is looked for: a page that refuses all of them loses one in 25 minutes.</summary>
    internal const int MostRefusals = 5;

    private readonly GrowingPause _pause = new(s_firstPause, LongestPause);

    private DateTimeOffset _wishUntil = DateTimeOffset.MinValue;

    // Where he found a post too long.
    private int _bearable = int.MaxValue;

    // Refused in succession; and how many events of those that are next have the one among them that is why, once it is looked for.
    private int _refusals;
    private int _suspects;

    // Null: this process does not know yet.
    private bool? _isAway;
    private DateTimeOffset _awaySince;

    public string Name => name;

    public IReadOnlyList<EventKind> Kinds => kinds;

    /// <summary>One round. False: nothing was sent.</summary>
    public async Task<bool> SendAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (_pause.Lasts(now) || (now < _wishUntil && _wishUntil - now <= s_longestWish))
            return false;
        var began = time.GetTimestamp();
        var hasSent = false;
        do
        {
            var next = await store.ListNextAsync(name, Math.Min(batchEvents, _bearable), cancellationToken);
            if (next.Count == 0)
                return hasSent;
            hasSent = true;
            if (!await SendAsync(next, cancellationToken))
                return true;
        }
        while (time.GetElapsedTime(began) < s_longestRound);
        return true;
    }

    /// <summary>False: he takes no more for now.</summary>
    private async Task<bool> SendAsync(List<WaitingEvent> next, CancellationToken cancellationToken)
    {
        var wanted = next.FindAll(filter.Wants);
        var sent = wanted.Count == 0 ? new EventsSent([]) : await destination.SendAsync(wanted, cancellationToken);
        if (next.Count > wanted.Count || sent.Taken.Count > 0)
            await store.TakenAsync(name, [.. next.Except(wanted), .. sent.Taken]);
        telemetry.EventsSent(name, taken: sent.Taken.Count, failed: wanted.Count - sent.Taken.Count, unwanted: next.Count - wanted.Count);
        if (wanted.Count == 0)
            return true;
        if (sent.IsTooMuch && next.Count > 1)
        {
            _bearable = Math.Max(1, wanted.Count / 2);
            return true;
        }

        if (sent.IsRefused && ++_refusals > MostRefusals)
        {
            await IsolateAsync(wanted, sent.Fault);
            return true;
        }

        if (sent.Fault.Length > 0)
        {
            if (!sent.IsRefused)
                (_refusals, _suspects) = (0, 0);
            await NoteAwayAsync(sent);
            return false;
        }

        _suspects = Math.Max(0, _suspects - wanted.Count);
        // While the one is looked for posts grow no longer: it is among those that come next.
        if (_suspects == 0)
            (_refusals, _bearable) = (0, _bearable < batchEvents ? _bearable * 2 : int.MaxValue);
        await NoteThereAsync(cancellationToken);
        return true;
    }

    /// <summary>What he has refused so often goes in halves; one event alone is given up.</summary>
    private async Task IsolateAsync(List<WaitingEvent> refused, string fault)
    {
        if (refused.Count > 1)
        {
            (_suspects, _bearable) = (refused.Count, refused.Count / 2);
            return;
        }

        await store.TakenAsync(name, refused);
        telemetry.EventRefused(name);
        LogRefused(log, refused[0].Id, name, fault);
        (_refusals, _suspects) = (0, 0);
    }

    private async Task NoteAwayAsync(EventsSent sent)
    {
        var now = time.GetUtcNow();
        _pause.Begin(now);
        _wishUntil = sent.RetryAfter is { } wish ? now + (wish < s_longestWish ? wish : s_longestWish) : DateTimeOffset.MinValue;
        if (_isAway == true)
            return;
        LogAway(log, name, sent.Fault);
        await store.NoteAsync(name, sent.Fault);
        (_isAway, _awaySince) = (true, now);
    }

    private async Task NoteThereAsync(CancellationToken cancellationToken)
    {
        _pause.Forget();
        _wishUntil = DateTimeOffset.MinValue;
        if (_isAway == false)
            return;
        // Another process may have found him away.
        var since = _isAway == true ? _awaySince : (await store.ListReceiversAsync(cancellationToken)).Find(one => one.Name == name)?.AwaySince;
        if (since is { } at)
        {
            LogBack(log, name, time.GetUtcNow() - at);
            await store.NoteAsync(name, "");
        }

        _isAway = false;
    }

    [LoggerMessage(2180, LogLevel.Warning, "Events for {Receiver} are not taken, and wait: {Reason}")]
    private static partial void LogAway(ILogger log, string receiver, string reason);

    [LoggerMessage(2187, LogLevel.Error, "Event {Event} is given up, and {Receiver} is not told of it: he refuses it alone, and what follows goes on: {Reason}")]
    private static partial void LogRefused(ILogger log, string @event, string receiver, string reason);

    [LoggerMessage(2181, LogLevel.Information, "Events for {Receiver} are taken again, after {Away}")]
    private static partial void LogBack(ILogger log, string receiver, TimeSpan away);
}
