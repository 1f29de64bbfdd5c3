namespace MailPipeline.Delivery;

/// <summary>
/// Names that something happened to lately, and when. Bounded: beyond its capacity the oldest is forgotten, and so is everything that is
/// older than its memory.
/// </summary>
internal sealed class RecentEvents(int capacity, TimeSpan memory, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, LinkedListNode<(string Name, long At)>> _nodes = new(StringComparer.OrdinalIgnoreCase);
    private readonly LinkedList<(string Name, long At)> _byAge = [];

    /// <summary>It has happened again, just now.</summary>
    public void Note(string name)
    {
        var now = time.GetTimestamp();
        lock (_lock)
        {
            Remove(name);
            _nodes[name] = _byAge.AddLast((name, now));
            if (_nodes.Count > capacity)
                Remove(_byAge.First!.Value.Name);
        }
    }

    public void Forget(string name)
    {
        lock (_lock)
            Remove(name);
    }

    public bool Has(string name) => Age(name) is not null;

    /// <summary>How long ago it happened last; null when it did not, or is forgotten.</summary>
    public TimeSpan? Age(string name)
    {
        lock (_lock)
        {
            if (!_nodes.TryGetValue(name, out var node))
                return null;
            var age = time.GetElapsedTime(node.Value.At);
            if (age < memory)
                return age;
            Remove(name);
            return null;
        }
    }

    private void Remove(string name)
    {
        if (_nodes.Remove(name, out var node))
            _byAge.Remove(node);
    }
}
