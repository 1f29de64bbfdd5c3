using MailPipeline.Mail;
using MailPipeline.Queue.Policies;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// Recipients that wait for a batch, sorted by the sender whose mail they are (their flow). Flows take turns by weighted fair queueing: a turn is one message
/// and costs as many recipients as it has, divided by the weight of its flow; the next turn is that of the flow that has used least. Who comes begins where
/// the others are, whatever his weight, so that whoever sends much waits for himself and holds up nobody else. Who has a rate is passed over until he
/// has a permit. Within a flow what its sender calls urgent comes first (RFC 6710), and else the order stays as it came. Pure.
/// </summary>
internal sealed class FlowTurns(SenderPolicy senders)
{
    /// <summary>Flows that have nobody waiting any more, and have used more than those who have; beyond so many the oldest uses do not count.</summary>
    private const int MostRemembered = 10_000;

    private readonly Dictionary<string, Flow> _flows = new(StringComparer.Ordinal);

    /// <summary>Flows whose turn it may be, in that order.</summary>
    private readonly SortedSet<Flow> _ready = new(TurnOrder.Instance);

    /// <summary>Flows that wait for a permit.</summary>
    private readonly HashSet<Flow> _paced = [];

    private readonly Dictionary<string, double> _used = new(StringComparer.Ordinal);

    private SenderPolicy _senders = senders;

    /// <summary>What a flow that has always had somebody waiting has used by now: where those begin who come.</summary>
    private double _level;
    private double _readyWeight;
    private long _lastOrder;
    private long _firstOrder;

    public int Count { get; private set; }

    /// <summary>Of them, those of senders with a rate that go to other systems.</summary>
    public int PacedCount { get; private set; }

    /// <summary>The recipient whose turn it is.</summary>
    public Recipient? Next => _ready.Min?.Peek();

    /// <summary>Somebody of the flow waits here.</summary>
    public bool Has(string flow) => _flows.ContainsKey(flow);

    /// <summary>So many of the flow wait here.</summary>
    public int CountOf(string flow) => _flows.TryGetValue(flow, out var found) ? found.Count : 0;

    /// <summary>The one flow that waits here; null where none does, or several.</summary>
    public string? Alone => _flows.Count == 1 ? _flows.First().Key : null;

    /// <summary>Flows that wait for a permit, and with how many recipients.</summary>
    public IEnumerable<(string Flow, int Count)> Unpermitted => _paced.Select(flow => (flow.Key, flow.Count));

    /// <summary>The sender has a rate.</summary>
    public bool IsPaced(string flow) => _senders.HasRates && (_flows.TryGetValue(flow, out var found) ? found.Share : _senders.Of(flow)).IsPaced;

    /// <summary>What is said of senders has changed. It counts from the next turn on.</summary>
    public void SetSenders(SenderPolicy senders)
    {
        if (ReferenceEquals(senders, _senders))
            return;
        _senders = senders;
        PacedCount = 0;
        foreach (var flow in _flows.Values)
        {
            TakeOut(flow);
            flow.Share = senders.Of(flow.Key);
            PutIn(flow);
            PacedCount += flow.PacedCount;
        }
    }

    public void Add(Recipient recipient)
    {
        if (!_flows.TryGetValue(recipient.Flow, out var flow))
            flow = Begin(recipient.Flow);
        else if (!flow.Share.IsPaced)
        {
            // Whose turn it is stays as it was.
            flow.Add(recipient);
            Count++;
            return;
        }
        Leave(flow);
        flow.Add(recipient);
        Settle(flow);
    }

