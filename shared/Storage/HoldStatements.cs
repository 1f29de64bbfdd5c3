using MailPipeline.Contracts;

namespace MailPipeline.Storage;

/// <summary>
/// Holds keep a message's bytes: one for each recipient without a final outcome, or whose failure is not reported yet, and one for
/// each maildrop row. The last one that goes takes the bytes along, in the same transaction.
/// </summary>
internal static class HoldStatements
{
    private static readonly Statement s_drop = new("UPDATE messages SET holds = holds - $2 WHERE id = $1 RETURNING holds");

    private static readonly Statement s_deleteChunks = new("DELETE FROM chunks WHERE id BETWEEN $1 AND $2");

    public static async ValueTask DropHoldsAsync(this IWriteTransaction transaction, long messageId, int count)
    {
        if (count == 0)
            return;
        var left = await transaction.QueryAsync(s_drop, r => r.GetInt64(0), messageId, count);
        if (left is [<= 0])
        {
            await transaction.ExecuteAsync(
                s_deleteChunks, RecipientIds.Of(messageId, 0), RecipientIds.Of(messageId, RecipientIds.MaxPerMessage - 1));
        }
    }
}
