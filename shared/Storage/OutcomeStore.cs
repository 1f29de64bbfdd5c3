using MailPipeline.Contracts;

namespace MailPipeline.Storage;

/// <summary>What the queue decided after an attempt that was not delivered.</summary>
/// <param name="State">Queued (try again at <paramref name="NextAttemptAt"/>), Bounced or Expired.</param>
/// <param name="WasTried">False: given up for what is known of the domain; no attempt of the recipient's own stands behind it.</param>
public sealed record RecipientDecision(AttemptResult Result, RecipientState State, DateTimeOffset NextAttemptAt, bool WasTried = true);

/// <summary>A message of our own and its bytes.</summary>
public sealed record ComposedMessage(AcceptedMessage Message, byte[] Content);

/// <summary>What <see cref="OutcomeStore.RecordAsync"/> wrote.</summary>
/// <param name="Recorded">Recipients whose claim was still held.</param>
/// <param name="Reportable">Messages with failures to report of which no other recipient waits: there is nothing more to gather.</param>
/// <param name="Held">Of those recorded, the ones that wait for an operator instead of their next attempt.</param>
public sealed record RecordedOutcomes(
    IReadOnlySet<long> Recorded, IReadOnlyList<long> Reportable, IReadOnlyList<HeldRecipient> Held);

/// <summary>Writes what the queue decided: outcome, next attempt time and what is to be reported in one transaction.</summary>
public sealed class OutcomeStore(MailDatabase database)
{
    private static readonly Statement s_queueAgain = new(
        """
        UPDATE recipients SET claim = 0, attempts = attempts + 1, next_attempt_at = $3, updated_at = $4
        WHERE id = $1 AND claim = $2 AND state = 0 RETURNING attempts
        """);

    // In doubt once more: held when that was once too often ($5, $6; see HoldRule).
    private static readonly Statement s_uncertain = new(
        """
        UPDATE recipients SET claim = 0, attempts = attempts + 1, uncertain = uncertain + 1, next_attempt_at = $3, updated_at = $4,
            state = CASE WHEN uncertain + 1 >= $5 THEN 5 ELSE 0 END, hold_reason = CASE WHEN uncertain + 1 >= $5 THEN $6 ELSE '' END
        WHERE id = $1 AND claim = $2 AND state = 0 RETURNING attempts, state
        """);

    private static readonly Statement s_handBack = new(
        """
        UPDATE recipients SET claim = 0, next_attempt_at = $3, updated_at = $4
        WHERE id = $1 AND claim = $2 AND state = 0 RETURNING attempts
        """);

    private static readonly Statement s_end = new(
        """
        UPDATE recipients SET claim = 0, attempts = attempts + 1, state = $3, updated_at = $4
        WHERE id = $1 AND claim = $2 AND state = 0 RETURNING attempts
        """);

    /// <summary>
    /// Ends the claim, which is the domain's, and records the decisions for those recipients that it still holds. What was recorded as
    /// bounced or expired waits for its report (<see cref="UnreportedStore"/>), for <paramref name="reportDelay"/> at least unless nothing
    /// more is to be gathered.
    /// </summary>
    public Task<RecordedOutcomes> RecordAsync(long claimId, string domain, IReadOnlyList<RecipientDecision> decisions, TimeSpan reportDelay)
    {
        var now = database.Time.GetUtcNow();
        return database.WriteAsync(async transaction =>
        {
            var recorded = new HashSet<long>(decisions.Count);
            var ended = new List<RecipientDecision>();
            var held = new List<HeldRecipient>();
            foreach (var decision in decisions)
            {
                var updated = IsInDoubt(decision)
                    ? await HoldOrQueueAsync(transaction, claimId, decision, now, held) : await UpdateAsync(transaction, claimId, decision, now);
                if (updated is not [var attempts])
                    continue;
                recorded.Add(decision.Result.RecipientId);
                if (decision.WasTried && decision.Result.Outcome != AttemptOutcome.NotAttempted)
                    await transaction.InsertAttemptAsync(decision.Result, attempts);
                if (decision.State != RecipientState.Queued)
                    ended.Add(decision);
            }
            await ClaimStore.EndAsync(transaction, claimId, domain);
            return new RecordedOutcomes(recorded, await UnreportedStore.NoteAsync(transaction, ended, reportDelay), held);
        });
    }

    private static bool IsInDoubt(RecipientDecision decision) =>
        decision.State == RecipientState.Queued && decision.Result.Outcome == AttemptOutcome.Uncertain;

    private static async ValueTask<List<long>> HoldOrQueueAsync(
        IWriteTransaction transaction, long claimId, RecipientDecision decision, DateTimeOffset now, List<HeldRecipient> held)
    {
        var id = decision.Result.RecipientId;
        var rows = await transaction.QueryAsync(
            s_uncertain, r => (Attempts: r.GetInt64(0), State: (RecipientState)r.GetInt32(1)), id, claimId, decision.NextAttemptAt, now,
            HoldRule.MostUncertain, HoldRule.Uncertain);
        held.AddRange(rows.Where(row => row.State == RecipientState.Held).Select(_ => new HeldRecipient(id, HoldRule.Uncertain)));
        return [.. rows.Select(row => row.Attempts)];
    }

    private static ValueTask<List<long>> UpdateAsync(
        IWriteTransaction transaction, long claimId, RecipientDecision decision, DateTimeOffset now)
    {
        var id = decision.Result.RecipientId;
        if (decision.State != RecipientState.Queued)
            return transaction.QueryAsync(s_end, r => r.GetInt64(0), id, claimId, (long)decision.State, now);
        var statement = decision.Result.Outcome == AttemptOutcome.NotAttempted ? s_handBack : s_queueAgain;
        return transaction.QueryAsync(statement, r => r.GetInt64(0), id, claimId, decision.NextAttemptAt, now);
    }
}
