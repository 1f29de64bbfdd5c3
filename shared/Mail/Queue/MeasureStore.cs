using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>How much waits, for gauges.</summary>
/// <param name="Unrouted">Accepted messages the router has not seen, without those that their senders have held until later.</param>
/// <param name="Routes">One entry for each route that has queued recipients.</param>
public sealed record QueueMeasure(long Unrouted, IReadOnlyList<RouteMeasure> Routes);

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
/// read, and apart for the domains that somebody holds claims of. What changes meanwhile is counted as it was or as it is.
/// </summary>
public sealed class MeasureStore(MailDatabase database)
{
    internal const int Page = 50_000;

    private const int HeldAtOnce = 1000;

    // $1 now; $2, $3, $4 the place in the index behind which the page begins; $5 its length.
    private const string RowsOfPage =
        """
        SELECT domain, next_attempt_at, id, route FROM recipients
        WHERE state = 0 AND (domain, next_attempt_at, id) > ($2, $3, $4) ORDER BY domain, next_attempt_at, id LIMIT $5
        """;

    /// <summary>A domain of which nobody holds a claim is counted with the others like it, under an empty name.</summary>
    internal static readonly Statement s_page = new(
        $"""
        SELECT route, held_domain, CAST(SUM(queued) AS BIGINT),
               CAST(SUM(CASE WHEN backed_off_until > $1 THEN 0 ELSE due END) AS BIGINT),
               CAST(SUM(CASE WHEN backed_off_until > $1 THEN due ELSE 0 END) AS BIGINT),
               COALESCE(MIN(CASE WHEN backed_off_until > $1 OR due = 0 THEN NULL WHEN backed_off_until > oldest THEN backed_off_until ELSE oldest END), 0)
        FROM (
            SELECT w.route, w.queued, w.due, w.oldest, COALESCE(q.backoff_until, 0) AS backed_off_until,
                   CASE WHEN EXISTS (SELECT 1 FROM claims c WHERE c.domain = w.domain) THEN w.domain ELSE '' END AS held_domain
            FROM (
                SELECT domain, route, COUNT(*) AS queued, SUM(CASE WHEN next_attempt_at <= $1 THEN 1 ELSE 0 END) AS due,
                       MIN(next_attempt_at) AS oldest
                FROM ({RowsOfPage}) p GROUP BY domain, route) w
            LEFT JOIN domain_queues q ON q.domain = w.domain) d
        GROUP BY route, held_domain
        """);

    // As $2 to $5 above.
    internal static readonly Statement s_endOfPage = new(
        """
        SELECT domain, next_attempt_at, id FROM recipients
        WHERE state = 0 AND (domain, next_attempt_at, id) > ($1, $2, $3) ORDER BY domain, next_attempt_at, id LIMIT 1 OFFSET $4
        """);

    internal static readonly Statement s_claims = new("SELECT id, recipients, began_at FROM claims");

    internal static readonly Statement s_recipients = new(
        "SELECT domain, route, next_attempt_at, claim FROM recipients WHERE id {in_1} AND state + 0 = 0 AND claim <> 0");

    internal static readonly Statement s_domainsHeld = new(
        """
        SELECT k.domain, k.claims, COALESCE(q.failures, 0), COALESCE(q.backoff_until, 0),
               COALESCE((SELECT MIN(r.next_attempt_at) FROM recipients r WHERE r.domain = k.domain AND r.state = 0 AND r.claim = 0), 0)
        FROM (SELECT domain, COUNT(*) AS claims FROM claims GROUP BY domain) k LEFT JOIN domain_queues q ON q.domain = k.domain
        """);

    internal static readonly Statement s_countUnrouted = new(
        "SELECT (SELECT COUNT(*) FROM unrouted) + (SELECT COUNT(*) FROM unrouted_dsn) + (SELECT COUNT(*) FROM unrouted_timed WHERE release_at <= $1)");

