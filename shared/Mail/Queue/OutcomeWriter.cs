using System.Data.Common;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What becomes of a recipient that is taken back from a worker that died.</summary>
/// <param name="Dot">Its final dot may have been sent.</param>
/// <param name="Reason">Why it is held; else empty.</param>
internal readonly record struct ReturnedRecipient(long Id, bool Dot, RecipientState State, string Reason, DateTimeOffset Next);

/// <summary>
/// The one place where it is written what became of a recipient: its state, the attempt, what it needed of the content, what is to be
/// reported and the end of the claim, as parts of the caller's transaction. Each statement asks for the claim, so that who has lost it
/// changes nothing; and a final state keeps it, which says whose outcome it is. What operators decide is in the other file of this class.
/// </summary>
internal static partial class OutcomeWriter
{
    private static readonly Statement s_delivered = new(
        """
        UPDATE recipients SET state = 1, attempts = attempts + 1, updated_at = $3
        WHERE id {in_1} AND claim = $2 AND state + 0 = 0 RETURNING id, attempts
        """) { Locks = SharedRows.Recipients, IsMerged = true };

    private static readonly Statement s_deliveredBefore = new("SELECT id FROM recipients WHERE id {in_1} AND claim = $2 AND state = 1");

    // The far end reports from here on (RFC 3461 §5.2.1); what was owed was a reference to the content.
    private static readonly Statement s_handedOn = new(
        "UPDATE recipients SET notify = notify - 16 WHERE id {in_1} AND claim = $2 AND state + 0 = 1 AND (notify & 16) <> 0 RETURNING id")
        { Locks = SharedRows.Recipients };

    private static readonly Statement s_deliveredThere = new(
        "UPDATE recipients SET notify = notify + 64 WHERE id {in_1} AND claim = $2 AND state + 0 = 1 AND (notify & 80) = 16")
        { Locks = SharedRows.Recipients };

    // As if he had asked for it (RFC 2852 §4.1.4), unless he is to be told of nothing, or is nobody (RFC 5321 §4.5.5). What is owed is a reference to the content.
    private static readonly Statement s_tellOfRelay = new(
        """
        UPDATE recipients SET notify = notify + 16 WHERE id {in_1} AND claim = $2 AND state + 0 = 1 AND (notify & 17) = 0
            AND EXISTS (SELECT 1 FROM messages m WHERE m.id = (recipients.id >> 16) AND m.sender <> '')
        RETURNING id
        """) { Locks = SharedRows.Recipients };

    // All or none: two reports in one transaction both find what they lock.
    private const string UntoldDelay = "id {in_1} AND state + 0 = 0 AND (notify & 32) = 0";

    private static readonly Statement s_lockUntoldDelay = Locking(UntoldDelay);

    private static readonly Statement s_delayTold = new(
        $"UPDATE recipients SET notify = notify + 32 WHERE {UntoldDelay} AND (SELECT COUNT(*) FROM recipients WHERE {UntoldDelay}) = $2")
        { Locks = SharedRows.Recipients };

    private const string OwedSuccess = "id {in_1} AND state + 0 IN (1, 6) AND (notify & 16) <> 0";

    private static readonly Statement s_lockOwedSuccess = Locking(OwedSuccess);

    private static readonly Statement s_successTold = new(
        $"UPDATE recipients SET notify = notify - 16 WHERE {OwedSuccess} AND (SELECT COUNT(*) FROM recipients WHERE {OwedSuccess}) = $2")
        { Locks = SharedRows.Recipients };

    private static readonly Statement s_noSuccess = new(
        "UPDATE recipients SET notify = notify - 16 WHERE id {in_1} AND state + 0 IN (2, 3, 4) AND (notify & 16) <> 0 RETURNING id")
        { Locks = SharedRows.Recipients };

    // It is claimed and delivered at once: nobody is spoken to in between.
    private static readonly Statement s_deliveredHere = new(
        """
        UPDATE recipients SET state = 1, claim = $4, attempts = attempts + 1, updated_at = $3
        WHERE id {in_1} AND state + 0 = 0 AND claim = 0 AND attempts = $2 RETURNING id
        """) { Locks = SharedRows.Recipients };

    // The worker lived: deaths count in a row (see HoldRule).
    private static readonly Statement s_deferred = new(
        """
        UPDATE recipients SET claim = 0, attempts = attempts + 1, deaths = 0, next_attempt_at = $3, updated_at = $4
        WHERE id {in_1} AND claim = $2 AND state + 0 = 0 RETURNING id, attempts, state
        """) { Locks = SharedRows.Recipients };

