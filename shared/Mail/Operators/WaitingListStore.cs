using System.Collections.Concurrent;
using System.Text;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>Which of those that wait are looked for. What is empty or null asks for nothing.</summary>
/// <param name="Sender">The reverse-path; case does not count. Empty: the null one. Null: any.</param>
/// <param name="Flow">Whose mail it is where senders take turns (<see cref="FlowKey"/>).</param>
/// <param name="Recipient">Where it goes, or where it was addressed before aliases; case does not count.</param>
/// <param name="Reply">Part of the last reply; case does not count.</param>
/// <param name="AcceptedBefore">Accepted, or let go by its sender, before.</param>
public sealed record WaitingFilter(string? Sender = null, string Flow = "", string Recipient = "", string Reply = "", DateTimeOffset? AcceptedBefore = null)
{
    /// <summary>Being tried, or not; null: either.</summary>
    public bool? IsClaimed { get; init; }

    /// <summary>Its time has come, or not; null: either.</summary>
    public bool? IsDue { get; init; }

    /// <summary>Those of these flows are looked for elsewhere.</summary>
    public IReadOnlyList<string> ExceptFlows { get; init; } = [];

    /// <summary>Either of them will do: the account that was logged in, or the reverse-path; null: any.</summary>
    public string? AccountOrSender { get; init; }

    /// <summary>Those whose messages stand under this term are looked for elsewhere; null: none are.</summary>
    public long? ExceptTerm { get; init; }
}

/// <summary>Which domains are looked through.</summary>
/// <param name="Below">All domains below this one; empty: any.</param>
/// <param name="BacksOff">Null: whether or not.</param>
/// <param name="HasClaims">Only those of which workers hold some.</param>
/// <param name="IsDue">Only those of which some may be due.</param>
public sealed record DomainFilter(string Below = "", bool? BacksOff = null, bool HasClaims = false, bool IsDue = false);

/// <summary>A message that is not routed.</summary>
/// <param name="ReleaseAt">Its sender does not want it to leave before; null: he said nothing.</param>
public sealed record UnroutedMessage(
    long MessageId, IReadOnlyList<string> Recipients, string Sender, string Flow, DateTimeOffset AcceptedAt, DateTimeOffset? ReleaseAt);

/// <summary>A recipient that waits, with all that says why.</summary>
/// <param name="Last">The last attempt; null: it was never tried.</param>
public sealed record WaitingRecipient(
    long RecipientId, string Address, string Original, string Domain, RecipientRoute Route, RecipientState State, DateTimeOffset NextAttemptAt, bool Claimed,
    DateTimeOffset UpdatedAt, string HoldReason, string Sender, DateTimeOffset AcceptedAt, int Attempts, DomainBackoff Backoff, AttemptResult? Last)
{
    /// <summary>See <see cref="FlowKey"/>.</summary>
    public string Flow { get; init; } = "";

    /// <summary>The sender that its hosts are given, where that is not the message's; else empty.</summary>
    public string ReturnPath { get; init; } = "";

    /// <summary>Where its domain's mail goes; empty: not known.</summary>
    public string Site { get; init; } = "";
}

/// <summary>
/// Finds those that wait, a page at a time: along the index of a domain, of a sender within a domain, of all domains, or of those that are held. A page reads a
/// bounded number of rows, whether or not they are what is looked for, and says where the next one begins.
/// </summary>
public sealed class WaitingListStore(MailDatabase database)
{
    /// <summary>Most rows that one page looks through: of rows that are in no memory some hundredths of a second.</summary>
    public const int Page = 4_000;

    /// <summary>Most messages of a term that one page looks through, with all their recipients.</summary>
    private const int MostMessages = 1_000;

    private static readonly ConcurrentDictionary<string, Statement> s_pages = new(StringComparer.Ordinal);

    internal static readonly Statement s_rows = new(
        $$"""
        SELECT r.id, r.address, r.original, r.domain, r.route, r.state, r.next_attempt_at, r.claim, r.updated_at, r.hold_reason, m.sender, {{QueueStore.Since}},
               r.attempts, COALESCE(q.failures, 0), COALESCE(q.backoff_until, 0), COALESCE(q.reason, ''),
               COALESCE(a.outcome, -1), COALESCE(a.status, ''), COALESCE(a.reply, ''), COALESCE(a.remote_host, ''), COALESCE(a.started_at, 0), COALESCE(a.finished_at, 0),
               r.flow, r.return_path, COALESCE(q.site, '')
        FROM recipients r JOIN messages m ON m.id = r.id >> 16 LEFT JOIN domain_queues q ON q.domain = r.domain
            LEFT JOIN attempts a ON a.recipient_id = r.id AND a.number = (SELECT MAX(n.number) FROM attempts n WHERE n.recipient_id = r.id)
        WHERE r.id {in_1}
        """);

