using System.Net;

namespace MailPipeline.Storage;

/// <summary>A login that waits for its turn.</summary>
internal sealed class LoginTurn(IPNetwork prefix, bool isPreferred)
{
    public IPNetwork Prefix => prefix;

    public bool IsPreferred => isPreferred;

    public LinkedListNode<LoginTurn>? Place { get; set; }

    public bool IsWaiting => Place?.List is not null;

    /// <summary>True when it is its turn; false when it has made room for another.</summary>
    public TaskCompletionSource<bool> Come { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
}

/// <summary>Logins that wait, a queue for each network prefix, and the order of the prefixes. Not safe for many threads.</summary>
internal sealed class LoginQueues
{
    private readonly Dictionary<IPNetwork, LinkedList<LoginTurn>> _byPrefix = [];

    /// <summary>Those that have somebody waiting, in the order of their turns.</summary>
    private readonly LinkedList<IPNetwork> _prefixes = [];

    /// <summary>All that wait.</summary>
    public int Count { get; private set; }

    /// <summary>Whose turn is next; null where nobody waits.</summary>
    public LoginTurn? First => _prefixes.First is { } prefix ? _byPrefix[prefix.Value].First!.Value : null;

    public int CountOf(IPNetwork prefix) => _byPrefix.GetValueOrDefault(prefix)?.Count ?? 0;

    public void Add(LoginTurn turn)
    {
        if (!_byPrefix.TryGetValue(turn.Prefix, out var queue))
        {
            queue = _byPrefix[turn.Prefix] = [];
            _prefixes.AddLast(turn.Prefix);
        }

        turn.Place = queue.AddLast(turn);
        Count++;
    }

    public void Remove(LoginTurn turn)
    {
        var queue = _byPrefix[turn.Prefix];
        queue.Remove(turn.Place!);
        Count--;
        if (queue.Count > 0)
            return;
        _byPrefix.Remove(turn.Prefix);
        _prefixes.Remove(turn.Prefix);
    }

    /// <summary>Who else waits from there waits behind the other prefixes.</summary>
    public void HadATurn(IPNetwork prefix)
    {
        if (_prefixes.Remove(prefix))
            _prefixes.AddLast(prefix);
    }

    /// <summary>Of those prefixes, the one from which most wait, and of these the last that came; null where none of those waits.</summary>
    public LoginTurn? NewestOfLongest(Predicate<IPNetwork> isMeant)
    {
        LinkedList<LoginTurn>? longest = null;
        foreach (var prefix in _prefixes)
        {
            var queue = _byPrefix[prefix];
            if (queue.Count >= (longest?.Count ?? 0) && isMeant(prefix))
                longest = queue;
        }

        return longest?.Last?.Value;
    }
}
