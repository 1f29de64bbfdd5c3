using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What operators decide of recipients that nobody tries: who is being tried is left alone.</summary>
internal static partial class OutcomeWriter
{
    private static readonly Statement s_held = new(
        "UPDATE recipients SET state = 5, updated_at = $2 WHERE id {in_1} AND state + 0 = 0 AND claim = 0") { Locks = SharedRows.Recipients };

    private static readonly Statement s_released = new(
        """
        UPDATE recipients SET state = 0, deaths = 0, uncertain = 0, hold_reason = '', next_attempt_at = $2, updated_at = $2
        WHERE id {in_1} AND state = 5 RETURNING domain
        """) { Locks = SharedRows.Recipients };

    private static readonly Statement s_removed = new(
        "UPDATE recipients SET state = 4, updated_at = $2 WHERE id {in_1} AND state IN (0, 5) AND claim = 0") { Locks = SharedRows.Recipients };

    private static readonly Statement s_takeHeldBySender = new(
        "DELETE FROM unrouted_timed WHERE message_id = $1 AND release_at > $2 RETURNING recipients") { Locks = SharedRows.UnroutedTimed };

    private static readonly Statement s_insertRemoved = new(
        """
        INSERT INTO recipients (id, address, original, domain, route, flow, state, attempts, next_attempt_at, claim, updated_at)
        VALUES ($1, $2, '', $3, CASE WHEN EXISTS (SELECT 1 FROM domains WHERE name = $3) THEN 1 ELSE 0 END, '', 4, 0, $4, 0, $4)
        """);

    /// <summary>Those that wait are not due until they are released. Returns how many.</summary>
    public static ValueTask<int> HeldAsync(IWriteTransaction transaction, SqlValue recipientIds, DateTimeOffset now) =>
        transaction.ExecuteAsync(s_held, recipientIds, now);

    /// <summary>Those that were held are due, and what they were held for is counted anew. Returns the domain of each.</summary>
    public static ValueTask<List<string>> ReleasedAsync(IWriteTransaction transaction, SqlValue recipientIds, DateTimeOffset now) =>
        transaction.QueryAsync(s_released, r => r.GetString(0), recipientIds, now);

    /// <summary>An operator took them out; nobody is told. Returns how many.</summary>
    public static async ValueTask<int> RemovedAsync(IWriteTransaction transaction, long messageId, SqlValue recipientIds, DateTimeOffset now)
    {
        var removed = await transaction.ExecuteAsync(s_removed, recipientIds, now);
        await transaction.DropReferencesAsync([.. Enumerable.Repeat(messageId, removed)]);
        return removed;
    }

    /// <summary>
    /// Ends the recipients of a message that its sender has held until later: of one that nobody has routed they stand in the envelope alone.
    /// Returns how many there were. To be awaited before anything is asked of recipients that are routed.
    /// </summary>
    public static async ValueTask<int> RemovedBeforeReleaseAsync(IWriteTransaction transaction, long messageId, DateTimeOffset now)
    {
        if (await transaction.QueryAsync(s_takeHeldBySender, r => r.GetString(0), messageId, now) is not [var envelope])
            return 0;
        var recipients = envelope.Split('\n');
        foreach (var (number, address) in recipients.Index())
        {
            transaction.ExecuteLast(
                s_insertRemoved, RecipientIds.Of(messageId, number), address, address[(address.LastIndexOf('@') + 1)..].ToLowerInvariant(), now);
        }
        await transaction.DropReferencesAsync([.. Enumerable.Repeat(messageId, recipients.Length)]);
        return recipients.Length;
    }
}