    // Each table is read by its key, from where the page begins on.
    private static readonly Statement s_unrouted = new(
        $"""
        SELECT u.message_id, u.recipients, m.sender, m.flow, {QueueStore.Since}, u.release_at
        FROM (
            SELECT * FROM (SELECT message_id, recipients, 0 AS release_at FROM unrouted WHERE message_id > $1 ORDER BY message_id LIMIT $2) a
            UNION ALL
            SELECT * FROM (SELECT message_id, recipients, 0 AS release_at FROM unrouted_dsn WHERE message_id > $1 ORDER BY message_id LIMIT $2) b
            UNION ALL
            SELECT * FROM (SELECT message_id, recipients, release_at FROM unrouted_timed WHERE message_id > $1 ORDER BY message_id LIMIT $2) c) u
        JOIN messages m ON m.id = u.message_id ORDER BY u.message_id LIMIT $2
        """);

    internal static readonly Statement s_ofTerm = new(
        "SELECT message_id FROM search_terms WHERE term = $1 AND message_id >= $2 ORDER BY message_id LIMIT $3");

    private static readonly Statement s_lastOf = new(
        """
        SELECT set_1.value, COALESCE((SELECT MAX(r.id) FROM recipients r WHERE r.id BETWEEN (set_1.value << 16) AND (set_1.value << 16) + 65535), 0)
        FROM {set_1}
        """);

    private static readonly Statement s_claims = new("SELECT domain, COUNT(*) FROM claims GROUP BY domain");

    internal static readonly Statement s_endOfWindow = new(
        """
        SELECT next_attempt_at, id FROM recipients
        WHERE domain = $1 AND state = 0 AND claim = 0 AND next_attempt_at <= $2 ORDER BY next_attempt_at, id LIMIT 1 OFFSET $3
        """);

    private static readonly Statement s_heldBy = new(
        "SELECT message_id, done_by FROM operator_audit WHERE message_id {in_1} AND action = $2 ORDER BY done_at, id");

    /// <summary>Those of a page of queued recipients that are looked for, in its order, and where the next page begins; null: there is none.</summary>
    /// <param name="domain">Of this domain alone; empty: of all, one after the other.</param>
    /// <param name="after">The place behind which the page begins.</param>
    /// <param name="most">So many are found; then the next page begins behind the last of them.</param>
    /// <param name="page">Rows that are looked through, where not each of them is what is looked for.</param>
    public Task<WaitingPage> FindQueuedAsync(
        WaitingFilter filter, string domain, WaitingPlace after, int most, DateTimeOffset now, CancellationToken cancellationToken, int page = Page)
    {
        var query = new PageQuery(filter);
        var key = "domain, next_attempt_at, id";
        string rows;
        if (domain.Length == 0)
        {
            rows = $"SELECT domain, next_attempt_at, id FROM recipients WHERE state = 0 AND ({key}) > ({query.Add(after.Domain)}, {query.Add(after.NextAttemptAt)}, {query.Add(after.RecipientId)})";
        }
        else
        {
            // The flow comes first in the index of flows, and is the same in all of the page.
            var name = query.Add(domain);
            var flow = filter.Flow.Length > 0 ? $" AND flow = {query.Add(filter.Flow)}" : "";
            key = "next_attempt_at, id";
            rows = $"SELECT domain, next_attempt_at, id FROM recipients WHERE domain = {name} AND state = 0{flow} AND ({key}) > ({query.Add(after.NextAttemptAt)}, {query.Add(after.RecipientId)})";
        }
        return FindAsync(query, rows, key, most, page, now, cancellationToken);
    }

    /// <summary>The same of those that are held, in the order of their ids.</summary>
    /// <param name="domain">Of this one and those that <paramref name="below"/> says; both empty: of all.</param>
    public Task<WaitingPage> FindHeldAsync(
        WaitingFilter filter, string domain, string below, bool? bySystem, WaitingPlace after, int most, CancellationToken cancellationToken, int page = Page)
    {
        var query = new PageQuery(filter with { IsClaimed = null, IsDue = null });
        var rows = $"SELECT domain, next_attempt_at, id FROM recipients WHERE state = 5 AND id > {query.Add(after.RecipientId)}";
        Narrow(query, filter, domain, below);
        if (bySystem is { } system)
            query.WhereRow(system ? "r.hold_reason <> ''" : "r.hold_reason = ''");
        return FindAsync(query, rows, "id", most, page, default, cancellationToken);
    }

