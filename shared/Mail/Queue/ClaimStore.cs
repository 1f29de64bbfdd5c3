using System.Globalization;
using System.Runtime.CompilerServices;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>
/// Claims: the right to try recipients once. A claim is won by a conditional update and carries a lease on the store's
/// clock; every later write of its holder names the claim and does nothing when the claim is no longer his. Each taking has an id of
/// its own, which no other has before or after it: whatever comes again of a batch, a command or a report, touches no claim but its own.
/// </summary>
/// <param name="events">Who is told of deliveries; null: nobody.</param>
public sealed class ClaimStore(MailDatabase database, MailStoreOptions options, EventSubscriptions? events = null)
{
    private static readonly Statement s_take = new(
        """
        UPDATE recipients SET claim = $2 WHERE id {in_1} AND state + 0 = 0 AND claim = 0 AND attempts = $3
        """) { Locks = SharedRows.Recipients, IsMerged = true };

    private static readonly Statement s_win = new(
        "UPDATE recipients SET claim = $3 WHERE id {in_1} AND state + 0 = 0 AND claim = 0 AND attempts = $2 RETURNING id") { Locks = SharedRows.Recipients };

    private static readonly Statement s_taken = new("SELECT id FROM recipients WHERE id {in_1} AND claim = $2 AND attempts = $3");

    private static readonly Statement s_insertClaim = new(
        """
        INSERT INTO claims (id, domain, lease_until, recipients, began_at, batch, site, sender)
        VALUES ($1, $2, {now} + $3, $4, CASE WHEN $5 = 1 THEN {now} ELSE 0 END, $6, $7, $8)
        """) { IsMerged = true };

    // Whoever takes the site over locks the row for himself, so that he comes wholly before or after, and then sees this claim.
    private static readonly Statement s_isOfEpoch = new("SELECT 1 FROM sites WHERE site = $1 AND epoch = $2 {key_share}") { Locks = SharedRows.Sites };

    private static readonly Statement s_lock = new("SELECT 1 FROM claims WHERE id = $1 {for_update}") { Locks = SharedRows.Claims };

    // Its row is locked already, or new.
    private static readonly Statement s_joinClaim = new(
        """
        INSERT INTO claims (id, domain, lease_until, recipients, began_at, batch) VALUES ($1, $2, {now} + $3, $4, 0, $5)
        ON CONFLICT (id) DO UPDATE SET recipients = claims.recipients || ',' || excluded.recipients
        """);

    private static readonly Statement s_begin = new(
        "UPDATE claims SET began_at = CASE WHEN began_at = 0 THEN {now} ELSE began_at END WHERE id = $1") { Locks = SharedRows.Claims, IsMerged = true };

    private static readonly Statement s_noteDots = new("UPDATE claims SET dots = $2 WHERE id = $1") { Locks = SharedRows.Claims, IsMerged = true };

    private static readonly Statement s_finish = new("UPDATE claims SET began_at = -1, dots = $2 WHERE id = $1") { Locks = SharedRows.Claims, IsMerged = true };

    // Whoever takes a claim back deletes it: as long as it is there it is its holder's, however late he is.
    private static readonly Statement s_renew = new(
        "UPDATE claims SET lease_until = {now} + $2 WHERE id {in_1} RETURNING id") { Locks = SharedRows.Claims };

    /// <summary>
    /// Wins a claim on those recipients that are queued, unclaimed and have been tried as often as the command says: a command
    /// delivered again wins nothing that is being tried, or was. Its id is new (<see cref="NextIdAsync"/>).
    /// </summary>
    /// <param name="batchId">That the recipients were given out as; 0: as none.</param>
    /// <param name="begun">
    /// True: the worker has all it needs and dials when it has the claim, so that the same commit says so. False: it may have to
    /// wait first, and says <see cref="BeginAsync"/> before it dials.
    /// </param>
    public async Task<Claim> TakeAsync(
        long batchId, string domain, IReadOnlyList<Recipient> recipients, bool begun, CancellationToken cancellationToken)
    {
        var claimId = await NextIdAsync(cancellationToken);
        return new Claim(claimId, await TakeAsync(claimId, batchId, domain, recipients, begun, cancellationToken));
    }

