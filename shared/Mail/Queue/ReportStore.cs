using System.Data.Common;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>A recipient of whom the sender is told while it waits, or when it has been delivered.</summary>
/// <param name="Original">What the sender wrote, where an alias led on from there; else empty.</param>
/// <param name="OriginalRecipient">ORCPT, as <see cref="MailPipeline.Smtp.RcptDsn"/> has it; empty where there was none.</param>
/// <param name="Last">The last attempt; null where none was made.</param>
/// <param name="NextAttemptAt">When it is tried again at the earliest, where it waits.</param>
/// <param name="DomainReason">Why its domain cannot be reached, where it waits for that; else empty.</param>
/// <param name="IsDeliveredThere">The host that took it delivers itself.</param>
public sealed record TellableRecipient(
    long RecipientId, string Address, string Original, string OriginalRecipient, RecipientRoute Route, RecipientState State, AttemptResult? Last,
    DateTimeOffset NextAttemptAt, string DomainReason, bool IsDeliveredThere = false)
{
    /// <summary>The name of its domain's queue.</summary>
    public required string Domain { get; init; }
}

/// <summary>A message of which recipients of a domain wait, and whose sender may be told so.</summary>
/// <param name="Since">Since when its time runs.</param>
public sealed record LateMessage(long MessageId, string Sender, string Flow, DateTimeOffset Since, string Domain);

/// <summary>A place along the index of recipients that wait.</summary>
public sealed record WaitingPlace(string Domain, long NextAttemptAt, long RecipientId)
{
    public static readonly WaitingPlace Start = new("", 0, 0);
}

/// <summary>A recipient that has ended while a report of success was owed.</summary>
public sealed record OwedSuccess(long RecipientId, RecipientState State, DateTimeOffset EndedAt);

/// <summary>
/// Reports that are not of failures: of delay, and of success. What is owed stands in the recipient's own row, so that it is owed whoever
/// records how the recipient ends; the transaction that accepts the report takes it away there, so that each is told once, whoever dies.
/// </summary>
public sealed class ReportStore(MailDatabase database)
{
    /// <summary>Recipients that wait and are looked at by one statement.</summary>
    internal const int Page = 20_000;

    /// <summary>A recipient that changes each time while its report is composed waits for the next round.</summary>
    private const int MostTries = 3;

    private const string MayBeLate =
        $"m.sender <> '' AND {QueueStore.Since} <= $1 AND (r.notify & 32) = 0 AND ((r.notify & 15) = 0 OR (r.notify & 8) <> 0)";

    // $1 accepted before; $2, $3, $4 the place in the index behind which the page begins; $5 its length.
    internal static readonly Statement s_late = new(
        $"""
        SELECT DISTINCT m.id, m.sender, m.flow, {QueueStore.Since}, p.domain FROM (
            SELECT id, domain FROM recipients WHERE state = 0 AND (domain, next_attempt_at, id) > ($2, $3, $4)
            ORDER BY domain, next_attempt_at, id LIMIT $5) p
        JOIN recipients r ON r.id = p.id JOIN messages m ON m.id = (p.id >> 16) WHERE {MayBeLate}
        """);

    private const string Columns =
        """
        r.id, r.address, r.original, r.orcpt, r.route, r.state, r.next_attempt_at, COALESCE(q.backoff_until, 0), COALESCE(q.failures, 0),
        COALESCE(q.reason, ''), COALESCE(a.outcome, 0), COALESCE(a.status, ''), COALESCE(a.reply, ''), COALESCE(a.remote_host, ''),
        COALESCE(a.started_at, 0), COALESCE(a.finished_at, 0), r.notify, r.domain
        FROM recipients r LEFT JOIN attempts a ON a.recipient_id = r.id AND a.number = r.attempts
        LEFT JOIN domain_queues q ON q.domain = r.domain
        """;

    private static readonly Statement s_lateOf = new(
        $"""
        SELECT {Columns} JOIN messages m ON m.id = (r.id >> 16)
        WHERE r.id BETWEEN $2 AND $3 AND r.state + 0 = 0 AND {MayBeLate} ORDER BY r.id LIMIT $4
        """);

