using MailPipeline.Mail;
using MailPipeline.Queue.Policies;
using MailPipeline.Queue.Sites;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// What one destination domain has in memory: a bounded window of due recipients, the batches under way, how many of them are allowed at
/// once, and whether the domain backs off. Pure: time comes in, decisions come out.
/// </summary>
/// <param name="schedules">Those of this moment.</param>
/// <param name="senders">The same of weights and rates.</param>
internal sealed class DomainQueue(QueueOptions options, ScheduleTable schedules, SenderPolicy senders)
{
    /// <summary>Recipients with which a domain that could not be reached is tried again.</summary>
    private const int ProbeRecipients = 2;

    private static readonly TimeSpan s_firstSetback = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_longestSetback = TimeSpan.FromSeconds(30);

    private readonly DomainWindow _window = new(options.WindowRecipients, options.BatchRecipients, senders);
    private readonly BatchesUnderWay _underWay = new(options.BatchTimeout);
    private readonly Dictionary<string, GrowingPause> _setbacks = [];
    private readonly MessageRate _rate = new();
    private int _allowed = options.InitialConcurrency;
    private DestinationLimits _limits = DestinationLimits.None;
    private ScheduleTable _schedules = schedules;

    public DomainBackoff Backoff { get; private set; } = DomainBackoff.None;

    /// <summary>Storage may hold due recipients that are not in the window.</summary>
    public bool MoreInStore => _window.MoreInStore;

    public int Waiting => _window.Count;

    public int Room => _window.Room;

    public int RoomInOrder => _window.RoomInOrder;

    public int RoomForFlows => _window.RoomForFlows;

    /// <summary>From where, and beyond what, flows are read next.</summary>
    public (string From, DuePlace After, string? Alone) NextFlows =>
        _window.ReadsFlowsOnly ? (_window.FlowsFrom, default, null) : (_window.FlowsFrom, _window.ReadTo, _window.Alone);

    /// <summary>Nothing is read in order of time: too much of it waits for the rate of its sender.</summary>
    public bool ReadsFlowsOnly => _window.ReadsFlowsOnly;

    /// <summary>A flow that has more in storage and is to be read by itself, so that it does not run out here; null: there is none.</summary>
    public (string Flow, DuePlace After, int Most)? NextTail(DateTimeOffset now) => BacksOff(now) ? null : _window.NextTail;

    /// <summary>Flows that wait for a permit of their sender's rate, and with how many recipients.</summary>
    public IEnumerable<(string Flow, int Count)> Unpermitted => _window.Unpermitted;

    /// <summary>Somebody of the flow waits here for whom such a permit is needed.</summary>
    public bool HasPaced(string flow) => _window.HasPaced(flow);

    public void Permit(string flow, bool isPermitted) => _window.Permit(flow, isPermitted);

    public bool IsIdle => _window.Count == 0 && _underWay.Count == 0;

    /// <summary>All batches under way: those that a worker has, or may have.</summary>
    public IEnumerable<long> BatchIds => _underWay.BatchIds;

    /// <summary>Recipients dispatched and not reported, by route.</summary>
    public IEnumerable<(RecipientRoute Route, int Recipients)> UnderWay => _underWay.Recipients;

    /// <summary>
    /// What workers hold from before counts as dispatched, so that the cap holds when the queue moves to another silo, also when that
    /// makes more than the cap: then none is added. The domain has borne so many at once: as many are allowed, so that whom a dead worker
    /// held need not wait for the others.
    /// </summary>
    public void Adopt(IReadOnlyCollection<long> batchIds, DateTimeOffset now)
    {
        _underWay.Adopt(batchIds, now);
        if (Backoff.Failures == 0)
            _allowed = Math.Max(_allowed, batchIds.Count);
    }

    public void Remember(DomainBackoff backoff) => Backoff = backoff;

    /// <summary>What an operator says of the domain by name, beside the settings.</summary>
    public void SetLimits(DestinationLimits limits, DateTimeOffset now)
    {
        _limits = limits;
        _rate.Set(limits.MessagesPerSecond, now);
    }

    /// <summary>What is said of times has changed.</summary>
    public void SetSchedules(ScheduleTable current) => _schedules = current;

    /// <summary>The same of weights and rates of senders.</summary>
    public void SetSenders(SenderPolicy current) => _window.SetSenders(current);

    /// <summary>
    /// Its site rests, and until then there is no use in trying: it waits as one that could not be reached does, and begins as carefully. True:
    /// that is to be stored.
    /// </summary>
    public bool Follow(SiteRest rest, DateTimeOffset now)
    {
        LeaveToStore();
        if (rest.Until <= now || rest.Until <= Backoff.BackoffUntil)
            return false;
        Backoff = new DomainBackoff(Math.Max(Backoff.Failures, rest.Failures), rest.Until, rest.Reason);
        return true;
    }

