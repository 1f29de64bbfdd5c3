using System.Net;

namespace MailPipeline.Mail;

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

/// <summary>
/// Logins that wait, a queue for each network prefix, and the order of their turns: wide networks, of which one customer may have many
/// prefixes, take turns, and the prefixes of each do. Not safe for many threads.
/// </summary>
internal sealed class LoginQueues
{
    private readonly Dictionary<IPNetwork, LinkedList<LoginTurn>> _byPrefix = [];
    private readonly Dictionary<IPNetwork, WideNetwork> _byWide = [];

    /// <summary>Those that have somebody waiting, in the order of their turns.</summary>
    private readonly LinkedList<WideNetwork> _wide = [];

    /// <summary>All that wait.</summary>
    public int Count { get; private set; }

    /// <summary>Whose turn is next; null where nobody waits.</summary>
    public LoginTurn? First => _wide.First is { } wide ? _byPrefix[wide.Value.Prefixes.First!.Value].First!.Value : null;

    public int CountOf(IPNetwork prefix) => _byPrefix.GetValueOrDefault(prefix)?.Count ?? 0;

    /// <summary>Those that wait from the same wide network as this prefix.</summary>
    public int CountAround(IPNetwork prefix) => _byWide.GetValueOrDefault(LoginNetwork.Wide(prefix))?.Count ?? 0;

    public void Add(LoginTurn turn)
    {
        var wide = LoginNetwork.Wide(turn.Prefix);
        if (!_byWide.TryGetValue(wide, out var around))
            _wide.AddLast(around = _byWide[wide] = new WideNetwork(wide));
        if (!_byPrefix.TryGetValue(turn.Prefix, out var queue))
        {
            queue = _byPrefix[turn.Prefix] = [];
            around.Prefixes.AddLast(turn.Prefix);
        }

        turn.Place = queue.AddLast(turn);
        around.Count++;
        Count++;
    }

    public void Remove(LoginTurn turn)
    {
        var queue = _byPrefix[turn.Prefix];
        var around = _byWide[LoginNetwork.Wide(turn.Prefix)];
        queue.Remove(turn.Place!);
        around.Count--;
        Count--;
        if (queue.Count > 0)
            return;
        _byPrefix.Remove(turn.Prefix);
        around.Prefixes.Remove(turn.Prefix);
        if (around.Count > 0)
            return;
        _byWide.Remove(around.Network);
        _wide.Remove(around);
    }

    /// <summary>Who else waits from there waits behind the others.</summary>
    public void HadATurn(IPNetwork prefix)
    {
        if (!_byWide.TryGetValue(LoginNetwork.Wide(prefix), out var around))
            return;
        _wide.Remove(around);
        _wide.AddLast(around);
        if (around.Prefixes.Remove(prefix))
            around.Prefixes.AddLast(prefix);
    }

    /// <summary>Of those prefixes, the one from which most wait, and of these the last that came; null where none of those waits.</summary>
    public LoginTurn? NewestOfLongest(Predicate<IPNetwork> isMeant) => NewestOfLongest(_wide.SelectMany(wide => wide.Prefixes), isMeant);

    /// <summary>
    /// Of the wide network from which most wait, the newest of the prefix from which most wait; null where they are no more than so many.
    /// </summary>
    public LoginTurn? NewestOfWidest(int moreThan)
    {
        WideNetwork? widest = null;
        foreach (var wide in _wide)
        {
            if (wide.Count >= (widest?.Count ?? moreThan + 1))
                widest = wide;
        }

        return widest is null ? null : NewestOfLongest(widest.Prefixes, _ => true);
    }

    private LoginTurn? NewestOfLongest(IEnumerable<IPNetwork> prefixes, Predicate<IPNetwork> isMeant)
    {
        LinkedList<LoginTurn>? longest = null;
        foreach (var prefix in prefixes)
        {
            var queue = _byPrefix[prefix];
            if (queue.Count >= (longest?.Count ?? 0) && isMeant(prefix))
                longest = queue;
        }

        return longest?.Last?.Value;
    }

    private sealed class WideNetwork(IPNetwork network)
    {
        public IPNetwork Network => network;

        /// <summary>Those that have somebody waiting, in the order of their turns.</summary>
        public LinkedList<IPNetwork> Prefixes { get; } = [];

        /// <summary>All that wait from there.</summary>
        public int Count { get; set; }
    }
}
