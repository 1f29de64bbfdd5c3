using MailPipeline.Mail;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// Recipients that wait for a batch, sorted by the sender whose mail they are (their flow). Flows take turns, and a turn is one message,
/// so that whoever sends much waits for himself and holds up nobody else. Within a flow the order stays as it came. Pure.
/// </summary>
internal sealed class FlowTurns
{
    private readonly Dictionary<string, LinkedListNode<Flow>> _flows = new(StringComparer.Ordinal);

    /// <summary>Flows that have somebody waiting, in the order in which it is their turn.</summary>
    private readonly LinkedList<Flow> _turns = new();

    public int Count { get; private set; }

    /// <summary>The recipient whose turn it is.</summary>
    public Recipient? Next => _turns.First?.Value.Waiting.Peek();

    /// <summary>Somebody of the flow waits here.</summary>
    public bool Has(string flow) => _flows.ContainsKey(flow);

    /// <summary>The one flow that waits here; null where none does, or several.</summary>
    public string? Alone => _turns.Count == 1 ? _turns.First!.Value.Key : null;

    public void Add(Recipient recipient)
    {
        var flow = recipient.Flow;
        if (!_flows.TryGetValue(flow, out var node))
            _flows.Add(flow, node = _turns.AddLast(new Flow(flow)));
        node.Value.Waiting.Enqueue(recipient);
        Count++;
    }

    /// <summary>
    /// Takes up to so many recipients of one route, turn by turn. A message whose recipients do not all fit ends the turn of its flow all
    /// the same. A flow whose next recipient goes another way keeps its place.
    /// </summary>
    public Recipient[] Take(int most, RecipientRoute route)
    {
        var taken = new List<Recipient>(Math.Min(most, Count));
        for (var node = _turns.First; node is not null && taken.Count < most;)
        {
            if (node.Value.Waiting.Peek().Route != route)
            {
                node = node.Next;
                continue;
            }
            TakeTurn(node.Value.Waiting, most, route, taken);
            var next = node.Next;
            _turns.Remove(node);
            if (node.Value.Waiting.Count == 0)
                _flows.Remove(node.Value.Key);
            else
                _turns.AddLast(node);
            // The flow that is alone, or the last one, has its next turn at once.
            node = next ?? node.List?.Last;
        }
        Count -= taken.Count;
        return [.. taken];
    }

    /// <summary>Takes those out for whom it holds, whosever turn it is.</summary>
    public List<Recipient> Remove(Predicate<Recipient> match)
    {
        var removed = new List<Recipient>();
        for (var node = _turns.First; node is not null;)
        {
            var next = node.Next;
            var waiting = node.Value.Waiting;
            for (var left = waiting.Count; left > 0; left--)
            {
                var recipient = waiting.Dequeue();
                if (match(recipient))
                    removed.Add(recipient);
                else
                    waiting.Enqueue(recipient);
            }
            if (waiting.Count == 0)
            {
                _turns.Remove(node);
                _flows.Remove(node.Value.Key);
            }
            node = next;
        }
        Count -= removed.Count;
        return removed;
    }

    /// <summary>The recipients of the next message, as far as they go this way and there is room for them.</summary>
    private static void TakeTurn(Queue<Recipient> waiting, int most, RecipientRoute route, List<Recipient> taken)
    {
        var messageId = waiting.Peek().MessageId;
        while (taken.Count < most && waiting.TryPeek(out var next) && next.MessageId == messageId && next.Route == route)
            taken.Add(waiting.Dequeue());
    }

    private sealed class Flow(string key)
    {
        public string Key => key;

        public Queue<Recipient> Waiting { get; } = new();
    }
}