    /// <summary>
    /// What storage has ends earlier than what is known here. Of another number of failures it is older, and the one that is known is being
    /// written.
    /// </summary>
    public void Shorten(DomainBackoff stored)
    {
        if (stored.Failures == Backoff.Failures && stored.BackoffUntil < Backoff.BackoffUntil)
            Backoff = stored;
    }

    public bool BacksOff(DateTimeOffset now) => now < Backoff.BackoffUntil;

    public bool WantsMore(DateTimeOffset now) => MoreInStore && !BacksOff(now) && _window.IsHalfEmpty;

    /// <summary>A sender has come whose mail lies behind that of others in storage.</summary>
    public bool WantsFlows(DateTimeOffset now) => !BacksOff(now) && _window.WantsFlows(now);

    public void NoteMoreInStore() => _window.NoteMoreInStore();

    public void NoteDue() => _window.NoteDue();

    public DuePlace NextPage(DateTimeOffset now) => _window.NextPage(now);

    /// <summary>Takes recipients that have just become due, as far as there is room, the domain may be tried, and nobody older waits in storage.</summary>
    public void Offer(IReadOnlyList<Recipient> recipients, DateTimeOffset now)
    {
        if (BacksOff(now))
            _window.NoteDue();
        else
            _window.Offer(recipients);
    }

    /// <summary>Takes what storage says is due and unclaimed; fewer than asked for means that there is no more.</summary>
    /// <param name="held">Of these, those that operators hold.</param>
    /// <returns>Who belongs to a batch that a worker has claimed, and is free all the same: handed back, and the report of it was lost.</returns>
    public IReadOnlyList<(RecipientRoute Route, int Count)> Load(
        IReadOnlyList<Recipient> recipients, int askedFor, IReadOnlySet<long>? held = null, DateTimeOffset now = default)
    {
        var handedBack = TakeOut(recipients);
        _window.Load(recipients, askedFor, held, now);
        return handedBack;
    }

    /// <summary>Storage is not read through yet, past some that operators hold.</summary>
    public bool IsPassingHeld => _window is { HasPassedHeld: true, MoreInStore: true };

    /// <summary>All that is due was read, and operators hold what was left; null where that is not so. The place up to which it is so.</summary>
    public DuePlace? PassedHeldTo => _window is { HasPassedHeld: true, MoreInStore: false, Count: 0 } ? _window.ReadTo : null;

    /// <summary>Takes some due and unclaimed recipients of each flow, whatever is before them in storage.</summary>
    /// <param name="nextFlow">From which on flows are read the next time.</param>
    /// <param name="ofEach">So many were asked for of each.</param>
    /// <returns>As of <see cref="Load"/>.</returns>
    public IReadOnlyList<(RecipientRoute Route, int Count)> LoadFlows(IReadOnlyList<Recipient> recipients, string nextFlow, DateTimeOffset now, int ofEach = int.MaxValue, IReadOnlySet<long>? held = null)
    {
        var handedBack = TakeOut(recipients);
        _window.LoadFlows(recipients, nextFlow, now, ofEach, held);
        return handedBack;
    }

    /// <summary>The same of one flow, behind what was read of it before.</summary>
    public IReadOnlyList<(RecipientRoute Route, int Count)> LoadTail(string flow, IReadOnlyList<Recipient> recipients, int askedFor, IReadOnlySet<long>? held = null)
    {
        var handedBack = TakeOut(recipients);
        _window.LoadTail(flow, recipients, askedFor, held);
        return handedBack;
    }

    private List<(RecipientRoute Route, int Count)> TakeOut(IReadOnlyList<Recipient> free) => free.Count == 0 ? []
        : _underWay.Claimed.ToList().ConvertAll(batchId => HandBack(batchId, free.Select(recipient => recipient.RecipientId)));

    /// <summary>
    /// Removes recipients whose time is over from the window and returns them. Whoever can be tried is tried once more at the end of his
    /// time; only where the domain could not be reached just now would that tell nothing new.
    /// </summary>
    public IReadOnlyList<Recipient> TakeExpired(DateTimeOffset now) =>
        Backoff.Failures == 0 ? [] : _window.Remove(recipient => _schedules.Of(recipient).Retry.IsOver(recipient.AcceptedAt, now));

