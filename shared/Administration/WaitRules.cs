using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>What the queue knows of a domain when it decides about its mail.</summary>
/// <param name="Claims">Batches that workers hold.</param>
/// <param name="EndOfWindow">The last of the due recipients for whom there is room in memory; null: there is room for all.</param>
/// <param name="Site">Where its mail goes; empty: not known.</param>
internal sealed record DomainStanding(DomainBackoff Backoff, long Claims = 0, WaitingPlace? EndOfWindow = null, string Site = "")
{
    public static readonly DomainStanding Calm = new(DomainBackoff.None);
}

/// <summary>A queued recipient that nobody tries.</summary>
/// <param name="Subject">As rules of operators ask about it.</param>
internal readonly record struct QueuedWait(long RecipientId, RecipientRoute Route, DateTimeOffset NextAttemptAt, LastAttempt? Last, RuleSubject Subject);

/// <summary>
/// Says why mail waits, out of what the queue obeys as of one moment. Never a time that has passed: what has come is due. The order of the questions
/// is that of <see cref="WaitConditions"/>, by which waiting mail is counted, too.
/// </summary>
/// <param name="Queue">What the processes of Queue go by.</param>
/// <param name="Domains">What is known of the domains that are asked about; one that is missing does not back off and has no claims.</param>
internal sealed record WaitRules(DateTimeOffset Now, DeliveryPaused? Pause, QueueState Queue, IReadOnlyDictionary<string, DomainStanding> Domains)
{
    /// <summary>The rules of operators that stand.</summary>
    public RuleSet Standing { get; init; } = RuleSet.Empty;

    /// <summary>By whom delivery is paused that no operator has paused.</summary>
    private const string Setting = "Queue:DeliveryPaused";

    /// <summary>Null: it is not.</summary>
    public Paused? AllPaused => Pause is { } pause ? new Paused(pause.Since, pause.Operator) : Queue.PausedSince is { } since ? new Paused(since, Setting) : null;

    /// <summary>Null: the recipient has its outcome, and waits no more.</summary>
    public WaitReason? Of(RecipientTimeline recipient, MessageTimeline message) => recipient.State switch
    {
        RecipientState.Queued when recipient.Claimed => new BeingTried(),
        RecipientState.Queued => Of(
            new QueuedWait(
                recipient.RecipientId, recipient.Route, recipient.NextAttemptAt, Last(recipient.Attempts is [.., var last] ? last : null),
                new RuleSubject(
                    recipient.Domain, recipient.Site, recipient.ReturnPath.Length > 0 ? recipient.ReturnPath : message.Sender, recipient.Flow, recipient.Address,
                    recipient.Original, message.MessageId, message.Since, recipient.Attempts is [.., { Reply: var reply }] ? reply : "")),
            Domains.GetValueOrDefault(recipient.Domain, DomainStanding.Calm)),
        RecipientState.Held when recipient.HoldReason.Length > 0 => new HeldBySystem(recipient.UpdatedAt, recipient.HoldReason),
        RecipientState.Held => new HeldByOperator(
            recipient.UpdatedAt, message.Audit.LastOrDefault(entry => entry.Action == OperatorAction.Held)?.Operator ?? ""),
        _ => null,
    };

    /// <param name="holder">Who held the message; empty when it is not known.</param>
    /// <inheritdoc cref="Of(RecipientTimeline, MessageTimeline)"/>
    public WaitReason? Of(WaitingRecipient recipient, string holder) => recipient.State switch
    {
        RecipientState.Queued when recipient.Claimed => new BeingTried(),
        RecipientState.Queued => Of(
            new QueuedWait(
                recipient.RecipientId, recipient.Route, recipient.NextAttemptAt, Last(recipient.Last),
                new RuleSubject(
                    recipient.Domain, recipient.Site, recipient.ReturnPath.Length > 0 ? recipient.ReturnPath : recipient.Sender, recipient.Flow, recipient.Address,
                    recipient.Original, RecipientIds.MessageId(recipient.RecipientId), recipient.AcceptedAt, recipient.Last?.Reply ?? "")),
            Domains.GetValueOrDefault(recipient.Domain, DomainStanding.Calm) with { Backoff = recipient.Backoff }),
        RecipientState.Held when recipient.HoldReason.Length > 0 => new HeldBySystem(recipient.UpdatedAt, recipient.HoldReason),
        RecipientState.Held => new HeldByOperator(recipient.UpdatedAt, holder),
        _ => null,
    };

