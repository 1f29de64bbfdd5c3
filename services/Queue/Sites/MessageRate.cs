namespace MailPipeline.Queue.Sites;

/// <summary>
/// So many messages a second, on average and in each single one. A bucket of tokens makes the average; and whatever delays some and not
/// others on their way, in no second do more than a tenth beyond arrive, because a message counts from when it is given out until a second after
/// it was reported. So a far end that takes long over each message gets fewer. Pure: time comes in.
/// </summary>
internal sealed class MessageRate
{
    private static readonly TimeSpan s_second = TimeSpan.FromSeconds(1);

    /// <summary>In one second, over the average.</summary>
    private const double Most = 1.1;

    /// <summary>Messages reported, until when they count.</summary>
    private readonly PriorityQueue<DateTimeOffset, DateTimeOffset> _reported = new();

    private double? _perSecond;
    private double _tokens;
    private DateTimeOffset _filledAt;
    private DateTimeOffset _from;
    private int _underWay;

    /// <summary>There is a limit.</summary>
    public bool IsSet => _perSecond is not null;

    /// <summary>Without a limit before, nobody has counted what went out: it begins with none left.</summary>
    public void Set(double? perSecond, DateTimeOffset now)
    {
        if (perSecond == _perSecond)
            return;
        if (_perSecond is null)
            (_tokens, _filledAt, _from) = (0, now, now + s_second);
        else
            Fill(now);
        _perSecond = perSecond;
        if (perSecond is null)
            _reported.Clear();
        else
            _tokens = Math.Min(_tokens, Burst);
    }

    /// <summary>Nobody has used it for long: all of it is there.</summary>
    public void Rest(DateTimeOffset now)
    {
        if (_perSecond is not null)
            (_tokens, _filledAt, _from) = (Burst, now, now);
    }

    /// <summary>All of it is there; without a limit it always is.</summary>
    public bool IsRested(DateTimeOffset now)
    {
        if (_perSecond is null)
            return true;
        Fill(now);
        return _tokens >= Burst;
    }

    /// <summary>So many may go out now.</summary>
    public int Room(DateTimeOffset now)
    {
        if (_perSecond is null)
            return int.MaxValue;
        Fill(now);
        if (now < _from)
            return 0;
        return Math.Max(0, Math.Min((int)(_tokens + 1e-6), AtOnce - _underWay - _reported.Count));
    }

    public void Take(int messages)
    {
        _underWay += messages;
        if (_perSecond is not null)
            _tokens -= messages;
    }

    /// <param name="messages">Given out once, and not under way any more.</param>
    /// <param name="sent">Of these, those that were sent, by how long before now at least that was. The others cost nothing.</param>
    public void Report(int messages, IReadOnlyList<TimeSpan> sent, DateTimeOffset now)
    {
        _underWay = Math.Max(0, _underWay - messages);
        if (_perSecond is null)
            return;
        _tokens = Math.Min(_tokens + Math.Max(0, messages - sent.Count), Burst);
        foreach (var age in sent)
        {
            if (age < Window)
                _reported.Enqueue(now + Window - age, now + Window - age);
        }
    }

    /// <summary>When there is room again without anything being reported; null: there is room now, or only a report makes some.</summary>
    public DateTimeOffset? NextAt(DateTimeOffset now)
    {
        if (_perSecond is not { } perSecond || Room(now) > 0)
            return null;
        var next = _tokens >= 1 ? now : now + TimeSpan.FromSeconds((1 - _tokens) / perSecond);
        if (next < _from)
            next = _from;
        if (_underWay + _reported.Count < AtOnce)
            return next;
        // The first of those that were reported; where all are under way nobody knows.
        return _reported.TryPeek(out _, out var over) ? over > next ? over : next : null;
    }

    /// <summary>As long as one message takes, where that is longer than a second.</summary>
    private TimeSpan Window => _perSecond is { } perSecond and < 1 ? TimeSpan.FromSeconds(1 / perSecond) : s_second;

    private int AtOnce => Math.Max(1, (int)(Most * _perSecond!.Value * Window.TotalSeconds + 1e-6));

    /// <summary>A fifth of a second's: what is late for its turn has it all the same, and nobody gets a second's messages in one stroke.</summary>
    private double Burst => Math.Max(_perSecond < 2 ? 1 : 2, _perSecond!.Value / 5);

    private void Fill(DateTimeOffset now)
    {
        // The clock was set back.
        if (now < _filledAt - s_second)
        {
            _reported.Clear();
            (_filledAt, _from) = (now, now + Window);
        }

        if (now > _filledAt)
        {
            _tokens = Math.Min(Burst, _tokens + ((now - _filledAt).TotalSeconds * _perSecond!.Value));
            _filledAt = now;
        }

        while (_reported.TryPeek(out _, out var over) && over <= now)
            _reported.Dequeue();
    }
}