    /// <summary>The next batch, or null: nobody waits, enough are under way, or the domain backs off.</summary>
    /// <param name="site">Where it may go (<see cref="Batch.Site"/>).</param>
    /// <param name="permit">Of that site; null: none is needed.</param>
    /// <param name="sender">Whose batch it is to be, by a permit of his rate; null: that of those whose turn it is, and who need none.</param>
    public Batch? TryTakeBatch(long batchId, DateTimeOffset now, string? site = null, SitePermit? permit = null, SenderPermit? sender = null)
    {
        if (!CanSend(now) || _window.Next is not { } next)
            return null;
        var probe = Backoff.Failures > 0;
        var isRemote = next.Route == RecipientRoute.Remote;
        var most = probe && isRemote ? ProbeRecipients : options.BatchRecipients;
        var messages = isRemote ? Math.Min(MostMessages(now), permit?.Messages ?? int.MaxValue) : int.MaxValue;
        if (sender is not null)
            messages = Math.Min(messages, sender.Messages);
        if (messages <= 0)
            return null;
        var taken = sender is null ? _window.Take(most, next.Route, messages, next.RedirectTo) : isRemote ? _window.TakeOf(sender.Flow, most, messages) : [];
        if (taken.Length == 0)
        {
            // Whose turn it seemed to be has no permit.
            if (sender is null && NextPermitted is { } unpermitted)
                _window.Permit(unpermitted, isPermitted: false);
            return null;
        }
        var batch = new Batch(batchId, next.Route, taken, probe) { Sender = sender?.Key, SenderEpoch = sender?.Epoch ?? 0 };
        if (isRemote && taken[0].RedirectTo is { Length: > 0 } hop)
        {
            batch = batch with { RedirectTo = hop, EndsConnection = true, IsPaced = _rate.IsSet || sender is not null };
            if (_rate.IsSet)
                _rate.Take(batch.Messages);
        }
        else if (isRemote)
        {
            var isCounted = _limits != DestinationLimits.None || permit is { IsLimited: true };
            batch = batch with
            {
                Site = site, SiteEpoch = permit?.Epoch ?? 0, EndsConnection = isCounted, MayKeep = isCounted && permit is { MayKeep: true }, Kept = permit?.Kept,
                MessagesPerConnection = Least(_limits.MessagesPerConnection ?? 0, permit?.MessagesPerConnection ?? 0),
                IsPaced = _rate.IsSet || permit is { IsPaced: true } || sender is not null,
            };
            if (_rate.IsSet)
                _rate.Take(batch.Messages);
        }

        _underWay.Add(batch, now);
        return batch;
    }

    public bool CanSend(DateTimeOffset now) =>
        NextEndpoint is { } endpoint && !BacksOff(now) && !IsSetBack(endpoint, now) && _underWay.Count < (Backoff.Failures > 0 ? 1 : Math.Min(_allowed, Cap))
        && (NextRoute != RecipientRoute.Remote || _rate.Room(now) > 0);

    /// <summary>Who has a permit of his rate would have his turn soon: only then is it worth asking for.</summary>
    public bool MayAskSenders(DateTimeOffset now) =>
        !BacksOff(now) && !IsSetBack(EndpointOf(RecipientRoute.Remote), now) && _underWay.Count < (Backoff.Failures > 0 ? 1 : Math.Min(_allowed, Cap)) && _rate.Room(now) > 0;

    /// <summary>The route of the next batch; null when nobody waits.</summary>
    public RecipientRoute? NextRoute => _window.Next?.Route;

    /// <summary>The next batch goes to the hosts of the domain, or of its site.</summary>
    public bool IsNextOfSite => _window.Next is { Route: RecipientRoute.Remote, RedirectTo.Length: 0 };

    /// <summary>Whose turn it is by a permit of his rate; null: it is that of one who needs none.</summary>
    public string? NextPermitted => _window.Next is { Route: RecipientRoute.Remote } next && _window.HasPaced(next.Flow) ? next.Flow : null;

    /// <summary>So many messages at most are wanted in the next batch to other systems.</summary>
    public int MostMessages(DateTimeOffset now) => Math.Min(
        Math.Min(_rate.Room(now), _limits.MessagesPerConnection ?? int.MaxValue), Math.Min(_window.Count, Backoff.Failures > 0 ? ProbeRecipients : options.BatchRecipients));

    /// <summary>When the rate of the domain lets somebody go who waits; null: it keeps nobody, or only a report lets him.</summary>
    public DateTimeOffset? NextByRateAt(DateTimeOffset now) => _rate.IsSet && NextRoute == RecipientRoute.Remote && !BacksOff(now) ? _rate.NextAt(now) : null;

    /// <summary>A batch that counted by the second has ended.</summary>
    public void NoteSent(int messages, IReadOnlyList<TimeSpan> sent, DateTimeOffset now)
    {
        if (_rate.IsSet)
            _rate.Report(messages, sent, now);
    }

    private static int Least(int one, int other) => one == 0 ? other : other == 0 ? one : Math.Min(one, other);