    /// <summary>The search term of messages that go to an address, or were addressed to it.</summary>
    public static long TermOfRecipient(string address) => SearchTerm.OfRecipient(address);

    /// <param name="address">Empty: the null reverse-path.</param>
    public static long TermOfSender(string address) => SearchTerm.OfSender(address);

    /// <summary>
    /// The same of those, queued or held, whose messages stand under a search term, in the order of their ids: of all that waits the others are not read.
    /// </summary>
    /// <param name="term">Of a recipient or a sender, who is among what the filter asks for too.</param>
    /// <param name="account">Those queued of this flow are looked for elsewhere; empty: none are.</param>
    public async Task<WaitingPage> FindByTermAsync(
        WaitingFilter filter, long term, string domain, string below, string account, WaitingPlace after, int most, DateTimeOffset now, CancellationToken cancellationToken,
        int page = Page)
    {
        page = Math.Min(page, MostMessages);
        var messages = await database.QueryAsync(s_ofTerm, r => r.GetInt64(0), cancellationToken, term, RecipientIds.MessageId(after.RecipientId), page);
        if (messages.Count == 0)
            return new([], 0, null);
        var lasts = await database.QueryAsync(s_lastOf, r => (Message: r.GetInt64(0), Last: r.GetInt64(1)), cancellationToken, SqlValue.FromIds(messages));
        // The recipients of a message are numbered from 0 on, without a gap.
        var ids = lasts.OrderBy(one => one.Message).SelectMany(one => Between(RecipientIds.Of(one.Message, 0), one.Last)).Where(id => id > after.RecipientId).Take(Page + 1).ToList();
        var behind = ids.Count > Page ? after with { RecipientId = ids[Page - 1] }
            : messages.Count < page ? null : after with { RecipientId = RecipientIds.Of(messages[^1], RecipientIds.MaxPerMessage - 1) };
        if (ids.Count > Page)
            ids.RemoveAt(Page);
        if (ids.Count == 0)
            return new([], messages.Count, behind);
        var query = new PageQuery(filter);
        // They are its first value, and looked up one by one: PostgreSQL would read through all of the table for ranges of so many messages.
        query.Add(SqlValue.FromIds(ids));
        const string rows = "SELECT domain, next_attempt_at, id FROM recipients WHERE id {in_1} AND state + 0 IN (0, 5)";
        Narrow(query, filter, domain, below);
        if (account.Length > 0)
            query.WhereRow($"(r.state = 5 OR r.flow <> {query.Add(account)})");
        var found = await FindAsync(query, rows, "id", most, ids.Count + 1, now, cancellationToken);
        return found with { Looked = Math.Max(found.Looked, messages.Count), Next = found.Next ?? behind };

        static IEnumerable<long> Between(long first, long last)
        {
            for (var id = first; id <= last; id++)
                yield return id;
        }
    }

    /// <summary>Domains with mail that waits, by their names, from one on.</summary>
    public async Task<IReadOnlyList<string>> ListDomainsAsync(
        DomainFilter filter, string flow, string from, int most, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var query = new PageQuery(new WaitingFilter());
        var text = new StringBuilder($"SELECT q.domain FROM domain_queues q WHERE q.domain >= {query.Add(from)}");
        if (filter.Below.Length > 0)
            text.Append($" AND q.domain LIKE {query.Add("%." + LikeText.Literally(filter.Below))} ESCAPE '!'");
        if (filter.BacksOff is { } backsOff)
            text.Append($" AND q.backoff_until {(backsOff ? ">" : "<=")} {query.Add(now)}");
        if (filter.IsDue)
            text.Append($" AND q.due_at <= {query.Add(now)}");
        if (filter.HasClaims)
            text.Append(" AND EXISTS (SELECT 1 FROM claims c WHERE c.domain = q.domain)");
        if (flow.Length > 0)
            text.Append($" AND EXISTS (SELECT 1 FROM recipients r WHERE r.domain = q.domain AND r.flow = {query.Add(flow)} AND r.state = 0)");
        text.Append($" ORDER BY q.domain LIMIT {query.Add(most)}");
        return await database.QueryAsync(StatementOf(text.ToString()), r => r.GetString(0), cancellationToken, query.Values);
    }

