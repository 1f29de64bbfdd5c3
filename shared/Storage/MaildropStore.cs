using System.Runtime.CompilerServices;
using System.Text;
using MailPipeline.Contracts;

namespace MailPipeline.Storage;

/// <summary>One message in a maildrop.</summary>
/// <param name="Uid">Unique for ever in the maildrop, ascending, never used for other bytes.</param>
/// <param name="SizeBytes">Octets that a reader gets: <paramref name="Header"/> and content.</param>
/// <param name="Header">Trace header lines put before the content at delivery.</param>
public sealed record MaildropMessage(long Uid, long MessageId, long SizeBytes, string Header, DateTimeOffset StoredAt);

/// <summary>The right to a maildrop; a later one makes it worthless.</summary>
public sealed record MaildropLease(long AccountId, long Fence);

/// <summary>
/// Maildrops. Storing the same message for the same mailbox again changes nothing; what a session deletes is deleted in
/// one transaction, or not at all.
/// </summary>
public sealed class MaildropStore(MailDatabase database, MessageStore messages, ClaimStore claims)
{
    private static readonly Statement s_account = new("SELECT id FROM accounts WHERE address = $1");

    private static readonly Statement s_deliver = new(
        """
        UPDATE recipients SET state = 1, attempts = attempts + 1, updated_at = $3
        WHERE id = $1 AND state = 0 AND claim = 0 AND attempts = $2
        """);

    private static readonly Statement s_claim = new(
        "UPDATE recipients SET claim = $3 WHERE id = $1 AND state = 0 AND claim = 0 AND attempts = $2");

    private static readonly Statement s_insert = new(
        """
        INSERT INTO maildrop_messages (account_id, uid, message_id, size_bytes, header, stored_at)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
        """);

    private static readonly Statement s_list = new(
        "SELECT uid, message_id, size_bytes, header, stored_at FROM maildrop_messages WHERE account_id = $1 ORDER BY uid");

    private static readonly Statement s_delete = new(
        "DELETE FROM maildrop_messages WHERE account_id = $1 AND uid = $2 RETURNING message_id");

    private static readonly Statement s_nextFence = new("UPDATE id_blocks SET next = next + 1 WHERE name = 'fence' RETURNING next");

    private static readonly Statement s_lock = new(
        """
        INSERT INTO maildrop_leases (account_id, fence, lease_until) VALUES ($1, $2, {now} + $3)
        ON CONFLICT (account_id) DO UPDATE SET fence = excluded.fence, lease_until = excluded.lease_until
        WHERE maildrop_leases.lease_until < {now}
        """);

    private static readonly Statement s_renew = new(
        "UPDATE maildrop_leases SET lease_until = {now} + $3 WHERE account_id = $1 AND fence = $2");

    private static readonly Statement s_unlock = new("DELETE FROM maildrop_leases WHERE account_id = $1 AND fence = $2");

    private static readonly Statement s_clearLeases = new("DELETE FROM maildrop_leases");

    private long LeaseMilliseconds => (long)database.Options.MaildropLease.TotalMilliseconds;

    /// <summary>
    /// Claim, maildrop row, outcome and attempt of each recipient, all in one transaction. Returns one result for each:
    /// Delivered; Failed 5.1.1 when the account is gone (the queue decides what follows); NotAttempted when it was not
    /// waiting as the command says, which is how a repeated command ends.
    /// </summary>
    public Task<IReadOnlyList<AttemptResult>> StoreAsync(
        StoreMessages command, Func<QueuedRecipient, string> header, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var now = database.Time.GetUtcNow();
        return database.WriteAsync<IReadOnlyList<AttemptResult>>(async transaction =>
        {
            var accounts = command.Recipients
                .Select(r => transaction.QueryAsync(s_account, row => row.GetInt64(0), MailDirectory.Normalize(r.Address))).ToArray();
            var results = new List<AttemptResult>(accounts.Length);
            var claimed = new List<long>();
            for (var i = 0; i < accounts.Length; i++)
            {
                var recipient = command.Recipients[i];
                var result = await accounts[i] is [var account]
                    ? await StoreOneAsync(transaction, recipient, account, header(recipient), now)
                    : await RefuseAsync(transaction, recipient, command.ClaimId, now);
                if (result.Outcome == AttemptOutcome.Failed)
                    claimed.Add(recipient.RecipientId);
                results.Add(result);
            }
            if (claimed.Count > 0)
                await claims.InsertClaimAsync(transaction, command.ClaimId, command.Domain, claimed);
            return results;
        });
    }

