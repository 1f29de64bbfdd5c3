using MailPipeline.Mail;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// The due recipients of one domain that are in memory, how far storage has been read, and whether it may hold more. Nobody is in the
/// window twice, or in it while he is under way. Pure: time comes in.
/// </summary>
/// <param name="capacity">Most recipients in the window; the others stay in storage.</param>
internal sealed class DomainWindow(int capacity)
{
    private static readonly TimeSpan s_readOn = TimeSpan.FromSeconds(5);

    /// <summary>Between two readings of flows for the sake of one that has come.</summary>
    private static readonly TimeSpan s_flowsPause = TimeSpan.FromSeconds(1);

    private readonly FlowTurns _turns = new();

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

    public bool IsHalfEmpty => _turns.Count <= capacity / 2;

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
            _readTo = new DuePlace(last.NextAttemptAt, last.RecipientId);
        if (!MoreInStore && HasPassedHeld)
            _passedAt ??= now;
        else if (!MoreInStore)
            _readTo = default;
        Add(held is null or { Count: 0 } ? recipients : [.. recipients.Where(recipient => !held.Contains(recipient.RecipientId))]);
    }

    /// <summary>Takes some of each flow, whatever is before them in storage. What was read in order says whether there is more.</summary>
    public void LoadFlows(IReadOnlyList<Recipient> recipients, string nextFlow, DateTimeOffset now)
    {
        (FlowsFrom, _flowsReadAt, _hasNewFlow) = (nextFlow, now, false);
        Add(recipients);
    }

    /// <summary>Takes the recipients of the next batch, all of one route, out of the window. They stay known until they are forgotten.</summary>
    public Recipient[] Take(int most, RecipientRoute route, int mostMessages = int.MaxValue, string redirectTo = "") =>
        _turns.Take(most, route, mostMessages, redirectTo);

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

    private void ReadAnew()
    {
        _readTo = default;
        HasPassedHeld = false;
        _passedAt = null;
    }

    private void Add(IReadOnlyList<Recipient> recipients)
    {
        foreach (var recipient in recipients)
        {
            if (_known.Add(recipient.RecipientId))
                _turns.Add(recipient);
        }
    }
}