    /// <summary>Those of the given ids that are there, in the order of these.</summary>
    public async Task<IReadOnlyList<WaitingRecipient>> ReadAsync(IReadOnlyList<long> ids, CancellationToken cancellationToken)
    {
        var rows = (await database.QueryAsync(s_rows, Read, cancellationToken, SqlValue.FromIds(ids))).ToDictionary(row => row.RecipientId);
        return [.. ids.Where(rows.ContainsKey).Select(id => rows[id])];
    }

    /// <summary>Messages that are not routed, behind the given one.</summary>
    public async Task<IReadOnlyList<UnroutedMessage>> ListUnroutedAsync(long after, int most, CancellationToken cancellationToken) =>
        await database.QueryAsync(
            s_unrouted,
            r => new UnroutedMessage(
                r.GetInt64(0), r.GetString(1).Split('\n', StringSplitOptions.RemoveEmptyEntries), r.GetString(2), r.GetString(3), StoredTime.Read(r, 4),
                r.GetInt64(5) == 0 ? null : StoredTime.Read(r, 5)),
            cancellationToken, after, most);

    /// <summary>How many batches workers hold, by domain.</summary>
    public async Task<IReadOnlyDictionary<string, long>> CountClaimsAsync(CancellationToken cancellationToken) =>
        (await database.QueryAsync(s_claims, r => (Domain: r.GetString(0), Count: r.GetInt64(1)), cancellationToken))
            .ToDictionary(row => row.Domain, row => row.Count, StringComparer.Ordinal);

    /// <summary>The last of the due recipients of the domain for whom there is room in memory, in order of time; null: there is room for all.</summary>
    public async Task<WaitingPlace?> FindEndOfWindowAsync(string domain, int window, DateTimeOffset now, CancellationToken cancellationToken) =>
        (await database.QueryAsync(
            s_endOfWindow, r => new WaitingPlace(domain, r.GetInt64(0), r.GetInt64(1)), cancellationToken, domain, now, Math.Max(0, window - 1))).FirstOrDefault();

    /// <summary>Who held messages last, as far as an operator did.</summary>
    public async Task<IReadOnlyDictionary<long, string>> FindHoldersAsync(IEnumerable<long> messageIds, CancellationToken cancellationToken)
    {
        var holders = new Dictionary<long, string>();
        foreach (var (id, by) in await database.QueryAsync(
            s_heldBy, r => (r.GetInt64(0), r.GetString(1)), cancellationToken, SqlValue.FromIds(messageIds), (long)OperatorAction.Held))
        {
            holders[id] = by;
        }
        return holders;
    }

    private static void Narrow(PageQuery query, WaitingFilter filter, string domain, string below)
    {
        if (domain.Length > 0)
            query.Where($"p.domain = {query.Add(domain)}");
        if (below.Length > 0)
            query.Where($"p.domain LIKE {query.Add("%." + LikeText.Literally(below))} ESCAPE '!'");
        if (filter.Flow.Length > 0)
            query.WhereRow($"r.flow = {query.Add(filter.Flow)}");
    }

    private async Task<WaitingPage> FindAsync(
        PageQuery query, string page, string key, int most, int looked, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var length = query.Finish(now) ? looked : most;
        var order = string.Join(", ", key.Split(", ").Select(column => "p." + column));
        var descending = string.Join(", ", key.Split(", ").Select(column => column + " DESC"));
        var limit = query.Add(most);
        // The last row of the page comes first, whether it is looked for or not, with the length of the page.
        var text = $"""
            WITH p AS ({page} ORDER BY {key} LIMIT {query.Add(length)}),
            f AS (SELECT p.domain, p.next_attempt_at, p.id, ROW_NUMBER() OVER (ORDER BY {order}) AS place FROM p {query.Joins} {query.Conditions})
            SELECT domain, next_attempt_at, id, place, 0 FROM f WHERE place <= {limit}
            UNION ALL
            SELECT domain, next_attempt_at, id, 0, (SELECT COUNT(*) FROM p) FROM (SELECT * FROM p ORDER BY {descending} LIMIT 1) e
            ORDER BY 4
            """;
        var rows = await database.QueryAsync(
            StatementOf(text), r => (Place: new WaitingPlace(r.GetString(0), r.GetInt64(1), r.GetInt64(2)), Looked: r.GetInt64(4)), cancellationToken, query.Values);
        if (rows.Count == 0)
            return new([], 0, null);
        var found = rows.Skip(1).Select(row => row.Place).ToList();
        var (end, count) = rows[0];
        var next = found.Count == most ? found[^1] : count == length ? end : null;
        return new([.. found.Select(place => place.RecipientId)], count, next);
    }

    private static Statement StatementOf(string text) => s_pages.GetOrAdd(text, static sql => new Statement(sql));

