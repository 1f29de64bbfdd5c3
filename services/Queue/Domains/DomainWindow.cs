using MailPipeline.Mail;
using MailPipeline.Queue.Policies;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// The due recipients of one domain that are in memory, how far storage has been read, and whether it may hold more. Nobody is in the
/// window twice, or in it while he is under way. Pure: time comes in.
/// </summary>
/// <param name="capacity">Most recipients in the window; the others stay in storage.</param>
/// <param name="batch">Most recipients of a batch.</param>
internal sealed class DomainWindow(int capacity, int batch, SenderPolicy senders)
{
    /// <summary>Where more flows have more than is read of them at once, the order of time and their names decides which of them are here.</summary>
    private const int MostTails = 16;

    /// <summary>Flows with a rate of which storage has more; those beyond are found when flows are read again.</summary>
    private const int MostPacedTails = 1000;

    private static readonly TimeSpan s_readOn = TimeSpan.FromSeconds(5);

    /// <summary>Between two readings of flows for the sake of one that has come.</summary>
    private static readonly TimeSpan s_flowsPause = TimeSpan.FromSeconds(1);

    private readonly FlowTurns _turns = new(senders);

    /// <summary>Flows of which storage has more, and behind which place: they are read by themselves before they run out here.</summary>
    private readonly Dictionary<string, DuePlace> _tails = new(StringComparer.Ordinal);

    /// <summary>With fewer than these a flow that has more in storage may run out within a batch, and lose turns that are its.</summary>
    private readonly int _few = Math.Clamp(batch, 1, Math.Max(1, capacity / 4));

    /// <summary>Who is in the window or under way.</summary>
    private readonly HashSet<long> _known = [];

    /// <summary>After a pass over what operators hold, the next one: of what was freed meanwhile nobody else tells.</summary>
    private static readonly TimeSpan s_passAgain = TimeSpan.FromMinutes(1);

    /// <summary>A pass that does not end, because more comes all the while, is followed by the next one after this.</summary>
    private static readonly TimeSpan s_longestPass = TimeSpan.FromMinutes(5);

    private DuePlace _readTo;
    private DateTimeOffset _readSince;

    /// <summary>When storage was read through last, past some that operators hold.</summary>
    private DateTimeOffset? _passedAt;
    private DateTimeOffset _flowsReadAt;
    private bool _hasNewFlow;

    /// <summary>Storage may hold due recipients that are not in the window.</summary>
    public bool MoreInStore { get; private set; } = true;

    /// <summary>
    /// Of what lies before the place up to which storage was read, operators hold some: it is not read again and again. Behind it is what comes.
    /// </summary>
    public bool HasPassedHeld { get; private set; }

    public int Count => _turns.Count;

    public int Room => capacity - _turns.Count;

    /// <summary>Who waits for the rate of his sender does not keep others out.</summary>
    public bool IsHalfEmpty => Room > 0 && _turns.Count - _turns.PacedCount <= capacity / 2;

    /// <summary>So many are read in the order in which they are due; what is left is for flows that storage would come to last.</summary>
    public int RoomInOrder => Room - (Room / 4);

    /// <summary>So many are read of flows. Half of the room: another flow may come soon.</summary>
    public int RoomForFlows => Room / 2;

    /// <summary>Up to where storage has been read in that order.</summary>
    public DuePlace ReadTo => _readTo;

    /// <summary>From where flows are read next, in the order of their names.</summary>
    public string FlowsFrom { get; private set; } = "";

    /// <summary>The one flow that waits here; null where none does, or several.</summary>
    public string? Alone => _turns.Alone;

    /// <summary>A sender has come of whom nobody waits here, and who is behind others in storage.</summary>
    public bool WantsFlows(DateTimeOffset now) => _hasNewFlow && MoreInStore && RoomForFlows > 0 && (now - _flowsReadAt).Duration() >= s_flowsPause;

    /// <summary>The recipient whose turn it is.</summary>
    public Recipient? Next => _turns.Next;

    /// <summary>
    /// More is due of a sender with a rate than is let in here: in the order of time storage would be read through behind it again and again, so that
    /// only flows are read.
    /// </summary>
    public bool ReadsFlowsOnly { get; private set; }

    /// <summary>Flows that wait for a permit of their sender's rate, and with how many recipients.</summary>
    public IEnumerable<(string Flow, int Count)> Unpermitted => _turns.Unpermitted;

    /// <summary>Somebody of the flow waits here, and needs such permits.</summary>
    public bool HasPaced(string flow) => _turns.Has(flow) && _turns.IsPaced(flow);

