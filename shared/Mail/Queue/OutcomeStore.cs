using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What the queue decided after an attempt that was not delivered.</summary>
/// <param name="State">Queued (try again at <paramref name="NextAttemptAt"/>), Held (until an operator releases it), Bounced or Expired.</param>
/// <param name="WasTried">False: given up for what is known of the domain; no attempt of the recipient's own stands behind it.</param>
public sealed record RecipientDecision(AttemptResult Result, RecipientState State, DateTimeOffset NextAttemptAt, bool WasTried = true)
{
    /// <summary>Why it is held; else empty.</summary>
    public string HoldReason { get; init; } = "";

    /// <summary>What comes to his sender's suppression list with it; null: nothing.</summary>
    public Suppression? Suppression { get; init; }
}

/// <summary>A message of our own and its bytes.</summary>
public sealed record ComposedMessage(Envelope Message, byte[] Content);

/// <summary>What <see cref="OutcomeStore.RecordAsync"/> wrote.</summary>
/// <param name="Recorded">Recipients whose claim was still held.</param>
/// <param name="Reportable">Messages with failures to report of which no other recipient waits: there is nothing more to gather.</param>
/// <param name="Held">Of those recorded, the ones that wait for an operator.</param>
public sealed record RecordedOutcomes(
    IReadOnlySet<long> Recorded, IReadOnlyList<long> Reportable, IReadOnlyList<long> Held);

/// <summary>Writes what the queue decided: outcome, next attempt time and what is to be reported in one transaction.</summary>
/// <param name="events">Who is told of it; null: nobody.</param>
public sealed class OutcomeStore(MailDatabase database, EventSubscriptions? events = null)
{
    /// <summary>
    /// Records the decisions for those recipients that the claim still holds, and ends the claim, which is the domain's. What was recorded as
    /// bounced or expired waits for its report (<see cref="UnreportedStore"/>), for <paramref name="reportDelay"/> at least unless nothing
    /// more is to be gathered.
    /// </summary>
    /// <param name="afterDoubt">
    /// That these be recorded was asked for before, and nobody knows whether it was committed: what was recorded then counts as recorded now.
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
                await OutcomeWriter.EndClaimAsync(transaction, claimId, domain);
            return await OutcomeWriter.DecidedAsync(transaction, claimId, decisions, reportDelay, afterDoubt, now, events);
        });
    }

    /// <summary>
    /// Takes a recipient whose outcome storage refuses from its claim, and holds it for an operator (<see cref="HoldRule.Refused"/>): tried
    /// again, it would be delivered or refused again and not be recorded either.
    /// </summary>
    /// <param name="endsClaim">As in <see cref="RecordAsync"/>.</param>
    public Task<ClaimUpdate> HoldRefusedAsync(long claimId, string domain, long recipientId, bool endsClaim = true)
    {
        var now = database.Time.GetUtcNow();
        return database.WriteAsync(async transaction =>
        {
            if (endsClaim)
                await OutcomeWriter.EndClaimAsync(transaction, claimId, domain);
            return await OutcomeWriter.RefusedAsync(transaction, claimId, recipientId, now);
        });
    }
}
