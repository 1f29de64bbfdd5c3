using System.Data.Common;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>A recipient that waits, or is held, and that a rule fits.</summary>
public sealed record RuleTarget(Recipient Recipient, string Domain, string Site, bool IsClaimed);

/// <summary>Of a page, those that fit.</summary>
/// <param name="Looked">Recipients that were looked at.</param>
/// <param name="Next">The place behind which the next page begins; null: there is none.</param>
public sealed record RulePage(IReadOnlyList<RuleTarget> Targets, int Looked, WaitingPlace? Next);

/// <summary>
/// Finds those that wait and that a rule fits, a page at a time: of one message, of one domain after the other where the rule names some, or along all that waits. Storage only narrows down
/// what is read; whether it fits is for <see cref="RuleConditions"/> alone.
/// </summary>
public sealed class RuleTargets(MailDatabase database)
{
    public const int Page = 1000;

    /// <summary>For those who only count.</summary>
    internal const int LongPage = 5000;

    private const string More = ", r.claim, r.domain, COALESCE(q.site, '')";

    private const string Of =
        "JOIN recipients r ON r.id = p.id JOIN messages m ON m.id = (r.id >> 16) LEFT JOIN domain_queues q ON q.domain = r.domain";

    private const string Select = $"SELECT {QueueStore.Fields}{More} FROM (";

    // $4, or the last of the values: the length of the page. The domain, where it is one, comes last in a flow's.
    internal static readonly Statement s_all = new(
        $"""
        {Select}SELECT id, domain, next_attempt_at FROM recipients WHERE state = 0 AND (domain, next_attempt_at, id) > ($1, $2, $3)
            ORDER BY domain, next_attempt_at, id LIMIT $4) p {Of} ORDER BY p.domain, p.next_attempt_at, p.id
        """);

    internal static readonly Statement s_ofDomain = new(
        $"""
        {Select}SELECT id, next_attempt_at FROM recipients WHERE domain = $1 AND state = 0 AND (next_attempt_at, id) > ($2, $3)
            ORDER BY next_attempt_at, id LIMIT $4) p {Of} ORDER BY p.next_attempt_at, p.id
        """);

    internal static readonly Statement s_ofFlow = new(
        $"""
        {Select}SELECT id, next_attempt_at FROM recipients WHERE domain = $1 AND flow = $5 AND state = 0 AND (next_attempt_at, id) > ($2, $3)
            ORDER BY next_attempt_at, id LIMIT $4) p {Of} ORDER BY p.next_attempt_at, p.id
        """);

    internal static readonly Statement s_ofMessage = new(
        $"""
        {Select}SELECT id FROM recipients WHERE id BETWEEN $1 AND $2 AND state + 0 = $3 ORDER BY id LIMIT $4) p {Of} ORDER BY p.id
        """);

    internal static readonly Statement s_held = new($"{Select}SELECT id FROM recipients WHERE state = 5 AND id > $1 ORDER BY id LIMIT $2) p {Of} ORDER BY p.id");

    // $2: below it; $3: with mail of this flow; empty: any.
    private static readonly Statement s_domains = new(
        """
        SELECT q.domain FROM domain_queues q
        WHERE q.domain >= $1 AND ($2 = '' OR q.domain LIKE $2 ESCAPE '!')
            AND ($3 = '' OR EXISTS (SELECT 1 FROM recipients r WHERE r.domain = q.domain AND r.flow = $3 AND r.state = 0))
        ORDER BY q.domain LIMIT 2
        """);

    private readonly ReplyStore _replies = new(database);

