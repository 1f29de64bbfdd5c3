using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>A time at which somebody has to look what became of a message (RFC 2852).</summary>
/// <param name="IsReturned">What still waits then is returned; else its sender is told that it does.</param>
/// <param name="LookAt">When it is looked at next: at that time, or later where that was in vain.</param>
public sealed record DeliveryDeadline(long MessageId, DateTimeOffset At, bool IsReturned, DateTimeOffset LookAt)
{
    public static readonly DeliveryDeadline Start = new(0, DateTimeOffset.UnixEpoch, IsReturned: false, DateTimeOffset.UnixEpoch.AddYears(-100));
}

/// <summary>Times by which senders want their messages delivered: kept from routing until they were met, whatever the queues do meanwhile.</summary>
public sealed class DeadlineStore(MailDatabase database)
{
    private const long Returned = 1;
    private const long Told = 2;

    /// <summary>Recipients of one message that are read at once.</summary>
    public const int MostRecipients = 1000;

    private static readonly Statement s_insert = new("INSERT INTO deadlines (message_id, due_at, kind, look_at) VALUES ($1, $2, $3, $2) ON CONFLICT DO NOTHING");

    internal static readonly Statement s_due = new(
        "SELECT message_id, due_at, kind, look_at FROM deadlines WHERE look_at <= $1 AND (look_at, message_id) > ($2, $3) ORDER BY look_at, message_id LIMIT $4");

    private static readonly Statement s_waiting = new(
        $"SELECT {QueueStore.Columns} WHERE r.id BETWEEN $1 AND $2 AND r.state + 0 = 0 AND r.claim = 0 ORDER BY r.id LIMIT $3");

    // Who is being tried, or held by an operator, may wait again.
    private static readonly Statement s_endIfOver = new(
        """
        DELETE FROM deadlines WHERE message_id = $1
            AND NOT EXISTS (SELECT 1 FROM recipients WHERE id BETWEEN $2 AND $3 AND state IN (0, 5))
        """);

    private static readonly Statement s_endOver = new(
        """
        DELETE FROM deadlines WHERE message_id {in_1} AND NOT EXISTS (
            SELECT 1 FROM recipients WHERE id BETWEEN (message_id << 16) AND (message_id << 16) + 65535 AND state IN (0, 5))
        RETURNING message_id
        """);

    // Who is being tried may wait again in a moment; whom a rule holds waits as others do.
    private static readonly Statement s_lookLater = new(
        """
        UPDATE deadlines SET look_at = $5 WHERE message_id = $2
            AND NOT EXISTS (SELECT 1 FROM recipients WHERE id BETWEEN $3 AND $4 AND state = 0 AND NOT (id {in_1}))
        """);

    private static readonly Statement s_end = new("DELETE FROM deadlines WHERE message_id = $1");

    internal static readonly Statement s_forget = new("DELETE FROM deadlines WHERE message_id {in_1}");

    /// <summary>Times that have come, after the given one in their order.</summary>
    public async Task<IReadOnlyList<DeliveryDeadline>> ListDueAsync(DateTimeOffset now, DeliveryDeadline after, int limit, CancellationToken cancellationToken) =>
        await database.QueryAsync(
            s_due, r => new DeliveryDeadline(r.GetInt64(0), StoredTime.Read(r, 1), r.GetInt64(2) == Returned, StoredTime.Read(r, 3)), cancellationToken, now, after.LookAt,
            after.MessageId, limit);

    /// <summary>Recipients of the message that wait and that nobody tries, behind this one, at most <see cref="MostRecipients"/>.</summary>
    public async Task<IReadOnlyList<Recipient>> ListWaitingAsync(long messageId, CancellationToken cancellationToken, long after = 0)
    {
        var (first, last) = Range(messageId);
        return await database.QueryAsync(s_waiting, QueueStore.ReadQueued, cancellationToken, Math.Max(first, after + 1), last, MostRecipients);
    }

    /// <summary>Those of which nobody may wait any more need not be looked at. Returns them.</summary>
    public async Task<IReadOnlySet<long>> EndOverAsync(IEnumerable<long> messageIds)
    {
        var ids = SqlValue.FromIds(messageIds);
        return await database.WriteAsync<IReadOnlySet<long>>(async transaction => (await transaction.QueryAsync(s_endOver, r => r.GetInt64(0), ids)).ToHashSet());
    }

    /// <summary>It was met: nobody has to look at the message any more. With <paramref name="onlyIfOver"/> not as long as a recipient of it may wait.</summary>
    public Task<int> EndAsync(long messageId, bool onlyIfOver)
    {
        var (first, last) = Range(messageId);
        return database.WriteAsync(transaction => onlyIfOver
            ? transaction.ExecuteAsync(s_endIfOver, messageId, first, last) : transaction.ExecuteAsync(s_end, messageId));
    }

    /// <summary>Looks at it no sooner than then, where operators hold what is left of it and nobody else waits.</summary>
    /// <param name="held">Recipients of it that rules hold; those that are held one by one are known here.</param>
    public Task LookLaterAsync(long messageId, IReadOnlyCollection<long> held, DateTimeOffset at)
    {
        var (first, last) = Range(messageId);
        return database.WriteAsync(transaction => transaction.ExecuteAsync(s_lookLater, SqlValue.FromIds(held.Count == 0 ? [0] : held), messageId, first, last, at));
    }

    internal static void Insert(IWriteTransaction transaction, long messageId, DeliverBy by) =>
        transaction.ExecuteLast(s_insert, messageId, by.At, by.IsReturned ? Returned : Told);

    private static (long First, long Last) Range(long messageId) =>
        (RecipientIds.Of(messageId, 0), RecipientIds.Of(messageId, RecipientIds.MaxPerMessage - 1));
}
