using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What waits for one domain.</summary>
/// <param name="Claimed">Of the queued recipients, those that a worker tries.</param>
/// <param name="Reason">Why it backs off; empty when the domain can be reached.</param>
/// <param name="LastReply">That reason, or else what was said last to mail that waits; empty when nothing of it has been tried.</param>
/// <param name="NextAttemptAt">The earliest of those that nobody tries; of all when every one is being tried.</param>
public sealed record DomainSummary(
    string Domain, long Queued, long Claimed, DateTimeOffset NextAttemptAt, int Failures, DateTimeOffset BackoffUntil, string Reason,
    string LastReply)
{
    /// <summary>Where its mail goes, which other domains may have in common with it; empty before an attempt that left somebody waiting.</summary>
    public string Site { get; init; } = "";
}

/// <summary>How much waits, and for whom most.</summary>
/// <param name="Unreported">Recipients that have ended and of whom their senders have not been told yet.</param>
/// <param name="Domains">With most queued recipients first.</param>
public sealed record WaitingSummary(long Queued, long Unrouted, long Claims, long Held, long Unreported, IReadOnlyList<DomainSummary> Domains)
{
    /// <summary>Messages that their senders want to leave later (RFC 4865); none of the others counted here.</summary>
    public long HeldBySenders { get; init; }
}

/// <summary>
/// Tells operators what waits. All queued recipients are counted, exactly, along an index that has nothing else in it; what claims hold
/// is little, and looked up one by one. Histories and contents are not read.
/// </summary>
public sealed class WaitingStore(MailDatabase database)
{
    private const int LookedUpAtOnce = 1000;

    internal static readonly Statement s_counts = new(
        """
        SELECT (SELECT COUNT(*) FROM unrouted) + (SELECT COUNT(*) FROM unrouted_dsn) + (SELECT COUNT(*) FROM unrouted_timed WHERE release_at <= $1),
               (SELECT COUNT(*) FROM claims),
               (SELECT COUNT(*) FROM recipients WHERE state = 5),
               (SELECT COUNT(*) FROM unreported)
                   + (SELECT COUNT(*) FROM recipients WHERE (notify & 16) <> 0 AND state <> 0 AND state <> 5),
               (SELECT COUNT(*) FROM unrouted_timed WHERE release_at > $1)
        """);

    // The sum over all domains is taken before the limit. A reply is looked for among the few that are due last, for they were deferred:
    // what has just come and was never tried is not read through, and of a long queue next to nothing.
    internal static readonly Statement s_domains = new(
        """
        SELECT w.domain, w.queued, w.oldest, w.total, COALESCE(q.failures, 0), COALESCE(q.backoff_until, 0), COALESCE(q.reason, ''),
               CASE WHEN COALESCE(q.reason, '') <> '' THEN q.reason ELSE COALESCE((
                   SELECT a.reply FROM attempts a
                   JOIN (SELECT r.id, r.attempts FROM recipients r WHERE r.domain = w.domain AND r.state = 0
                         ORDER BY r.next_attempt_at DESC LIMIT 10) d ON a.recipient_id = d.id
                   WHERE d.attempts > 0 ORDER BY a.finished_at DESC LIMIT 1), '') END,
               COALESCE(q.site, '')
        FROM (
            SELECT domain, COUNT(*) AS queued, MIN(next_attempt_at) AS oldest, CAST(SUM(COUNT(*)) OVER () AS BIGINT) AS total
            FROM recipients WHERE state = 0 GROUP BY domain ORDER BY 2 DESC, 1 LIMIT $1) w
        LEFT JOIN domain_queues q ON q.domain = w.domain ORDER BY w.queued DESC, w.domain
        """);

    internal static readonly Statement s_claims = new("SELECT domain, recipients FROM claims");

    internal static readonly Statement s_claimed = new(
        "SELECT domain, COUNT(*) FROM recipients WHERE id {in_1} AND state + 0 = 0 AND claim <> 0 GROUP BY domain");

    internal static readonly Statement s_next = new(
        "SELECT next_attempt_at FROM recipients WHERE domain = $1 AND state = 0 AND claim = 0 ORDER BY next_attempt_at LIMIT 1");

    /// <param name="mostDomains">So many domains are named; all are counted.</param>
    public async Task<WaitingSummary> SummarizeAsync(int mostDomains, CancellationToken cancellationToken)
    {
        var total = 0L;
        var domains = await database.QueryAsync(
            s_domains,
            r =>
            {
                total = r.GetInt64(3);
                return new DomainSummary(
                    r.GetString(0), r.GetInt64(1), 0, StoredTime.Read(r, 2), r.GetInt32(4), StoredTime.Read(r, 5), r.GetString(6), r.GetString(7))
                {
                    Site = r.GetString(8),
                };
            },
            cancellationToken, mostDomains);
        var claimed = await CountClaimedAsync([.. domains.Select(domain => domain.Domain)], cancellationToken);
        for (var i = 0; i < domains.Count; i++)
        {
            if (claimed.TryGetValue(domains[i].Domain, out var count))
                domains[i] = await WithClaimedAsync(domains[i], count, cancellationToken);
        }
        var counts = (await database.QueryAsync(
            s_counts, r => (Unrouted: r.GetInt64(0), Claims: r.GetInt64(1), Held: r.GetInt64(2), Unreported: r.GetInt64(3), HeldBySenders: r.GetInt64(4)),
            cancellationToken, database.Time.GetUtcNow()))[0];
        return new WaitingSummary(total, counts.Unrouted, counts.Claims, counts.Held, counts.Unreported, domains) { HeldBySenders = counts.HeldBySenders };
    }

    private async Task<Dictionary<string, long>> CountClaimedAsync(HashSet<string> domains, CancellationToken cancellationToken)
    {
        var claims = await database.QueryAsync(s_claims, r => (Domain: r.GetString(0), Recipients: r.GetString(1)), cancellationToken);
        var claimed = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var ids in claims.Where(claim => domains.Contains(claim.Domain)).SelectMany(claim => ClaimStore.Ids(claim.Recipients)).Chunk(LookedUpAtOnce))
        {
            foreach (var (domain, count) in await database.QueryAsync(
                s_claimed, r => (r.GetString(0), r.GetInt64(1)), cancellationToken, SqlValue.FromIds(ids)))
                claimed[domain] = claimed.GetValueOrDefault(domain) + count;
        }
        return claimed;
    }

    private async Task<DomainSummary> WithClaimedAsync(DomainSummary domain, long claimed, CancellationToken cancellationToken)
    {
        var next = await database.QueryAsync(s_next, r => StoredTime.Read(r, 0), cancellationToken, domain.Domain);
        // Counted a moment later, there may be more than there were.
        return domain with
        {
            Claimed = next.Count == 0 ? domain.Queued : Math.Min(claimed, domain.Queued - 1),
            NextAttemptAt = next.Count == 0 ? domain.NextAttemptAt : next[0],
        };
    }
}
