using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>
/// References keep a message's bytes: one for each recipient without a final outcome, or whose failure is not reported yet, one more
/// where a report of success is owed, and one for each maildrop row. The last one that goes takes the bytes along, prefix and content, in the same transaction.
/// </summary>
internal static class ContentReferences
{
    private static readonly Statement s_drop = new(
        "UPDATE messages SET content_refs = content_refs - $2 WHERE id {in_1} RETURNING id, content_refs") { Locks = SharedRows.Messages, IsMerged = true };

    private static readonly Statement s_deleteChunks = new("DELETE FROM chunks WHERE id BETWEEN $1 AND $2") { IsMerged = true };

    /// <summary>Drops one reference to a message for each time that it is named.</summary>
    public static async ValueTask DropReferencesAsync(this IWriteTransaction transaction, IReadOnlyList<long> messageIds)
    {
        if (messageIds.Count == 0)
            return;
        var drops = new List<ValueTask<List<(long Id, long Left)>>>(1);
        if (messageIds.Count == 1 || messageIds.ToHashSet().Count == messageIds.Count)
            drops.Add(DropAsync(transaction, messageIds, 1));
        else
            drops.AddRange(messageIds.CountBy(id => id).GroupBy(one => one.Value, one => one.Key).Select(group => DropAsync(transaction, group, group.Key)));
        foreach (var drop in drops)
        {
            foreach (var (id, left) in await drop)
            {
                if (left <= 0)
                    transaction.DeleteContent(id);
            }
        }
    }

    /// <summary>Nobody needs the bytes of a message any more, whose references are 0 in this transaction.</summary>
    public static void DeleteContent(this IWriteTransaction transaction, long messageId) =>
        transaction.ExecuteLast(s_deleteChunks, ChunkIds.First(messageId), ChunkIds.Last(messageId));

    private static ValueTask<List<(long Id, long Left)>> DropAsync(IWriteTransaction transaction, IEnumerable<long> messageIds, int count) =>
        transaction.QueryAsync(s_drop, static r => (r.GetInt64(0), r.GetInt64(1)), SqlValue.FromIds(messageIds), count);
}
