using System.Collections.Concurrent;

namespace MailPipeline.Authentication.Dkim;

/// <summary>
/// Public keys as they were read of published records, by the records' text: those that send most sign all of their mail by the same few. Which record
/// stands where is not remembered here. Bounded; used by many at a time.
/// </summary>
public sealed class KeyRecords
{
    /// <summary>A key with what a library makes of it takes a few kilobytes. When there are as many, all are read anew.</summary>
    internal const int MaxKeys = 1000;

    /// <summary>A key of 4096 bits needs 800; what is longer is read each time.</summary>
    private const int MaxTextLength = 2048;

    private readonly ConcurrentDictionary<(string Text, string Algorithm), KeyRecord> _keys = [];

    internal int Count => _keys.Count;

    /// <inheritdoc cref="KeyRecord.Read"/>
    internal KeyRecord Read(string text, string algorithm)
    {
        if (_keys.TryGetValue((text, algorithm), out var known))
            return known;
        var read = KeyRecord.Read(text, algorithm);
        if (read.Fault is not null || text.Length > MaxTextLength)
            return read;
        if (_keys.Count >= MaxKeys)
            _keys.Clear();
        _keys[(text, algorithm)] = read;
        return read;
    }
}
