using System.Runtime.CompilerServices;
using System.Text;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>One message in a maildrop.</summary>
/// <param name="Uid">Unique for ever in the maildrop, ascending, never used for other bytes.</param>
/// <param name="SizeBytes">Octets that a reader gets: <paramref name="Header"/> and content.</param>
/// <param name="Header">Trace header lines put before the content at delivery.</param>
/// <param name="Body">What the content needs of whoever gets it.</param>
public sealed record MaildropMessage(
    long Uid, long MessageId, long SizeBytes, string Header, BodyType Body = BodyType.SevenBit)
{
    /// <summary>Its header is in UTF-8 (RFC 6532), be it for a field that was put before the content.</summary>
    public bool HasUtf8Header => Body.HasFlag(BodyType.SmtpUtf8) || !Ascii.IsValid(Header);
}

/// <summary>The right to a maildrop; a later one makes it worthless.</summary>
public sealed record MaildropLease(long AccountId, long Fence);

/// <summary>What became of a write that is bound to a lease on a maildrop.</summary>
public enum LeaseUpdate
{
    /// <summary>It is written.</summary>
    Applied,

    /// <summary>Nothing is written: another session may have the maildrop.</summary>
    LeaseLost,
}

/// <summary>
/// Maildrops. Storing the same message for the same mailbox again changes nothing; what a session deletes is deleted in pieces, each
/// in one transaction.
/// </summary>
public sealed class MaildropStore(MailDatabase database, MessageStore messages, ClaimStore claims, MailStoreOptions options, EventSubscriptions? events = null)
{
    // An account stays until what is stored for it is committed: a maildrop that nobody has would keep its mail for ever.
    private static readonly Statement s_account = new("SELECT id FROM accounts WHERE address = $1 {key_share}");

    private static readonly Statement s_claimed = new("SELECT id, state FROM recipients WHERE id {in_1} AND claim = $2");

    private static readonly Statement s_insert = new(
        """
        INSERT INTO maildrop_messages (account_id, uid, message_id, size_bytes, header, stored_at)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
        """);

    private static readonly Statement s_list = new(
        """
        SELECT d.uid, d.message_id, d.size_bytes, d.header, COALESCE(m.body, 0)
        FROM maildrop_messages d LEFT JOIN messages m ON m.id = d.message_id WHERE d.account_id = $1 ORDER BY d.uid
        """);

    private static readonly Statement s_size = new(
        "SELECT CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM maildrop_messages WHERE account_id = $1");

    private static readonly Statement s_delete = new(
        """
        DELETE FROM maildrop_messages WHERE account_id = $2 AND uid IN (
            SELECT uid FROM maildrop_messages WHERE account_id = $2 AND uid {in_1} ORDER BY uid {for_update})
        RETURNING message_id
        """);

    private static readonly Statement s_lock = new(
        """
        INSERT INTO maildrop_leases (account_id, fence, lease_until) VALUES ($1, $2, {now} + $3)
        ON CONFLICT (account_id) DO UPDATE SET fence = excluded.fence, lease_until = excluded.lease_until
        WHERE maildrop_leases.lease_until < {now}
        """) { Locks = SharedRows.MaildropLeases };

    private static readonly Statement s_renew = new(
        "UPDATE maildrop_leases SET lease_until = {now} + $3 WHERE account_id = $1 AND fence = $2") { Locks = SharedRows.MaildropLeases };

    private static readonly Statement s_unlock = new(
        "DELETE FROM maildrop_leases WHERE account_id = $1 AND fence = $2") { Locks = SharedRows.MaildropLeases };

    private static readonly Statement s_clearLeases = new("DELETE FROM maildrop_leases");

    /// <summary>Most messages that are deleted in one transaction, which others wait for.</summary>
    public const int MostDeletions = 500;

    private long LeaseMilliseconds => (long)options.MaildropLease.TotalMilliseconds;

