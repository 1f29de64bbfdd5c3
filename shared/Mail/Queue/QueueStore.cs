using System.Data.Common;
using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What the router made of one accepted message: every recipient after aliases, each exactly once.</summary>
/// <param name="MayBeReport">It is to an address for reports by DMARC: somebody looks whether it is one, of a held one once it is released.</param>
/// <param name="IsSearchable">Operators find it by its addresses and its Message-ID.</param>
/// <param name="MayBeFeedback">The same of an address for complaints.</param>
public sealed record RoutedMessage(
    Envelope Message, IReadOnlyList<RoutedRecipient> Recipients, bool MayBeReport = false, bool IsSearchable = false, bool MayBeFeedback = false);

/// <param name="Address">Where it goes, after aliases.</param>
/// <param name="Original">The address given at RCPT when an alias changed it, else empty.</param>
/// <param name="Domain">Name of the domain queue: the address's domain, lower case.</param>
/// <param name="Dsn">What its sender wants to be told of it; null where the envelope says nothing about reports.</param>
/// <param name="IsExpanded">An alias that led on to others, who are recipients beside it: nobody is delivered to here.</param>
/// <param name="ReturnPath">The sender that its hosts are given; empty: that of the envelope.</param>
public sealed record RoutedRecipient(
    string Address, string Original, string Domain, RecipientRoute Route, RcptDsn? Dsn = null, bool IsExpanded = false, string ReturnPath = "")
{
    /// <summary>What his sender's suppression list says of him: he is not tried, and ends as he begins. Null: nothing.</summary>
    public Suppression? Suppression { get; init; }

    /// <summary>It has what most recipients have not.</summary>
    internal bool IsNoted => Dsn is not null || ReturnPath.Length > 0;
}

/// <summary>A domain with recipients that may be due.</summary>
/// <param name="DueAt">Since when: a recipient is due, and the domain does not back off.</param>
public sealed record DueDomain(string Domain, DateTimeOffset DueAt);

/// <summary>The ways that somebody works on.</summary>
/// <param name="Local">To maildrops here.</param>
/// <param name="Remote">To other systems, for domains that can be reached.</param>
/// <param name="Failing">To other systems, for domains that could not be reached the last time.</param>
public readonly record struct OpenRoutes(bool Local, bool Remote, bool Failing)
{
    public static readonly OpenRoutes All = new(true, true, true);

    public static readonly OpenRoutes None;
}

/// <summary>A place among the queued recipients of a domain, in the order in which they are due. The default lies before all of them.</summary>
public readonly record struct DuePlace(DateTimeOffset NextAttemptAt, long RecipientId);

/// <summary>What the store remembers of a domain while its grain sleeps.</summary>
/// <param name="Failures">Attempts in a row in which no host of the domain could be reached.</param>
/// <param name="BackoffUntil">No attempt before this time.</param>
/// <param name="Reason">Why, in one line; empty when the domain can be reached.</param>
public sealed record DomainBackoff(int Failures, DateTimeOffset BackoffUntil, string Reason)
{
    public static readonly DomainBackoff None = new(0, DateTimeOffset.UnixEpoch, "");
}

/// <summary>What is known of a batch that nobody holds a claim for.</summary>
public enum BatchEnd
{
    /// <summary>None of its recipients has been tried since it was given out.</summary>
    Untried,

    /// <summary>Some have been tried, by whomever, and none was delivered.</summary>
    Tried,

    /// <summary>Some have been delivered, by whomever: the far end answered.</summary>
    Delivered,
}

/// <summary>The queue's side of the truth: routing, what is due where, and the back-off of domains.</summary>
public sealed class QueueStore(MailDatabase database, EventSubscriptions? events = null)
{
    private static readonly Statement s_takeUnrouted = new("DELETE FROM unrouted WHERE message_id {in_1} RETURNING message_id") { Locks = SharedRows.Unrouted };

    private static readonly Statement s_takeUnroutedDsn = new("DELETE FROM unrouted_dsn WHERE message_id {in_1} RETURNING message_id") { Locks = SharedRows.UnroutedDsn };

    // Whoever asks before its time takes nothing.
    private static readonly Statement s_takeUnroutedTimed = new(
        "DELETE FROM unrouted_timed WHERE message_id {in_1} AND release_at <= $2 RETURNING message_id") { Locks = SharedRows.UnroutedTimed };

    private static readonly Statement s_insertRecipient = new(
        """
        INSERT INTO recipients (id, address, original, domain, route, flow, state, attempts, next_attempt_at, claim, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, 0, $7)
        """) { IsMerged = true };

