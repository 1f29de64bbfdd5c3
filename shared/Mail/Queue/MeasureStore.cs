using System.Runtime.CompilerServices;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>How much waits, for gauges and for those who ask.</summary>
/// <param name="Unrouted">Accepted messages the router has not seen, without those that their senders have held until later.</param>
/// <param name="Routes">One entry for each route that has queued recipients.</param>
public sealed record QueueMeasure(long Unrouted, IReadOnlyList<RouteMeasure> Routes)
{
    /// <summary>The same by domain, by site and by reason.</summary>
    public IReadOnlyList<WaitingGroups> Groups { get; init; } = [];
}

/// <summary>The queued recipients of one route. Due and not held is one of <c>Ready</c>, <c>BackingOff</c> and <c>Limited</c>.</summary>
/// <param name="Claimed">Held by a worker.</param>
/// <param name="Unbegun">Of those, the ones whose worker has not begun: it waits itself, for a connection.</param>
/// <param name="Ready">Nothing keeps them from being tried but that nobody does.</param>
/// <param name="BackingOff">Their domain could not be reached and backs off.</param>
/// <param name="Limited">As many workers as count as enough hold claims of their domain already.</param>
/// <param name="OldestReadyAt">
/// Since when the one that is ready or not begun for longest has been due, and its domain not backing off; null when there is none.
/// </param>
public sealed record RouteMeasure(
    RecipientRoute Route, long Queued, long Claimed, long Unbegun, long Ready, long BackingOff, long Limited, DateTimeOffset? OldestReadyAt);

/// <summary>
/// Counts what waits, and for what, over all queued recipients: in pages along one index, so that no statement is long and no row is
/// read. What workers hold is little, and looked up. What changes meanwhile is counted as it was or as it is.
/// </summary>
public sealed class MeasureStore(MailDatabase database)
{
    internal const int Page = 50_000;

    private const int HeldAtOnce = 1000;

    /// <summary>Senders who are looked for in every domain, those with most domains that wait first.</summary>
    private const int MostPaced = 20;

    private const string NextDomain = "(SELECT r.domain FROM recipients r WHERE r.state = 0 AND r.domain > {0} ORDER BY r.domain LIMIT 1)";

    // From one domain that mail waits for to the next, along the index.
    private static readonly string s_domains =
        $"""
        WITH RECURSIVE d(domain) AS (
            SELECT {NextDomain.Replace("{0}", "''", StringComparison.Ordinal)}
            UNION ALL
            SELECT {NextDomain.Replace("{0}", "d.domain", StringComparison.Ordinal)} FROM d WHERE d.domain IS NOT NULL)
        """;

    internal static readonly Statement s_dueOfSender = new(
        $"""
        {s_domains}
        SELECT domain, due FROM (
            SELECT d.domain, (
                SELECT COUNT(*) FROM recipients r
                WHERE r.domain = d.domain AND r.state = 0 AND (r.flow, r.next_attempt_at) >= ($1, 0) AND (r.flow, r.next_attempt_at) <= ($1, $2)) AS due
            FROM d WHERE d.domain IS NOT NULL) w
        WHERE due > 0
        """);

    internal static readonly Statement s_countOfSender = new(
        $"""
        {s_domains}
        SELECT CAST(COALESCE(SUM((SELECT COUNT(*) FROM recipients r WHERE r.domain = d.domain AND r.state = 0 AND r.flow = $1)), 0) AS BIGINT)
        FROM d WHERE d.domain IS NOT NULL
        """);

    // A recipient a line.
    internal static readonly Statement s_unroutedOfSender = new(
        """
        SELECT CAST(COALESCE(SUM(1 + LENGTH(u.recipients) - LENGTH(REPLACE(u.recipients, $2, ''))), 0) AS BIGINT)
        FROM (
            SELECT message_id, recipients FROM unrouted UNION ALL SELECT message_id, recipients FROM unrouted_dsn
            UNION ALL SELECT message_id, recipients FROM unrouted_timed) u
        JOIN messages m ON m.id = u.message_id WHERE m.flow = $1
        """);