    /// <summary>
    /// Takes up to so many recipients of one route, turn by turn. A message whose recipients do not all fit ends the turn of its flow all
    /// the same. A flow whose next recipient goes another way keeps its place, and so does one that needs a permit.
    /// </summary>
    /// <param name="mostMessages">So many turns at most.</param>
    /// <param name="redirectTo">Where a rule leads them; empty: no rule does.</param>
    public Recipient[] Take(int most, RecipientRoute route, int mostMessages = int.MaxValue, string redirectTo = "")
    {
        var taken = new List<Recipient>(Math.Min(most, Count));
        List<Flow>? passed = null;
        while (taken.Count < most && mostMessages > 0 && _ready.Min is { } flow)
        {
            if (!GoesThere(flow.Peek(), route, redirectTo) || flow.NeedsPermit)
            {
                _ready.Remove(flow);
                (passed ??= []).Add(flow);
                continue;
            }
            TakeTurn(flow, most, taken);
            mostMessages--;
        }
        foreach (var flow in passed ?? [])
            _ready.Add(flow);
        return [.. taken];
    }

    /// <summary>Takes up to so many of one flow that go to other systems, by the permit that it has, which is used by that.</summary>
    public Recipient[] TakeOf(string flow, int most, int mostMessages)
    {
        var taken = new List<Recipient>();
        // Where a rule leads the next one is where all of a batch go.
        var redirectTo = _flows.TryGetValue(flow, out var of) ? of.Peek().RedirectTo : "";
        while (_flows.TryGetValue(flow, out var found) && taken.Count < most && mostMessages > 0 && GoesThere(found.Peek(), RecipientRoute.Remote, redirectTo))
        {
            TakeTurn(found, most, taken);
            mostMessages--;
        }
        Permit(flow, isPermitted: false);
        return [.. taken];
    }

    /// <summary>A flow with a rate has a permit for its next messages, or has none any more.</summary>
    public void Permit(string flow, bool isPermitted)
    {
        if (!_flows.TryGetValue(flow, out var found) || found.IsPermitted == isPermitted)
            return;
        TakeOut(found);
        found.IsPermitted = isPermitted;
        // The time in which it waited for that is not made up for.
        if (isPermitted)
            found.Used = Math.Max(found.Used, _level);
        PutIn(found);
    }

    /// <summary>They were taken, and nothing was done with them: each is the next of his sender again, and their senders come first, as before.</summary>
    public void Return(IReadOnlyList<Recipient> recipients)
    {
        foreach (var key in recipients.Reverse().Select(recipient => recipient.Flow).Distinct().ToList())
        {
            Recipient[] own = [.. recipients.Where(recipient => recipient.Flow == key)];
            if (!_flows.TryGetValue(key, out var flow))
                flow = Begin(key);
            Leave(flow);
            flow.Return(own);
            flow.Used = Math.Min(flow.Used, _level) - (own.Length / flow.Share.Weight);
            flow.Order = --_firstOrder;
            Settle(flow);
        }
    }

    /// <summary>Takes those out for whom it holds, whosever turn it is.</summary>
    public List<Recipient> Remove(Predicate<Recipient> match)
    {
        var removed = new List<Recipient>();
        foreach (var flow in _flows.Values.ToList())
        {
            Leave(flow);
            flow.Remove(match, removed);
            Settle(flow);
        }
        return removed;
    }

    private Flow Begin(string key)
    {
        _used.Remove(key, out var used);
        var flow = new Flow(key, _senders.Of(key)) { Used = Math.Max(used, _level), Order = ++_lastOrder };
        _flows.Add(key, flow);
        return flow;
    }

    private static bool GoesThere(Recipient recipient, RecipientRoute route, string redirectTo) => recipient.Route == route && recipient.RedirectTo == redirectTo;

    /// <summary>The recipients of the next message, as far as they go this way and there is room for them.</summary>
    private void TakeTurn(Flow flow, int most, List<Recipient> taken)
    {
        var before = taken.Count;
        var weight = Math.Max(_readyWeight, flow.Share.Weight);
        Leave(flow);
        var first = flow.Peek();
        while (taken.Count < most && flow.Count > 0 && flow.Peek() is var next && next.MessageId == first.MessageId && GoesThere(next, first.Route, first.RedirectTo))
            taken.Add(flow.Take());
        flow.Used += (taken.Count - before) / flow.Share.Weight;
        flow.Order = ++_lastOrder;
        Settle(flow);
        _level += (taken.Count - before) / weight;
    }