    // As the index has it.
    private const string Owed = "(notify & 16) <> 0 AND state <> 0 AND state <> 5";

    internal static readonly Statement s_owed = new($"SELECT id, state, updated_at FROM recipients WHERE {Owed} AND id > $1 ORDER BY id LIMIT $2");

    private static readonly Statement s_stillOwing = new(
        """
        SELECT CAST(COALESCE(SUM(CASE WHEN state IN (0, 5) AND (notify & 16) <> 0 THEN 1 ELSE 0 END), 0) AS BIGINT), COUNT(*)
        FROM (SELECT state, notify FROM recipients WHERE id BETWEEN $1 AND $2 ORDER BY id LIMIT $3) r
        """);

    private static readonly Statement s_succeededOf = new(
        $"SELECT {Columns} WHERE r.id BETWEEN $1 AND $2 AND (r.notify & 16) <> 0 AND r.state IN (1, 6) ORDER BY r.id LIMIT $3");

    private static readonly Statement s_forget = new(
        """
        DELETE FROM reports WHERE id IN (
            SELECT r.id FROM reports r WHERE r.made_at < $1 AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = r.message_id) ORDER BY r.id LIMIT $2)
        """);

    /// <summary>Messages with no more recipients are looked through to see whether any of them is still to be told of.</summary>
    private const int MostCounted = 100;

    private const int MostForgotten = 1000;

    /// <summary>
    /// Messages accepted before, with recipients that wait and whose sender is to be told so and was not, once for each domain of these: of a page of
    /// those that wait, and where the next page begins; null: there is none.
    /// </summary>
    public async Task<(IReadOnlyList<LateMessage> Messages, WaitingPlace? Next)> ListLateAsync(
        DateTimeOffset acceptedBefore, WaitingPlace after, CancellationToken cancellationToken)
    {
        var late = await database.QueryAsync(
            s_late, r => new LateMessage(r.GetInt64(0), r.GetString(1), r.GetString(2), StoredTime.Read(r, 3), r.GetString(4)), cancellationToken, acceptedBefore, after.Domain, after.NextAttemptAt, after.RecipientId, Page);
        var end = await database.QueryAsync(
            MeasureStore.s_endOfPage, r => new WaitingPlace(r.GetString(0), r.GetInt64(1), r.GetInt64(2)), cancellationToken, after.Domain,
            after.NextAttemptAt, after.RecipientId, Page - 1);
        return (late, end is [var next] ? next : null);
    }

    /// <summary>Accepts the report that <paramref name="compose"/> makes of those of the message's recipients that are late, at most so many.</summary>
    /// <param name="isLate">Asked of those that are told of when the message was accepted before.</param>
    public Task<ReportEnd> ReportLateAsync(
        long messageId, DateTimeOffset acceptedBefore, Func<TellableRecipient, bool> isLate, int limit,
        Func<IReadOnlyList<TellableRecipient>, ComposedMessage> compose, int mostAnHour, CancellationToken cancellationToken)
    {
        var (first, last) = Range(messageId);
        return ReportAsync(
            messageId, ReportKind.Delayed, ListAsync, compose,
            mostAnHour, OutcomeWriter.DelayToldAsync, cancellationToken);

        async Task<List<TellableRecipient>> ListAsync()
        {
            var late = new List<TellableRecipient>();
            for (var from = first; ;)
            {
                var page = await database.QueryAsync(s_lateOf, Read, cancellationToken, acceptedBefore, from, last, limit);
                late.AddRange(page.Where(isLate).Take(limit - late.Count));
                if (page.Count < limit || late.Count == limit)
                    return late;
                from = page[^1].RecipientId + 1;
            }
        }
    }

    /// <summary>Recipients that have ended while a report of success was owed, after the given one.</summary>
    public async Task<IReadOnlyList<OwedSuccess>> ListOwedAsync(long afterRecipientId, int limit, CancellationToken cancellationToken) =>
        await database.QueryAsync(
            s_owed, r => new OwedSuccess(r.GetInt64(0), (RecipientState)r.GetInt32(1), StoredTime.Read(r, 2)), cancellationToken, afterRecipientId, limit);

