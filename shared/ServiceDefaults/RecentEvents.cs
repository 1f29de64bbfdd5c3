namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Names that something happened to lately, when, and how often. Bounded: beyond its capacity the oldest is forgotten, and so is everything
/// that is older than its memory.
/// </summary>
public sealed class RecentEvents(int capacity, TimeSpan memory, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, LinkedListNode<Event>> _nodes = new(StringComparer.OrdinalIgnoreCase);
    private readonly LinkedList<Event> _byAge = [];

    /// <summary>It has happened again, just now. Returns how often it has since it was forgotten last.</summary>
    public int Note(string name)
    {
        var now = time.GetTimestamp();
        lock (_lock)
        {
            var times = _nodes.TryGetValue(name, out var known) && IsRemembered(known.Value) ? known.Value.Times + 1 : 1;
            Remove(name);
            _nodes[name] = _byAge.AddLast(new Event(name, now, times));
            if (_nodes.Count > capacity)
                Remove(_byAge.First!.Value.Name);
            return times;
        }
    }

    public void Forget(string name)
    {
        lock (_lock)
            Remove(name);
    }

    public bool Has(string name) => Age(name) is not null;

    /// <summary>How long ago it happened last; null when it did not, or is forgotten.</summary>
    public TimeSpan? Age(string name) => Find(name)?.Age;

    /// <summary>How long ago it happened last, and how often it has; null when it did not, or is forgotten.</summary>
    public (TimeSpan Age, int Times)? Find(string name)
    {
        lock (_lock)
        {
            if (!_nodes.TryGetValue(name, out var node))
                return null;
            if (IsRemembered(node.Value))
                return (time.GetElapsedTime(node.Value.At), node.Value.Times);
            Remove(name);
            return null;
        }
    }

    private bool IsRemembered(Event one) => time.GetElapsedTime(one.At) < memory;

    private void Remove(string name)
    {
        if (_nodes.Remove(name, out var node))
            _byAge.Remove(node);
    }

    private readonly record struct Event(string Name, long At, int Times);
}