    /// <summary>The reason of a message that the router has not seen.</summary>
    public WaitReason OfUnrouted(DateTimeOffset? releaseAt) => releaseAt is { } at && at > Now ? new HeldBySender(at) : new NotRouted();

    /// <summary>The reason of what is tried next of a domain, as it was counted, under the pause and the back-off that there are now.</summary>
    public WaitReason Of(DomainSummary domain)
    {
        if (domain.Claimed == domain.Queued)
            return new BeingTried();
        if (AllPaused is { } paused)
            return paused;
        // As it was counted: of a part of it the rule that is asked first is named.
        if (domain.Kind is WaitKind.HeldByOperator or WaitKind.Suspended && Standing.OfDomain(domain.Domain, domain.Site) is var rules
            && (rules.Whole ?? (rules.Parts is [var first, ..] ? first : null)) is { } rule)
        {
            return Of(rule);
        }
        if (domain.BackoffUntil > Now)
            return new BacksOff(domain.BackoffUntil, domain.Reason, Later(domain.Due > 0 ? domain.BackoffUntil : domain.NextAttemptAt ?? domain.BackoffUntil, domain.BackoffUntil));
        if (domain.Due == 0 && domain.NextAttemptAt > Now)
            return new NextAttempt(domain.NextAttemptAt.Value);
        // All of a domain goes one way, but where it has just become ours or another's.
        foreach (var route in Enum.GetValues<RecipientRoute>())
        {
            if (domain.Kind == WaitKind.NoWorker && Queue.ClosedFor(route, domain.Failures) is { } closed)
                return new NoWorker(closed.Endpoint, closed.BusRefuses, closed.Since);
        }
        if (domain.Kind is WaitKind.SiteLimit or WaitKind.RateLimit && Queue.LimitOf(RecipientRoute.Remote, domain.Site) is { } limit)
            return Of(domain.Site, limit);
        // Of a domain nobody has counted whose they are: where there is one alone it is his.
        if (domain.Kind == WaitKind.RateLimit && Queue.PacedSenders.Take(2).ToList() is [var paced, ..] some)
            return some is [_] ? OfSender(paced) : new RateLimit("", 0);
        return domain.Kind == WaitKind.DomainLimit && Domains.GetValueOrDefault(domain.Domain) is { Claims: > 0 } standing && Queue.IsLimited(domain.Failures, standing.Claims)
            ? new DomainLimit(standing.Claims) : new Due();
    }

    private WaitReason Of(QueuedWait recipient, DomainStanding domain)
    {
        var closed = Queue.ClosedFor(recipient.Route, domain.Backoff.Failures);
        var limit = Queue.LimitOf(recipient.Route, domain.Site);
        var rule = Standing.OfDomain(recipient.Subject.Domain, recipient.Subject.Site).FindHold(recipient.Subject, Now);
        var isPaced = Queue.RateOf(recipient.Route, recipient.Subject.Flow) is not null;
        var kind = new WaitConditions(
            IsPaused: AllPaused is not null, BacksOff: domain.Backoff.BackoffUntil > Now, IsDue: recipient.NextAttemptAt <= Now, HasWorkers: closed is null,
            IsBehindWindow: domain.EndOfWindow is { } end
                && (recipient.NextAttemptAt.ToUnixTimeMilliseconds(), recipient.RecipientId).CompareTo((end.NextAttemptAt, end.RecipientId)) > 0,
            IsLimited: Queue.IsLimited(domain.Backoff.Failures, domain.Claims), Site: limit?.HoldUp ?? SiteHoldUp.None,
            IsPaced: isPaced, Rule: rule).Kind;
        return kind switch
        {
            WaitKind.Paused => AllPaused!,
            WaitKind.HeldByOperator or WaitKind.Suspended => Of(rule!),
            WaitKind.BacksOff => new BacksOff(domain.Backoff.BackoffUntil, domain.Backoff.Reason, Later(recipient.NextAttemptAt, domain.Backoff.BackoffUntil)),
            WaitKind.NextAttempt => new NextAttempt(recipient.NextAttemptAt, recipient.Last),
            WaitKind.NoWorker => new NoWorker(closed!.Endpoint, closed.BusRefuses, closed.Since),
            WaitKind.SenderTurn => new SenderTurn(),
            WaitKind.DomainLimit => new DomainLimit(domain.Claims),
            WaitKind.RateLimit when isPaced => OfSender(recipient.Subject.Flow),
            WaitKind.SiteLimit or WaitKind.RateLimit => Of(domain.Site, limit!),
            _ => new Due(),
        };
    }

