using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Queue;

/// <summary>Recipients given to a worker under one claim.</summary>
public sealed record HandOut(long ClaimId, RecipientRoute Route, Recipient[] Recipients, bool Probe)
{
    /// <summary>A worker held it before this queue was in memory; storage knows its recipients.</summary>
    public bool IsAdopted => Recipients.Length == 0;

    /// <summary>Where it is sent. Domains that could not be reached have an endpoint of their own (<see cref="BusEndpoints.DeliverRetry"/>).</summary>
    public string Endpoint => EndpointOf(Route, Probe);

    public static string EndpointOf(RecipientRoute route, bool probe) =>
        route == RecipientRoute.Local ? BusEndpoints.Store : probe ? BusEndpoints.DeliverRetry : BusEndpoints.Deliver;
}

/// <summary>
/// What one destination domain has in memory: a bounded window of due recipients, what is handed out, how many hand-outs
/// are allowed at once, and whether the domain rests. Pure: time comes in, decisions come out.
/// </summary>
internal sealed class DomainQueue(QueueOptions options, RetrySchedule schedule)
{
    /// <summary>Recipients with which a domain that could not be reached is tried again.</summary>
    private const int ProbeRecipients = 2;

    private static readonly TimeSpan s_firstSetback = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_longestSetback = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_firstLook = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan s_readOn = TimeSpan.FromSeconds(5);

    private readonly Queue<Recipient> _window = new();
    private readonly HashSet<long> _known = [];
    private readonly Dictionary<long, UnderWayHandOut> _handedOut = [];
    private readonly HashSet<long> _claimed = [];
    private readonly Dictionary<string, GrowingPause> _setbacks = [];
    private int _allowed = options.InitialConcurrency;
    private DuePlace _readTo;
    private DateTimeOffset _readSince;

    public DomainStanding Standing { get; private set; } = DomainStanding.Good;

    /// <summary>Storage may hold due recipients that are not in the window.</summary>
    public bool MoreInStore { get; private set; } = true;

    public int Waiting => _window.Count;

    public int HandedOut => _handedOut.Count;

    /// <summary>Of all that is handed out.</summary>
    public IEnumerable<long> ClaimIds => _handedOut.Keys;

    /// <summary>Recipients handed out and not reported, by route.</summary>
    public IEnumerable<(RecipientRoute Route, int Recipients)> UnderWay => _handedOut.Values
        .GroupBy(entry => entry.HandOut.Route, (route, entries) => (route, entries.Sum(entry => entry.HandOut.Recipients.Length)));

    public bool IsIdle => _window.Count == 0 && _handedOut.Count == 0;

    /// <summary>
    /// What workers hold from before counts as handed out, so that the cap holds when the queue moves to another silo, also when that
    /// makes more than the cap: then none is added. It ends like any other hand-out.
    /// </summary>
    public void Adopt(IEnumerable<long> claimIds, DateTimeOffset now)
    {
        foreach (var claimId in claimIds)
            _handedOut.TryAdd(claimId, UnderWayFrom(new HandOut(claimId, RecipientRoute.Remote, [], Probe: false), now));
    }

    public void Remember(DomainStanding standing) => Standing = standing;

    public void NoteMoreInStore()
    {
        MoreInStore = true;
        _readTo = default;
    }

    /// <summary>What was deferred becomes due: it lies behind all that was due before.</summary>
    public void NoteDue() => MoreInStore = true;

    /// <summary>
    /// The place behind which storage is read next. A page goes on where the last one ended, so that what is in the window already is not
    /// read again; after some seconds it begins anew, for what was freed meanwhile, or came late, lies before.
    /// </summary>
    public DuePlace NextPage(DateTimeOffset now)
    {
        if ((now - _readSince).Duration() > s_readOn)
            _readTo = default;
        if (_readTo == default)
            _readSince = now;
        return _readTo;
    }

    public bool Rests(DateTimeOffset now) => now < Standing.BackoffUntil;

    public bool WantsMore(DateTimeOffset now) => MoreInStore && !Rests(now) && _window.Count <= options.WindowRecipients / 2;

    public int Room => options.WindowRecipients - _window.Count;

    /// <summary>Takes recipients that have just become due, as far as there is room and nobody older waits in storage.</summary>
    public void Offer(IReadOnlyList<Recipient> recipients, DateTimeOffset now)
    {
        if (MoreInStore || Rests(now) || recipients.Count > Room)
        {
            MoreInStore = true;
            return;
        }
        Add(recipients);
    }