    private int Cap => _limits.Connections ?? options.DomainConcurrency;

    /// <summary>The endpoint of the next batch; null when nobody waits.</summary>
    public string? NextEndpoint => _window.Next is { } next ? EndpointOf(next.Route) : null;

    /// <summary>The endpoint to which batches of this route go now.</summary>
    public string EndpointOf(RecipientRoute route) => Batch.EndpointOf(route, probe: Backoff.Failures > 0);

    /// <summary>
    /// A batch came to nothing: it was lost, or handed back untried. The next one by that endpoint waits, longer after each. Batches
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

    private bool IsSetBack(string endpoint, DateTimeOffset now) => _setbacks.GetValueOrDefault(endpoint) is { } setbacks && setbacks.Lasts(now);

    /// <summary>The batch could not be sent, or was lost: its recipients wait again, behind what storage says. Returns how many.</summary>
    public int TakeBack(long batchId)
    {
        NoteMoreInStore();
        return Complete(batchId)?.Recipients.Length ?? 0;
    }

    /// <summary>Nobody has claimed anything of the batch: it is its recipients' turn again. Null when it is not known (any more).</summary>
    public Batch? PutBack(long batchId)
    {
        if (_underWay.End(batchId) is not { } batch)
            return null;
        _window.Return(batch.Recipients);
        return batch;
    }

    /// <summary>
    /// A worker who stops is still at this batch, but no more at these of its recipients: they are due again, in storage. Returns
    /// how many of them it had, and their route.
    /// </summary>
    public (RecipientRoute Route, int Count) HandBack(long batchId, IEnumerable<long> recipientIds)
    {
        var (route, recipients) = _underWay.TakeOut(batchId, recipientIds);
        if (recipients.Length > 0)
            NoteMoreInStore();
        _window.Forget(recipients);
        return (route, recipients.Length);
    }

    /// <summary>Ends a batch. Null when it is not known (any more).</summary>
    public Batch? Complete(long batchId)
    {
        if (_underWay.End(batchId) is not { } batch)
            return null;
        _window.Forget(batch.Recipients);
        return batch;
    }

    /// <summary>
    /// Whether a report says something of the domain as a whole. Where nothing was tried, nothing was learned; and that the domain
    /// answers is believed of a batch under way only, because an old report may come when much has happened since.
    /// </summary>
    public static bool SaysSomething(AttemptReport report, bool isUnderWay) =>
        (isUnderWay || report.Unreachable) && report.Results.Any(result => result.IsOfHosts);

    /// <summary>Draws the conclusion for the domain. Returns true when its back-off changed and must be stored.</summary>
    /// <param name="domain">Its name.</param>
    public bool Conclude(string domain, bool unreachable, string reason, DateTimeOffset now, double random)
    {
        if (!unreachable)
        {
            // Slow start: one more at a time while the domain answers.
            _allowed = Math.Min(_allowed + 1, Cap);
            if (Backoff.Failures == 0)
                return false;
            // The end of the back-off stays known: recipients that waited for it are not late since before.
            Backoff = DomainBackoff.None with { BackoffUntil = Backoff.BackoffUntil < now ? Backoff.BackoffUntil : now };
            return true;
        }
        // Batches that were under way together failed together: that is one failure, not many.
        if (BacksOff(now))
            return false;
        _allowed = options.InitialConcurrency;
        var failures = Backoff.Failures + 1;
        Backoff = new DomainBackoff(failures, now + _schedules.OfDomain(domain).Retry.Pause(failures, random), reason);
        // Recipients in the window wait in storage while the domain backs off.
        LeaveToStore();
        return true;
    }

    /// <summary>Forgets who waits here: they wait in storage, and are read again when they can be handed out.</summary>
    public void LeaveToStore()
    {
        _window.LeaveToStore(_ => true);
        NoteMoreInStore();
    }

    /// <summary>
    /// Forgets who waits here for workers of this route. The place up to which storage was read stays: they are read again when there are
    /// workers, not before, and that is for the caller to say.
    /// </summary>
    public void LeaveToStore(RecipientRoute route) => _window.LeaveToStore(recipient => recipient.Route == route);

    /// <summary>Batches of which nothing has been heard for longer than they may take to be claimed.</summary>
    public List<Batch> Overdue(DateTimeOffset now) => _underWay.Overdue(now);

    public bool IsUnderWay(long batchId) => _underWay.Contains(batchId);

    /// <summary>A worker was found to hold a claim for this batch.</summary>
    public bool WasClaimed(long batchId) => _underWay.WasClaimed(batchId);

    /// <summary>A worker holds a claim for this batch; it is looked at again later.</summary>
    public void NoteClaimed(long batchId, DateTimeOffset now) => _underWay.NoteClaimed(batchId, now);
}