    private static readonly Statement s_insertHeld = new(
        """
        INSERT INTO recipients (
            id, address, original, domain, route, flow, state, attempts, next_attempt_at, claim, updated_at, hold_reason)
        VALUES ($1, $2, $3, $4, $5, $6, 5, 0, $7, 0, $7, $8)
        """);

    // Given up without an attempt.
    private static readonly Statement s_insertSuppressed = new(
        """
        INSERT INTO recipients (
            id, address, original, domain, route, flow, state, attempts, next_attempt_at, claim, updated_at, notify, orcpt, return_path)
        VALUES ($1, $2, $3, $4, $5, $6, 2, 0, $7, 0, $7, $8, $9, $10)
        """);

    private static readonly Statement s_insertNoted = new(
        """
        INSERT INTO recipients (
            id, address, original, domain, route, flow, state, attempts, next_attempt_at, claim, updated_at, hold_reason, notify, orcpt, return_path)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, 0, $8, $9, $10, $11, $12)
        """);

    /// <summary>How often it is looked whether a message that an operator has to release is still there; its release is known at once.</summary>
    internal static readonly TimeSpan HeldReportPause = TimeSpan.FromDays(1);

    private static readonly Statement s_unreadReleased = new("UPDATE dmarc_unread SET due_at = $2 WHERE message_id = $1 AND due_at > $2");

    private static readonly Statement s_insertUnread = new("INSERT INTO dmarc_unread (message_id, tries, due_at) VALUES ($1, 0, $2)");

    private static readonly Statement s_feedbackReleased = new("UPDATE feedback_unread SET due_at = $2 WHERE message_id = $1 AND due_at > $2");

    private static readonly Statement s_insertFeedback = new("INSERT INTO feedback_unread (message_id, tries, due_at) VALUES ($1, 0, $2)");

    private static readonly Statement s_setReferences = new("UPDATE messages SET content_refs = $2 WHERE id = $1") { Locks = SharedRows.Messages };

    private static readonly Statement s_dueNoLater = new(
        """
        INSERT INTO domain_queues (domain, due_at, failures, backoff_until, reason) VALUES ($1, $2, 0, 0, '')
        ON CONFLICT (domain) DO UPDATE SET due_at = excluded.due_at WHERE domain_queues.due_at > excluded.due_at
        """) { Locks = SharedRows.Domains };

    private static readonly Statement s_unrouted = new(
        """
        SELECT u.message_id, u.recipients, m.sender, m.size_bytes, m.body, m.accepted_at, m.trace_parent, m.flow, m.hold_reason, m.header_id
        FROM unrouted u JOIN messages m ON m.id = u.message_id
        WHERE u.message_id > $1 AND m.accepted_at <= $2 ORDER BY u.message_id LIMIT $3
        """);

    // Both tables are asked by key: PostgreSQL would read all of one through to join it.
    internal static readonly Statement s_unroutedOf = new(
        """
        SELECT u.message_id, u.recipients, m.sender, m.size_bytes, m.body, m.accepted_at, m.trace_parent, m.flow, m.hold_reason, m.header_id
        FROM unrouted u JOIN messages m ON m.id = u.message_id WHERE u.message_id {in_1} AND m.id {in_1} ORDER BY u.message_id
        """);

    private static readonly Statement s_unroutedDsn = new(
        """
        SELECT u.message_id, u.recipients, m.sender, m.size_bytes, m.body, m.accepted_at, m.trace_parent, m.flow, m.hold_reason, m.header_id, u.parameters
        FROM unrouted_dsn u JOIN messages m ON m.id = u.message_id
        WHERE u.message_id > $1 AND m.accepted_at <= $2 ORDER BY u.message_id LIMIT $3
        """);

    internal static readonly Statement s_unroutedDsnOf = new(
        """
        SELECT u.message_id, u.recipients, m.sender, m.size_bytes, m.body, m.accepted_at, m.trace_parent, m.flow, m.hold_reason, m.header_id, u.parameters
        FROM unrouted_dsn u JOIN messages m ON m.id = u.message_id WHERE u.message_id {in_1} AND m.id {in_1} ORDER BY u.message_id
        """);

    private const string Timed =
        """
        SELECT u.message_id, u.recipients, m.sender, m.size_bytes, m.body, m.accepted_at, m.trace_parent, m.flow, m.hold_reason, m.header_id, u.parameters, m.timing
        """;

