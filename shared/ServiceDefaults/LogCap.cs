using System.Collections.Concurrent;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// How often what others cause is logged: so many lines in a window for each key, and then one that counts the rest. Nobody fills our
/// disk by being refused. Bounded in number of keys; safe from any thread.
/// </summary>
/// <param name="lines">Lines of one key in one window.</param>
/// <param name="unsaid">Writes the line that says how many were not written, before the next one that is.</param>
public sealed class LogCap<TKey>(TimeProvider time, int lines, TimeSpan window, Action<TKey, long> unsaid)
    where TKey : notnull
{
    /// <summary>Keys remembered; beyond it all are forgotten, and what they have left unsaid is said.</summary>
    public const int MaxKeys = 10_000;

    private readonly ConcurrentDictionary<TKey, Window> _windows = [];

    public bool MayWrite(TKey key)
    {
        if (_windows.Count >= MaxKeys)
            Forget();
        var current = _windows.GetOrAdd(key, static _ => new Window());
        lock (current)
        {
            var now = time.GetTimestamp();
            if (current.Lines == 0 || time.GetElapsedTime(current.Since, now) >= window)
            {
                if (current.Unsaid > 0)
                    unsaid(key, current.Unsaid);
                (current.Since, current.Lines, current.Unsaid) = (now, 0, 0);
            }

            if (current.Lines < lines)
            {
                current.Lines++;
                return true;
            }

            current.Unsaid++;
            return false;
        }
    }

    private void Forget()
    {
        foreach (var (key, left) in _windows)
        {
            if (_windows.TryRemove(key, out _) && left.Unsaid > 0)
                unsaid(key, left.Unsaid);
        }
    }

    private sealed class Window
    {
        public long Since { get; set; }

        public int Lines { get; set; }

        public long Unsaid { get; set; }
    }
}