    // In doubt once more: held when that was once too often.
    private static readonly Statement s_uncertain = new(
        """
        UPDATE recipients SET claim = 0, attempts = attempts + 1, deaths = 0, uncertain = uncertain + 1, next_attempt_at = $3, updated_at = $4,
            state = $5, hold_reason = $6
        WHERE id {in_1} AND claim = $2 AND state + 0 = 0 RETURNING id, attempts, state
        """) { Locks = SharedRows.Recipients };

    private static readonly Statement s_handedBack = new(
        """
        UPDATE recipients SET claim = 0, next_attempt_at = $3, updated_at = $4
        WHERE id {in_1} AND claim = $2 AND state + 0 = 0 RETURNING id, attempts, state
        """) { Locks = SharedRows.Recipients };

    private static readonly Statement s_ended = new(
        """
        UPDATE recipients SET attempts = attempts + 1, state = $3, updated_at = $4
        WHERE id {in_1} AND claim = $2 AND state + 0 = 0 RETURNING id, attempts, state
        """) { Locks = SharedRows.Recipients };

    private static readonly Statement s_refused = new(
        """
        UPDATE recipients SET claim = 0, state = 5, attempts = attempts + 1, hold_reason = $3, updated_at = $4
        WHERE id = $1 AND claim = $2 AND state + 0 = 0
        """) { Locks = SharedRows.Recipients };

    private static readonly Statement s_stored = new("SELECT id, claim, state, hold_reason FROM recipients WHERE id {in_1}");

    private static readonly Statement s_noted = new("SELECT recipient_id, outcome, started_at, finished_at FROM attempts WHERE recipient_id {in_1}");

    private static readonly Statement s_takenBack = new(
        """
        UPDATE recipients SET claim = 0, state = $3, attempts = attempts + 1, deaths = CASE WHEN $8 = 1 THEN 0 ELSE deaths + 1 END,
            uncertain = uncertain + $4, hold_reason = $5, next_attempt_at = $6, updated_at = $7
        WHERE id {in_1} AND claim = $2 AND state + 0 = 0 RETURNING id, attempts
        """) { Locks = SharedRows.Recipients };

    private static readonly Statement s_freed = new(
        "UPDATE recipients SET claim = 0 WHERE id {in_1} AND claim = $2 AND state + 0 = 0") { Locks = SharedRows.Recipients };

    private static readonly Statement s_freedOwnerless = new(
        """
        UPDATE recipients SET claim = 0 WHERE id {in_1} AND claim = $2 AND state + 0 = 0 AND NOT EXISTS (SELECT 1 FROM claims WHERE id = $2)
        RETURNING id
        """) { Locks = SharedRows.Recipients };

    private static readonly Statement s_endClaim = new("DELETE FROM claims WHERE id = $1 AND domain = $2") { Locks = SharedRows.Claims, IsMerged = true };

    // What is under the claim beside these would belong to nobody, and never be taken back.
    private static readonly Statement s_endWholeClaim = new("DELETE FROM claims WHERE id = $1 AND recipients = $2") { Locks = SharedRows.Claims, IsMerged = true };

    // What it says is read as it ends: its holder may begin, or send a dot, until then.
    private static readonly Statement s_endDeadClaim = new(
        "DELETE FROM claims WHERE id = $1 RETURNING domain, recipients, began_at, dots") { Locks = SharedRows.Claims };

    private static readonly Statement s_endDeadClaimIfExpired = new(
        "DELETE FROM claims WHERE id = $1 AND lease_until < {now} RETURNING domain, recipients, began_at, dots") { Locks = SharedRows.Claims };

    // The same attempt recorded again changes nothing.
    private static readonly Statement s_insertAttempt = new(
        """
        INSERT INTO attempts (recipient_id, number, outcome, started_at, finished_at, status, reply, remote_host, tls, worker, reply_class)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING
        """) { IsMerged = true };

    /// <summary>In the place of an attempt's number, where there was none.</summary>
    public const int Untried = 0;

    public static ValueTask<int> EndClaimAsync(IWriteTransaction transaction, long claimId, string domain) =>
        transaction.ExecuteAsync(s_endClaim, claimId, domain);