    // Those that are held are not read, however many: "+ 0" keeps the engines from going by the id. Of those that are let go at one moment, which
    // may be very many, each page reads the index alone.
    internal static readonly Statement s_unroutedTimed = new(
        $"""
        {Timed} FROM (
            SELECT message_id FROM unrouted_timed WHERE release_at <= $4 AND message_id + 0 > $1 ORDER BY message_id + 0 LIMIT $3) due
        JOIN unrouted_timed u ON u.message_id = due.message_id
        JOIN messages m ON m.id = due.message_id WHERE m.accepted_at <= $2 ORDER BY u.message_id
        """);

    internal static readonly Statement s_unroutedTimedOf = new(
        $$"""
        {{Timed}} FROM unrouted_timed u JOIN messages m ON m.id = u.message_id
        WHERE u.message_id {in_1} AND m.id {in_1} AND u.release_at <= $2 ORDER BY u.message_id
        """);

    /// <summary>Of a row m of messages, since when its time runs.</summary>
    internal const string Since = "(CASE WHEN m.release_at > m.accepted_at THEN m.release_at ELSE m.accepted_at END)";

    /// <summary>The sender that the hosts of a row r of recipients are given.</summary>
    internal const string ReversePath = "CASE WHEN r.return_path = '' THEN m.sender ELSE r.return_path END";

    /// <summary>What <see cref="ReadQueued"/> reads.</summary>
    internal const string Fields =
        $"""
        r.id, r.address, {ReversePath}, m.size_bytes, m.body, r.attempts, {Since}, r.next_attempt_at, r.route, m.trace_parent, r.original, r.flow,
        m.priority
        """;

    internal const int FieldCount = 13;

    /// <summary>The same, and where it is.</summary>
    internal const string Columns = $"{Fields} FROM recipients r JOIN messages m ON m.id = (r.id >> 16)";

    private const string Due =
        $"""
        SELECT {Columns}
        WHERE r.domain = $1 AND r.state = 0 AND r.claim = 0 AND r.next_attempt_at <= $2 AND (r.next_attempt_at, r.id) > ($4, $5)
        """;

    private const string InOrderOfDue = "ORDER BY r.next_attempt_at, r.id LIMIT $3";

    internal static readonly Statement s_due = new($"{Due} {InOrderOfDue}");

    // Of the others the index alone is read.
    internal static readonly Statement s_dueOfRoute = new($"{Due} AND r.route = $6 {InOrderOfDue}");

    private static readonly Statement s_uncertain = new("SELECT id, uncertain FROM recipients WHERE id {in_1}");

    private static readonly Statement s_queued = new($"SELECT {Columns} WHERE r.id = $1 AND r.state = 0");

    // The later of the two times, as the index has it: domains that back off, however many, are not read.
    private const string WakeAt = "CASE WHEN due_at > backoff_until THEN due_at ELSE backoff_until END";

    private const string DueDomains = $"SELECT domain, {WakeAt} FROM domain_queues q WHERE {WakeAt} <= $1 AND ({WakeAt}, domain) > ($2, $3)";

    private const string IsOurs = "EXISTS (SELECT 1 FROM domains WHERE name = q.domain)";

    // A domain may have become ours, or ours no more, since its recipients were routed; and what has no name here is local wherever it was
    // addressed. Of very many recipients nobody looks at all.
    private const string HasOneOfRoute =
        "EXISTS (SELECT 1 FROM (SELECT route FROM recipients WHERE domain = q.domain AND state = 0 ORDER BY next_attempt_at, id LIMIT 100) r WHERE r.route = ";

    private const string InOrder = $"ORDER BY {WakeAt}, domain LIMIT $4";

    internal static readonly Statement s_dueDomains = new($"{DueDomains} {InOrder}");

    internal static readonly Statement s_dueDomainsOfOpenRoutes = new(
        $"""
        {DueDomains} AND (
            ($5 = 1 AND ({IsOurs} OR {HasOneOfRoute} 1)))
            OR (CASE WHEN failures = 0 THEN $6 ELSE $7 END = 1 AND (NOT {IsOurs} OR {HasOneOfRoute} 0))))
        {InOrder}
        """);

    private static readonly Statement s_claim = new("SELECT 1 FROM claims WHERE id = $1 AND domain = $2");

    internal static readonly Statement s_batchesHeld = new("SELECT batch FROM claims WHERE batch {in_1}");

    private static readonly Statement s_ends = new("SELECT id, attempts, state FROM recipients WHERE id {in_1}");

    internal static readonly Statement s_batchesOf = new("SELECT batch FROM claims WHERE domain = $1 AND batch <> 0");

    private static readonly Statement s_backoff = new("SELECT failures, backoff_until, reason, site FROM domain_queues WHERE domain = $1");

