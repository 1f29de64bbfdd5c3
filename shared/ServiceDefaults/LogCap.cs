using System.Collections.Concurrent;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// How often what others cause is logged: so many lines in a window for each key, and then one that counts the rest, when the window is
/// over or this is disposed; and so many for all keys together, where a <see cref="LogTotal"/> says so. Nobody fills our disk by being
/// refused. Bounded in number of keys; safe from any thread.
/// </summary>
public sealed class LogCap<TKey> : IDisposable
    where TKey : notnull
{
    /// <summary>Keys remembered; beyond it all are forgotten, and what they have left unsaid is said.</summary>
    public const int MaxKeys = 10_000;

    /// <summary>Counts written at once; more wait for the next sweep.</summary>
    internal const int MaxSaidAtOnce = 1000;

    /// <summary>Sweeps in a window, as long as there is something unsaid.</summary>
    private const int SweepsPerWindow = 6;

    private readonly ConcurrentDictionary<TKey, Window> _windows = [];
    private readonly TimeProvider _time;
    private readonly int _lines;
    private readonly TimeSpan _window;
    private readonly Action<TKey, long> _unsaid;
    private readonly LogTotal? _total;
    private readonly ITimer _sweeps;
    private int _isArmed;

    // ConcurrentDictionary.Count takes all of its locks.
    private int _count;

    /// <param name="time">The clock, and the timer of the sweeps.</param>
    /// <param name="lines">Lines of one key in one window.</param>
    /// <param name="window">From the first line of a key; the next line after it begins another.</param>
    /// <param name="unsaid">Writes the line that says how many were not written.</param>
    /// <param name="total">Counts the lines of all keys, those of <paramref name="unsaid"/> too; is disposed with this.</param>
    public LogCap(TimeProvider time, int lines, TimeSpan window, Action<TKey, long> unsaid, LogTotal? total = null)
    {
        ArgumentNullException.ThrowIfNull(time);
        (_time, _lines, _window, _unsaid, _total) = (time, lines, window, unsaid, total);
        _sweeps = time.CreateTimer(_ => Sweep(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>
    /// What goes on from window to window has its count as the line of the next one: it is written anew only after a window in which it
    /// did not come.
    /// </summary>
    public bool CountsOn { get; init; }

    public bool MayWrite(TKey key)
    {
        // Then no key needs to be remembered.
        if (_total is { IsUsedUp: true })
            return Leave(1);
        if (Volatile.Read(ref _count) >= MaxKeys)
            Forget();
        while (true)
        {
            var current = WindowOf(key);
            lock (current)
            {
                // Counted here it would never be said.
                if (current.IsForgotten)
                    continue;
                if (current.Lines == 0 || IsOver(current))
                    Begin(key, current);

                if (current.Lines < _lines)
                {
                    current.Lines++;
                    return _total is null || _total.TryTake() || Leave(1);
                }

                current.Unsaid++;
            }

            Arm();
            return false;
        }
    }

    /// <summary>Says what is left.</summary>
    public void Dispose()
    {
        _sweeps.Dispose();
        Forget();
        _total?.Dispose();
    }

    private Window WindowOf(TKey key)
    {
        while (true)
        {
            if (_windows.TryGetValue(key, out var known))
                return known;
            var begun = new Window();
            if (!_windows.TryAdd(key, begun))
                continue;
            Interlocked.Increment(ref _count);
            return begun;
        }
    }

    private bool Leave(long count)
    {
        _total!.Leave(count);
        return false;
    }

    /// <summary>One timer for all keys, which rests while nothing is unsaid.</summary>
    private void Arm()
    {
        if (Interlocked.Exchange(ref _isArmed, 1) == 0)
            _sweeps.Change(_window / SweepsPerWindow, Timeout.InfiniteTimeSpan);
    }

    private void Sweep()
    {
        Volatile.Write(ref _isArmed, 0);
        var said = 0;
        var isMore = false;
        foreach (var (key, window) in _windows)
        {
            lock (window)
            {
                if (IsOver(window) && (window.Unsaid == 0 || said < MaxSaidAtOnce))
                {
                    var isSaid = Begin(key, window);
                    said += isSaid ? 1 : 0;
                    if (!isSaid || !CountsOn)
                        Remove(key, window);
                }
                isMore |= window.Unsaid > 0;
            }
        }
        if (isMore)
            Arm();
    }

    /// <summary>Says what is left, and writes every key anew.</summary>
    public void Forget()
    {
        foreach (var (key, window) in _windows)
        {
            lock (window)
            {
                Say(key, window);
                Remove(key, window);
            }
        }
    }

    private bool IsOver(Window window) => _time.GetElapsedTime(window.Since) >= _window;

    private bool Say(TKey key, Window window)
    {
        if (window.Unsaid == 0)
            return false;
        var count = window.Unsaid;
        window.Unsaid = 0;
        if (_total is not null && !_total.TryTake())
            return Leave(count);
        _unsaid(key, count);
        return true;
    }

    /// <summary>Begins the next window of the key. True: the line that counts the rest was written.</summary>
    private bool Begin(TKey key, Window window)
    {
        var isSaid = Say(key, window);
        (window.Since, window.Lines) = (_time.GetTimestamp(), isSaid && CountsOn ? _lines : 0);
        return isSaid;
    }

    private void Remove(TKey key, Window window)
    {
        window.IsForgotten = true;
        if (_windows.TryRemove(KeyValuePair.Create(key, window)))
            Interlocked.Decrement(ref _count);
    }

    private sealed class Window
    {
        public long Since { get; set; }

        public int Lines { get; set; }

        public long Unsaid { get; set; }

        /// <summary>No longer among the windows.</summary>
        public bool IsForgotten { get; set; }
    }
}
