using MailPipeline.Mail;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// Recipients that wait for a batch, sorted by the sender whose mail they are (their flow). Flows take turns, and a turn is one message,
/// so that whoever sends much waits for himself and holds up nobody else. Within a flow what its sender calls urgent comes first
/// (RFC 6710), and else the order stays as it came. Pure.
/// </summary>
internal sealed class FlowTurns
{
    private readonly Dictionary<string, LinkedListNode<Flow>> _flows = new(StringComparer.Ordinal);

    /// <summary>Flows that have somebody waiting, in the order in which it is their turn.</summary>
    private readonly LinkedList<Flow> _turns = new();

    public int Count { get; private set; }

    /// <summary>The recipient whose turn it is.</summary>
    public Recipient? Next => _turns.First?.Value.Peek();

    /// <summary>Somebody of the flow waits here.</summary>
    public bool Has(string flow) => _flows.ContainsKey(flow);

    /// <summary>The one flow that waits here; null where none does, or several.</summary>
    public string? Alone => _turns.Count == 1 ? _turns.First!.Value.Key : null;

    public void Add(Recipient recipient)
    {
        var flow = recipient.Flow;
        if (!_flows.TryGetValue(flow, out var node))
            _flows.Add(flow, node = _turns.AddLast(new Flow(flow)));
        node.Value.Add(recipient);
        Count++;
    }

    /// <summary>
    /// Takes up to so many recipients of one route, turn by turn. A message whose recipients do not all fit ends the turn of its flow all
    /// the same. A flow whose next recipient goes another way keeps its place.
    /// </summary>
    /// <param name="mostMessages">So many turns at most.</param>
    /// <param name="redirectTo">Where a rule leads them; empty: no rule does.</param>
    public Recipient[] Take(int most, RecipientRoute route, int mostMessages = int.MaxValue, string redirectTo = "")
    {
        var taken = new List<Recipient>(Math.Min(most, Count));
        for (var node = _turns.First; node is not null && taken.Count < most && mostMessages > 0;)
        {
            if (!GoesThere(node.Value.Peek(), route, redirectTo))
            {
                node = node.Next;
                continue;
            }
            TakeTurn(node.Value, most, route, redirectTo, taken);
            mostMessages--;
            var next = node.Next;
            _turns.Remove(node);
            if (node.Value.IsEmpty)
                _flows.Remove(node.Value.Key);
            else
                _turns.AddLast(node);
            // The flow that is alone, or the last one, has its next turn at once.
            node = next ?? node.List?.Last;
        }
        Count -= taken.Count;
        return [.. taken];
    }

    /// <summary>They were taken, and nothing was done with them: each is the next of his sender again, and their senders come first, as before.</summary>
    public void Return(IReadOnlyList<Recipient> recipients)
    {
        for (var i = recipients.Count - 1; i >= 0; i--)
        {
            var flow = recipients[i].Flow;
            if (!_flows.TryGetValue(flow, out var node))
                _flows.Add(flow, node = new LinkedListNode<Flow>(new Flow(flow)));
            node.List?.Remove(node);
            _turns.AddFirst(node);
        }

        foreach (var flow in recipients.GroupBy(recipient => recipient.Flow))
            _flows[flow.Key].Value.Return([.. flow]);
        Count += recipients.Count;
    }

    /// <summary>Takes those out for whom it holds, whosever turn it is.</summary>
    public List<Recipient> Remove(Predicate<Recipient> match)
    {
        var removed = new List<Recipient>();
        for (var node = _turns.First; node is not null;)
        {
            var next = node.Next;
            node.Value.Remove(match, removed);
            if (node.Value.IsEmpty)
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
    private static void TakeTurn(Flow flow, int most, RecipientRoute route, string redirectTo, List<Recipient> taken)
    {
        var messageId = flow.Peek().MessageId;
        while (taken.Count < most && !flow.IsEmpty && flow.Peek() is var next && next.MessageId == messageId && GoesThere(next, route, redirectTo))
            taken.Add(flow.Take());
    }

    private static bool GoesThere(Recipient recipient, RecipientRoute route, string redirectTo) => recipient.Route == route && recipient.RedirectTo == redirectTo;

    private sealed class Flow(string key)
    {
        /// <summary>A line for each priority that somebody has, the highest first; none is empty. Most flows have one.</summary>
        private readonly List<(int Priority, Queue<Recipient> Waiting)> _lines = new(1);

        public string Key => key;

        public bool IsEmpty => _lines.Count == 0;

        public Recipient Peek() => _lines[0].Waiting.Peek();

        public Recipient Take()
        {
            var waiting = _lines[0].Waiting;
            var next = waiting.Dequeue();
            if (waiting.Count == 0)
                _lines.RemoveAt(0);
            return next;
        }

        public void Add(Recipient recipient)
        {
            var index = 0;
            while (index < _lines.Count && _lines[index].Priority > recipient.Priority)
                index++;
            if (index == _lines.Count || _lines[index].Priority != recipient.Priority)
                _lines.Insert(index, (recipient.Priority, new Queue<Recipient>()));
            _lines[index].Waiting.Enqueue(recipient);
        }

        public void Return(IReadOnlyList<Recipient> recipients)
        {
            foreach (var line in recipients.GroupBy(recipient => recipient.Priority))
            {
                var behind = _lines.FindIndex(waiting => waiting.Priority == line.Key);
                foreach (var recipient in line.Concat(behind < 0 ? [] : _lines[behind].Waiting.ToArray()))
                {
                    if (behind >= 0)
                        _lines.RemoveAt(behind);
                    behind = -1;
                    Add(recipient);
                }
            }
        }

        public void Remove(Predicate<Recipient> match, List<Recipient> removed)
        {
            foreach (var (_, waiting) in _lines)
            {
                for (var left = waiting.Count; left > 0; left--)
                {
                    var recipient = waiting.Dequeue();
                    if (match(recipient))
                        removed.Add(recipient);
                    else
                        waiting.Enqueue(recipient);
                }
            }
            _lines.RemoveAll(line => line.Waiting.Count == 0);
        }
    }
}