    private static readonly Statement s_setBackoff = new(
        """
        INSERT INTO domain_queues (domain, due_at, failures, backoff_until, reason) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (domain) DO UPDATE SET failures = excluded.failures, backoff_until = excluded.backoff_until, reason = excluded.reason
        """) { Locks = SharedRows.Domains };

    private static readonly Statement s_follow = new(
        """
        INSERT INTO domain_queues (domain, due_at, failures, backoff_until, reason, site) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (domain) DO UPDATE SET failures = excluded.failures, backoff_until = excluded.backoff_until, reason = excluded.reason, site = excluded.site
        """) { Locks = SharedRows.Domains };

    private static readonly Statement s_setSite = new(
        "UPDATE domain_queues SET site = $2 WHERE domain = $1 AND site <> $2") { Locks = SharedRows.Domains };

    private static readonly Statement s_lockQueue = new(
        """
        INSERT INTO domain_queues (domain, due_at, failures, backoff_until, reason) VALUES ($1, 9223372036854775807, 0, 0, '')
        ON CONFLICT (domain) DO UPDATE SET due_at = domain_queues.due_at
        """) { Locks = SharedRows.Domains };

    private static readonly Statement s_settle = new(
        """
        UPDATE domain_queues SET due_at = (
            SELECT COALESCE(MIN(next_attempt_at), 9223372036854775807) FROM recipients WHERE domain = $1 AND state = 0)
        WHERE domain = $1 RETURNING due_at
        """);

    private static readonly Statement s_forgetQueue = new(
        "DELETE FROM domain_queues WHERE domain = $1 AND failures = 0 AND due_at = 9223372036854775807");

    /// <summary>By then what is too late has been returned.</summary>
    private static readonly TimeSpan s_deadlinePause = TimeSpan.FromMinutes(1);

    private static readonly Statement s_ownCommit = new("SELECT {own_commit}");

