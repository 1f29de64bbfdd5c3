using System.Net;

namespace MailPipeline.Delivery.Connections;

/// <summary>One that waits for a connection slot.</summary>
internal sealed class WaitingTurn(string domain, IPAddress address, bool isKnown)
{
    public string Domain => domain;

    public IPAddress Address => address;

    /// <summary>Its destination has answered lately.</summary>
    public bool IsKnown { get; set; } = isKnown;

    public TaskCompletionSource<ConnectionSlot> Slot { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
}

/// <summary>
/// Who waits for a connection slot: those whose destination answered lately, and the others, each in the order in which they came.
/// Not safe for threads: the lock is its owner's.
/// </summary>
internal sealed class WaitingTurns
{
    private readonly LinkedList<WaitingTurn> _known = [];
    private readonly LinkedList<WaitingTurn> _others = [];

    public int Count => _known.Count + _others.Count;

    public LinkedListNode<WaitingTurn> Add(WaitingTurn waiter) => (waiter.IsKnown ? _known : _others).AddLast(waiter);

    public static void Remove(LinkedListNode<WaitingTurn> waiter) => waiter.List?.Remove(waiter);

    /// <summary>The destination has just answered: those that wait for it wait among the known.</summary>
    public void Promote(string domain, IPAddress address)
    {
        for (var node = _others.First; node is not null;)
        {
            var next = node.Next;
            if (string.Equals(node.Value.Domain, domain, StringComparison.OrdinalIgnoreCase) || node.Value.Address.Equals(address))
            {
                _others.Remove(node);
                node.Value.IsKnown = true;
                _known.AddLast(node);
            }

            node = next;
        }
    }

    public LinkedListNode<WaitingTurn>? FirstKnown => _known.First;

    /// <summary>Of the others the first whose destination has nothing open, else the first whose address has its share left, else the first.</summary>
    /// <param name="opened">Connections without a result by domain and by address.</param>
    /// <param name="share">Of one address.</param>
    public LinkedListNode<WaitingTurn>? FirstOther(DestinationCounts opened, int share)
    {
        LinkedListNode<WaitingTurn>? fair = null;
        for (var node = _others.First; node is not null; node = node.Next)
        {
            if (opened.Of(node.Value.Address) >= share)
                continue;
            if (opened.Of(node.Value.Domain) == 0)
                return node;
            fair ??= node;
        }

        return fair ?? _others.First;
    }
}