    public void Permit(string flow, bool isPermitted) => _turns.Permit(flow, isPermitted);

    public void SetSenders(SenderPolicy current)
    {
        _turns.SetSenders(current);
        ReadsFlowsOnly = _tails.Keys.Any(_turns.IsPaced);
        if (_turns.PacedCount <= PacedQuota)
            return;
        // Who has a rate from now on may fill the window.
        LeaveToStore(recipient => _turns.IsPaced(recipient.Flow));
        NoteMoreInStore();
    }

    /// <summary>The flow that is read next by itself, behind which place, and how many of it; null: none has to be.</summary>
    public (string Flow, DuePlace After, int Most)? NextTail
    {
        get
        {
            foreach (var (flow, after) in _tails)
            {
                var isPaced = _turns.IsPaced(flow);
                var few = isPaced ? PacedQuota / 2 : _few;
                var room = isPaced ? PacedRoom(flow) : Math.Min(Room, 2 * _few);
                if (_turns.CountOf(flow) <= few && room > 0)
                    return (flow, after, room);
            }
            return null;
        }
    }

    /// <summary>Recipients may be due that lie before the place up to which storage was read.</summary>
    public void NoteMoreInStore()
    {
        MoreInStore = true;
        ReadAnew();
    }

    /// <summary>Recipients who were deferred become due: they lie behind all who were due before.</summary>
    public void NoteDue() => MoreInStore = true;

    /// <summary>
    /// The place behind which storage is read next. A page goes on where the last one ended, so that what is in the window already is not
    /// read again; after some seconds it begins anew, for what was freed meanwhile, or came late, lies before.
    /// </summary>
    public DuePlace NextPage(DateTimeOffset now)
    {
        // However much operators hold, it is passed over once before it is again.
        var (since, most) = (HasPassedHeld, _passedAt) switch
        {
            (false, _) => (_readSince, s_readOn),
            (true, { } passedAt) => (passedAt, s_passAgain),
            _ => (_readSince, s_longestPass),
        };
        if ((now - since).Duration() > most)
            ReadAnew();
        if (_readTo == default)
            _readSince = now;
        return _readTo;
    }

    /// <summary>Takes recipients that have just become due, as far as there is room and nobody older waits in storage.</summary>
    public void Offer(IReadOnlyList<Recipient> recipients)
    {
        if (MoreInStore || recipients.Count > Room)
        {
            MoreInStore = true;
            _hasNewFlow |= recipients.Any(recipient => !_turns.Has(recipient.Flow));
            // What is urgent overtakes its sender's mail in storage; a quarter of the window is left to others.
            Add([.. recipients.Where(recipient => recipient.Priority > 0).Take(Math.Max(0, Room - (capacity / 4)))]);
        }
        else
        {
            Add(recipients);
        }
    }

    /// <summary>Takes what storage says is due and unclaimed; fewer than asked for means that there is no more.</summary>
    /// <param name="held">Of these, those that operators hold: they are passed over.</param>
    public void Load(IReadOnlyList<Recipient> recipients, int askedFor, IReadOnlySet<long>? held = null, DateTimeOffset now = default)
    {
        MoreInStore = recipients.Count >= askedFor;
        HasPassedHeld |= held is { Count: > 0 };
        if (recipients is [.., var last])
            _readTo = PlaceOf(last);
        if (!MoreInStore && HasPassedHeld)
            _passedAt ??= now;
        else if (!MoreInStore)
            _readTo = default;
        Add(Without(held, recipients));
    }

    /// <summary>Takes some of each flow, whatever is before them in storage. What was read in order says whether there is more.</summary>
    /// <param name="ofEach">So many were asked for of each.</param>
    public void LoadFlows(IReadOnlyList<Recipient> recipients, string nextFlow, DateTimeOffset now, int ofEach, IReadOnlySet<long>? held = null)
    {
        (FlowsFrom, _flowsReadAt, _hasNewFlow) = (nextFlow, now, false);
        var isAll = nextFlow.Length == 0;
        if (recipients.Count >= ofEach)
        {
            var more = recipients.GroupBy(recipient => recipient.Flow).Where(flow => flow.Count() >= ofEach).ToList();
            // Of very many none is read on before the others.
            var areFew = more.Count <= MostTails;
            foreach (var flow in more)
                isAll &= (areFew || _turns.IsPaced(flow.Key)) && NoteTail(flow.Key, PlaceOf(flow.Last()));
        }
        Add(Without(held, recipients));
        if (ReadsFlowsOnly)
            MoreInStore = !isAll;
    }