    /// <summary>Ends the claim if it was won for these and nobody else.</summary>
    public static async ValueTask<bool> EndWholeClaimAsync(IWriteTransaction transaction, long claimId, IEnumerable<long> recipientIds) =>
        await transaction.ExecuteAsync(s_endWholeClaim, claimId, ClaimStore.Text([.. recipientIds.Order()])) == 1;

    /// <summary>Ends the claim of a worker that died, and reads what it says: its domain, recipients, beginning and dots. None: it is not there.</summary>
    /// <param name="evenIfLeased">False: only where its lease ran out.</param>
    public static ValueTask<List<T>> EndDeadClaimAsync<T>(IWriteTransaction transaction, long claimId, bool evenIfLeased, Func<DbDataReader, T> read) =>
        transaction.QueryAsync(evenIfLeased ? s_endDeadClaim : s_endDeadClaimIfExpired, read, claimId);

    /// <summary>The far end took the message. Returns those recorded, now or before for the same claim.</summary>
    public static async ValueTask<HashSet<long>> DeliveredAsync(
        IWriteTransaction transaction, long claimId, IReadOnlyList<AttemptResult> results, EventSubscriptions? events)
    {
        var ids = SqlValue.FromIds(results.Select(result => result.RecipientId));
        var updated = await transaction.QueryAsync(
            s_delivered, static r => (Id: r.GetInt64(0), Attempts: r.GetInt64(1)), ids, claimId, results.Max(result => result.FinishedAt));
        var recorded = updated.Select(row => row.Id).ToHashSet();
        if (recorded.Count < results.Count)
            recorded.UnionWith(await transaction.QueryAsync(s_deliveredBefore, r => r.GetInt64(0), ids, claimId));
        var noLongerNeeded = updated.ConvertAll(row => RecipientIds.MessageId(row.Id));
        if (results.Any(result => result.IsFinal))
            await transaction.ExecuteAsync(
                s_deliveredThere, SqlValue.FromIds(results.Where(result => result.IsFinal).Select(result => result.RecipientId)), claimId);
        if (HandsOn(results))
        {
            var handedOn = await transaction.QueryAsync(
                s_handedOn, r => r.GetInt64(0),
                SqlValue.FromIds(results.Where(HandsOn).Select(result => result.RecipientId)), claimId);
            noLongerNeeded.AddRange(handedOn.Select(RecipientIds.MessageId));
        }
        if (results.Any(result => result.TellsOfRelay))
        {
            var told = results.Where(result => result.TellsOfRelay).Select(result => result.RecipientId).Intersect(updated.Select(row => row.Id)).ToList();
            foreach (var id in told.Count == 0 ? [] : await transaction.QueryAsync(s_tellOfRelay, r => r.GetInt64(0), SqlValue.FromIds(told), claimId))
                noLongerNeeded.Remove(RecipientIds.MessageId(id));
        }
        await NoteDeliveriesAsync(
            transaction, updated.ConvertAll(row => (results.First(result => result.RecipientId == row.Id), row.Attempts)), noLongerNeeded, events);
        return recorded;
    }

    /// <summary>Their sender is told that they wait; false, and nothing is changed: not all of them do, or he was told.</summary>
    public static async ValueTask<bool> DelayToldAsync(IWriteTransaction transaction, IReadOnlyCollection<long> recipientIds)
    {
        var ids = SqlValue.FromIds(recipientIds);
        return (await transaction.QueryAsync(s_lockUntoldDelay, r => r.GetInt64(0), ids)).Count == recipientIds.Count
            && await transaction.ExecuteAsync(s_delayTold, ids, recipientIds.Count) > 0;
    }

    /// <summary>Their sender is told that they were delivered; false, and nothing is changed: it is not owed of all of them.</summary>
    public static async ValueTask<bool> SuccessToldAsync(IWriteTransaction transaction, IReadOnlyCollection<long> recipientIds)
    {
        var ids = SqlValue.FromIds(recipientIds);
        if ((await transaction.QueryAsync(s_lockOwedSuccess, r => r.GetInt64(0), ids)).Count != recipientIds.Count
            || await transaction.ExecuteAsync(s_successTold, ids, recipientIds.Count) == 0)
        {
            return false;
        }
        await transaction.DropReferencesAsync([.. recipientIds.Select(RecipientIds.MessageId)]);
        return true;
    }