    /// <summary>Before something is done with a flow.</summary>
    private void Leave(Flow flow)
    {
        TakeOut(flow);
        Count -= flow.Count;
        PacedCount -= flow.PacedCount;
    }

    /// <summary>It is where it belongs afterwards.</summary>
    private void Settle(Flow flow)
    {
        Count += flow.Count;
        PacedCount += flow.PacedCount;
        if (flow.Count > 0)
        {
            PutIn(flow);
            return;
        }
        _flows.Remove(flow.Key);
        Remember(flow);
    }

    /// <summary>Who has nobody waiting for a moment does not begin anew.</summary>
    private void Remember(Flow flow)
    {
        if (_flows.Count == 0)
        {
            // Nobody is there whom anybody could have got ahead of.
            _used.Clear();
            _readyWeight = 0;
            return;
        }
        if (flow.Used <= _level)
            return;
        if (_used.Count >= MostRemembered)
        {
            foreach (var (key, _) in _used.Where(used => used.Value <= _level).ToList())
                _used.Remove(key);
        }
        if (_used.Count < MostRemembered)
            _used[flow.Key] = flow.Used;
    }

    private void TakeOut(Flow flow)
    {
        _paced.Remove(flow);
        if (_ready.Remove(flow))
            _readyWeight -= flow.Share.Weight;
    }

    private void PutIn(Flow flow)
    {
        if (flow.NeedsPermit && !flow.IsPermitted)
        {
            _paced.Add(flow);
            return;
        }
        _ready.Add(flow);
        _readyWeight += flow.Share.Weight;
    }

    private sealed class TurnOrder : IComparer<Flow>
    {
        public static readonly TurnOrder Instance = new();

        public int Compare(Flow? one, Flow? other) =>
            one!.Used.CompareTo(other!.Used) is not 0 and var byUse ? byUse : one.Order.CompareTo(other.Order);
    }

    private sealed class Flow(string key, SenderShare share)
    {
        /// <summary>A line for each priority that somebody has, the highest first; none is empty. Most flows have one.</summary>
        private readonly List<(int Priority, Queue<Recipient> Waiting)> _lines = new(1);

        public string Key => key;

        public SenderShare Share { get; set; } = share;

        /// <summary>Recipients that had their turn, divided by the weight.</summary>
        public double Used { get; set; }

        /// <summary>Among flows that have used the same.</summary>
        public long Order { get; set; }

        public bool IsPermitted { get; set; }

        public int Count { get; private set; }

        /// <summary>Its next batch is counted by its sender's rate.</summary>
        public bool NeedsPermit => Share.IsPaced && Count > 0 && Peek().Route == RecipientRoute.Remote;

        public int PacedCount => NeedsPermit ? Count : 0;

        public Recipient Peek() => _lines[0].Waiting.Peek();

        public Recipient Take()
        {
            var waiting = _lines[0].Waiting;
            var next = waiting.Dequeue();
            Count--;
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
            Count++;
        }

        public void Return(IReadOnlyList<Recipient> recipients)
        {
            foreach (var line in recipients.GroupBy(recipient => recipient.Priority))
            {
                var behind = _lines.FindIndex(waiting => waiting.Priority == line.Key);
                Recipient[] others = behind < 0 ? [] : [.. _lines[behind].Waiting];
                if (behind >= 0)
                {
                    _lines.RemoveAt(behind);
                    Count -= others.Length;
                }
                foreach (var recipient in line.Concat(others))
                    Add(recipient);
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
            Count = _lines.Sum(line => line.Waiting.Count);
        }
    }
}