    private static WaitReason Of(QueueRule rule) => rule.Act == RuleAct.Suspend
        ? new Suspended(rule.SetAt, rule.SetBy, rule.Name, rule.Why, rule.Until) : new HeldByOperator(rule.SetAt, rule.SetBy, rule.Name, rule.Why, rule.Until);

    private static WaitReason Of(string site, SiteNote limit) =>
        limit.HoldUp == SiteHoldUp.Rate ? new RateLimit(site, limit.Waiting) : new SiteLimit(site, limit.Connections, limit.Waiting);

    private RateLimit OfSender(string flow) => new("", Queue.RateOf(RecipientRoute.Remote, flow)?.Waiting ?? 0, flow);

    internal static LastAttempt? Last(AttemptResult? attempt) => attempt is null ? null : new(attempt.Status, attempt.Reply, attempt.RemoteHost);

    private static DateTimeOffset Later(DateTimeOffset one, DateTimeOffset other) => one > other ? one : other;
}

/// <summary>Reads what the rules go by.</summary>
internal sealed class WaitRulesReader(
    OperatorStore operators, QueueStateStore states, QueueStore queue, WaitingListStore waiting, RuleStore rules, TimeProvider time)
{
    /// <summary>Without any domain.</summary>
    public async Task<WaitRules> ReadAsync(CancellationToken cancellation) => new(
        time.GetUtcNow(), await operators.FindPauseAsync(cancellation), await states.ReadAsync(cancellation),
        new Dictionary<string, DomainStanding>(StringComparer.Ordinal))
    {
        Standing = await rules.ReadStandingAsync(cancellation),
    };

    public async Task<bool> BacksOffAsync(string domain, DateTimeOffset now, CancellationToken cancellation) =>
        (await queue.FindBackoffAsync(domain, cancellation)).BackoffUntil > now;

    /// <summary>With these domains: how many batches of them are under way, and where something of one is due, how much of it is in memory.</summary>
    /// <param name="waits">Domains with the earliest time of what waits there and nobody tries.</param>
    public async Task<WaitRules> ReadAsync(WaitRules rules, IEnumerable<(string Domain, DateTimeOffset NextAttemptAt)> waits, CancellationToken cancellation)
    {
        var domains = new Dictionary<string, DomainStanding>(rules.Domains, StringComparer.Ordinal);
        var unknown = waits.GroupBy(wait => wait.Domain, wait => wait.NextAttemptAt, StringComparer.Ordinal).Where(domain => !domains.ContainsKey(domain.Key)).ToList();
        if (unknown.Count == 0)
            return rules;
        var claims = await waiting.CountClaimsAsync(cancellation);
        foreach (var domain in unknown)
        {
            var end = rules.Queue.WindowRecipients < int.MaxValue && domain.Min() <= rules.Now
                ? await waiting.FindEndOfWindowAsync(domain.Key, rules.Queue.WindowRecipients, rules.Now, cancellation) : null;
            var (backoff, site) = await queue.FindDomainAsync(domain.Key, cancellation);
            domains.Add(domain.Key, new(backoff, claims.GetValueOrDefault(domain.Key), end, site));
        }
        return rules with { Domains = domains };
    }
}