    /// <summary>They ended otherwise. Returns of how many success was owed.</summary>
    public static async ValueTask<int> NoSuccessOwedAsync(IWriteTransaction transaction, IReadOnlyCollection<long> recipientIds)
    {
        var settled = await transaction.QueryAsync(s_noSuccess, r => r.GetInt64(0), SqlValue.FromIds(recipientIds));
        await transaction.DropReferencesAsync(settled.ConvertAll(RecipientIds.MessageId));
        return settled.Count;
    }

    private static Statement Locking(string which) =>
        new($"SELECT id FROM recipients WHERE {which} ORDER BY id {{for_update}}") { Locks = SharedRows.Recipients };

    // Whoever is told of the relay is told by us, whatever the far end adds.
    private static bool HandsOn(AttemptResult result) => result.ReportsHandedOn && !result.TellsOfRelay;

    private static bool HandsOn(IReadOnlyList<AttemptResult> results)
    {
        for (var i = 0; i < results.Count; i++)
        {
            if (HandsOn(results[i]))
                return true;
        }
        return false;
    }

    /// <summary>Ends those that wait and were tried so often. Their attempts are noted when it is known how each was stored.</summary>
    public static ValueTask<List<long>> DeliveredHereAsync(
        IWriteTransaction transaction, long claimId, IEnumerable<long> recipientIds, int attempts, DateTimeOffset now) =>
        transaction.QueryAsync(s_deliveredHere, r => r.GetInt64(0), SqlValue.FromIds(recipientIds), attempts, now, claimId);

    /// <summary>Notes attempts that delivered, and drops a reference to the content for each time that a message is named.</summary>
    public static async ValueTask NoteDeliveriesAsync(
        IWriteTransaction transaction, IReadOnlyList<(AttemptResult Result, long Number)> attempts, IReadOnlyList<long> messagesNoLongerNeeded, EventSubscriptions? events)
    {
        InsertAttempts(transaction, attempts);
        if (EventOutbox.IsWanted(events, EventKind.Delivered))
        {
            foreach (var (result, number) in attempts)
                EventOutbox.Write(transaction, events, new OutcomeEvent(result, number, EventKind.Delivered));
        }

        await transaction.DropReferencesAsync(messagesNoLongerNeeded);
    }

    /// <summary>What the queue decided: tried again later, held, or given up and to be reported.</summary>
    /// <param name="afterDoubt">The same was asked for before: what was recorded then counts as recorded now.</param>
    public static async ValueTask<RecordedOutcomes> DecidedAsync(
        IWriteTransaction transaction, long claimId, IReadOnlyList<RecipientDecision> decisions, TimeSpan reportDelay, bool afterDoubt, DateTimeOffset now,
        EventSubscriptions? events)
    {
        var updated = await UpdateAsync(transaction, claimId, decisions, now);
        var recorded = updated.Select(row => row.Decision.Result.RecipientId).ToHashSet();
        var held = updated.Where(row => row.State == RecipientState.Held).Select(row => row.Decision.Result.RecipientId).ToList();
        InsertAttempts(transaction, [.. updated
            .Where(row => row.Decision.WasTried && row.Decision.Result.Outcome != AttemptOutcome.NotAttempted)
            .Select(row => (row.Decision.Result, row.Attempts))]);
        foreach (var row in updated)
        {
            if (row.Decision.Result.Outcome != AttemptOutcome.NotAttempted)
                EventOutbox.Write(transaction, events, EventOf(row.Decision.Result, row.Attempts, row.State, row.Decision.NextAttemptAt));
        }

        if (afterDoubt)
            await AddRecordedBeforeAsync(transaction, claimId, decisions, recorded, held);
        var ended = updated.Where(row => row.Decision.State is RecipientState.Bounced or RecipientState.Expired).Select(row => row.Decision).ToList();
        foreach (var decision in ended)
        {
            if (decision.Suppression is { } suppression)
                SuppressionStore.Note(transaction, suppression);
        }
        return new RecordedOutcomes(recorded, await UnreportedStore.NoteAsync(transaction, ended, reportDelay), held);
    }

    /// <summary>He begins as bounced: it is noted why, in the place of an attempt.</summary>
    public static void NeverTried(IWriteTransaction transaction, AttemptResult why, EventSubscriptions? events)
    {
        InsertAttempts(transaction, [(why, Untried)]);
        EventOutbox.Write(transaction, events, new OutcomeEvent(why, Untried, EventKind.Bounced));
    }