    /// <summary>Takes what storage says is due and unclaimed; fewer than asked for means that there is no more.</summary>
    /// <returns>Who belongs to a hand-out that a worker has claimed, and is free all the same: handed back, and the report of it was lost.</returns>
    public IReadOnlyList<(RecipientRoute Route, int Count)> Load(IReadOnlyList<Recipient> recipients, int askedFor)
    {
        var handedBack = recipients.Count == 0 ? []
            : _claimed.Select(claimId => HandBack(claimId, recipients.Select(recipient => recipient.RecipientId))).ToList();
        MoreInStore = recipients.Count >= askedFor;
        _readTo = MoreInStore && recipients is [.., var last] ? new DuePlace(last.NextAttemptAt, last.RecipientId) : default;
        Add(recipients);
        return handedBack;
    }

    /// <summary>Removes recipients whose time is over from the window and returns them.</summary>
    public List<Recipient> TakeExpired(DateTimeOffset now)
    {
        var expired = new List<Recipient>();
        if (!_window.Any(recipient => IsOver(recipient, now)))
            return expired;
        for (var left = _window.Count; left > 0; left--)
        {
            var recipient = _window.Dequeue();
            if (IsOver(recipient, now))
            {
                _known.Remove(recipient.RecipientId);
                expired.Add(recipient);
            }
            else
            {
                _window.Enqueue(recipient);
            }
        }
        return expired;
    }

    /// <summary>The next recipients to hand out, or null: none wait, enough are under way, or the domain rests.</summary>
    public HandOut? TryHandOut(long claimId, DateTimeOffset now)
    {
        if (!CanHandOut(now))
            return null;
        var probe = Standing.Failures > 0;
        var route = _window.Peek().Route;
        var most = probe && route == RecipientRoute.Remote ? ProbeRecipients : options.BatchRecipients;
        var recipients = new List<Recipient>(Math.Min(most, _window.Count));
        while (recipients.Count < most && _window.TryPeek(out var next) && next.Route == route)
            recipients.Add(_window.Dequeue());
        var handOut = new HandOut(claimId, route, [.. recipients], probe);
        _handedOut.Add(claimId, UnderWayFrom(handOut, now));
        return handOut;
    }

    public bool CanHandOut(DateTimeOffset now) =>
        NextEndpoint is { } endpoint && !Rests(now) && !(_setbacks.GetValueOrDefault(endpoint)?.Lasts(now) ?? false) && _handedOut.Count < (Standing.Failures > 0 ? 1 : _allowed);

    /// <summary>Of the next hand-out; null when none waits.</summary>
    public string? NextEndpoint => _window.TryPeek(out var next) ? EndpointOf(next.Route) : null;

    /// <summary>By which hand-outs of this route go now.</summary>
    public string EndpointOf(RecipientRoute route) => HandOut.EndpointOf(route, probe: Standing.Failures > 0);

    /// <summary>
    /// A hand-out came to nothing: it was lost, or handed back untried. The next one by that endpoint waits, longer after each. Hand-outs
    /// that were under way together came to nothing together.
    /// </summary>
    public void SetBack(string endpoint, DateTimeOffset now)
    {
        if (!_setbacks.TryGetValue(endpoint, out var setbacks))
            _setbacks.Add(endpoint, setbacks = new(s_firstSetback, s_longestSetback));
        setbacks.Begin(now);
    }

    /// <summary>Somebody was tried by this endpoint, or it has workers again: what came to nothing before says nothing any more.</summary>
    public void ForgetSetbacks(string endpoint) => _setbacks.Remove(endpoint);

    /// <summary>
    /// The hand-out could not be sent, or was lost: its recipients wait again, behind what storage says. Returns how many.
    /// </summary>
    public int TakeBack(long claimId)
    {
        NoteMoreInStore();
        return Forget(claimId)?.Recipients.Length ?? 0;
    }

    /// <summary>
    /// A worker who stops is still at this hand-out, but no more at these of its recipients: they are due again, in storage. Returns
    /// how many of them it had, and their route.
    /// </summary>
    public (RecipientRoute Route, int Count) HandBack(long claimId, IEnumerable<long> recipientIds)
    {
        NoteMoreInStore();
        if (!_handedOut.TryGetValue(claimId, out var entry))
            return default;
        var left = entry.HandOut.Recipients.ExceptBy(recipientIds, recipient => recipient.RecipientId).ToArray();
        foreach (var recipient in entry.HandOut.Recipients.Except(left))
            _known.Remove(recipient.RecipientId);
        _handedOut[claimId] = entry with { HandOut = entry.HandOut with { Recipients = left } };
        return (entry.HandOut.Route, entry.HandOut.Recipients.Length - left.Length);
    }

    /// <summary>Ends a hand-out. Null when it is not known (any more).</summary>
    public HandOut? Complete(long claimId) => Forget(claimId);

