using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What waits for one domain.</summary>
/// <param name="Claimed">Of the queued recipients, those that a worker tries.</param>
/// <param name="Due">Those that nobody tries, though their time has come and the domain does not back off.</param>
/// <param name="NextAttemptAt">The earliest of the others; null: there are none.</param>
/// <param name="Kind">Why what is tried next of it waits, as it was counted.</param>
/// <param name="Reason">Why it backs off; empty when the domain can be reached.</param>
/// <param name="LastReply">That reason, or else what was said last to mail that waits; empty when nothing of it has been tried.</param>
public sealed record DomainSummary(
    string Domain, long Queued, long Claimed, long Due, DateTimeOffset? NextAttemptAt, WaitKind Kind, int Failures, DateTimeOffset BackoffUntil, string Reason,
    string LastReply)
{
    /// <summary>Where its mail goes, which other domains may have in common with it; empty before an attempt that left somebody waiting.</summary>
    public string Site { get; init; } = "";

    /// <summary>When its oldest message was accepted, or let go by its sender; null: not known any more.</summary>
    public DateTimeOffset? OldestAt { get; init; }
}

/// <summary>How much waits, and for whom most.</summary>
/// <param name="Unreported">Recipients that have ended and of whom their senders have not been told yet.</param>
/// <param name="Domains">With most queued recipients first.</param>
public sealed record WaitingSummary(long Queued, long Unrouted, long Claims, long Held, long Unreported, IReadOnlyList<DomainSummary> Domains)
{
    /// <summary>Messages that their senders want to leave later (RFC 4865); none of the others counted here.</summary>
    public long HeldBySenders { get; init; }

    /// <summary>As of when the domains were counted; null: now.</summary>
    public DateTimeOffset? SampledAt { get; init; }
}

/// <summary>What is known of a group beside its counts.</summary>
/// <param name="OldestAt">When its oldest message was accepted, or let go by its sender; null: not known any more.</param>
/// <param name="LastReply">What was said last to mail of it that waits; empty: nothing of it has been tried.</param>
/// <param name="Domain">Of a group by domain, the domain as it stands.</param>
public sealed record GroupDetail(DateTimeOffset? OldestAt, string LastReply, DomainBackoff Domain, string Site);

/// <summary>
/// Tells operators what waits. Up to <see cref="SampleStore.Few"/> recipients it is counted for each question, along an index that has nothing else in it;
/// of more the sample is read that the reconciler keeps. Contents are not read.
/// </summary>
public sealed class WaitingStore(MailDatabase database, MeasureStore measures, SampleStore samples)
{
    internal static readonly Statement s_counts = new(
        """
        SELECT (SELECT COUNT(*) FROM unrouted) + (SELECT COUNT(*) FROM unrouted_dsn) + (SELECT COUNT(*) FROM unrouted_timed WHERE release_at <= $1),
               (SELECT COUNT(*) FROM claims),
               (SELECT COUNT(*) FROM recipients WHERE state = 5),
               (SELECT COUNT(*) FROM unreported)
                   + (SELECT COUNT(*) FROM recipients WHERE (notify & 16) <> 0 AND state <> 0 AND state <> 5),
               (SELECT COUNT(*) FROM unrouted_timed WHERE release_at > $1)
        """);

    // Of the domain of each recipient, of whom nothing else is asked. A reply is looked for among the few that are due last, for they were deferred:
    // what has just come and was never tried is not read through, and of a long queue next to nothing.
    internal static readonly Statement s_domainsOf = new(
        """
        SELECT h.id, COALESCE(q.failures, 0), COALESCE(q.backoff_until, 0), COALESCE(q.reason, ''), COALESCE(q.site, ''),
               CASE WHEN COALESCE(q.reason, '') <> '' THEN q.reason ELSE COALESCE((
                   SELECT a.reply FROM attempts a
                   JOIN (SELECT r.id, r.attempts FROM recipients r WHERE r.domain = h.domain AND r.state = 0
                         ORDER BY r.next_attempt_at DESC LIMIT 10) d ON a.recipient_id = d.id
                   WHERE d.attempts > 0 ORDER BY a.finished_at DESC LIMIT 1), '') END
        FROM recipients h LEFT JOIN domain_queues q ON q.domain = h.domain WHERE h.id {in_1}
        """);

    internal static readonly Statement s_repliesTo = new(
        """
        SELECT h.id, COALESCE((SELECT a.reply FROM attempts a WHERE a.recipient_id = h.id ORDER BY a.number DESC LIMIT 1), '')
        FROM recipients h WHERE h.id {in_1}
        """);

    private static readonly Statement s_acceptedAt = new("SELECT accepted_at FROM messages WHERE id = $1");

    internal static readonly Statement s_since = new($"SELECT m.id, {QueueStore.Since} FROM messages m WHERE m.id {{in_1}}");