    /// <summary>Storage refuses the outcome itself: held for an operator.</summary>
    public static async ValueTask<ClaimUpdate> RefusedAsync(IWriteTransaction transaction, long claimId, long recipientId, DateTimeOffset now) =>
        await transaction.ExecuteAsync(s_refused, recipientId, claimId, HoldRule.Refused, now) == 1 ? ClaimUpdate.Applied : ClaimUpdate.ClaimLost;

    /// <summary>
    /// A worker died, or its report was lost. Returns the attempts, as they are noted. Who ends with that, and is to be reported, keeps the claim's name, as by any
    /// other outcome.
    /// </summary>
    public static async ValueTask<List<AttemptResult>> TakenBackAsync(
        IWriteTransaction transaction, long claimId, IReadOnlyList<ReturnedRecipient> returned, Func<long, AttemptResult> result, bool hasLived,
        TimeSpan reportDelay, DateTimeOffset now, EventSubscriptions? events)
    {
        var updates = returned.GroupBy(one => one with { Id = 0 }, one => one.Id).Select(alike => alike.Key.State is RecipientState.Bounced
            ? transaction.QueryAsync(s_ended, r => (Id: r.GetInt64(0), Attempts: r.GetInt64(1)), SqlValue.FromIds(alike), claimId, (long)alike.Key.State, now)
            : transaction.QueryAsync(
                s_takenBack, r => (Id: r.GetInt64(0), Attempts: r.GetInt64(1)), SqlValue.FromIds(alike), claimId, (long)alike.Key.State, alike.Key.Dot ? 1 : 0,
                alike.Key.Reason, alike.Key.Next, now, hasLived ? 1 : 0)).ToList();
        var attempts = new List<(AttemptResult Result, long Number)>(returned.Count);
        foreach (var rows in updates)
            attempts.AddRange((await rows).Select(row => (result(row.Id), row.Attempts)));
        InsertAttempts(transaction, attempts);
        if (EventOutbox.IsWanted(events, EventKind.Deferred) || EventOutbox.IsWanted(events, EventKind.Bounced))
        {
            var byId = returned.ToDictionary(one => one.Id);
            foreach (var (attempt, number) in attempts)
                EventOutbox.Write(transaction, events, EventOf(attempt, number, byId[attempt.RecipientId].State, byId[attempt.RecipientId].Next));
        }

        var ended = returned.Where(one => one.State is RecipientState.Bounced).Select(one => one.Id).ToHashSet();
        if (ended.Count > 0)
        {
            await UnreportedStore.NoteAsync(
                transaction, [.. attempts.Where(attempt => ended.Contains(attempt.Result.RecipientId)).Select(attempt => new RecipientDecision(attempt.Result, RecipientState.Bounced, now))],
                reportDelay);
        }
        return attempts.ConvertAll(attempt => attempt.Result);
    }

    /// <summary>Nothing was tried: due as before. Returns how many were still under the claim.</summary>
    public static ValueTask<int> FreeAsync(IWriteTransaction transaction, long claimId, IReadOnlyCollection<long> recipientIds) =>
        transaction.ExecuteAsync(s_freed, SqlValue.FromIds(recipientIds), claimId);

    /// <summary>The claim that they name is not there. Returns those that named it.</summary>
    public static ValueTask<List<long>> FreeOwnerlessAsync(IWriteTransaction transaction, long claimId, IEnumerable<long> recipientIds) =>
        transaction.QueryAsync(s_freedOwnerless, r => r.GetInt64(0), SqlValue.FromIds(recipientIds), claimId);

    /// <summary>One statement for all decisions that are alike, whoever they are about. Returns those whose claim was still held.</summary>
    private static async ValueTask<List<Updated>> UpdateAsync(
        IWriteTransaction transaction, long claimId, IReadOnlyList<RecipientDecision> decisions, DateTimeOffset now)
    {
        var byId = decisions.DistinctBy(decision => decision.Result.RecipientId).ToDictionary(decision => decision.Result.RecipientId);
        var updates = byId.Values.GroupBy(decision => (StatementFor(decision), decision.State, decision.NextAttemptAt, decision.HoldReason)).Select(alike =>
        {
            var (statement, state, next, reason) = alike.Key;
            var ids = SqlValue.FromIds(alike.Select(decision => decision.Result.RecipientId));
            Updated Read(DbDataReader row) => new(byId[row.GetInt64(0)], row.GetInt64(1), (RecipientState)row.GetInt32(2));
            if (statement == s_uncertain)
                return transaction.QueryAsync(statement, Read, ids, claimId, next, now, (long)state, reason);
            return statement == s_ended
                ? transaction.QueryAsync(statement, Read, ids, claimId, (long)state, now)
                : transaction.QueryAsync(statement, Read, ids, claimId, next, now);
        }).ToList();
        var updated = new List<Updated>(byId.Count);
        foreach (var rows in updates)
            updated.AddRange(await rows);
        return updated;
    }