    private static WaitingRecipient Read(System.Data.Common.DbDataReader r) => new(
        r.GetInt64(0), r.GetString(1), r.GetString(2), r.GetString(3), (RecipientRoute)r.GetInt32(4), (RecipientState)r.GetInt32(5), StoredTime.Read(r, 6),
        r.GetInt64(7) != 0 && r.GetInt32(5) == 0, StoredTime.Read(r, 8), r.GetString(9), r.GetString(10), StoredTime.Read(r, 11), r.GetInt32(12),
        new(r.GetInt32(13), StoredTime.Read(r, 14), r.GetString(15)),
        r.GetInt32(16) < 0 ? null : new AttemptResult(
            r.GetInt64(0), (AttemptOutcome)r.GetInt32(16), r.GetString(17), r.GetString(18), r.GetString(19), StoredTime.Read(r, 20), StoredTime.Read(r, 21)))
    {
        Flow = r.GetString(22),
        ReturnPath = r.GetString(23),
        Site = r.GetString(24),
    };

    /// <summary>
    /// A statement that asks for nothing but what the filter does. There are as many texts as there are kinds of filters, and each is prepared once.
    /// </summary>
    private sealed class PageQuery(WaitingFilter filter)
    {
        private readonly List<SqlValue> _values = [];
        private readonly List<string> _conditions = [];
        private bool _needsRow;

        public SqlValue[] Values => [.. _values];

        public string Joins { get; private set; } = "";

        public string Conditions => _conditions.Count == 0 ? "" : "WHERE " + string.Join(" AND ", _conditions);

        public string Add(SqlValue value)
        {
            _values.Add(value);
            return $"${_values.Count}";
        }

        public void Where(string condition) => _conditions.Add(condition);

        public void WhereRow(string condition)
        {
            _needsRow = true;
            _conditions.Add(condition);
        }

        /// <summary>True: not all rows of a page may be looked for.</summary>
        public bool Finish(DateTimeOffset now)
        {
            if (filter.IsDue is { } isDue)
                Where($"p.next_attempt_at {(isDue ? "<=" : ">")} {Add(now)}");
            if (filter.IsClaimed is { } isClaimed)
                WhereRow(isClaimed ? "r.claim <> 0" : "r.claim = 0");
            if (filter.Recipient.Length > 0)
            {
                var address = Add(filter.Recipient.ToLowerInvariant());
                WhereRow($"(LOWER(r.address) = {address} OR LOWER(r.original) = {address})");
            }
            if (filter.Sender is { } sender)
                Where($"LOWER(m.sender) = {Add(sender.ToLowerInvariant())}");
            if (filter.AccountOrSender is { } either)
            {
                var name = Add(either.ToLowerInvariant());
                WhereRow($"(r.flow = {name} OR LOWER(m.sender) = {name})");
            }
            if (filter.ExceptTerm is { } term)
                Where($"NOT EXISTS (SELECT 1 FROM search_terms s WHERE s.term = {Add(term)} AND s.message_id = p.id >> 16)");
            if (filter.ExceptFlows.Count > 0)
                WhereRow($"r.flow NOT IN ({string.Join(", ", filter.ExceptFlows.Select(flow => Add(flow)))})");
            if (filter.AcceptedBefore is { } before)
                Where($"{QueueStore.Since} < {Add(before)}");
            if (filter.Reply.Length > 0)
                Where($"LOWER(a.reply) LIKE {Add("%" + LikeText.Literally(filter.Reply.ToLowerInvariant()) + "%")} ESCAPE '!'");
            var joins = new StringBuilder();
            if (_needsRow)
                joins.Append("JOIN recipients r ON r.id = p.id ");
            if (filter.Sender is not null || filter.AccountOrSender is not null || filter.AcceptedBefore is not null)
                joins.Append("JOIN messages m ON m.id = p.id >> 16 ");
            if (filter.Reply.Length > 0)
                joins.Append("JOIN attempts a ON a.recipient_id = p.id AND a.number = (SELECT MAX(n.number) FROM attempts n WHERE n.recipient_id = p.id) ");
            Joins = joins.ToString();
            return _conditions.Count > 0;
        }
    }
}

/// <summary>Of a page, those that are looked for.</summary>
/// <param name="Ids">In the order of the page.</param>
/// <param name="Looked">Rows that were looked through.</param>
/// <param name="Next">The place behind which the next page begins; null: there is none.</param>
public sealed record WaitingPage(IReadOnlyList<long> Ids, long Looked, WaitingPlace? Next);