    /// <summary>All that waits, and the domains with most of it.</summary>
    /// <param name="mostDomains">So many domains are named; all are counted.</param>
    public async Task<WaitingSummary> SummarizeAsync(int mostDomains, QueueState state, bool isPaused, CancellationToken cancellationToken)
    {
        var (domains, sampledAt) = await CountAsync(WaitingBy.Domain, mostDomains, state, isPaused, cancellationToken);
        var details = await FindDetailsAsync(domains, cancellationToken);
        var counts = (await database.QueryAsync(
            s_counts, r => (Unrouted: r.GetInt64(0), Claims: r.GetInt64(1), Held: r.GetInt64(2), Unreported: r.GetInt64(3), HeldBySenders: r.GetInt64(4)),
            cancellationToken, database.Time.GetUtcNow()))[0];
        return new WaitingSummary(
            domains.Waiting, counts.Unrouted, counts.Claims, counts.Held, counts.Unreported,
            [.. domains.Groups.Zip(details, (group, detail) => Of(group, detail))])
        {
            HeldBySenders = counts.HeldBySenders,
            SampledAt = sampledAt,
        };
    }

    /// <summary>What waits, in groups, and as of when where it was not counted for this question.</summary>
    /// <param name="most">So many groups are named; all are counted.</param>
    public async Task<(WaitingGroups Groups, DateTimeOffset? SampledAt)> CountAsync(
        WaitingBy by, int most, QueueState state, bool isPaused, CancellationToken cancellationToken)
    {
        // Where no sample is kept yet it is counted, however much there is.
        if (!await samples.IsLittleAsync(cancellationToken) && await samples.FindAsync(by, most, cancellationToken) is { } sample)
            return (sample, sample.CountedAt);
        var counted = by == WaitingBy.Sender
            ? await measures.CountSendersAsync(cancellationToken)
            : (await measures.MeasureAsync(state, isPaused, cancellationToken)).Groups.Single(groups => groups.By == by);
        return (counted with { Groups = [.. counted.Groups.Take(most)] }, null);
    }

    /// <summary>When the oldest of all that waits came, as it was counted last; null: there is not so much that counts are kept.</summary>
    public async Task<DateTimeOffset?> FindOldestSampledAsync(CancellationToken cancellationToken)
    {
        if (await samples.FindAsync(WaitingBy.Reason, WaitingGroups.Most, cancellationToken) is not { } sample)
            return null;
        var oldest = sample.Groups.Where(group => group.Oldest != 0).Select(group => RecipientIds.MessageId(group.Oldest)).DefaultIfEmpty().Min();
        var since = await database.QueryAsync(s_acceptedAt, r => StoredTime.Read(r, 0), cancellationToken, oldest);
        return since is [var at] ? at : null;
    }

    /// <summary>For each of the groups.</summary>
    public async Task<IReadOnlyList<GroupDetail>> FindDetailsAsync(WaitingGroups groups, CancellationToken cancellationToken)
    {
        var since = (await database.QueryAsync(
            s_since, r => (Id: r.GetInt64(0), At: StoredTime.Read(r, 1)), cancellationToken,
            SqlValue.FromIds(groups.Groups.Select(group => RecipientIds.MessageId(group.Oldest)).Distinct()))).ToDictionary(row => row.Id, row => row.At);
        var examples = SqlValue.FromIds(groups.Groups.Select(group => group.Example).Distinct());
        var known = (groups.By == WaitingBy.Sender
            ? await database.QueryAsync(
                s_repliesTo, r => (Id: r.GetInt64(0), Detail: new GroupDetail(null, r.GetString(1), DomainBackoff.None, "")), cancellationToken, examples)
            : await database.QueryAsync(
                s_domainsOf,
                r => (Id: r.GetInt64(0), Detail: new GroupDetail(null, r.GetString(5), new(r.GetInt32(1), StoredTime.Read(r, 2), r.GetString(3)), r.GetString(4))),
                cancellationToken, examples)).ToDictionary(row => row.Id, row => row.Detail);
        var none = new GroupDetail(null, "", DomainBackoff.None, "");
        return [.. groups.Groups.Select(group => known.GetValueOrDefault(group.Example, none) with
        {
            OldestAt = since.TryGetValue(RecipientIds.MessageId(group.Oldest), out var at) ? at : null,
        })];
    }

    private static DomainSummary Of(WaitingGroup group, GroupDetail detail) => new(
        group.Key, group.Waiting, group.BeingTried, group.Due, group.NextAt, group.Kind ?? WaitKind.Due, detail.Domain.Failures, detail.Domain.BackoffUntil,
        detail.Domain.Reason, detail.LastReply)
    {
        Site = detail.Site,
        OldestAt = detail.OldestAt,
    };
}
