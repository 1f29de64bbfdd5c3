using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>Removes accounts together with what is in their maildrops.</summary>
public sealed class AccountRemoval(MailDatabase database, MailDirectory directory)
{
    // Who stores mail for it has committed when its maildrop is looked at, or finds no account.
    private static readonly Statement s_accountId = new("SELECT id FROM accounts WHERE address = $1 {for_update}");
    private static readonly Statement s_maildrop = new("SELECT uid FROM maildrop_messages WHERE account_id = $1 ORDER BY uid LIMIT $2");
    private static readonly Statement s_removeAccount = new("DELETE FROM accounts WHERE address = $1");

    /// <summary>
    /// Removes the maildrop, in pieces, and with the last one the account. False: there is none. What fails between two pieces leaves the
    /// account with the rest of its maildrop, and a note of the act.
    /// </summary>
    /// <param name="by">Whose act it is, which is noted.</param>
    public async Task<bool> RemoveAsync(string address, OperatorIdentity by)
    {
        AuditNote? note = await AuditNote.BeginAsync(database, by);
        while (true)
        {
            if (await directory.OneByOneAsync(transaction => RemovePieceAsync(transaction, MailDirectory.Normalize(address), note)) is { } removed)
                return removed;
            // It stands with the first mail that is gone.
            note = null;
        }
    }

    /// <returns>Null: there is more.</returns>
    private static async ValueTask<bool?> RemovePieceAsync(IWriteTransaction transaction, string address, AuditNote? note)
    {
        if (await transaction.QueryAsync(s_accountId, r => r.GetInt64(0), address) is not [var id])
            return false;
        var uids = await transaction.QueryAsync(s_maildrop, r => r.GetInt64(0), id, MaildropStore.MostDeletions);
        await MaildropStore.DeleteAsync(transaction, id, uids);
        if (uids.Count == MaildropStore.MostDeletions)
        {
            if (note is not null)
                await note.WriteAsync(transaction, OperatorAction.AccountRemoved, address);
            return null;
        }
        await DirectoryChange.LockAsync(transaction);
        if (await transaction.ExecuteAsync(s_removeAccount, address) == 0)
            return false;
        await ApiTokenStore.RemoveOfAccountAsync(transaction, address);
        if (note is not null)
            await note.WriteAsync(transaction, OperatorAction.AccountRemoved, address);
        return true;
    }
}