    /// <summary>
    /// Claim, maildrop row, outcome and attempt of each recipient, all in one transaction. Returns one result for each:
    /// Delivered; Failed 5.1.1 when the account is gone (the queue decides what follows); NotAttempted when it was not
    /// waiting as the command says, which is how a repeated command ends.
    /// </summary>
    /// <param name="claimId">New (<see cref="ClaimStore.NextIdAsync"/>), or that of the call of which nobody knows whether it was committed.</param>
    /// <param name="afterDoubt">
    /// That these be stored was asked for before, and nobody knows whether it was committed: what became of a recipient then is the result now.
    /// </param>
    public Task<IReadOnlyList<AttemptResult>> StoreAsync(
        long claimId, BatchCommand command, Func<Recipient, string> header, CancellationToken cancellationToken, bool afterDoubt = false)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var now = database.Time.GetUtcNow();
        return database.WriteAsync<IReadOnlyList<AttemptResult>>(async transaction =>
        {
            var accounts = await FindAccountsAsync(transaction, command.Recipients);
            long? AccountOf(Recipient recipient) => accounts.TryGetValue(MailDirectory.Normalize(recipient.Address), out var id) ? id : null;
            if (command.Recipients.Any(recipient => AccountOf(recipient) is null))
                await ClaimStore.LockAsync(transaction, claimId);
            var won = await ClaimAsync(transaction, claimId, command, recipient => AccountOf(recipient) is not null, now);
            var stored = await StoreAsync(transaction, [.. command.Recipients.Where(recipient => won.Contains(recipient.RecipientId))], AccountOf, header, now);
            var refused = won.Where(id => !stored.ContainsKey(id)).ToList();
            if (refused.Count > 0)
                await claims.JoinClaimAsync(transaction, claimId, command, refused);
            // As the rows say: the directory may have changed since.
            var before = !afterDoubt ? [] : (await transaction.QueryAsync(
                s_claimed, r => (Id: r.GetInt64(0), State: (RecipientState)r.GetInt32(1)),
                SqlValue.FromIds(command.Recipients.Select(recipient => recipient.RecipientId)), claimId)).ToDictionary(row => row.Id, row => row.State);
            return [.. command.Recipients.Select(recipient =>
                stored.GetValueOrDefault(recipient.RecipientId)
                ?? (before.GetValueOrDefault(recipient.RecipientId) == RecipientState.Delivered ? Delivered(recipient, isNew: true, now)
                : won.Contains(recipient.RecipientId) || before.ContainsKey(recipient.RecipientId)
                    ? new AttemptResult(recipient.RecipientId, AttemptOutcome.Failed, "5.1.1", "no such mailbox here", "", now, now, Worker: Environment.MachineName)
                    : new AttemptResult(recipient.RecipientId, AttemptOutcome.NotAttempted, "4.0.0", "not waiting for this attempt", "", now, now)))];
        });
    }

    /// <summary>
    /// Claims a recipient that storage refuses to store, so that the queue decides what follows.
    /// </summary>
    /// <param name="claimId">As that of <see cref="StoreAsync(long, BatchCommand, Func{Recipient, string}, CancellationToken, bool)"/> for the same command.</param>
    public Task<ClaimUpdate> ClaimAsync(long claimId, BatchCommand command, Recipient recipient, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return database.WriteAsync(async transaction =>
        {
            await ClaimStore.LockAsync(transaction, claimId);
            var won = await ClaimStore.WinAsync(transaction, claimId, [recipient.RecipientId], recipient.Attempts);
            if (won.Count > 0)
                await claims.JoinClaimAsync(transaction, claimId, command, won);
            return won.Count > 0 ? ClaimUpdate.Applied : ClaimUpdate.NotWaiting;
        });
    }

    /// <summary>Takes the maildrop for one session; null while another session has it.</summary>
    public async Task<MaildropLease?> LockAsync(long accountId, CancellationToken cancellationToken)
    {
        var fence = await database.Fences.NextAsync(cancellationToken);
        return await database.WriteAsync(transaction => transaction.ExecuteAsync(s_lock, accountId, fence, LeaseMilliseconds)) == 1
            ? new MaildropLease(accountId, fence)
            : null;
    }

    /// <summary>Where the lease is lost the session must end without deleting.</summary>
    public Task<LeaseUpdate> RenewAsync(MaildropLease lease, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return database.WriteAsync(async transaction =>
            await transaction.ExecuteAsync(s_renew, lease.AccountId, lease.Fence, LeaseMilliseconds) == 1 ? LeaseUpdate.Applied : LeaseUpdate.LeaseLost);
    }

    public Task UnlockAsync(MaildropLease lease, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return database.WriteAsync(transaction => transaction.ExecuteAsync(s_unlock, lease.AccountId, lease.Fence));
    }

    /// <summary>Unlocks all maildrops when every session that had locked one is known to be dead.</summary>
    public Task UnlockAllAsync() => database.WriteAsync(transaction => transaction.ExecuteAsync(s_clearLeases));

    public async Task<IReadOnlyList<MaildropMessage>> ListAsync(long accountId, CancellationToken cancellationToken) =>
        await database.QueryAsync(
            s_list,
            r => new MaildropMessage(r.GetInt64(0), r.GetInt64(1), r.GetInt64(2), r.GetString(3), (BodyType)r.GetInt32(4)),
            cancellationToken, accountId);

    /// <summary>Octets of all messages in a maildrop, as a reader gets them.</summary>
    public async Task<long> SizeAsync(long accountId, CancellationToken cancellationToken) =>
        (await database.QueryAsync(s_size, r => r.GetInt64(0), cancellationToken, accountId))[0];

    /// <summary>
    /// Deletes the messages, at most <see cref="MostDeletions"/>, and gives up the lease or, when the session goes on to delete others,
    /// prolongs it, in one transaction. Where the lease is lost none of these is deleted.
    /// </summary>
    public Task<LeaseUpdate> DeleteAsync(MaildropLease lease, IReadOnlyCollection<long> uids, bool goesOn, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ArgumentOutOfRangeException.ThrowIfGreaterThan(uids.Count, MostDeletions);
        return database.WriteAsync(async transaction =>
        {
            var held = goesOn
                ? await transaction.ExecuteAsync(s_renew, lease.AccountId, lease.Fence, LeaseMilliseconds)
                : await transaction.ExecuteAsync(s_unlock, lease.AccountId, lease.Fence);
            if (held == 0)
                return LeaseUpdate.LeaseLost;
            await DeleteAsync(transaction, lease.AccountId, uids);
            return LeaseUpdate.Applied;
        });
    }

    internal static async ValueTask DeleteAsync(IWriteTransaction transaction, long accountId, IReadOnlyCollection<long> uids)
    {
        if (uids.Count > 0)
            await transaction.DropReferencesAsync(await transaction.QueryAsync(s_delete, r => r.GetInt64(0), SqlValue.FromIds(uids), accountId));
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

    /// <summary>By address: that of the account, or with a detail behind it.</summary>
    private async ValueTask<Dictionary<string, long>> FindAccountsAsync(IWriteTransaction transaction, Recipient[] recipients)
    {
        var asked = recipients.Select(recipient => MailDirectory.Normalize(recipient.Address)).Distinct()
            .Select(address => (Address: address, Found: transaction.QueryAsync(s_account, r => r.GetInt64(0), address))).ToList();
        var accounts = new Dictionary<string, long>(asked.Count, StringComparer.Ordinal);
        foreach (var (address, found) in asked)
        {
            var rows = await found;
            foreach (var user in rows.Count > 0 ? [] : Subaddress.UsersOf(address, options.DetailSeparators))
            {
                if ((rows = await transaction.QueryAsync(s_account, r => r.GetInt64(0), user)).Count > 0)
                    break;
            }
            if (rows is [var id])
                accounts.Add(address, id);
        }
        return accounts;
    }

    /// <summary>Ends what waits as the command says and has an account, claims what has none. Returns both.</summary>
    private static async ValueTask<HashSet<long>> ClaimAsync(
        IWriteTransaction transaction, long claimId, BatchCommand command, Func<Recipient, bool> hasAccount, DateTimeOffset now)
    {
        var updates = command.Recipients.GroupBy(recipient => (hasAccount(recipient), recipient.Attempts), recipient => recipient.RecipientId)
            .Select(group => group.Key is (true, var attempts)
                ? OutcomeWriter.DeliveredHereAsync(transaction, claimId, group, attempts, now)
                : ClaimStore.WinAsync(transaction, claimId, group, group.Key.Attempts)).ToList();
        var won = new HashSet<long>(command.Recipients.Length);
        foreach (var ids in updates)
            won.UnionWith(await ids);
        return won;
    }

    private async ValueTask<Dictionary<long, AttemptResult>> StoreAsync(
        IWriteTransaction transaction, IReadOnlyList<Recipient> recipients, Func<Recipient, long?> accountOf,
        Func<Recipient, string> header, DateTimeOffset now)
    {
        var inserts = new List<(Recipient Recipient, ValueTask<int> Inserted)>(recipients.Count);
        foreach (var recipient in recipients)
        {
            if (accountOf(recipient) is not { } account)
                continue;
            var lines = header(recipient);
            var size = recipient.SizeBytes + Encoding.UTF8.GetByteCount(lines);
            inserts.Add((recipient, transaction.ExecuteAsync(s_insert, account, recipient.RecipientId, recipient.MessageId, size, lines, now)));
        }
        var results = new Dictionary<long, AttemptResult>(inserts.Count);
        var known = new List<long>();
        foreach (var (recipient, inserted) in inserts)
        {
            var isNew = await inserted == 1;
            results.Add(recipient.RecipientId, Delivered(recipient, isNew, now));
            // The recipient's reference to the content passes to the maildrop row; it goes when the mailbox has the message by another address.
            if (!isNew)
                known.Add(recipient.MessageId);
        }
        await OutcomeWriter.NoteDeliveriesAsync(
            transaction, [.. inserts.Select(insert => (results[insert.Recipient.RecipientId], insert.Recipient.Attempts + 1L))], known, events);
        return results;
    }

    private static AttemptResult Delivered(Recipient recipient, bool isNew, DateTimeOffset now) => new(
        recipient.RecipientId, AttemptOutcome.Delivered, "2.0.0", isNew ? "stored in the maildrop" : "already in the maildrop", "", now, now,
        Worker: Environment.MachineName);
}
