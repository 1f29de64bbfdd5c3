using System.Data.Common;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What the queue decided after an attempt that was not delivered.</summary>
/// <param name="State">Queued (try again at <paramref name="NextAttemptAt"/>), Bounced or Expired.</param>
/// <param name="WasTried">False: given up for what is known of the domain; no attempt of the recipient's own stands behind it.</param>
public sealed record RecipientDecision(AttemptResult Result, RecipientState State, DateTimeOffset NextAttemptAt, bool WasTried = true);

/// <summary>A message of our own and its bytes.</summary>
public sealed record ComposedMessage(Envelope Message, byte[] Content);

/// <summary>What <see cref="OutcomeStore.RecordAsync"/> wrote.</summary>
/// <param name="Recorded">Recipients whose claim was still held.</param>
/// <param name="Reportable">Messages with failures to report of which no other recipient waits: there is nothing more to gather.</param>
/// <param name="Held">Of those recorded, the ones that wait for an operator instead of their next attempt (<see cref="HoldRule.Uncertain"/>).</param>
public sealed record RecordedOutcomes(
    IReadOnlySet<long> Recorded, IReadOnlyList<long> Reportable, IReadOnlyList<long> Held);

/// <summary>Writes what the queue decided: outcome, next attempt time and what is to be reported in one transaction.</summary>
public sealed class OutcomeStore(MailDatabase database)
{
    // The worker lived: deaths count in a row (see HoldRule).
    private static readonly Statement s_queueAgain = new(
        """
        UPDATE recipients SET claim = 0, attempts = attempts + 1, deaths = 0, next_attempt_at = $3, updated_at = $4
        WHERE id {in_1} AND claim = $2 AND state + 0 = 0 RETURNING id, attempts, state
        """) { Locks = SharedRows.Recipients };

    // In doubt once more: held when that was once too often ($5, $6; see HoldRule).
    private static readonly Statement s_uncertain = new(
        """
        UPDATE recipients SET claim = 0, attempts = attempts + 1, deaths = 0, uncertain = uncertain + 1, next_attempt_at = $3, updated_at = $4,
            state = CASE WHEN uncertain + 1 >= $5 THEN 5 ELSE 0 END, hold_reason = CASE WHEN uncertain + 1 >= $5 THEN $6 ELSE '' END
        WHERE id {in_1} AND claim = $2 AND state + 0 = 0 RETURNING id, attempts, state
        """) { Locks = SharedRows.Recipients };

    private static readonly Statement s_handBack = new(
        """
        UPDATE recipients SET claim = 0, next_attempt_at = $3, updated_at = $4
        WHERE id {in_1} AND claim = $2 AND state + 0 = 0 RETURNING id, attempts, state
        """) { Locks = SharedRows.Recipients };

    // The claim stays in the row: it says whose outcome this is.
    private static readonly Statement s_end = new(
        """
        UPDATE recipients SET attempts = attempts + 1, state = $3, updated_at = $4
        WHERE id {in_1} AND claim = $2 AND state + 0 = 0 RETURNING id, attempts, state
        """) { Locks = SharedRows.Recipients };

    private static readonly Statement s_setAside = new(
        """
        UPDATE recipients SET claim = 0, state = 5, attempts = attempts + 1, hold_reason = $3, updated_at = $4
        WHERE id = $1 AND claim = $2 AND state + 0 = 0
        """) { Locks = SharedRows.Recipients };

    private static readonly Statement s_standing = new("SELECT id, claim, state, hold_reason FROM recipients WHERE id {in_1}");

    private static readonly Statement s_noted = new("SELECT recipient_id, outcome, started_at, finished_at FROM attempts WHERE recipient_id {in_1}");

    /// <summary>
    /// Records the decisions for those recipients that the claim still holds, and ends the claim, which is the domain's. What was recorded as
    /// bounced or expired waits for its report (<see cref="UnreportedStore"/>), for <paramref name="reportDelay"/> at least unless nothing
    /// more is to be gathered.
    /// </summary>
    /// <param name="afterDoubt">
    /// The same was asked for before, and nobody knows whether it was committed: what was recorded then counts as recorded now.
    /// </param>
    /// <param name="endsClaim">
    /// False: more is to be recorded under it. Should nobody do so, its lease runs out, and what it still holds is taken back.
    /// </param>
    public Task<RecordedOutcomes> RecordAsync(
        long claimId, string domain, IReadOnlyList<RecipientDecision> decisions, TimeSpan reportDelay, bool afterDoubt = false,
        bool endsClaim = true)
    {
        var now = database.Time.GetUtcNow();
        return database.WriteAsync(async transaction =>
        {
            // Whoever takes the claim back ends it first as well: one of the two finds nothing left.
            if (endsClaim)
                await ClaimStore.EndAsync(transaction, claimId, domain);
            var updated = await UpdateAsync(transaction, claimId, decisions, now);
            var recorded = updated.Select(row => row.Decision.Result.RecipientId).ToHashSet();
            var held = updated.Where(row => row.State == RecipientState.Held).Select(row => row.Decision.Result.RecipientId).ToList();
            await transaction.InsertAttemptsAsync([.. updated
                .Where(row => row.Decision.WasTried && row.Decision.Result.Outcome != AttemptOutcome.NotAttempted)
                .Select(row => (row.Decision.Result, row.Attempts))]);
            if (afterDoubt)
                await AddRecordedBeforeAsync(transaction, claimId, decisions, recorded, held);
            var ended = updated.Where(row => row.Decision.State != RecipientState.Queued).Select(row => row.Decision).ToList();
            return new RecordedOutcomes(recorded, await UnreportedStore.NoteAsync(transaction, ended, reportDelay), held);
        });
    }

