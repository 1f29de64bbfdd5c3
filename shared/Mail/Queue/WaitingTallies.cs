namespace MailPipeline.Mail;

/// <summary>Puts together what waits by domain, by site and by reason, one domain after the other.</summary>
/// <param name="state">What the queue goes by.</param>
/// <param name="isPaused">Delivery of all mail is paused.</param>
/// <param name="paced">By domain, so many to other systems are due and wait for the rates of their senders.</param>
/// <param name="rules">What operators keep back.</param>
/// <param name="heldParts">Of domains of which rules keep back a part, how much.</param>
internal sealed class WaitingTallies(
    QueueState state, bool isPaused, DateTimeOffset now, IReadOnlyDictionary<string, long> paced, RuleSet rules, IReadOnlyDictionary<(string Domain, long Route), HeldPart> heldParts)
{
    private readonly LargestGroups _domains = new();
    private readonly NamedTallies _sites = new();
    private readonly Dictionary<WaitKind, WaitingTally> _reasons = [];
    private long _waiting;
    private long _beingTried;

    /// <param name="parts">Of one domain, by route.</param>
    /// <param name="claimedOf">Recipients of the domain and this route that workers hold.</param>
    /// <param name="claims">That workers hold of the domain.</param>
    public void AddDomain(IReadOnlyCollection<QueuedPart> parts, Func<long, long> claimedOf, long claims)
    {
        var domain = new WaitingTally();
        var whole = rules.OfDomain(parts.First().Domain, parts.First().Site).Whole;
        // What the domain's next attempt waits for is what its largest part does.
        (long Size, WaitKind Kind) next = (0, WaitKind.BeingTried);
        foreach (var part in parts)
        {
            var claimed = Math.Min(claimedOf(part.Route), part.Queued);
            var due = Math.Max(0, part.Due - claimed);
            var later = part.Queued - claimed - due;
            var backoffUntil = part.IsBackingOff ? part.BackoffUntil : 0;
            // Nothing is tried before the end of the back-off.
            var nextAt = part.IsBackingOff ? due > 0 ? backoffUntil : Math.Max(backoffUntil, part.LaterAt) : later > 0 ? part.LaterAt : 0;
            var held = whole is null ? heldParts.GetValueOrDefault((part.Domain, part.Route)) : new HeldPart(due, later, whole);
            var (heldDue, heldLater) = (Math.Min(held?.Due ?? 0, due), Math.Min(held?.Later ?? 0, later));
            var dueNow = part.IsBackingOff ? 0 : due - heldDue;
            domain.Add(part.Queued, claimed, dueNow, nextAt, part.Oldest, part.Oldest);
            _sites.Of(part.Site).Add(part.Queued, claimed, dueNow, nextAt, part.Oldest, part.Oldest);
            Add(WaitKind.BeingTried, claimed, claimed, 0, part.OldestDue, part.Oldest);

            due -= heldDue;
            later -= heldLater;
            // Who waits for his sender's rate takes nobody's room.
            var pacedDue = part.Route == (long)RecipientRoute.Remote && paced.Count > 0 ? Math.Min(due, paced.GetValueOrDefault(part.Domain)) : 0;
            var ahead = Math.Min(due - pacedDue, state.WindowRecipients);
            var isLimited = state.IsLimited(part.Failures, claims);
            var hasWorkers = state.ClosedFor((RecipientRoute)part.Route, part.Failures) is null;
            var holdUp = state.LimitOf((RecipientRoute)part.Route, part.Site)?.HoldUp ?? SiteHoldUp.None;
            foreach (var (count, isDue, isBehind, isPaced, oldest, at, rule) in new (long, bool, bool, bool, long, long, QueueRule?)[]
            {
                (ahead, true, false, false, part.OldestDue, backoffUntil, null), (due - pacedDue - ahead, true, true, false, part.OldestDue, backoffUntil, null),
                (pacedDue, true, false, true, part.OldestDue, backoffUntil, null), (later, false, false, false, part.OldestLater, nextAt, null),
                (heldDue + heldLater, false, false, false, part.Oldest, 0, held?.Rule),
            })
            {
                if (count == 0)
                    continue;
                var kind = new WaitConditions(isPaused, part.IsBackingOff, isDue, hasWorkers, isBehind, isLimited, holdUp, isPaced, rule).Kind;
                Add(kind, count, 0, at, oldest, part.Oldest);
                // What is due goes before what is not.
                var size = isDue && !isBehind && !isPaced ? long.MaxValue : count;
                if (size > next.Size)
                    next = (size, kind);
            }
        }
        _waiting += domain.Waiting;
        _beingTried += domain.BeingTried;
        _domains.Add(domain.ToGroup(parts.First().Domain, next.Kind));
    }

    /// <summary>What waits and is no queued recipient.</summary>
    public void Add(WaitKind kind, long count, long beingTried = 0, long nextAt = 0, long oldest = 0, long example = 0)
    {
        if (count == 0)
            return;
        if (!_reasons.TryGetValue(kind, out var reason))
            _reasons.Add(kind, reason = new WaitingTally());
        var isDue = kind is WaitKind.Due or WaitKind.NoWorker or WaitKind.SenderTurn or WaitKind.DomainLimit or WaitKind.SiteLimit or WaitKind.RateLimit;
        reason.Add(count, beingTried, isDue ? count : 0, nextAt, oldest, example);
    }

    public IReadOnlyList<WaitingGroups> ToGroups() =>
    [
        new(WaitingBy.Domain, now, _waiting, _beingTried, _domains.Count, _domains.ToList()),
        _sites.ToGroups(WaitingBy.Site, now),
        new(WaitingBy.Reason, now, _reasons.Values.Sum(reason => reason.Waiting), _beingTried, _reasons.Count,
        [
            .. _reasons.Select(reason => reason.Value.ToGroup(WaitWords.Of(reason.Key), reason.Key))
                .OrderByDescending(group => group.Waiting).ThenBy(group => group.Key, StringComparer.Ordinal),
        ]),
    ];
}

/// <summary>The queued recipients of a domain and a route.</summary>
/// <param name="Due">Their time has come; also those that workers hold.</param>
/// <param name="FirstAt">The earliest time of all.</param>
/// <param name="LaterAt">The earliest of those that are not due; 0: all are.</param>
/// <param name="OldestDue">Id of the oldest recipient that is due; 0: none is. So of those that are not.</param>
internal sealed record QueuedPart(
    string Domain, long Route, long Queued, long Due, long FirstAt, long LaterAt, long OldestDue, long OldestLater, int Failures, long BackoffUntil, string Site,
    bool IsBackingOff)
{
    public long Oldest => MeasureStore.Earlier(OldestDue, OldestLater);

    public static QueuedPart operator +(QueuedPart one, QueuedPart other) => other with
    {
        Queued = one.Queued + other.Queued,
        Due = one.Due + other.Due,
        FirstAt = Math.Min(one.FirstAt, other.FirstAt),
        LaterAt = MeasureStore.Earlier(one.LaterAt, other.LaterAt),
        OldestDue = MeasureStore.Earlier(one.OldestDue, other.OldestDue),
        OldestLater = MeasureStore.Earlier(one.OldestLater, other.OldestLater),
    };
}

/// <summary>Of the queued recipients of a domain and a route, those that rules keep back and nobody tries.</summary>
/// <param name="Rule">That keeps back most of them, or the first.</param>
internal sealed record HeldPart(long Due, long Later, QueueRule Rule);
