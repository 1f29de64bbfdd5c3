using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>
/// Holds keep a message's bytes: one for each recipient without a final outcome, or whose failure is not reported yet, and one for
/// each maildrop row. The last one that goes takes the bytes along, in the same transaction.
/// </summary>
internal static class HoldStatements
{
    private static readonly Statement s_drop = new(
        "UPDATE messages SET holds = holds - $2 WHERE id {in_1} RETURNING id, holds") { Locks = SharedRows.Messages };

    private static readonly Statement s_deleteChunks = new("DELETE FROM chunks WHERE id BETWEEN $1 AND $2");

    /// <summary>Drops one hold of a message for each time that it is named.</summary>
    public static async ValueTask DropHoldsAsync(this IWriteTransaction transaction, IReadOnlyList<long> messageIds)
    {
        if (messageIds.Count == 0)
            return;
        var drops = new List<ValueTask<List<(long Id, long Holds)>>>(1);
        if (messageIds.Count == 1 || messageIds.ToHashSet().Count == messageIds.Count)
            drops.Add(DropAsync(transaction, messageIds, 1));
        else
            drops.AddRange(messageIds.CountBy(id => id).GroupBy(one => one.Value, one => one.Key).Select(group => DropAsync(transaction, group, group.Key)));
        var deletions = new List<ValueTask<int>>(messageIds.Count);
        foreach (var drop in drops)
        {
            foreach (var (id, holds) in await drop)
            {
                if (holds <= 0)
                    deletions.Add(transaction.ExecuteAsync(s_deleteChunks, ChunkIds.First(id), ChunkIds.Last(id)));
            }
        }
        foreach (var deletion in deletions)
            await deletion;
    }

    private static ValueTask<List<(long Id, long Holds)>> DropAsync(IWriteTransaction transaction, IEnumerable<long> messageIds, int count) =>
        transaction.QueryAsync(s_drop, static r => (r.GetInt64(0), r.GetInt64(1)), SqlValue.FromIds(messageIds), count);
}