    /// <param name="held">Those that are held message by message are looked through, and not those that wait.</param>
    public async Task<RulePage> PageAsync(RuleConditions conditions, WaitingPlace after, bool held, CancellationToken cancellationToken, int page = Page)
    {
        if (conditions.MessageId is { } message)
        {
            var first = Math.Max(RecipientIds.Of(message, 0), after.RecipientId + 1);
            return await FilterAsync(
                conditions, await ReadAsync(s_ofMessage, cancellationToken, first, RecipientIds.Of(message, RecipientIds.MaxPerMessage - 1), held ? 5 : 0, page), page, cancellationToken);
        }
        if (held)
            return await FilterAsync(conditions, await ReadAsync(s_held, cancellationToken, after.RecipientId, page), page, cancellationToken);
        if (conditions.Domain is { IsExact: true } domain)
            return await OfDomainAsync(conditions, after with { Domain = domain.Text }, page, cancellationToken);
        var below = conditions.Domain?.Parent ?? "";
        if (below.Length == 0 && FlowOf(conditions).Length == 0)
        {
            return await FilterAsync(
                conditions, await ReadAsync(s_all, cancellationToken, after.Domain, after.NextAttemptAt, after.RecipientId, page), page, cancellationToken);
        }
        return await OfDomainsAsync(conditions, below, after, page, cancellationToken);
    }

    private async Task<RulePage> OfDomainsAsync(RuleConditions conditions, string below, WaitingPlace after, int page, CancellationToken cancellationToken)
    {
        // The one that the place is in, or the first, and the one behind it.
        var names = await database.QueryAsync(
            s_domains, r => r.GetString(0), cancellationToken, after.Domain, below.Length > 0 ? "%." + LikeText.Literally(below) : "", FlowOf(conditions));
        if (names is not [var name, ..])
            return new([], 0, null);
        var found = await OfDomainAsync(conditions, name == after.Domain ? after : WaitingPlace.Start with { Domain = name }, page, cancellationToken);
        return found.Next is not null || names is not [_, var next] ? found : found with { Next = WaitingPlace.Start with { Domain = next } };
    }

    private async Task<RulePage> OfDomainAsync(RuleConditions conditions, WaitingPlace after, int page, CancellationToken cancellationToken)
    {
        var flow = FlowOf(conditions);
        var rows = flow.Length > 0
            ? await ReadAsync(s_ofFlow, cancellationToken, after.Domain, after.NextAttemptAt, after.RecipientId, page, flow)
            : await ReadAsync(s_ofDomain, cancellationToken, after.Domain, after.NextAttemptAt, after.RecipientId, page);
        return await FilterAsync(conditions, rows, page, cancellationToken);
    }

    /// <summary>The flow that all of it has; empty: it may be any.</summary>
    private static string FlowOf(RuleConditions conditions) => conditions.Login is { IsAddress: true } account ? account.Text : "";

    private async Task<RulePage> FilterAsync(RuleConditions conditions, List<RuleTarget> rows, int page, CancellationToken cancellationToken)
    {
        var now = database.Time.GetUtcNow();
        var fitting = rows.FindAll(row => conditions.FitsBeforeReply(Subject(row, ""), now));
        if (conditions.Reply.Length > 0 && fitting.Count > 0)
        {
            var replies = await _replies.FindLastAsync(
                [.. fitting.Where(row => row.Recipient.Attempts > 0).Select(row => row.Recipient.RecipientId)], cancellationToken);
            fitting.RemoveAll(row => !conditions.Fits(Subject(row, replies.GetValueOrDefault(row.Recipient.RecipientId, "")), now));
        }
        return new(fitting, rows.Count, rows.Count < page ? null
            : new WaitingPlace(rows[^1].Domain, rows[^1].Recipient.NextAttemptAt.ToUnixTimeMilliseconds(), rows[^1].Recipient.RecipientId));
    }

    private static RuleSubject Subject(RuleTarget row, string lastReply) => RuleSubject.Of(row.Recipient, row.Domain, row.Site, lastReply);

    private Task<List<RuleTarget>> ReadAsync(Statement statement, CancellationToken cancellationToken, params SqlValue[] values) =>
        database.QueryAsync(statement, Read, cancellationToken, values);

    private static RuleTarget Read(DbDataReader r) =>
        new(QueueStore.ReadQueued(r), r.GetString(QueueStore.FieldCount + 1), r.GetString(QueueStore.FieldCount + 2), r.GetInt64(QueueStore.FieldCount) != 0);
}