    /// <summary>Takes longer the more is queued: for every now and then, not for every message.</summary>
    /// <param name="mostClaims">With so many claims a domain that can be reached does not lack workers; one that failed is tried by one alone.</param>
    public async Task<QueueMeasure> MeasureAsync(int mostClaims, CancellationToken cancellationToken)
    {
        var now = database.Time.GetUtcNow();
        var domains = (await database.QueryAsync(
            s_domainsHeld,
            r => new HeldDomain(r.GetString(0), r.GetInt64(1), r.GetInt32(2), r.GetInt64(3), r.GetInt64(4)), cancellationToken))
            .ToDictionary(domain => domain.Name);
        var held = await FindHeldAsync(cancellationToken);
        var sums = new SortedDictionary<long, Sum>();
        foreach (var part in await PagesAsync(now, cancellationToken))
        {
            if (!sums.TryGetValue(part.Route, out var sum))
                sums.Add(part.Route, sum = new Sum());
            sum.Add(part, held.GetValueOrDefault((part.Domain, part.Route)), domains.GetValueOrDefault(part.Domain), mostClaims);
        }
        var unrouted = await database.QueryAsync(s_countUnrouted, r => r.GetInt64(0), cancellationToken, now);
        return new QueueMeasure(unrouted[0], [.. sums.Select(sum => sum.Value.Measure((RecipientRoute)sum.Key))]);
    }

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

    private async Task<IEnumerable<Part>> PagesAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        var parts = new Dictionary<(long, string), Part>();
        (string Domain, long NextAttemptAt, long Id)? after = ("", long.MinValue, 0);
        while (after is var (domain, nextAttemptAt, id))
        {
            var page = await database.QueryAsync(
                s_page, r => new Part(r.GetInt64(0), r.GetString(1), r.GetInt64(2), r.GetInt64(3), r.GetInt64(4), r.GetInt64(5)),
                cancellationToken, now, domain, nextAttemptAt, id, Page);
            foreach (var part in page)
                parts[(part.Route, part.Domain)] = parts.TryGetValue((part.Route, part.Domain), out var before) ? before + part : part;
            after = page.Sum(part => part.Queued) < Page ? null : (await database.QueryAsync(
                s_endOfPage, r => ((string, long, long)?)(r.GetString(0), r.GetInt64(1), r.GetInt64(2)), cancellationToken, domain, nextAttemptAt, id, Page - 1))
                .FirstOrDefault();
        }
        return parts.Values;
    }

    private static long Earlier(long one, long other) => one == 0 || (other != 0 && other < one) ? other : one;

    /// <param name="Domain">Empty: all domains of which nobody holds a claim.</param>
    /// <param name="OldestAt">Of those that are due in domains that do not back off; 0 when there are none.</param>
    private sealed record Part(long Route, string Domain, long Queued, long Due, long BackingOff, long OldestAt)
    {
        public static Part operator +(Part one, Part other) => new(
            one.Route, one.Domain, one.Queued + other.Queued, one.Due + other.Due, one.BackingOff + other.BackingOff, Earlier(one.OldestAt, other.OldestAt));
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

        public void Add(Part part, Held? held, HeldDomain? domain, int mostClaims)
        {
            _queued += part.Queued;
            _claimed += held?.Count ?? 0;
            _unbegun += held?.Unbegun ?? 0;
            // Who is held is due; of a domain that backs off, too.
            var backingOff = Math.Max(0, part.BackingOff - (part.Due == 0 ? held?.Count ?? 0 : 0));
            var due = Math.Max(0, part.Due - (held?.Count ?? 0));
            _backingOff += backingOff;
            if (held is { OldestUnbegunAt: > 0 })
                _oldestAt = Earlier(_oldestAt, Math.Max(held.OldestUnbegunAt, domain?.BackoffUntil ?? 0));
            if (domain is not null && domain.Claims >= (domain.Failures > 0 ? 1 : mostClaims))
            {
                _limited += due;
                return;
            }
            _ready += due;
            if (due > 0)
                _oldestAt = Earlier(_oldestAt, domain is null ? part.OldestAt : Math.Max(domain.OldestFreeAt, domain.BackoffUntil));
        }

        public RouteMeasure Measure(RecipientRoute route) => new(
            route, _queued, _claimed, _unbegun, _ready, _backingOff, _limited,
            _oldestAt == 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(_oldestAt));
    }
}
