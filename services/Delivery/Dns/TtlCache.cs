using System.Collections.Concurrent;

namespace MailPipeline.Delivery;

/// <summary>
/// Remembers answers until they expire and asks once for all who wait for the same key. Bounded: over its capacity it
/// drops what has expired, then whatever it meets until an eighth is free, so that a full cache is not looked through for each answer.
/// </summary>
/// <param name="capacity">What the answers may weigh together.</param>
/// <param name="weigh">What an answer weighs; 1 when null.</param>
internal sealed class TtlCache<T>(int capacity, TimeProvider time, Func<T, int>? weigh = null)
{
    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.OrdinalIgnoreCase);

    private int _weight;

    public int Count => _entries.Count;

    public async Task<T> GetAsync(string key, Func<string, Task<(T Value, TimeSpan TimeToLive)>> load)
    {
        while (true)
        {
            if (_entries.TryGetValue(key, out var known))
            {
                if (known.IsUsableAt(time.GetTimestamp()))
                    return await known.Value.Task;
                Remove(key, known);
                continue;
            }

            var entry = new Entry();
            if (!_entries.TryAdd(key, entry))
                continue;
            Interlocked.Add(ref _weight, entry.Weight);
            return await LoadAsync(key, entry, load);
        }
    }

    private async Task<T> LoadAsync(string key, Entry entry, Func<string, Task<(T Value, TimeSpan TimeToLive)>> load)
    {
        try
        {
            var (value, timeToLive) = await load(key);
            if (timeToLive > TimeSpan.Zero)
            {
                var weight = weigh?.Invoke(value) ?? entry.Weight;
                Interlocked.Add(ref _weight, weight - entry.Weight);
                entry.Weight = weight;
                entry.Expires = time.GetTimestamp() + (long)(timeToLive.TotalSeconds * time.TimestampFrequency);
            }
            else
            {
                Remove(key, entry);
            }

            entry.Value.SetResult(value);
            Trim();
            return value;
        }
        catch (Exception error)
        {
            Remove(key, entry);
            entry.Value.SetException(error);
            _ = entry.Value.Task.Exception;
            throw;
        }
    }

    private void Remove(string key, Entry entry)
    {
        if (_entries.TryRemove(KeyValuePair.Create(key, entry)))
            Interlocked.Add(ref _weight, -entry.Weight);
    }

    private void Trim()
    {
        if (Volatile.Read(ref _weight) <= capacity)
            return;
        var now = time.GetTimestamp();
        foreach (var (key, entry) in _entries)
        {
            if (!entry.IsUsableAt(now))
                Remove(key, entry);
        }

        foreach (var (key, entry) in _entries)
        {
            if (Volatile.Read(ref _weight) <= capacity - (capacity / 8))
                return;
            if (entry.Value.Task.IsCompleted)
                Remove(key, entry);
        }
    }

    private sealed class Entry
    {
        public TaskCompletionSource<T> Value { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Monotonic; the far future while the answer is awaited.</summary>
        public long Expires { get; set; } = long.MaxValue;

        /// <summary>Stays what it is from when the answer is there; nobody drops the entry before.</summary>
        public int Weight { get; set; } = 1;

        public bool IsUsableAt(long timestamp) => timestamp < Expires;
    }
}
