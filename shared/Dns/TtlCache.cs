using System.Collections.Concurrent;

namespace MailPipeline.Dns;

/// <summary>What is remembered of an answer.</summary>
/// <param name="TimeToLive">For how long; nothing is remembered without any.</param>
/// <param name="Bytes">What the value takes of memory, beside the entry itself.</param>
public readonly record struct Remembered<T>(T Value, TimeSpan TimeToLive, int Bytes);

/// <summary>
/// Remembers answers until they expire and asks once for all who wait for the same key. Bounded in octets: over its capacity it drops what
/// has expired, then whatever it meets until an eighth is free, so that a full cache is not looked through for each answer. (.NET's
/// <c>MemoryCache</c> does not take what is new when it is full, has each of those who wait ask, and expires by a clock that can be set.)
/// </summary>
/// <param name="capacityBytes">What the answers may take together.</param>
public sealed class TtlCache<T>(long capacityBytes, TimeProvider time)
{
    /// <summary>An entry with its task, its key's object, its place in the dictionary, and the head of an answer; measured.</summary>
    private const int EntryBytes = 320;

    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.OrdinalIgnoreCase);

    private long _bytes;

    public int Count => _entries.Count;

    /// <summary>The answer that is remembered for the key, or what <paramref name="load"/> brings, which is then remembered.</summary>
    public async Task<T> GetAsync(string key, Func<string, Task<Remembered<T>>> load)
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

            var entry = new Entry(EntryBytes + (key.Length * sizeof(char)));
            if (!_entries.TryAdd(key, entry))
                continue;
            Interlocked.Add(ref _bytes, entry.Bytes);
            return await LoadAsync(key, entry, load);
        }
    }

    private async Task<T> LoadAsync(string key, Entry entry, Func<string, Task<Remembered<T>>> load)
    {
        try
        {
            var (value, timeToLive, bytes) = await load(key);
            if (timeToLive > TimeSpan.Zero)
            {
                Interlocked.Add(ref _bytes, bytes);
                entry.Bytes += bytes;
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
            Interlocked.Add(ref _bytes, -entry.Bytes);
    }

    private void Trim()
    {
        if (Volatile.Read(ref _bytes) <= capacityBytes)
            return;
        var now = time.GetTimestamp();
        foreach (var (key, entry) in _entries)
        {
            if (!entry.IsUsableAt(now))
                Remove(key, entry);
        }

        foreach (var (key, entry) in _entries)
        {
            if (Volatile.Read(ref _bytes) <= capacityBytes - (capacityBytes / 8))
                return;
            if (entry.Value.Task.IsCompleted)
                Remove(key, entry);
        }
    }

    private sealed class Entry(int bytes)
    {
        public TaskCompletionSource<T> Value { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Monotonic; the far future while the answer is awaited.</summary>
        public long Expires { get; set; } = long.MaxValue;

        /// <summary>Stays what it is from when the answer is there; nobody drops the entry before.</summary>
        public int Bytes { get; set; } = bytes;

        public bool IsUsableAt(long timestamp) => timestamp < Expires;
    }
}