    /// <summary>Takes the maildrop for one session; null while another session has it.</summary>
    public Task<MaildropLease?> LockAsync(long accountId, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return database.WriteAsync<MaildropLease?>(async transaction =>
        {
            var fence = (await transaction.QueryAsync(s_nextFence, r => r.GetInt64(0)))[0];
            return await transaction.ExecuteAsync(s_lock, accountId, fence, LeaseMilliseconds) == 1
                ? new MaildropLease(accountId, fence)
                : null;
        });
    }

    /// <summary>False: the lease was lost, and the session must end without deleting.</summary>
    public Task<bool> RenewAsync(MaildropLease lease, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return database.WriteAsync(async transaction =>
            await transaction.ExecuteAsync(s_renew, lease.AccountId, lease.Fence, LeaseMilliseconds) == 1);
    }

    public Task UnlockAsync(MaildropLease lease, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return database.WriteAsync(transaction => transaction.ExecuteAsync(s_unlock, lease.AccountId, lease.Fence));
    }

    /// <summary>Frees all maildrops when every session that held one is known to be dead.</summary>
    public Task ReleaseAllAsync() => database.WriteAsync(transaction => transaction.ExecuteAsync(s_clearLeases));

    public async Task<IReadOnlyList<MaildropMessage>> ListAsync(long accountId, CancellationToken cancellationToken) =>
        await database.QueryAsync(
            s_list,
            r => new MaildropMessage(r.GetInt64(0), r.GetInt64(1), r.GetInt64(2), r.GetString(3), QueueStore.Time(r, 4)),
            cancellationToken, accountId);

    /// <summary>
    /// Deletes the messages and gives up the lease, in one transaction. False: the lease was lost and nothing is deleted.
    /// </summary>
    public Task<bool> DeleteAsync(MaildropLease lease, IReadOnlyCollection<long> uids, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return database.WriteAsync(async transaction =>
        {
            if (await transaction.ExecuteAsync(s_unlock, lease.AccountId, lease.Fence) == 0)
                return false;
            foreach (var uid in uids)
            {
                if (await transaction.QueryAsync(s_delete, r => r.GetInt64(0), lease.AccountId, uid) is [var messageId])
                    await transaction.DropHoldsAsync(messageId, 1);
            }
            return true;
        });
    }

    /// <summary>The header put before the content at delivery, then the content.</summary>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(
        MaildropMessage message, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (message.Header.Length > 0)
            yield return Encoding.UTF8.GetBytes(message.Header);
        await foreach (var chunk in messages.ReadContentAsync(message.MessageId, cancellationToken))
            yield return chunk;
    }

    private static async ValueTask<AttemptResult> StoreOneAsync(
        IWriteTransaction transaction, QueuedRecipient recipient, long accountId, string header, DateTimeOffset now)
    {
        if (await transaction.ExecuteAsync(s_deliver, recipient.RecipientId, recipient.Attempts, now) == 0)
            return NotWaiting(recipient, now);
        var size = recipient.SizeBytes + Encoding.UTF8.GetByteCount(header);
        var stored = await transaction.ExecuteAsync(
            s_insert, accountId, recipient.RecipientId, recipient.MessageId, size, header, now);
        // The recipient's hold passes to the maildrop row; it goes when the mailbox has the message by another address.
        if (stored == 0)
            await transaction.DropHoldsAsync(recipient.MessageId, 1);
        var result = new AttemptResult(
            recipient.RecipientId, AttemptOutcome.Delivered, "2.0.0", stored == 1 ? "stored in the maildrop" : "already in the maildrop",
            "", now, now);
        await transaction.InsertAttemptAsync(result, recipient.Attempts + 1);
        return result;
    }

    private static async ValueTask<AttemptResult> RefuseAsync(
        IWriteTransaction transaction, QueuedRecipient recipient, long claimId, DateTimeOffset now) =>
        await transaction.ExecuteAsync(s_claim, recipient.RecipientId, recipient.Attempts, claimId) == 1
            ? new AttemptResult(recipient.RecipientId, AttemptOutcome.Failed, "5.1.1", "no such mailbox here", "", now, now)
            : NotWaiting(recipient, now);

    private static AttemptResult NotWaiting(QueuedRecipient recipient, DateTimeOffset now) =>
        new(recipient.RecipientId, AttemptOutcome.NotAttempted, "4.0.0", "not waiting for this attempt", "", now, now);
}
