using System.Collections.Concurrent;

namespace MailPipeline.Delivery;

/// <summary>
/// Remembers answers until they expire and asks once for all who wait for the same key. Bounded: over its capacity it
/// drops what has expired, then whatever it meets until an eighth is free, so that a full cache is not looked through for each answer.
/// </summary>
internal sealed class TtlCache<T>(int capacity, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.OrdinalIgnoreCase);

    public int Count => _entries.Count;

    public async Task<T> GetAsync(string key, Func<string, Task<(T Value, TimeSpan TimeToLive)>> load)
    {
        while (true)
        {
            if (_entries.TryGetValue(key, out var known))
            {
                if (known.IsUsableAt(time.GetTimestamp()))
                    return await known.Value.Task;
                _entries.TryRemove(KeyValuePair.Create(key, known));
                continue;
            }

            var entry = new Entry();
            if (!_entries.TryAdd(key, entry))
                continue;
            return await LoadAsync(key, entry, load);
        }
    }

    private async Task<T> LoadAsync(string key, Entry entry, Func<string, Task<(T Value, TimeSpan TimeToLive)>> load)
    {
        try
        {
            var (value, timeToLive) = await load(key);
            if (timeToLive > TimeSpan.Zero)
                entry.Expires = time.GetTimestamp() + (long)(timeToLive.TotalSeconds * time.TimestampFrequency);
            else
                _entries.TryRemove(KeyValuePair.Create(key, entry));
            entry.Value.SetResult(value);
            Trim();
            return value;
        }
        catch (Exception error)
        {
            _entries.TryRemove(KeyValuePair.Create(key, entry));
            entry.Value.SetException(error);
            _ = entry.Value.Task.Exception;
            throw;
        }
    }

    private void Trim()
    {
        if (_entries.Count <= capacity)
            return;
        var now = time.GetTimestamp();
        foreach (var pair in _entries)
        {
            if (!pair.Value.IsUsableAt(now))
                _entries.TryRemove(pair);
        }

        foreach (var pair in _entries)
        {
            if (_entries.Count <= capacity - (capacity / 8))
                return;
            if (pair.Value.Value.Task.IsCompleted)
                _entries.TryRemove(pair);
        }
    }

    private sealed class Entry
    {
        public TaskCompletionSource<T> Value { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Monotonic; the far future while the answer is awaited.</summary>
        public long Expires { get; set; } = long.MaxValue;

        public bool IsUsableAt(long timestamp) => timestamp < Expires;
    }
}