    /// <summary>No other recipient of the message waits whose success is to be told; false as well where it has too many to look through.</summary>
    public async Task<bool> IsCompleteAsync(long messageId, CancellationToken cancellationToken)
    {
        var (first, last) = Range(messageId);
        return await database.QueryAsync(
            s_stillOwing, r => (Owing: r.GetInt64(0), All: r.GetInt64(1)), cancellationToken, first, last, MostCounted + 1) is [(0, <= MostCounted)];
    }

    /// <summary>Accepts the report that <paramref name="compose"/> makes of those of the message's recipients whose success is owed, at most so many.</summary>
    public Task<ReportEnd> ReportSucceededAsync(
        long messageId, int limit, Func<IReadOnlyList<TellableRecipient>, ComposedMessage> compose, int mostAnHour, CancellationToken cancellationToken)
    {
        var (first, last) = Range(messageId);
        return ReportAsync(
            messageId, ReportKind.Succeeded, () => database.QueryAsync(s_succeededOf, Read, cancellationToken, first, last, limit), compose,
            mostAnHour, OutcomeWriter.SuccessToldAsync, cancellationToken);
    }

    /// <summary>These have ended otherwise: no success is owed any more.</summary>
    public Task SettleAsync(IReadOnlyCollection<long> recipientIds) =>
        database.WriteAsync(transaction => OutcomeWriter.NoSuccessOwedAsync(transaction, recipientIds));

    /// <summary>Forgets reports made before, about messages that are forgotten, a bounded number of them.</summary>
    public Task<int> ForgetAsync(DateTimeOffset madeBefore) =>
        database.WriteAsync(transaction => transaction.ExecuteAsync(s_forget, madeBefore, MostForgotten));

    private async Task<ReportEnd> ReportAsync(
        long messageId, ReportKind kind, Func<Task<List<TellableRecipient>>> list, Func<IReadOnlyList<TellableRecipient>, ComposedMessage> compose,
        int mostAnHour, Func<IWriteTransaction, IReadOnlyCollection<long>, ValueTask<bool>> tellAsync, CancellationToken cancellationToken)
    {
        for (var tries = 0; tries < MostTries; tries++)
        {
            var recipients = await list();
            if (recipients.Count == 0)
                return ReportEnd.Nothing;
            // Neither the writer nor the caller's grain waits for it.
            var report = await Task.Run(() => compose(recipients), cancellationToken);
            var ids = recipients.ConvertAll(recipient => recipient.RecipientId);
            var acceptance = new ReportAcceptance(database, messageId, kind, report, recipients.Count, mostAnHour);
            var end = await database.WriteAsync<ReportEnd?>(
                async transaction => await tellAsync(transaction, ids) ? await acceptance.AcceptAsync(transaction) : null);
            if (end is { } made)
                return made;
        }
        return ReportEnd.Changed;
    }

    private static TellableRecipient Read(DbDataReader r)
    {
        var (id, next, backoffUntil) = (r.GetInt64(0), StoredTime.Read(r, 6), StoredTime.Read(r, 7));
        AttemptResult? last = r.GetInt32(10) == 0 ? null : new(
            id, (AttemptOutcome)r.GetInt32(10), r.GetString(11), r.GetString(12), r.GetString(13), StoredTime.Read(r, 14), StoredTime.Read(r, 15));
        return new TellableRecipient(
            id, r.GetString(1), r.GetString(2), r.GetString(3), (RecipientRoute)r.GetInt32(4), (RecipientState)r.GetInt32(5), last,
            backoffUntil > next ? backoffUntil : next, r.GetInt64(8) > 0 ? r.GetString(9) : "", (r.GetInt64(16) & RecipientNotify.DeliveredThere) != 0)
        {
            Domain = r.GetString(17),
        };
    }

    private static (long First, long Last) Range(long messageId) =>
        (RecipientIds.Of(messageId, 0), RecipientIds.Of(messageId, RecipientIds.MaxPerMessage - 1));
}