    /// <summary>
    /// Whether a report says something of the domain as a whole. Where nothing was tried, nothing was learned; and that the domain
    /// answers is believed of a hand-out under way only, because an old report may come when much has happened since.
    /// </summary>
    public static bool SaysSomething(AttemptReport report, bool isUnderWay) =>
        (isUnderWay || report.Unreachable) && report.Results.Any(result => result.Outcome != AttemptOutcome.NotAttempted);

    /// <summary>
    /// Draws the conclusion for the domain. Returns true when its standing changed and must be stored.
    /// </summary>
    public bool Conclude(bool unreachable, string reason, DateTimeOffset now, double random)
    {
        if (!unreachable)
        {
            // Slow start: one more at a time while the domain answers.
            _allowed = Math.Min(_allowed + 1, options.DomainConcurrency);
            if (Standing.Failures == 0)
                return false;
            // When it rested stays known: what waited for that long is not late since before.
            Standing = DomainStanding.Good with { BackoffUntil = Standing.BackoffUntil < now ? Standing.BackoffUntil : now };
            return true;
        }
        // Hand-outs that were under way together failed together: that is one failure, not many.
        if (Rests(now))
            return false;
        _allowed = options.InitialConcurrency;
        var failures = Standing.Failures + 1;
        Standing = new DomainStanding(failures, now + schedule.Pause(failures, random), reason);
        // What waits here waits in storage while the domain rests.
        LeaveToStore();
        return true;
    }

    /// <summary>Forgets what waits here: it waits in storage, and is read again when it can be handed out.</summary>
    public void LeaveToStore()
    {
        foreach (var recipient in _window)
            _known.Remove(recipient.RecipientId);
        _window.Clear();
        NoteMoreInStore();
    }

    /// <summary>
    /// Forgets who waits here for workers of this route. The place up to which storage was read stays: they are read again when there are
    /// workers, not before, and that is for the caller to say.
    /// </summary>
    public void LeaveToStore(RecipientRoute route)
    {
        for (var count = _window.Count; count > 0; count--)
        {
            var recipient = _window.Dequeue();
            if (recipient.Route != route)
            {
                _window.Enqueue(recipient);
                continue;
            }
            _known.Remove(recipient.RecipientId);
        }
    }

    /// <summary>Hand-outs of which nothing has been heard for longer than they may take to be claimed.</summary>
    public List<HandOut> Overdue(DateTimeOffset now) =>
        [.. _handedOut.Values.Where(entry => now > entry.LookAt).Select(entry => entry.HandOut)];

    public bool IsUnderWay(long claimId) => _handedOut.ContainsKey(claimId);

    /// <summary>A worker was found to hold the claim of this hand-out.</summary>
    public bool WasClaimed(long claimId) => _claimed.Contains(claimId);

    /// <summary>
    /// A worker holds the claim of this hand-out, of which nothing has been heard for long: it is looked at again after a second, and
    /// then at intervals that grow up to the time within which a claim that has ended has to be found.
    /// </summary>
    public void NoteClaimed(long claimId, DateTimeOffset now)
    {
        if (!_handedOut.TryGetValue(claimId, out var entry))
            return;
        _claimed.Add(claimId);
        var pause = entry.Pause == TimeSpan.Zero ? s_firstLook : entry.Pause * 2;
        if (pause > options.HandOutTimeout)
            pause = options.HandOutTimeout;
        _handedOut[claimId] = entry with { LookAt = now + pause, Pause = pause };
    }

    /// <summary>
    /// Whoever can be tried is tried once more at the end of his time; only where the domain could not be reached just now
    /// would that tell nothing new.
    /// </summary>
    private bool IsOver(Recipient recipient, DateTimeOffset now) =>
        Standing.Failures > 0 && schedule.IsOver(recipient.AcceptedAt, now);

    private UnderWayHandOut UnderWayFrom(HandOut handOut, DateTimeOffset now) => new(handOut, now + options.HandOutTimeout, TimeSpan.Zero);

    private HandOut? Forget(long claimId)
    {
        _claimed.Remove(claimId);
        if (!_handedOut.Remove(claimId, out var entry))
            return null;
        foreach (var recipient in entry.HandOut.Recipients)
            _known.Remove(recipient.RecipientId);
        return entry.HandOut;
    }

    private void Add(IReadOnlyList<Recipient> recipients)
    {
        foreach (var recipient in recipients)
        {
            if (_known.Add(recipient.RecipientId))
                _window.Enqueue(recipient);
        }
    }

    /// <param name="LookAt">When nothing has been heard of it by then, storage is asked whether anybody holds its claim.</param>
    /// <param name="Pause">From the last time that somebody did.</param>
    private sealed record UnderWayHandOut(HandOut HandOut, DateTimeOffset LookAt, TimeSpan Pause);
}
