using System.Collections.Concurrent;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// How often what others cause is logged: so many lines in a window for each key, and then one that counts the rest, when the window is
/// over or this is disposed. Nobody fills our disk by being refused. Bounded in number of keys; safe from any thread.
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
    private readonly ITimer _sweeps;
    private int _isArmed;

    /// <param name="time">The clock, and the timer of the sweeps.</param>
    /// <param name="lines">Lines of one key in one window.</param>
    /// <param name="window">From the first line of a key; the next line after it begins another.</param>
    /// <param name="unsaid">Writes the line that says how many were not written.</param>
    public LogCap(TimeProvider time, int lines, TimeSpan window, Action<TKey, long> unsaid)
    {
        ArgumentNullException.ThrowIfNull(time);
        (_time, _lines, _window, _unsaid) = (time, lines, window, unsaid);
        _sweeps = time.CreateTimer(_ => Sweep(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public bool MayWrite(TKey key)
    {
        if (_windows.Count >= MaxKeys)
            Forget();
        while (true)
        {
            var current = _windows.GetOrAdd(key, static _ => new Window());
            lock (current)
            {
                // Counted here it would never be said.
                if (current.IsForgotten)
                    continue;
                if (current.Lines == 0 || IsOver(current))
                {
                    Say(key, current);
                    (current.Since, current.Lines) = (_time.GetTimestamp(), 0);
                }

                if (current.Lines < _lines)
                {
                    current.Lines++;
                    return true;
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
                    said += Say(key, window) ? 1 : 0;
                    Remove(key, window);
                }
                isMore |= window.Unsaid > 0;
            }
        }
        if (isMore)
            Arm();
    }

    private void Forget()
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
        _unsaid(key, window.Unsaid);
        window.Unsaid = 0;
        return true;
    }

    private void Remove(TKey key, Window window)
    {
        window.IsForgotten = true;
        _windows.TryRemove(KeyValuePair.Create(key, window));
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
