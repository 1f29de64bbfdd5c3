namespace MailPipeline.Storage.Postgres;

/// <summary>
/// Collects chunks of messages that were never accepted: whoever received them died, or could not take them back. What is found
/// without a message is noted, and deleted when that is still so after <see cref="StorageOptions.AbandonedContentAge"/>, which is
/// longer than any message takes to be received. No clock decides about accepted mail: acceptance and deletion lock the
/// chunks against each other, so that either the deletion finds the message, or the message its chunks gone and is refused.
/// </summary>
internal sealed class OwnerlessContent(TimeSpan age)
{
    /// <summary>Chunks looked at in one round; the next round goes on behind them.</summary>
    private const int Page = 20_000;

    /// <summary>Most messages whose chunks are deleted in one round.</summary>
    private const int MaxDeletions = 100;

    private static readonly Statement s_page = new(
        """
        SELECT DISTINCT c.message_id, CASE WHEN m.id IS NULL THEN 1 ELSE 0 END
        FROM (SELECT (id >> 16) AS message_id FROM chunks WHERE id >= $1 ORDER BY id LIMIT $2) c
        LEFT JOIN messages m ON m.id = c.message_id ORDER BY 1
        """);

    private static readonly Statement s_note = new(
        "INSERT INTO ownerless_content (message_id, seen_at) VALUES ($1, {now}) ON CONFLICT DO NOTHING");

    private static readonly Statement s_abandoned = new(
        "SELECT message_id FROM ownerless_content WHERE seen_at <= {now} - $1 ORDER BY message_id LIMIT $2");

    private static readonly Statement s_lock = new("SELECT 1 FROM chunks WHERE id BETWEEN $1 AND $2 ORDER BY id FOR UPDATE");

    // A statement of its own, after the lock was waited for: only so it sees a message that was accepted meanwhile.
    private static readonly Statement s_delete = new(
        """
        DELETE FROM chunks WHERE id BETWEEN $1 AND $2 AND NOT EXISTS (SELECT 1 FROM messages WHERE id = $3)
        RETURNING size_bytes
        """);

    private static readonly Statement s_forget = new("DELETE FROM ownerless_content WHERE message_id = $1");

    private long _next;

    /// <summary>Deletes what is abandoned and notes what may be. Returns the bytes deleted.</summary>
    public async Task<long> ReclaimAsync(StorageEngine engine, GroupCommitWriter writer, CancellationToken cancellationToken)
    {
        var abandoned = await engine.QueryAsync(
            s_abandoned, r => r.GetInt64(0), [(long)age.TotalMilliseconds, MaxDeletions], cancellationToken);
        var freed = 0L;
        foreach (var messageId in abandoned)
        {
            cancellationToken.ThrowIfCancellationRequested();
            freed += await writer.WriteAsync(transaction => DeleteAsync(transaction, messageId));
        }
        await NoteAsync(engine, writer, cancellationToken);
        return freed;
    }

    private async Task NoteAsync(StorageEngine engine, GroupCommitWriter writer, CancellationToken cancellationToken)
    {
        var seen = await engine.QueryAsync(
            s_page, r => (MessageId: r.GetInt64(0), IsOwnerless: r.GetInt32(1) == 1), [_next, Page], cancellationToken);
        // Behind the last one it begins anew: ids of a block may be used long after those of a later one.
        _next = seen.Count == 0 ? 0 : ChunkIds.First(seen[^1].MessageId + 1);
        var ownerless = seen.Where(message => message.IsOwnerless).ToList();
        if (ownerless.Count == 0)
            return;
        await writer.WriteAsync(async transaction =>
        {
            foreach (var (messageId, _) in ownerless)
                await transaction.ExecuteAsync(s_note, messageId);
            return true;
        });
    }

    private static async ValueTask<long> DeleteAsync(IWriteTransaction transaction, long messageId)
    {
        var (first, last) = (ChunkIds.First(messageId), ChunkIds.Last(messageId));
        await transaction.QueryAsync(s_lock, _ => true, first, last);
        var deleted = await transaction.QueryAsync(s_delete, r => r.GetInt64(0), first, last, messageId);
        await transaction.ExecuteAsync(s_forget, messageId);
        return deleted.Sum();
    }
}
