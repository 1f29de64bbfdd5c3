namespace MailPipeline.ServiceDefaults;

/// <summary>
/// How many lines all keys of one <see cref="LogCap{TKey}"/> write together in a window; what is beyond is counted, and one line says so
/// when the window is over or this is disposed. Without it who comes from many addresses writes as many lines as he has addresses. Safe
/// from any thread.
/// </summary>
public sealed class LogTotal : IDisposable
{
    private static readonly TimeSpan s_least = TimeSpan.FromMilliseconds(1);

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly int _lines;
    private readonly TimeSpan _window;
    private readonly Action<long> _unsaid;
    private readonly ITimer _end;
    private long _since;
    private int _written;
    private long _left;

    /// <param name="time">The clock, and the timer of the window's end.</param>
    /// <param name="lines">Lines in one window.</param>
    /// <param name="window">From its first line; the next line after it begins another.</param>
    /// <param name="unsaid">Writes the line that says how many were not written.</param>
    public LogTotal(TimeProvider time, int lines, TimeSpan window, Action<long> unsaid)
    {
        ArgumentNullException.ThrowIfNull(time);
        (_time, _lines, _window, _unsaid) = (time, lines, window, unsaid);
        _end = time.CreateTimer(_ => End(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>All lines of the window under way are written.</summary>
    internal bool IsUsedUp
    {
        get
        {
            lock (_gate)
                return _written >= _lines && !IsOver;
        }
    }

    private bool IsOver => _time.GetElapsedTime(_since) >= _window;

    /// <summary>One more line may be written; else its caller leaves it to this one's count.</summary>
    internal bool TryTake()
    {
        lock (_gate)
        {
            if (_written == 0 || IsOver)
            {
                Say();
                (_since, _written) = (_time.GetTimestamp(), 0);
            }
            if (_written >= _lines)
                return false;
            _written++;
            return true;
        }
    }

    /// <summary>So many were not written.</summary>
    internal void Leave(long count)
    {
        lock (_gate)
        {
            if (_left == 0)
                _end.Change(Rest(), Timeout.InfiniteTimeSpan);
            _left += count;
        }
    }

    /// <summary>Says what is left.</summary>
    public void Dispose()
    {
        _end.Dispose();
        lock (_gate)
            Say();
    }

    private void End()
    {
        lock (_gate)
        {
            if (IsOver)
                Say();
            else if (_left > 0)
                _end.Change(Rest(), Timeout.InfiniteTimeSpan);
        }
    }

    // A timer that fires a moment early is set once more.
    private TimeSpan Rest()
    {
        var rest = _window - _time.GetElapsedTime(_since);
        return rest > s_least ? rest : s_least;
    }

    private void Say()
    {
        if (_left == 0)
            return;
        _unsaid(_left);
        _left = 0;
    }
}