    // $1 now; $2, $3, $4 the place in the index behind which the page begins; $5 its length.
    private const string RowsOfPage =
        """
        SELECT domain, next_attempt_at, id, route FROM recipients
        WHERE state = 0 AND (domain, next_attempt_at, id) > ($2, $3, $4) ORDER BY domain, next_attempt_at, id LIMIT $5
        """;

    internal static readonly Statement s_page = new(
        $"""
        SELECT w.domain, w.route, w.queued, w.due, w.first_at, w.later_at, w.oldest_due, w.oldest_later,
               COALESCE(q.failures, 0), COALESCE(q.backoff_until, 0), COALESCE(q.site, '')
        FROM (
            SELECT domain, route, COUNT(*) AS queued, SUM(CASE WHEN next_attempt_at <= $1 THEN 1 ELSE 0 END) AS due, MIN(next_attempt_at) AS first_at,
                   COALESCE(MIN(CASE WHEN next_attempt_at > $1 THEN next_attempt_at END), 0) AS later_at,
                   COALESCE(MIN(CASE WHEN next_attempt_at <= $1 THEN id END), 0) AS oldest_due,
                   COALESCE(MIN(CASE WHEN next_attempt_at > $1 THEN id END), 0) AS oldest_later
            FROM ({RowsOfPage}) p GROUP BY domain, route) w
        LEFT JOIN domain_queues q ON q.domain = w.domain ORDER BY w.domain, w.route
        """);

    // As $2 to $5 above.
    internal static readonly Statement s_endOfPage = new(
        """
        SELECT domain, next_attempt_at, id FROM recipients
        WHERE state = 0 AND (domain, next_attempt_at, id) > ($1, $2, $3) ORDER BY domain, next_attempt_at, id LIMIT 1 OFFSET $4
        """);

    // $1 now; $2 to $5 the place behind which the page begins; $6 its length. What is due of a domain that backs off is not due.
    internal static readonly Statement s_pageOfFlows = new(
        """
        SELECT flow, CAST(SUM(queued) AS BIGINT), CAST(SUM(CASE WHEN backed_off_until > $1 THEN 0 ELSE due END) AS BIGINT),
               COALESCE(MIN(CASE WHEN backed_off_until <= $1 OR due = 0 AND later_at > backed_off_until THEN later_at ELSE backed_off_until END), 0),
               MIN(oldest), COALESCE(MAX(deferred), 0)
        FROM (
            SELECT w.*, COALESCE(q.backoff_until, 0) AS backed_off_until
            FROM (
                SELECT domain, flow, COUNT(*) AS queued, SUM(CASE WHEN next_attempt_at <= $1 THEN 1 ELSE 0 END) AS due,
                       MIN(CASE WHEN next_attempt_at > $1 THEN next_attempt_at END) AS later_at, MIN(id) AS oldest,
                       MAX(CASE WHEN next_attempt_at > $1 THEN id END) AS deferred
                FROM (
                    SELECT domain, flow, next_attempt_at, id FROM recipients
                    WHERE state = 0 AND (domain, flow, next_attempt_at, id) > ($2, $3, $4, $5)
                    ORDER BY domain, flow, next_attempt_at, id LIMIT $6) p
                GROUP BY domain, flow) w
            LEFT JOIN domain_queues q ON q.domain = w.domain) d
        GROUP BY flow
        """);

    internal static readonly Statement s_endOfFlows = new(
        """
        SELECT domain, flow, next_attempt_at, id FROM recipients
        WHERE state = 0 AND (domain, flow, next_attempt_at, id) > ($1, $2, $3, $4) ORDER BY domain, flow, next_attempt_at, id LIMIT 1 OFFSET $5
        """);