    /// <summary>
    /// Takes a recipient whose outcome storage refuses from its claim, and holds it for an operator (<see cref="HoldRule.Refused"/>): tried
    /// again, it would be delivered or refused again and not be recorded either. False: the claim was lost.
    /// </summary>
    /// <param name="endsClaim">As in <see cref="RecordAsync"/>.</param>
    public Task<bool> SetAsideAsync(long claimId, string domain, long recipientId, bool endsClaim = true)
    {
        var now = database.Time.GetUtcNow();
        return database.WriteAsync(async transaction =>
        {
            if (endsClaim)
                await ClaimStore.EndAsync(transaction, claimId, domain);
            return await transaction.ExecuteAsync(s_setAside, recipientId, claimId, HoldRule.Refused, now) == 1;
        });
    }

    /// <summary>One statement for all decisions that are alike, whoever they are about. Returns those whose claim was still held.</summary>
    private static async ValueTask<List<Updated>> UpdateAsync(
        IWriteTransaction transaction, long claimId, IReadOnlyList<RecipientDecision> decisions, DateTimeOffset now)
    {
        var byId = decisions.DistinctBy(decision => decision.Result.RecipientId).ToDictionary(decision => decision.Result.RecipientId);
        var updates = byId.Values.GroupBy(decision => (StatementFor(decision), decision.State, decision.NextAttemptAt)).Select(alike =>
        {
            var (statement, state, next) = alike.Key;
            var ids = SqlValue.FromIds(alike.Select(decision => decision.Result.RecipientId));
            Updated Read(DbDataReader row) => new(byId[row.GetInt64(0)], row.GetInt64(1), (RecipientState)row.GetInt32(2));
            if (state != RecipientState.Queued)
                return transaction.QueryAsync(statement, Read, ids, claimId, (long)state, now);
            return statement == s_uncertain
                ? transaction.QueryAsync(statement, Read, ids, claimId, next, now, HoldRule.MostUncertain, HoldRule.Uncertain)
                : transaction.QueryAsync(statement, Read, ids, claimId, next, now);
        }).ToList();
        var updated = new List<Updated>(byId.Count);
        foreach (var rows in updates)
            updated.AddRange(await rows);
        return updated;
    }

    private static Statement StatementFor(RecipientDecision decision) => decision switch
    {
        { State: not RecipientState.Queued } => s_end,
        { Result.Outcome: AttemptOutcome.Uncertain } => s_uncertain,
        { Result.Outcome: AttemptOutcome.NotAttempted } => s_handBack,
        _ => s_queueAgain,
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
        var standings = transaction.QueryAsync(
            s_standing, r => (Id: r.GetInt64(0), Claim: r.GetInt64(1), State: (RecipientState)r.GetInt32(2), Reason: r.GetString(3)), ids);
        var noted = transaction.QueryAsync(
            s_noted, r => (Id: r.GetInt64(0), (AttemptOutcome)r.GetInt32(1), QueueStore.Time(r, 2), QueueStore.Time(r, 3)), ids);
        var before = (await noted).Where(attempt => attempt == Noted(missing[attempt.Id].Result)).Select(attempt => attempt.Id).ToHashSet();
        foreach (var (id, claim, state, reason) in await standings)
        {
            if (state == missing[id].State && state != RecipientState.Queued && claim == claimId)
                before.Add(id);
            else if (state == RecipientState.Held && reason == HoldRule.Uncertain && before.Contains(id))
                held.Add(id);
        }
        recorded.UnionWith(before);
    }

    /// <summary>As storage keeps it: times in whole milliseconds.</summary>
    private static (long Id, AttemptOutcome Outcome, DateTimeOffset StartedAt, DateTimeOffset FinishedAt) Noted(AttemptResult result) => (
        result.RecipientId, result.Outcome, DateTimeOffset.FromUnixTimeMilliseconds(result.StartedAt.ToUnixTimeMilliseconds()),
        DateTimeOffset.FromUnixTimeMilliseconds(result.FinishedAt.ToUnixTimeMilliseconds()));

    /// <param name="Attempts">How many were made for the recipient, this one among them.</param>
    /// <param name="State">Where it stands now.</param>
    private readonly record struct Updated(RecipientDecision Decision, long Attempts, RecipientState State);
}