    private static Statement StatementFor(RecipientDecision decision) => decision switch
    {
        { State: not (RecipientState.Queued or RecipientState.Held) } => s_ended,
        { Result.Outcome: AttemptOutcome.Uncertain } => s_uncertain,
        { Result.Outcome: AttemptOutcome.NotAttempted } => s_handedBack,
        _ => s_deferred,
    };

    /// <summary>
    /// What an earlier commit of the same has recorded after all: an end still names the claim that it ended, and an attempt is known by
    /// its outcome and its times, whatever became of its recipient since.
    /// </summary>
    private static async ValueTask AddRecordedBeforeAsync(
        IWriteTransaction transaction, long claimId, IReadOnlyList<RecipientDecision> decisions, HashSet<long> recorded, List<long> held)
    {
        var missing = decisions.Where(decision => !recorded.Contains(decision.Result.RecipientId)).DistinctBy(decision => decision.Result.RecipientId)
            .ToDictionary(decision => decision.Result.RecipientId);
        var ids = SqlValue.FromIds(missing.Keys);
        var stored = transaction.QueryAsync(
            s_stored, r => (Id: r.GetInt64(0), Claim: r.GetInt64(1), State: (RecipientState)r.GetInt32(2), Reason: r.GetString(3)), ids);
        var noted = transaction.QueryAsync(
            s_noted, r => (Id: r.GetInt64(0), (AttemptOutcome)r.GetInt32(1), StoredTime.Read(r, 2), StoredTime.Read(r, 3)), ids);
        var before = (await noted).Where(attempt => attempt == Noted(missing[attempt.Id].Result)).Select(attempt => attempt.Id).ToHashSet();
        foreach (var (id, claim, state, reason) in await stored)
        {
            if (state == missing[id].State && state is not (RecipientState.Queued or RecipientState.Held) && claim == claimId)
                before.Add(id);
            else if (state == RecipientState.Held && reason == missing[id].HoldReason && before.Contains(id))
                held.Add(id);
        }
        recorded.UnionWith(before);
    }

    /// <summary>As storage keeps it: times in whole milliseconds.</summary>
    private static (long Id, AttemptOutcome Outcome, DateTimeOffset StartedAt, DateTimeOffset FinishedAt) Noted(AttemptResult result) => (
        result.RecipientId, result.Outcome, DateTimeOffset.FromUnixTimeMilliseconds(result.StartedAt.ToUnixTimeMilliseconds()),
        DateTimeOffset.FromUnixTimeMilliseconds(result.FinishedAt.ToUnixTimeMilliseconds()));

    /// <summary>Of an attempt that did not deliver.</summary>
    /// <param name="next">Of the next attempt, where there is to be one.</param>
    private static OutcomeEvent EventOf(AttemptResult result, long number, RecipientState state, DateTimeOffset next)
    {
        var details = (state == RecipientState.Held ? EventDetails.Held : state == RecipientState.Expired ? EventDetails.Expired : EventDetails.None)
            | (result.Outcome == AttemptOutcome.Uncertain ? EventDetails.Uncertain : EventDetails.None);
        return new OutcomeEvent(
            result, number, state is RecipientState.Queued or RecipientState.Held ? EventKind.Deferred : EventKind.Bounced, details,
            state == RecipientState.Queued ? next : null);
    }

    private static void InsertAttempts(IWriteTransaction transaction, IReadOnlyList<(AttemptResult Result, long Number)> attempts)
    {
        foreach (var (result, number) in attempts)
            transaction.ExecuteLast(
                s_insertAttempt, result.RecipientId, number, (long)result.Outcome, result.StartedAt, result.FinishedAt,
                StoredText.Note(result.Status), StoredText.Note(result.Reply), StoredText.Note(result.RemoteHost), StoredText.Note(result.Tls?.ToText() ?? ""),
                StoredText.Note(result.Worker), (long)result.Class);
    }

    /// <param name="Attempts">How many were made for the recipient, this one among them.</param>
    /// <param name="State">Where it stands now.</param>
    private readonly record struct Updated(RecipientDecision Decision, long Attempts, RecipientState State);
}