    internal static readonly Statement s_claims = new("SELECT id, recipients, began_at FROM claims");

    internal static readonly Statement s_recipients = new(
        "SELECT domain, route, next_attempt_at, claim, flow FROM recipients WHERE id {in_1} AND state + 0 = 0 AND claim <> 0");

    internal static readonly Statement s_domainsHeld = new(
        """
        SELECT k.domain, k.claims, COALESCE(q.failures, 0), COALESCE(q.backoff_until, 0),
               COALESCE((SELECT MIN(r.next_attempt_at) FROM recipients r WHERE r.domain = k.domain AND r.state = 0 AND r.claim = 0), 0)
        FROM (SELECT domain, COUNT(*) AS claims FROM claims GROUP BY domain) k LEFT JOIN domain_queues q ON q.domain = k.domain
        """);

    // Messages that nobody has routed, now and later, the first of each; recipients that operators hold, and that the pipeline does.
    internal static readonly Statement s_others = new(
        """
        SELECT (SELECT COUNT(*) FROM unrouted) + (SELECT COUNT(*) FROM unrouted_dsn) + (SELECT COUNT(*) FROM unrouted_timed WHERE release_at <= $1),
               COALESCE((SELECT MIN(m.id) FROM (
                   SELECT MIN(message_id) AS id FROM unrouted UNION ALL SELECT MIN(message_id) FROM unrouted_dsn
                   UNION ALL SELECT MIN(message_id) FROM unrouted_timed WHERE release_at <= $1) m), 0),
               (SELECT COUNT(*) FROM unrouted_timed WHERE release_at > $1), COALESCE((SELECT MIN(release_at) FROM unrouted_timed WHERE release_at > $1), 0),
               h.operators, h.oldest, h.systems, h.oldest_of_system
        FROM (
            SELECT COUNT(CASE WHEN hold_reason = '' THEN 1 END) AS operators, COALESCE(MIN(CASE WHEN hold_reason = '' THEN id END), 0) AS oldest,
                   COUNT(CASE WHEN hold_reason <> '' THEN 1 END) AS systems, COALESCE(MIN(CASE WHEN hold_reason <> '' THEN id END), 0) AS oldest_of_system
            FROM recipients WHERE state = 5) h
        """);

    /// <summary>Takes longer the more is queued: for every now and then, not for every message.</summary>
    /// <param name="state">What the queue goes by.</param>
    /// <param name="isPaused">Delivery of all mail is paused.</param>
    public async Task<QueueMeasure> MeasureAsync(QueueState state, bool isPaused, CancellationToken cancellationToken)
    {
        var now = database.Time.GetUtcNow();
        var domains = (await database.QueryAsync(
            s_domainsHeld,
            r => new HeldDomain(r.GetString(0), r.GetInt64(1), r.GetInt32(2), r.GetInt64(3), r.GetInt64(4)), cancellationToken))
            .ToDictionary(domain => domain.Name);
        var held = await FindHeldAsync(cancellationToken);
        var sums = new SortedDictionary<long, Sum>();
        state = state with { LimitedSites = await SiteStore.ListLimitedAsync(database, cancellationToken) };
        var rules = await RuleStore.ReadStandingAsync(database, cancellationToken);
        var kept = await CountKeptPartsAsync(rules, now, cancellationToken);
        var tallies = new WaitingTallies(state, isPaused, now, await CountPacedAsync(state, now, cancellationToken), rules, kept);
        await foreach (var parts in DomainsAsync(now, "", cancellationToken))
        {
            var isKept = rules.OfDomain(parts[0].Domain, parts[0].Site).Whole is not null;
            foreach (var part in parts)
            {
                if (!sums.TryGetValue(part.Route, out var sum))
                    sums.Add(part.Route, sum = new Sum());
                sum.Add(
                    part, held.GetValueOrDefault((part.Domain, part.Route)), domains.GetValueOrDefault(part.Domain), state.InitialConcurrency,
                    isKept ? long.MaxValue : kept.GetValueOrDefault((part.Domain, part.Route))?.Due ?? 0);
            }
            var name = parts[0].Domain;
            tallies.AddDomain(parts, route => held.GetValueOrDefault((name, route))?.Count ?? 0, domains.GetValueOrDefault(name)?.Claims ?? 0);
        }
        var unrouted = await AddOthersAsync(tallies, now, cancellationToken);
        return new QueueMeasure(unrouted, [.. sums.Select(sum => sum.Value.Measure((RecipientRoute)sum.Key))]) { Groups = tallies.ToGroups() };
    }