    /// <summary>Returns when storage has committed, as durably as anything else, a transaction that changes nothing.</summary>
    public Task CommitNothingAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return database.WriteAsync(async transaction => (await transaction.QueryAsync(s_ownCommit, r => r.GetInt64(0))).Count);
    }

    /// <summary>The number of a batch. Batches and claims are numbered together: none has the number of another.</summary>
    public ValueTask<long> NextBatchIdAsync(CancellationToken cancellationToken) => database.ClaimIds.NextAsync(cancellationToken);

    /// <summary>
    /// Gives each message its recipient rows, all in one transaction. A message that was routed before is left alone, so
    /// that hints may be repeated, and so is one whose sender wants it to leave later. Returns the recipients made that are due at once; those that are held are not.
    /// </summary>
    /// <param name="reportDelay">How long failures that are known from the start wait for others of their message.</param>
    /// <param name="suppressed">Gets the ids of those who ended at once by their senders' suppression lists, and what these say; null: nobody wants to know.</param>
    public Task<IReadOnlyList<(string Domain, Recipient Recipient)>> RouteAsync(
        IReadOnlyList<RoutedMessage> messages, TimeSpan reportDelay = default, List<(long RecipientId, RoutedRecipient Recipient)>? suppressed = null)
    {
        var now = database.Time.GetUtcNow();
        return database.WriteAsync<IReadOnlyList<(string, Recipient)>>(async transaction =>
        {
            var taken = await TakeAsync(transaction, messages, now);
            var made = new List<(string, Recipient)>(messages.Count);
            suppressed?.Clear();
            // Taken once, should one be named twice.
            foreach (var routed in messages.Where(routed => taken.Remove(routed.Message.MessageId)))
            {
                Insert(transaction, routed, now, reportDelay, made, suppressed);
                // What waits for an operator is nobody's word yet.
                var readAt = routed.Message.HoldReason.Length == 0 ? DateTimeOffset.UnixEpoch : now + HeldReportPause;
                if (routed.MayBeReport)
                    transaction.ExecuteLast(s_insertUnread, routed.Message.MessageId, readAt);
                if (routed.MayBeFeedback)
                    transaction.ExecuteLast(s_insertFeedback, routed.Message.MessageId, readAt);

                if (routed.IsSearchable)
                    SearchTermStore.Insert(transaction, routed.Message.MessageId, TermsOf(routed));
            }

            foreach (var domain in made.Select(row => row.Item1).Distinct().Order(StringComparer.Ordinal))
                transaction.ExecuteLast(s_dueNoLater, domain, now);
            return made;
        });
    }

    /// <summary>
    /// Messages that were accepted before the given time and still wait for the router, in order of their ids; not those that their senders
    /// have held until later.
    /// </summary>
    public async Task<IReadOnlyList<Envelope>> ListUnroutedAsync(
        long afterMessageId, DateTimeOffset acceptedBefore, int limit, CancellationToken cancellationToken)
    {
        var plain = await database.QueryAsync(s_unrouted, ReadUnrouted, cancellationToken, afterMessageId, acceptedBefore, limit);
        var withDsn = await database.QueryAsync(s_unroutedDsn, ReadUnroutedDsn, cancellationToken, afterMessageId, acceptedBefore, limit);
        var timed = await database.QueryAsync(
            s_unroutedTimed, ReadUnroutedTimed, cancellationToken, afterMessageId, acceptedBefore, limit, database.Time.GetUtcNow());
        return withDsn.Count + timed.Count == 0
            ? plain : [.. plain.Concat(withDsn).Concat(timed).OrderBy(message => message.MessageId).Take(limit)];
    }

    /// <summary>Of these messages the ones that wait for the router, with the envelopes they were accepted with.</summary>
    public async Task<IReadOnlyList<Envelope>> FindUnroutedAsync(
        IReadOnlyCollection<long> messageIds, CancellationToken cancellationToken)
    {
        if (messageIds.Count == 0)
            return [];
        var found = await database.QueryAsync(s_unroutedOf, ReadUnrouted, cancellationToken, SqlValue.FromIds(messageIds));
        // As a rule all are there, and none has parameters about reports or time.
        if (found.Count < messageIds.Count)
        {
            found.AddRange(await database.QueryAsync(
                s_unroutedDsnOf, ReadUnroutedDsn, cancellationToken, SqlValue.FromIds(messageIds.Except(found.Select(message => message.MessageId)))));
        }
        if (found.Count < messageIds.Count)
        {
            found.AddRange(await database.QueryAsync(
                s_unroutedTimedOf, ReadUnroutedTimed, cancellationToken,
                SqlValue.FromIds(messageIds.Except(found.Select(message => message.MessageId))), database.Time.GetUtcNow()));
        }
        return found;
    }

    /// <summary>Unclaimed recipients of the domain that are due, longest due first, behind the given place.</summary>
    /// <param name="only">Those that go this way; null: all.</param>
    public async Task<IReadOnlyList<Recipient>> ListDueAsync(
        string domain, DateTimeOffset dueBefore, int limit, CancellationToken cancellationToken, DuePlace after = default, RecipientRoute? only = null)
    {
        var from = after.NextAttemptAt.ToUnixTimeMilliseconds();
        return only is not { } route
            ? await database.QueryAsync(s_due, ReadQueued, cancellationToken, domain, dueBefore, limit, from, after.RecipientId)
            : await database.QueryAsync(s_dueOfRoute, ReadQueued, cancellationToken, domain, dueBefore, limit, from, after.RecipientId, (long)route);
    }

    /// <summary>The recipient as it waits, whoever holds it; null when it has its outcome.</summary>
    public async Task<Recipient?> FindQueuedAsync(long recipientId, CancellationToken cancellationToken) =>
        (await database.QueryAsync(s_queued, ReadQueued, cancellationToken, recipientId)).FirstOrDefault();

    /// <summary>How many attempts of each of these may have delivered, and nobody knows.</summary>
    public async Task<IReadOnlyDictionary<long, int>> CountUncertainAsync(IReadOnlyCollection<long> recipientIds, CancellationToken cancellationToken) =>
        (await database.QueryAsync(s_uncertain, r => (Id: r.GetInt64(0), Count: r.GetInt32(1)), cancellationToken, SqlValue.FromIds(recipientIds)))
            .ToDictionary(row => row.Id, row => row.Count);

    /// <summary>The claim is there, and on recipients of this domain.</summary>
    public async Task<bool> IsClaimHeldAsync(long claimId, string domain, CancellationToken cancellationToken) =>
        (await database.QueryAsync(s_claim, r => true, cancellationToken, claimId, domain)).Count > 0;

    /// <summary>Of these batches the ones that somebody holds a claim for.</summary>
    public async Task<IReadOnlySet<long>> FindHeldAsync(IReadOnlyCollection<long> batchIds, CancellationToken cancellationToken) =>
        (await database.QueryAsync(s_batchesHeld, r => r.GetInt64(0), cancellationToken, SqlValue.FromIds(batchIds))).ToHashSet();

    /// <summary>What is known of these, who were given out as one batch, when nobody holds a claim for it.</summary>
    public async Task<BatchEnd> FindEndAsync(IReadOnlyCollection<Recipient> recipients, CancellationToken cancellationToken)
    {
        var before = recipients.ToDictionary(recipient => recipient.RecipientId, recipient => recipient.Attempts);
        var now = await database.QueryAsync(
            s_ends, r => (Id: r.GetInt64(0), Attempts: r.GetInt32(1), State: (RecipientState)r.GetInt32(2)), cancellationToken,
            SqlValue.FromIds(before.Keys));
        return now.Any(recipient => recipient.State == RecipientState.Delivered) ? BatchEnd.Delivered
            : now.Any(recipient => recipient.Attempts > before[recipient.Id]) ? BatchEnd.Tried : BatchEnd.Untried;
    }

    /// <summary>
    /// Domains that may have due recipients and do not back off, after the given one in the order of the times since when that is so.
    /// </summary>
    /// <param name="only">Domains with recipients that go such a way, as far as the directory and the first of their recipients tell; null: all.</param>
    public async Task<IReadOnlyList<DueDomain>> ListDueDomainsAsync(
        DateTimeOffset dueBefore, DueDomain after, int limit, CancellationToken cancellationToken, OpenRoutes? only = null) =>
        only is not { } open || open == OpenRoutes.All
            ? await database.QueryAsync(s_dueDomains, ReadDueDomain, cancellationToken, dueBefore, after.DueAt, after.Domain, limit)
            : await database.QueryAsync(
                s_dueDomainsOfOpenRoutes, ReadDueDomain, cancellationToken, dueBefore, after.DueAt, after.Domain, limit, open.Local ? 1 : 0,
                open.Remote ? 1 : 0, open.Failing ? 1 : 0);

    public async Task<DomainBackoff> FindBackoffAsync(string domain, CancellationToken cancellationToken) =>
        (await FindDomainAsync(domain, cancellationToken)).Backoff;

    /// <summary>The domain's back-off, and where its mail goes, as far as that is remembered; else empty.</summary>
    public async Task<(DomainBackoff Backoff, string Site)> FindDomainAsync(string domain, CancellationToken cancellationToken)
    {
        var rows = await database.QueryAsync(
            s_backoff, r => (new DomainBackoff(r.GetInt32(0), StoredTime.Read(r, 1), r.GetString(2)), r.GetString(3)), cancellationToken, domain);
        return rows is [var found] ? found : (DomainBackoff.None, "");
    }

    public Task SetBackoffAsync(string domain, DomainBackoff backoff) =>
        database.WriteAsync(transaction => transaction.ExecuteAsync(
            s_setBackoff, domain, backoff.BackoffUntil, backoff.Failures, backoff.BackoffUntil, StoredText.Note(backoff.Reason)));

    /// <summary>The domain backs off as long as its site rests.</summary>
    public Task FollowSiteAsync(string domain, DomainBackoff backoff, string site) =>
        database.WriteAsync(transaction => transaction.ExecuteAsync(
            s_follow, domain, backoff.BackoffUntil, backoff.Failures, backoff.BackoffUntil, StoredText.Note(backoff.Reason), StoredText.Note(site)));

    /// <summary>Where the domain's mail goes, as the last attempt found. Of a domain for which nobody waits nothing is remembered.</summary>
    public Task SetSiteAsync(string domain, string site) =>
        database.WriteAsync(transaction => transaction.ExecuteAsync(s_setSite, domain, StoredText.Note(site)));

    /// <summary>
    /// Reads the domain's earliest next attempt and notes it, so that the reconciler need not look before. Returns null when
    /// nothing is queued for the domain.
    /// </summary>
    public Task<DateTimeOffset?> SettleAsync(string domain) =>
        database.WriteAsync<DateTimeOffset?>(async transaction =>
        {
            // The row is there and locked first: a router of another process that inserts for this domain comes wholly before or
            // after. One of this process may share the transaction: what is read is written by the same statement, and only a
            // row that nobody has made due since is forgotten.
            await LockQueueAsync(transaction, domain);
            var due = (await transaction.QueryAsync(s_settle, r => r.GetInt64(0), domain))[0];
            if (due != long.MaxValue)
                return DateTimeOffset.FromUnixTimeMilliseconds(due);
            await transaction.ExecuteAsync(s_forgetQueue, domain);
            return null;
        });

    /// <summary>Batches of the domain that somebody holds a claim for.</summary>
    public async Task<IReadOnlySet<long>> ListHeldAsync(string domain, CancellationToken cancellationToken) =>
        (await database.QueryAsync(s_batchesOf, r => r.GetInt64(0), cancellationToken, domain)).ToHashSet();

    /// <summary>An operator has released the message: somebody looks now whether it is a report, if it may be one.</summary>
    internal static async ValueTask ReportReleasedAsync(IWriteTransaction transaction, long messageId, DateTimeOffset now)
    {
        await transaction.ExecuteAsync(s_unreadReleased, messageId, now);
        await transaction.ExecuteAsync(s_feedbackReleased, messageId, now);
    }

    /// <summary>Makes the domain's row where there is none.</summary>
    internal static async ValueTask LockQueueAsync(IWriteTransaction transaction, string domain) => await transaction.ExecuteAsync(s_lockQueue, domain);

    internal static ValueTask<int> DueNoLaterAsync(IWriteTransaction transaction, string domain, DateTimeOffset dueAt) =>
        transaction.ExecuteAsync(s_dueNoLater, domain, dueAt);

    private static DueDomain ReadDueDomain(DbDataReader row) => new(row.GetString(0), StoredTime.Read(row, 1));

    private static Envelope ReadUnrouted(DbDataReader r) => new(
        r.GetInt64(0), r.GetString(2), r.GetString(1).Split('\n'), r.GetInt64(3), (BodyType)r.GetInt32(4), StoredTime.Read(r, 5), r.GetString(6), r.GetString(7),
        r.GetString(8), HeaderId: r.GetString(9));

    private static Envelope ReadUnroutedDsn(DbDataReader r) => ReadUnrouted(r) with { Dsn = EnvelopeDsn.Parse(r.GetString(10)) };

    private static Envelope ReadUnroutedTimed(DbDataReader r) => ReadUnroutedDsn(r) with { Timing = MailTiming.Parse(r.GetString(11)) };

    /// <summary>Those that nobody has routed are taken here.</summary>
    private static async ValueTask<HashSet<long>> TakeAsync(
        IWriteTransaction transaction, IReadOnlyList<RoutedMessage> messages, DateTimeOffset now)
    {
        // One is as a rule all: most envelopes say nothing about reports or time.
        var takes = messages.SelectMany(TakingsOf, (routed, taking) => (Taking: taking, routed.Message.MessageId)).GroupBy(one => one.Taking, one => one.MessageId).Select(some => some.Key == s_takeUnroutedTimed
            ? transaction.QueryAsync(some.Key, r => r.GetInt64(0), SqlValue.FromIds(some), now)
            : transaction.QueryAsync(some.Key, r => r.GetInt64(0), SqlValue.FromIds(some))).ToList();
        var taken = new HashSet<long>();
        foreach (var ids in takes)
            taken.UnionWith(await ids);
        return taken;
    }

    /// <summary>From the one table in which it is. REQUIRETLS is with what says something about time, and was not always: an envelope that said nothing of that may be in either.</summary>
    private static Statement[] TakingsOf(RoutedMessage routed) => routed.Message switch
    {
        { Timing: not null } => [s_takeUnroutedTimed],
        { Dsn: var dsn } when routed.Message.Body.HasFlag(BodyType.RequireTls) => [s_takeUnroutedTimed, dsn is null ? s_takeUnrouted : s_takeUnroutedDsn],
        { Dsn: not null } => [s_takeUnroutedDsn],
        _ => [s_takeUnrouted],
    };

    internal static Recipient ReadQueued(DbDataReader r) => new(
        r.GetInt64(0), r.GetString(1), r.GetString(2), r.GetInt64(3), (BodyType)r.GetInt32(4), r.GetInt32(5), StoredTime.Read(r, 6),
        StoredTime.Read(r, 7), (RecipientRoute)r.GetInt32(8), r.GetString(9), r.GetString(10), r.GetString(11),
        r.GetInt32(12));

    private void Insert(
        IWriteTransaction transaction, RoutedMessage routed, DateTimeOffset now, TimeSpan reportDelay, List<(string, Recipient)> made,
        List<(long, RoutedRecipient)>? suppressed)
    {
        var message = routed.Message;
        // RFC 2852: nobody begins with what is to be returned by now; who looks after deadlines does that, whenever the next attempt would be.
        var isTooLate = message.Timing?.By is { IsReturned: true } end && end.At <= now;
        var due = isTooLate ? now + s_deadlinePause : now;
        var hasSuppressed = routed.Recipients.Any(recipient => recipient.Suppression is not null);
        // Where all have ended nothing more is to be gathered.
        var delay = hasSuppressed && routed.Recipients.All(recipient => recipient.Suppression is not null) ? TimeSpan.Zero : reportDelay;
        for (var number = 0; number < routed.Recipients.Count; number++)
        {
            var recipient = routed.Recipients[number];
            var id = RecipientIds.Of(message.MessageId, number);
            if (recipient.Suppression is not null)
            {
                InsertSuppressed(transaction, id, recipient, message, now, delay, events);
                suppressed?.Add((id, recipient));
                continue;
            }
            if (recipient.IsNoted)
            {
                InsertNoted(transaction, id, recipient, message, due);
                if (recipient.IsExpanded || message.HoldReason.Length > 0)
                    continue;
            }
            else if (message.HoldReason.Length > 0)
            {
                transaction.ExecuteLast(
                    s_insertHeld, id, recipient.Address, recipient.Original, recipient.Domain, (long)recipient.Route, message.Flow, now,
                    message.HoldReason);
                continue;
            }
            if (!recipient.IsNoted)
            {
                transaction.ExecuteLast(
                    s_insertRecipient, id, recipient.Address, recipient.Original, recipient.Domain, (long)recipient.Route, message.Flow, due);
            }
            if (isTooLate)
            {
                transaction.ExecuteLast(s_dueNoLater, recipient.Domain, due);
                continue;
            }
            made.Add((recipient.Domain, new Recipient(
                id, recipient.Address, recipient.ReturnPath.Length > 0 ? recipient.ReturnPath : message.Sender, message.SizeBytes, message.Body, 0, SinceOf(message), now,
                recipient.Route, message.TraceParent, recipient.Original, message.Flow, message.Timing?.Priority ?? 0)));
        }
        if (message.Timing?.By is { } by)
            DeadlineStore.Insert(transaction, message.MessageId, by);
        var references = message.Dsn is null && !hasSuppressed ? routed.Recipients.Count : routed.Recipients.Sum(recipient => References(recipient, message));
        if (references != message.Recipients.Length)
            transaction.ExecuteLast(s_setReferences, message.MessageId, references);
        if (references == 0)
            transaction.DeleteContent(message.MessageId);
    }

    private static void InsertSuppressed(
        IWriteTransaction transaction, long id, RoutedRecipient recipient, Envelope message, DateTimeOffset now, TimeSpan reportDelay, EventSubscriptions? events)
    {
        transaction.ExecuteLast(
            s_insertSuppressed, id, recipient.Address, recipient.Original, recipient.Domain, (long)recipient.Route, message.Flow, now,
            (long)(recipient.Dsn?.Notify ?? DsnNotify.Unsaid), recipient.Dsn?.OriginalRecipient ?? "", recipient.ReturnPath);
        var why = new AttemptResult(id, AttemptOutcome.Failed, Suppression.Status, recipient.Suppression!.Explanation, "", now, now);
        OutcomeWriter.NeverTried(transaction, why, events);
        if (OwesFailure(recipient, message))
            UnreportedStore.NoteUntried(transaction, recipient, why, reportDelay);
    }

    private static void InsertNoted(IWriteTransaction transaction, long id, RoutedRecipient recipient, Envelope message, DateTimeOffset now)
    {
        var state = recipient.IsExpanded ? RecipientState.Expanded : message.HoldReason.Length > 0 ? RecipientState.Held : RecipientState.Queued;
        var notify = (long)(recipient.Dsn?.Notify ?? DsnNotify.Unsaid) | (OwesSuccess(recipient, message) ? RecipientNotify.OwesSuccess : 0);
        transaction.ExecuteLast(
            s_insertNoted, id, recipient.Address, recipient.Original, recipient.Domain, (long)recipient.Route, message.Flow, (long)state, now,
            recipient.IsExpanded ? "" : message.HoldReason, notify, recipient.Dsn?.OriginalRecipient ?? "", recipient.ReturnPath);
    }

    private static HashSet<long> TermsOf(RoutedMessage routed) => SearchTerm.Of(
        routed.Message.Sender, routed.Message.HeaderId, routed.Recipients.SelectMany(recipient => new[] { recipient.Address, recipient.Original }));

    private static DateTimeOffset SinceOf(Envelope message) =>
        message.Timing?.Release is { } release && release.At > message.AcceptedAt ? release.At : message.AcceptedAt;

    // RFC 5321 §4.5.5: the null sender is told nothing.
    private static bool OwesSuccess(RoutedRecipient recipient, Envelope message) =>
        message.Sender.Length > 0 && recipient.Dsn is { } dsn && RcptDsn.Asks(dsn.Notify, DsnNotify.Success);

    private static bool OwesFailure(RoutedRecipient recipient, Envelope message) =>
        message.Sender.Length > 0 && (recipient.Dsn is not { } dsn || RcptDsn.Asks(dsn.Notify, DsnNotify.Failure));

    private static int References(RoutedRecipient recipient, Envelope message) => recipient.Suppression is not null
        ? OwesFailure(recipient, message) ? 1 : 0
        : (recipient.IsExpanded ? 0 : 1) + (OwesSuccess(recipient, message) ? 1 : 0);
}
