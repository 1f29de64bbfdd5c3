using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>How many recipients were changed, and how many were left alone because a worker tries them.</summary>
public sealed record OperatorChange(int Changed, int BeingTried);

/// <summary>Since when delivery is paused, and by whom.</summary>
public sealed record DeliveryPaused(DateTimeOffset Since, string Operator);

/// <summary>A message of which recipients are held.</summary>
public sealed record HeldMessage(long MessageId, int Recipients);

/// <summary>
/// What operators change while mail is on its way. Each change is one transaction with the note of who made it, and respects
/// claims: a recipient that a worker is trying is left alone.
/// </summary>
public sealed class OperatorStore(MailDatabase database)
{
    private const string DeliveryPause = "delivery_paused";

    // What a pause is done to, in the audit.
    private const string Delivery = "all mail";

    private static readonly Statement s_switchOn = new(
        "INSERT INTO switches (name, since, set_by) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");

    private static readonly Statement s_switchOff = new("DELETE FROM switches WHERE name = $1 RETURNING since, set_by");

    private static readonly Statement s_switch = new("SELECT since, set_by FROM switches WHERE name = $1");

    private static readonly Statement s_open = new("SELECT id FROM recipients WHERE id BETWEEN $1 AND $2 AND state IN (0, 5)");

    private static readonly Statement s_beingTried = new(
        "SELECT COUNT(*) FROM recipients WHERE id BETWEEN $1 AND $2 AND state = 0 AND claim <> 0");

    private static readonly Statement s_held = new(
        "SELECT id >> 16, COUNT(*) FROM recipients WHERE state = 5 GROUP BY id >> 16 ORDER BY 1 LIMIT $1");

    /// <summary>False: it is paused already.</summary>
    public async Task<bool> PauseDeliveryAsync(OperatorIdentity by)
    {
        var note = await AuditNote.BeginAsync(database, by);
        return await database.WriteAsync(async transaction =>
        {
            if (await transaction.ExecuteAsync(s_switchOn, DeliveryPause, note.At, by.Name) == 0)
                return false;
            await note.WriteAsync(transaction, OperatorAction.DeliveryPaused, Delivery);
            return true;
        });
    }

    /// <summary>Returns what ended; null: it was not paused.</summary>
    public async Task<DeliveryPaused?> ResumeDeliveryAsync(OperatorIdentity by)
    {
        var note = await AuditNote.BeginAsync(database, by);
        return await database.WriteAsync(async transaction =>
        {
            var ended = (await transaction.QueryAsync(s_switchOff, ReadPause, DeliveryPause)).FirstOrDefault();
            if (ended is not null)
                await note.WriteAsync(transaction, OperatorAction.DeliveryResumed, Delivery);
            return ended;
        });
    }

    /// <summary>Null: delivery is not paused.</summary>
    public async Task<DeliveryPaused?> FindPauseAsync(CancellationToken cancellationToken) =>
        (await database.QueryAsync(s_switch, ReadPause, cancellationToken, DeliveryPause)).FirstOrDefault();

    /// <summary>Waiting recipients of the message are not due until they are released.</summary>
    public Task<OperatorChange> HoldAsync(long messageId, OperatorIdentity by) =>
        ChangeAsync(messageId, OperatorAction.Held, by, OutcomeWriter.HeldAsync);

    /// <summary>
    /// Held recipients of the message are due at once, with the attempts they had. What they were held for is counted anew.
    /// </summary>
    public Task<OperatorChange> ReleaseAsync(long messageId, OperatorIdentity by) =>
        ChangeAsync(messageId, OperatorAction.Released, by, async (transaction, ids, now) =>
        {
            var domains = await OutcomeWriter.ReleasedAsync(transaction, ids, now);
            foreach (var due in domains.Distinct().Select(domain => QueueStore.DueNoLaterAsync(transaction, domain, now)).ToList())
                await due;
            if (domains.Count > 0)
                await QueueStore.ReportReleasedAsync(transaction, messageId, now);
            return domains.Count;
        });

    /// <summary>Those of these that are held are due at once, with the attempts they had. Returns how many.</summary>
    public Task<int> ReleaseAsync(IReadOnlyCollection<long> recipientIds)
    {
        var now = database.Time.GetUtcNow();
        return database.WriteAsync(async transaction =>
        {
            var domains = await OutcomeWriter.ReleasedAsync(transaction, SqlValue.FromIds(recipientIds), now);
            foreach (var due in domains.Distinct().Order(StringComparer.Ordinal).Select(domain => QueueStore.DueNoLaterAsync(transaction, domain, now)).ToList())
                await due;
            foreach (var message in domains.Count == 0 ? [] : recipientIds.Select(RecipientIds.MessageId).Distinct())
                await QueueStore.ReportReleasedAsync(transaction, message, now);
            return domains.Count;
        });
    }

    /// <summary>
    /// Ends waiting and held recipients of the message without a report, and the bytes when nobody else needs them; also of a message that its
    /// sender wants to leave later.
    /// </summary>
    public Task<OperatorChange> RemoveAsync(long messageId, OperatorIdentity by) =>
        ChangeAsync(messageId, OperatorAction.Removed, by, async (transaction, ids, now) =>
            await OutcomeWriter.RemovedBeforeReleaseAsync(transaction, messageId, now)
                + await OutcomeWriter.RemovedAsync(transaction, messageId, ids, now));

    /// <summary>Messages with held recipients, in order of their ids.</summary>
    public async Task<IReadOnlyList<HeldMessage>> ListHeldAsync(int limit, CancellationToken cancellationToken) =>
        await database.QueryAsync(s_held, r => new HeldMessage(r.GetInt64(0), r.GetInt32(1)), cancellationToken, limit);

    private async Task<OperatorChange> ChangeAsync(
        long messageId, OperatorAction action, OperatorIdentity by, Func<IWriteTransaction, SqlValue, DateTimeOffset, ValueTask<int>> change)
    {
        var (first, last) = (RecipientIds.Of(messageId, 0), RecipientIds.Of(messageId, RecipientIds.MaxPerMessage - 1));
        var note = await AuditNote.BeginAsync(database, by);
        return await database.WriteAsync(async transaction =>
        {
            var open = await transaction.QueryAsync(s_open, r => r.GetInt64(0), first, last);
            var changed = await change(transaction, SqlValue.FromIds(open), note.At);
            if (changed > 0)
                await note.WriteAsync(transaction, action, MessageIds.ToText(messageId), messageId, changed);
            var beingTried = await transaction.QueryAsync(s_beingTried, r => r.GetInt32(0), first, last);
            return new OperatorChange(changed, beingTried[0]);
        });
    }

    private static DeliveryPaused ReadPause(System.Data.Common.DbDataReader row) => new(StoredTime.Read(row, 0), row.GetString(1));
}