    /// <summary>
    /// The same of a batch that may have a permit of its site, and one of its sender's rate: none is won where somebody else gives out those permits by now,
    /// and so counts nothing of this one.
    /// </summary>
    public async Task<Claim> TakeAsync(BatchCommand command, bool begun, CancellationToken cancellationToken)
    {
        var claimId = await NextIdAsync(cancellationToken);
        var isStale = false;
        var won = await TakeAsync(
            claimId, command.BatchId, command.Domain, command.Recipients, begun, cancellationToken, command.Site ?? "", command.Sender ?? "",
            command is { SiteEpoch: 0, SenderEpoch: 0 } ? null : async transaction =>
                isStale = !await IsOfEpochAsync(transaction, command.Site, command.SiteEpoch) || !await IsOfEpochAsync(transaction, command.Sender, command.SenderEpoch));
        return new Claim(claimId, won, isStale);
    }

    /// <summary>An id for one taking. Whoever uses it for another breaks the fence.</summary>
    public ValueTask<long> NextIdAsync(CancellationToken cancellationToken) => database.ClaimIds.NextAsync(cancellationToken);

    internal Task<IReadOnlySet<long>> TakeAsync(
        long claimId, long batchId, string domain, IReadOnlyList<Recipient> recipients, bool begun, CancellationToken cancellationToken, string site = "",
        string sender = "", Func<IWriteTransaction, Task<bool>>? isFenced = null)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return database.WriteAsync<IReadOnlySet<long>>(async transaction =>
        {
            if (isFenced is not null && await isFenced(transaction))
                return new HashSet<long>();
            var taken = new List<(IGrouping<int, long> Group, SqlValue Ids, ValueTask<int> Count)>();
            foreach (var group in recipients.GroupBy(recipient => recipient.Attempts, recipient => recipient.RecipientId))
            {
                var ids = SqlValue.FromIds(group);
                taken.Add((group, ids, transaction.ExecuteAsync(s_take, ids, claimId, group.Key)));
            }
            var won = new HashSet<long>(recipients.Count);
            foreach (var (group, ids, count) in taken)
            {
                // All as a rule.
                var number = await count;
                if (number > 0)
                    won.UnionWith(number == group.Count() ? group : await transaction.QueryAsync(s_taken, r => r.GetInt64(0), ids, claimId, group.Key));
            }
            if (won.Count > 0)
                await InsertClaimAsync(transaction, claimId, batchId, domain, won, begun, site, sender);
            return won;
        });
    }

    /// <summary>
    /// Notes that the worker dials from now on: what is taken back from it counts as an attempt. What is taken back before costs
    /// nothing and is due at once. Where the claim is lost nobody may be dialled. Saying it again changes nothing.
    /// </summary>
    public Task<ClaimUpdate> BeginAsync(long claimId, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return UpdateAsync(s_begin, claimId);
    }

    /// <summary>Prolongs the claims by a lease from now. Returns those that are still held.</summary>
    public Task<IReadOnlySet<long>> RenewAsync(IReadOnlyCollection<long> claimIds, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var lease = (long)options.ClaimLease.TotalMilliseconds;
        return database.WriteAsync<IReadOnlySet<long>>(async transaction =>
            (await transaction.QueryAsync(s_renew, r => r.GetInt64(0), SqlValue.FromIds(claimIds), lease)).ToHashSet());
    }

    /// <summary>
    /// Records that the far end took the message for these recipients: outcome, attempt, and the bytes when nobody needs
    /// them any more. Returns those recorded, now or by an earlier call for the same claim of which nobody knew whether it was
    /// committed; the others' claim was lost.
    /// </summary>
    public Task<IReadOnlySet<long>> RecordDeliveredAsync(
        long claimId, IReadOnlyList<AttemptResult> results, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (results.Count == 0)
            return Task.FromResult<IReadOnlySet<long>>(new HashSet<long>());
        return database.WriteAsync<IReadOnlySet<long>>(async transaction => await OutcomeWriter.DeliveredAsync(transaction, claimId, results, events));
    }

    /// <summary>
    /// Records the last deliveries of the claim: with these all that was won is delivered, and the claim ends in the same commit. It does not
    /// where it was won for others than these; then it ends with the report, or by its lease.
    /// </summary>
    /// <param name="allOfClaim">All that were won: these, and others only if this store has said that they are recorded.</param>
    /// <returns>Those recorded, as above; and whether the claim ended now.</returns>
    public Task<(IReadOnlySet<long> Recorded, bool HasEnded)> RecordLastDeliveredAsync(
        long claimId, IReadOnlyList<AttemptResult> results, IReadOnlyCollection<long> allOfClaim, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return database.WriteAsync<(IReadOnlySet<long>, bool)>(async transaction =>
        {
            // Before the recipients: claims come first, for all who need both.
            var hasEnded = await OutcomeWriter.EndWholeClaimAsync(transaction, claimId, allOfClaim);
            return (await OutcomeWriter.DeliveredAsync(transaction, claimId, results, events), hasEnded);
        });
    }

    /// <summary>Hands these recipients of the claim back: due as before, no attempt counted. The claim goes on for the others.</summary>
    public Task ReleaseAsync(long claimId, IReadOnlyCollection<long> recipientIds, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return database.WriteAsync(transaction => OutcomeWriter.FreeAsync(transaction, claimId, recipientIds));
    }

    /// <summary>
    /// Notes for whom of the claim's recipients the final dot may be sent from now on, in place of what was noted before. To be
    /// awaited before the first of those dots is sent: what is not named is never taken for delivered.
    /// </summary>
    public Task<ClaimUpdate> NoteDotsAsync(long claimId, IReadOnlyCollection<long> recipientIds, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return UpdateAsync(s_noteDots, claimId, Text(recipientIds));
    }

    /// <summary>
    /// Notes that the worker is done, and how, before it reports: should the report be lost, or come late, what is taken back is neither
    /// laid to a dead worker nor in doubt without need.
    /// </summary>
    /// <param name="uncertain">Whose final dot was sent and has no answer.</param>
    /// <param name="tried">Whose attempt ended otherwise, without a delivery.</param>
    public Task<ClaimUpdate> FinishAsync(
        long claimId, IReadOnlyCollection<long> uncertain, IReadOnlyCollection<long> tried, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return UpdateAsync(s_finish, claimId, Text([.. uncertain, .. tried.Select(id => -id)]));
    }

    /// <summary>Of the claim's own row: there is one as long as the claim is held.</summary>
    private Task<ClaimUpdate> UpdateAsync(Statement statement, params SqlValue[] values) =>
        database.WriteAsync(async transaction => await transaction.ExecuteAsync(statement, values) == 1 ? ClaimUpdate.Applied : ClaimUpdate.ClaimLost);

    internal static IEnumerable<long> Ids(string recipients) =>
        recipients.Split(',').Select(id => long.Parse(id, CultureInfo.InvariantCulture));

    /// <param name="epoch">0: it needs none.</param>
    private static async ValueTask<bool> IsOfEpochAsync(IWriteTransaction transaction, string? key, long epoch) =>
        epoch == 0 || (await transaction.QueryAsync(s_isOfEpoch, r => true, StoredText.Note(key ?? ""), epoch)).Count > 0;

    private async ValueTask InsertClaimAsync(
        IWriteTransaction transaction, long claimId, long batchId, string domain, IReadOnlyCollection<long> won, bool begun, string site, string sender) =>
        await transaction.ExecuteAsync(
            s_insertClaim, claimId, domain, (long)options.ClaimLease.TotalMilliseconds,
            Text([.. won.Order()]), begun ? 1 : 0, batchId, StoredText.Note(site), StoredText.Note(sender));

    /// <summary>To be awaited before recipients are won that join the claim: claims come before recipients, for all who need both.</summary>
    internal static async ValueTask LockAsync(IWriteTransaction transaction, long claimId) =>
        await transaction.QueryAsync(s_lock, r => r.GetInt32(0), claimId);

    /// <summary>
    /// Wins recipients that wait and were tried so often for a claim that they are to join (<see cref="JoinClaimAsync"/>). Returns them.
    /// </summary>
    internal static ValueTask<List<long>> WinAsync(IWriteTransaction transaction, long claimId, IEnumerable<long> recipientIds, int attempts) =>
        transaction.QueryAsync(s_win, r => r.GetInt64(0), SqlValue.FromIds(recipientIds), attempts, claimId);

    /// <summary>Of recipients won for it in this transaction, whether it has others already or not. It is locked before (<see cref="LockAsync"/>).</summary>
    internal async ValueTask JoinClaimAsync(IWriteTransaction transaction, long claimId, BatchCommand command, IReadOnlyCollection<long> won) =>
        await transaction.ExecuteAsync(
            s_joinClaim, claimId, command.Domain, (long)options.ClaimLease.TotalMilliseconds, Text(won), command.BatchId);

    internal static string Text(IReadOnlyCollection<long> ids)
    {
        var text = new DefaultInterpolatedStringHandler(ids.Count, ids.Count, CultureInfo.InvariantCulture);
        var isFirst = true;
        foreach (var id in ids)
        {
            if (!isFirst)
                text.AppendLiteral(",");
            isFirst = false;
            text.AppendFormatted(id);
        }

        return text.ToStringAndClear();
    }
}