    /// <summary>Counts along another index, and takes about as long.</summary>
    public async Task<WaitingGroups> CountSendersAsync(CancellationToken cancellationToken)
    {
        var now = database.Time.GetUtcNow();
        var claims = await database.QueryAsync(s_claims, r => r.GetString(1), cancellationToken);
        var claimed = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var ids in claims.SelectMany(ClaimStore.Ids).Chunk(HeldAtOnce))
        {
            foreach (var flow in await database.QueryAsync(s_recipients, r => r.GetString(4), cancellationToken, SqlValue.FromIds(ids)))
                claimed[flow] = claimed.GetValueOrDefault(flow) + 1;
        }

        var senders = new NamedTallies();
        (string Domain, string Flow, long NextAttemptAt, long Id)? after = ("", "", long.MinValue, 0);
        while (after is var (domain, flow, nextAttemptAt, id))
        {
            var page = await database.QueryAsync(
                s_pageOfFlows,
                r => (Flow: r.GetString(0), Queued: r.GetInt64(1), Due: r.GetInt64(2), NextAt: r.GetInt64(3), Oldest: r.GetInt64(4), Deferred: r.GetInt64(5)),
                cancellationToken, now, domain, flow, nextAttemptAt, id, Page);
            foreach (var part in page)
            {
                senders.Of(part.Flow).Add(part.Queued, 0, part.Due, part.NextAt, part.Oldest, part.Deferred == 0 ? part.Oldest : part.Deferred);
            }
            after = page.Sum(part => part.Queued) < Page ? null : (await database.QueryAsync(
                s_endOfFlows, r => ((string, string, long, long)?)(r.GetString(0), r.GetString(1), r.GetInt64(2), r.GetInt64(3)), cancellationToken,
                domain, flow, nextAttemptAt, id, Page - 1)).FirstOrDefault();
        }
        foreach (var (flow, count) in claimed)
            senders.Of(flow).NoteClaimed(count);
        return senders.ToGroups(WaitingBy.Sender, now);
    }

    /// <summary>
    /// So many recipients of one sender wait, routed or not, due or not; without those that are held. It is looked for in each domain that mail waits for, along an
    /// index.
    /// </summary>
    /// <param name="flow">See <see cref="FlowKey"/>.</param>
    public async Task<long> CountOfSenderAsync(string flow, CancellationToken cancellationToken)
    {
        // First those that are not routed: who is routed meanwhile is counted twice, and not passed over.
        var unrouted = await database.QueryAsync(s_unroutedOfSender, r => r.GetInt64(0), cancellationToken, flow, "\n");
        var routed = await database.QueryAsync(s_countOfSender, r => r.GetInt64(0), cancellationToken, flow);
        return unrouted[0] + routed[0];
    }

    /// <summary>By domain, what is due of senders whose rates hold up mail.</summary>
    private async Task<IReadOnlyDictionary<string, long>> CountPacedAsync(QueueState state, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var paced = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var flow in state.PacedSenders.Take(MostPaced))
        {
            foreach (var (domain, due) in await database.QueryAsync(s_dueOfSender, r => (r.GetString(0), r.GetInt64(1)), cancellationToken, flow, now))
                paced[domain] = paced.GetValueOrDefault(domain) + due;
        }
        return paced;
    }

    internal static long Earlier(long one, long other) => one == 0 || (other != 0 && other < one) ? other : one;

    private async Task<long> AddOthersAsync(WaitingTallies tallies, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var others = (await database.QueryAsync(s_others, r => Enumerable.Range(0, 8).Select(r.GetInt64).ToArray(), cancellationToken, now))[0];
        tallies.Add(WaitKind.NotRouted, others[0], oldest: RecipientIds.Of(others[1], 0));
        tallies.Add(WaitKind.HeldBySender, others[2], nextAt: others[3]);
        tallies.Add(WaitKind.HeldByOperator, others[4], oldest: others[5]);
        tallies.Add(WaitKind.HeldBySystem, others[6], oldest: others[7]);
        return others[0];
    }

    /// <summary>
    /// What rules keep back that are not of whole destinations, by domain and route: recipients have to be read for it, and are only where there is such a rule.
    /// </summary>
    private async Task<IReadOnlyDictionary<(string Domain, long Route), HeldPart>> CountKeptPartsAsync(
        RuleSet rules, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var kept = new Dictionary<(string, long), HeldPart>();
        var known = new HashSet<long>();
        var targets = new RuleTargets(database);
        foreach (var rule in rules.Parts)
        {
            for (var place = WaitingPlace.Start; place is not null;)
            {
                (var fitting, _, place) = await targets.PageAsync(rule.Conditions, place, held: false, cancellationToken, RuleTargets.LongPage);
                foreach (var target in fitting.Where(target => !target.IsClaimed && known.Add(target.Recipient.RecipientId)))
                {
                    var key = (target.Domain, (long)target.Recipient.Route);
                    var part = kept.GetValueOrDefault(key) ?? new HeldPart(0, 0, rule);
                    kept[key] = target.Recipient.NextAttemptAt <= now ? part with { Due = part.Due + 1 } : part with { Later = part.Later + 1 };
                }
            }
        }
        return kept;
    }

    /// <summary>How many recipients workers hold, by domain.</summary>
    internal async Task<IReadOnlyDictionary<string, long>> CountClaimedAsync(CancellationToken cancellationToken) =>
        (await FindHeldAsync(cancellationToken)).GroupBy(held => held.Key.Domain, held => held.Value.Count, StringComparer.Ordinal)
            .ToDictionary(domain => domain.Key, domain => domain.Sum(), StringComparer.Ordinal);

    /// <summary>What claims hold: little beside what waits, so it is looked up one by one.</summary>
    private async Task<Dictionary<(string Domain, long Route), Held>> FindHeldAsync(CancellationToken cancellationToken)
    {
        var claims = await database.QueryAsync(
            s_claims, r => (Id: r.GetInt64(0), Recipients: r.GetString(1), BeganAt: r.GetInt64(2)), cancellationToken);
        var unbegun = claims.Where(claim => claim.BeganAt == 0).Select(claim => claim.Id).ToHashSet();
        var held = new Dictionary<(string, long), Held>();
        foreach (var ids in claims.SelectMany(claim => ClaimStore.Ids(claim.Recipients)).Chunk(HeldAtOnce))
        {
            var rows = await database.QueryAsync(
                s_recipients, r => (Domain: r.GetString(0), Route: r.GetInt64(1), NextAttemptAt: r.GetInt64(2), Claim: r.GetInt64(3)), cancellationToken,
                SqlValue.FromIds(ids));
            foreach (var row in rows)
            {
                if (!held.TryGetValue((row.Domain, row.Route), out var part))
                    held.Add((row.Domain, row.Route), part = new Held());
                part.Add(unbegun.Contains(row.Claim) ? row.NextAttemptAt : null);
            }
        }
        return held;
    }

    /// <summary>One domain after the other, each with a part for each of its routes.</summary>
    /// <param name="only">This one alone; empty: all.</param>
    internal async IAsyncEnumerable<IReadOnlyList<QueuedPart>> DomainsAsync(
        DateTimeOffset now, string only, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var current = new List<QueuedPart>();
        (string Domain, long NextAttemptAt, long Id)? after = (only, long.MinValue, 0);
        while (after is var (domain, nextAttemptAt, id))
        {
            var page = await database.QueryAsync(
                s_page,
                r => new QueuedPart(
                    r.GetString(0), r.GetInt64(1), r.GetInt64(2), r.GetInt64(3), r.GetInt64(4), r.GetInt64(5), r.GetInt64(6), r.GetInt64(7), r.GetInt32(8),
                    r.GetInt64(9), r.GetString(10), IsBackingOff: r.GetInt64(9) > now.ToUnixTimeMilliseconds()),
                cancellationToken, now, domain, nextAttemptAt, id, Page);
            foreach (var part in page)
            {
                if (only.Length > 0 && part.Domain != only)
                    continue;
                if (current.Count > 0 && current[0].Domain != part.Domain)
                {
                    yield return current;
                    current = [];
                }
                // The last domain of a page goes on in the next one.
                var known = current.FindIndex(other => other.Route == part.Route);
                if (known < 0)
                    current.Add(part);
                else
                    current[known] += part;
            }
            after = page.Sum(part => part.Queued) < Page || (only.Length > 0 && page[^1].Domain != only) ? null : (await database.QueryAsync(
                s_endOfPage, r => ((string, long, long)?)(r.GetString(0), r.GetInt64(1), r.GetInt64(2)), cancellationToken, domain, nextAttemptAt, id, Page - 1))
                .FirstOrDefault();
        }
        if (current.Count > 0)
            yield return current;
    }

    /// <param name="OldestFreeAt">Earliest next attempt of those nobody holds.</param>
    private sealed record HeldDomain(string Name, long Claims, int Failures, long BackoffUntil, long OldestFreeAt);

    private sealed class Held
    {
        public long Count { get; private set; }

        public long Unbegun { get; private set; }

        public long OldestUnbegunAt { get; private set; }

        public void Add(long? unbegunAt)
        {
            Count++;
            if (unbegunAt is not { } at)
                return;
            Unbegun++;
            OldestUnbegunAt = Earlier(OldestUnbegunAt, at);
        }
    }

    private sealed class Sum
    {
        private long _queued;
        private long _claimed;
        private long _unbegun;
        private long _ready;
        private long _backingOff;
        private long _limited;
        private long _oldestAt;

        /// <param name="kept">So much of what is due rules keep back: nobody is to try it.</param>
        public void Add(QueuedPart part, Held? held, HeldDomain? domain, int mostClaims, long kept)
        {
            _queued += part.Queued;
            _claimed += held?.Count ?? 0;
            _unbegun += held?.Unbegun ?? 0;
            if (held is { OldestUnbegunAt: > 0 })
                _oldestAt = Earlier(_oldestAt, Math.Max(held.OldestUnbegunAt, domain?.BackoffUntil ?? 0));
            // Who is held is due; of a domain that backs off, too.
            var due = Math.Max(0, part.Due - (held?.Count ?? 0) - Math.Min(kept, part.Due));
            if (part.IsBackingOff)
            {
                _backingOff += due;
                return;
            }
            if (domain is not null && domain.Claims >= (domain.Failures > 0 ? 1 : mostClaims))
            {
                _limited += due;
                return;
            }
            _ready += due;
            // The one that is due for longest may be one that is kept back.
            if (due > 0 && kept == 0)
                _oldestAt = Earlier(_oldestAt, Math.Max(domain?.OldestFreeAt ?? part.FirstAt, domain?.BackoffUntil ?? part.BackoffUntil));
        }

        public RouteMeasure Measure(RecipientRoute route) => new(
            route, _queued, _claimed, _unbegun, _ready, _backingOff, _limited,
            _oldestAt == 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(_oldestAt));
    }
}