    /// <summary>Takes what storage has of one flow behind the place that was asked for; fewer means that there is no more.</summary>
    public void LoadTail(string flow, IReadOnlyList<Recipient> recipients, int askedFor, IReadOnlySet<long>? held = null)
    {
        // All of them may have been left to storage meanwhile.
        if (recipients.Count < askedFor)
            _tails.Remove(flow);
        else if (_tails.ContainsKey(flow))
            _tails[flow] = PlaceOf(recipients[^1]);
        Add(Without(held, recipients));
        ReadsFlowsOnly = ReadsFlowsOnly && _tails.Keys.Any(_turns.IsPaced);
    }

    /// <summary>Takes the recipients of the next batch, all of one route, out of the window. They stay known until they are forgotten.</summary>
    public Recipient[] Take(int most, RecipientRoute route, int mostMessages = int.MaxValue, string redirectTo = "") =>
        _turns.Take(most, route, mostMessages, redirectTo);

    /// <summary>The same of one flow, by the permit that it has.</summary>
    public Recipient[] TakeOf(string flow, int most, int mostMessages) => _turns.TakeOf(flow, most, mostMessages);

    /// <summary>They were taken, nobody has tried them, and it is still their turn.</summary>
    public void Return(IReadOnlyList<Recipient> recipients) => _turns.Return(recipients);

    /// <summary>Recipients that are under way no more: storage may say that they are due again.</summary>
    public void Forget(IEnumerable<Recipient> recipients)
    {
        foreach (var recipient in recipients)
            _known.Remove(recipient.RecipientId);
    }

    /// <summary>Takes those out of the window for whom it holds, and forgets them.</summary>
    public IReadOnlyList<Recipient> Remove(Predicate<Recipient> match)
    {
        var removed = _turns.Remove(match);
        Forget(removed);
        return removed;
    }

    private static IReadOnlyList<Recipient> Without(IReadOnlySet<long>? held, IReadOnlyList<Recipient> recipients) =>
        held is null or { Count: 0 } ? recipients : [.. recipients.Where(recipient => !held.Contains(recipient.RecipientId))];

    private void ReadAnew()
    {
        _readTo = default;
        HasPassedHeld = false;
        _passedAt = null;
    }

    /// <summary>The same, and whoever is read by himself is not any more: he is found as others are.</summary>
    public void LeaveToStore(Predicate<Recipient> match)
    {
        if (Remove(match).Count == 0 && !ReadsFlowsOnly)
            return;
        MoreInStore |= _tails.Count > 0;
        _tails.Clear();
        ReadsFlowsOnly = false;
    }

    private void Add(IReadOnlyList<Recipient> recipients)
    {
        foreach (var recipient in recipients)
        {
            if (_known.Contains(recipient.RecipientId))
                continue;
            if (_turns.IsPaced(recipient.Flow) && PacedRoom(recipient.Flow) <= 0)
            {
                LeaveBehind(recipient);
                continue;
            }
            _known.Add(recipient.RecipientId);
            _turns.Add(recipient);
        }
    }

    /// <summary>So many of one sender who has a rate are here: his mail does not take the room of others, however long it waits.</summary>
    private int PacedQuota => Math.Clamp(batch, 1, Math.Max(1, capacity / 8));

    /// <summary>All of them together have half of the window, and who has nobody here a little more.</summary>
    private int PacedRoom(string flow)
    {
        var count = _turns.CountOf(flow);
        return count == 0 && _turns.PacedCount < capacity - (capacity / 4) ? Math.Clamp((capacity / 2) - _turns.PacedCount, 1, PacedQuota)
            : Math.Min(PacedQuota - count, (capacity / 2) - _turns.PacedCount);
    }

    private void LeaveBehind(Recipient recipient)
    {
        var before = new DuePlace(recipient.NextAttemptAt, recipient.RecipientId - 1);
        if (!_tails.TryGetValue(recipient.Flow, out var known))
        {
            if (!NoteTail(recipient.Flow, before))
                MoreInStore = true;
        }
        else if ((before.NextAttemptAt, before.RecipientId).CompareTo((known.NextAttemptAt, known.RecipientId)) < 0)
            _tails[recipient.Flow] = before;
        ReadsFlowsOnly = true;
    }

    /// <summary>False: too many flows have some.</summary>
    private bool NoteTail(string flow, DuePlace place)
    {
        if (_tails.ContainsKey(flow))
            return true;
        if (_tails.Count >= (_turns.IsPaced(flow) ? MostPacedTails : MostTails))
            return false;
        _tails.Add(flow, place);
        return true;
    }

    private static DuePlace PlaceOf(Recipient recipient) => new(recipient.NextAttemptAt, recipient.RecipientId);
}
