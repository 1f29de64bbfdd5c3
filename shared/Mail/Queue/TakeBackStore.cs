using System.Data.Common;
using System.Globalization;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What was taken back from workers that died, in recipients.</summary>
/// <param name="Unbegun">Nothing had been sent for them: they are due at once, at no cost.</param>
/// <param name="Interrupted">Being tried, and no final dot can have been sent.</param>
/// <param name="Uncertain">Their final dot may have been sent: perhaps delivered.</param>
/// <param name="Held">Of the last two, the ones that are now held for an operator, and why.</param>
public sealed record TakenBack(int Unbegun, int Interrupted, int Uncertain, IReadOnlyList<HeldRecipient> Held)
{
    /// <summary>Recipients that are named one by one; the others are counted only.</summary>
    public const int MostNamed = 100;

    public static readonly TakenBack Nothing = new(0, 0, 0, []);

    /// <summary>The first of the interrupted and uncertain recipients that wait for their next attempt, <see cref="MostNamed"/> at most.</summary>
    public IReadOnlyList<TakenBackRecipient> Named { get; init; } = [];

    /// <summary>How many more of them there are.</summary>
    public int Unnamed => Interrupted + Uncertain - Held.Count - GivenUp - Named.Count;

    /// <summary>How many of the uncertain are not tried again, and are reported to their senders.</summary>
    public int GivenUp { get; init; }

    /// <summary>Claims that could not be taken back, each for a reason of its own; they are as they were.</summary>
    public IReadOnlyList<ClaimNotTaken> NotTaken { get; init; } = [];

    public static TakenBack operator +(TakenBack one, TakenBack other) => new(
        one.Unbegun + other.Unbegun, one.Interrupted + other.Interrupted, one.Uncertain + other.Uncertain, [.. one.Held, .. other.Held])
    {
        Named = [.. one.Named, .. other.Named.Take(MostNamed - one.Named.Count)],
        GivenUp = one.GivenUp + other.GivenUp,
        NotTaken = [.. one.NotTaken, .. other.NotTaken],
    };
}

/// <summary>A recipient that was taken back from a worker that had begun with it.</summary>
/// <param name="Original">What the sender wrote, where an alias led on; else empty.</param>
/// <param name="Result">The attempt, as it is recorded.</param>
public sealed record TakenBackRecipient(string Address, string Original, AttemptResult Result, DateTimeOffset NextAttemptAt);

/// <summary>A claim that cannot be taken back, and why.</summary>
public sealed record ClaimNotTaken(long ClaimId, Exception Reason);

/// <summary>A recipient as the worker left it that died over it, or whose report was lost.</summary>
/// <param name="Domain">The name of its domain's queue.</param>
/// <param name="Attempts">With this one.</param>
/// <param name="Uncertain">How many of them may have delivered.</param>
/// <param name="MayHaveArrived">So may this one: its final dot may have been sent.</param>
public sealed record LeftRecipient(
    string Domain, string Address, string Sender, string Flow, int Attempts, int Uncertain, bool MayHaveArrived, DateTimeOffset AcceptedAt);

/// <summary>What follows, as the queue decides.</summary>
/// <param name="State">Queued, Held or Bounced.</param>
/// <param name="HoldReason">Why it is held; else empty.</param>
public readonly record struct TakeBackDecision(RecipientState State, DateTimeOffset NextAttemptAt, string HoldReason = "");

/// <summary>A recipient that is held for an operator because its attempts end badly, again and again.</summary>
public sealed record HeldRecipient(long RecipientId, string Address, string Reason);

/// <summary>
/// When a recipient is tried no more until an operator has looked, whatever the settings: a message that kills each worker that tries it would otherwise go
/// on until the recipient's time is over.
/// </summary>
public static class HoldRule
{
    /// <summary>Workers in a row that may die over one recipient. An attempt that its worker lives to report begins the count anew.</summary>
    public const int MostDeaths = 3;

    /// <summary>
    /// Workers in a row that may die over a recipient to whom nothing points: others were begun with it, and it had not come to a final dot. Most often the far end
    /// was merely being dialled as the process ended. A message that kills its worker before its dot, among others, ends here.
    /// </summary>
    public const int MostDeathsAmongOthers = 10;

    public const string Deaths = "3 workers died while they tried it";

    public const string DeathsAmongOthers = "10 workers died while they tried it and others";

    public const string Refused = "storage refuses what became of it; the log has the reason";

    /// <summary>So many attempts may have delivered, and there is to be no other.</summary>
    public static string Uncertain(int attempts) => attempts == 1
        ? "1 attempt ended without an answer to the final dot; a copy may have arrived"
        : string.Create(CultureInfo.InvariantCulture, $"{attempts} attempts ended without an answer to the final dot; a copy may have arrived each time");

    /// <summary>Why the recipient is held; empty: it is not.</summary>
    /// <param name="isAmongOthers">The worker that died last had begun with others as well, and this one had not come to a final dot.</param>
    public static string Reason(long deaths, bool isAmongOthers) =>
        deaths >= MostDeathsAmongOthers && isAmongOthers ? DeathsAmongOthers
        : deaths >= MostDeaths && !isAmongOthers ? Deaths : "";
}

/// <summary>Takes recipients back from workers that died.</summary>
/// <param name="events">Who is told of it; null: nobody.</param>
public sealed class TakeBackStore(MailDatabase database, EventSubscriptions? events = null)
{
    private const int Page = 200;

    /// <summary>Claims that share a transaction; between them others come to theirs.</summary>
    private const int ClaimsAtOnce = 10;

    // Looked through every second, all that there are: an index on what each renewal changes would cost more. The clock is read once.
    internal static readonly Statement s_expired = new(
        """
        SELECT lease_until, id FROM claims WHERE lease_until < (SELECT {now}) AND (lease_until, id) > ($1, $2) ORDER BY lease_until, id LIMIT $3
        """);

    private static readonly Statement s_all = new(
        "SELECT lease_until, id FROM claims WHERE (lease_until, id) > ($1, $2) ORDER BY lease_until, id LIMIT $3");

    private static readonly Statement s_find = new(
        $$"""
        SELECT r.id, r.attempts, r.deaths, r.uncertain, {{QueueStore.Since}}, r.address, r.original,
            CASE WHEN r.return_path = '' THEN m.sender ELSE r.return_path END, r.flow
        FROM recipients r JOIN messages m ON m.id = (r.id >> 16)
        WHERE r.id {in_1} AND r.claim = $2 AND r.state + 0 = 0
        """);

    /// <summary>
    /// Takes back the recipients of claims whose lease ran out (or of all claims, when every holder is known to be dead). What a
    /// worker had begun counts as an attempt and waits as the schedule says; it is uncertain only where the claim says that the final
    /// dot may have been sent. What it had not begun is as it was.
    /// </summary>
    /// <param name="decide">What becomes of a recipient that was begun.</param>
    /// <param name="reportDelay">How long what is given up waits for its report, at least.</param>
    /// <param name="mayTake">Asked when the store has named claims, before they are taken; false ends it.</param>
    public async Task<TakenBack> TakeBackAsync(
        bool evenIfLeased, Func<LeftRecipient, TakeBackDecision> decide, TimeSpan reportDelay, CancellationToken cancellationToken, Func<bool>? mayTake = null)
    {
        var total = TakenBack.Nothing;
        // What cannot be taken back stays where it is: the next page lies behind it.
        for (var after = (LeaseUntil: long.MinValue, Id: 0L); ;)
        {
            var claims = await database.QueryAsync(
                evenIfLeased ? s_all : s_expired, r => (LeaseUntil: r.GetInt64(0), Id: r.GetInt64(1)), cancellationToken, after.LeaseUntil, after.Id, Page);
            if (mayTake?.Invoke() == false || claims.Count == 0)
                return total;
            foreach (var some in claims.Chunk(ClaimsAtOnce))
            {
                foreach (var taken in await Task.WhenAll(some.Select(claim => TryTakeBackAsync(claim.Id, evenIfLeased, decide, reportDelay))))
                    total += taken;
            }
            after = claims[^1];
        }
    }

    /// <summary>A claim that cannot be taken back, whatever the reason, holds up none of the others; a store that is away does.</summary>
    private async Task<TakenBack> TryTakeBackAsync(long claimId, bool evenIfLeased, Func<LeftRecipient, TakeBackDecision> decide, TimeSpan reportDelay)
    {
        try
        {
            return await TakeBackAsync(claimId, evenIfLeased, decide, reportDelay);
        }
        catch (Exception exception) when (exception is not StorageUnavailableException { Fault: not StorageFault.Refused })
        {
            return TakenBack.Nothing with { NotTaken = [new ClaimNotTaken(claimId, exception)] };
        }
    }

    private Task<TakenBack> TakeBackAsync(long claimId, bool evenIfLeased, Func<LeftRecipient, TakeBackDecision> decide, TimeSpan reportDelay)
    {
        var now = database.Time.GetUtcNow();
        return database.WriteAsync(async transaction =>
        {
            if (await OutcomeWriter.EndDeadClaimAsync(transaction, claimId, evenIfLeased, ReadClaim) is not [var claim])
                return TakenBack.Nothing;
            var found = await transaction.QueryAsync(s_find, ReadRecipient, SqlValue.FromIds(ClaimStore.Ids(claim.Recipients)), claimId);
            var unbegun = found.Where(recipient => claim.IsUnbegun(recipient.Id)).Select(recipient => recipient.Id).ToList();
            var begun = found.Where(recipient => !claim.IsUnbegun(recipient.Id)).ToList();
            var returns = begun.ConvertAll(recipient => Return(recipient, claim, isAlone: begun.Count == 1, decide));
            var free = OutcomeWriter.FreeAsync(transaction, claimId, unbegun);
            var attempts = await OutcomeWriter.TakenBackAsync(
                transaction, claimId, returns, id => Result(id, claim.Ends.Contains(id), claim.IsDone, now), claim.IsDone, reportDelay, now, events);
            var freed = await free;
            var results = attempts.ToDictionary(result => result.RecipientId);
            // Who was recorded as delivered since he was looked for is not taken back.
            returns.RemoveAll(one => !results.ContainsKey(one.Id));
            // The earliest is the one that the domain's queue has to be awake for.
            var due = returns.Where(one => one.State == RecipientState.Queued).Select(one => one.Next).Concat(freed > 0 ? [now] : []).ToList();
            if (due.Count > 0)
                await QueueStore.DueNoLaterAsync(transaction, claim.Domain, due.Min());
            var dots = returns.Count(one => one.Dot);
            var known = found.ToDictionary(recipient => recipient.Id);
            return new TakenBack(
                freed, returns.Count - dots, dots,
                [.. returns.Where(one => one.Reason.Length > 0).Select(one => new HeldRecipient(one.Id, known[one.Id].Address, one.Reason))])
            {
                GivenUp = returns.Count(one => one.State == RecipientState.Bounced),
                Named = [.. returns.Where(one => one.State == RecipientState.Queued).Take(TakenBack.MostNamed)
                    .Select(one => new TakenBackRecipient(known[one.Id].Address, known[one.Id].Original, results[one.Id], one.Next))],
            };
        });
    }

    private static ReturnedRecipient Return(Tried recipient, DeadClaim claim, bool isAlone, Func<LeftRecipient, TakeBackDecision> decide)
    {
        var dot = claim.Ends.Contains(recipient.Id);
        var decision = decide(new LeftRecipient(
            claim.Domain, recipient.Address, recipient.Sender, recipient.Flow, recipient.Attempts + 1, (int)recipient.Uncertain + (dot ? 1 : 0), dot, recipient.AcceptedAt));
        var reason = decision.State == RecipientState.Queued
            ? HoldRule.Reason(claim.IsDone ? 0 : recipient.Deaths + 1, isAmongOthers: !dot && !isAlone) : decision.HoldReason;
        return new(recipient.Id, dot, reason.Length > 0 ? RecipientState.Held : decision.State, reason, decision.NextAttemptAt);
    }

    private static AttemptResult Result(long recipientId, bool dot, bool isDone, DateTimeOffset now)
    {
        var what = isDone ? "the report of the attempt was lost" : "the worker that tried it died or lost its lease";
        return dot
            ? new(recipientId, AttemptOutcome.Uncertain, "4.4.2", $"{what}, perhaps after the final dot", "", now, now) { Class = ReplyClass.Other }
            : new(recipientId, AttemptOutcome.Deferred, "4.4.2", $"{what}; no final dot was sent without an answer", "", now, now) { Class = ReplyClass.Other };
    }

    private static DeadClaim ReadClaim(DbDataReader row) => new(
        row.GetString(0), row.GetString(1), row.GetInt64(2), row.GetString(3) is { Length: > 0 } ends ? [.. ClaimStore.Ids(ends)] : []);

    private static Tried ReadRecipient(DbDataReader row) =>
        new(row.GetInt64(0), row.GetInt32(1), row.GetInt64(2), row.GetInt64(3), StoredTime.Read(row, 4), row.GetString(5), row.GetString(6),
            row.GetString(7), row.GetString(8));

    /// <summary>A recipient as its dead worker left it.</summary>
    private readonly record struct Tried(
        long Id, int Attempts, long Deaths, long Uncertain, DateTimeOffset AcceptedAt, string Address, string Original, string Sender, string Flow);

    /// <param name="Ends">Whose final dot may have been sent; negative, in a claim whose worker was done: whose attempt ended otherwise.</param>
    private sealed record DeadClaim(string Domain, string Recipients, long BeganAt, HashSet<long> Ends)
    {
        /// <summary>The worker lived to say what became of each, and only its report is missing.</summary>
        public bool IsDone => BeganAt < 0;

        /// <summary>
        /// Once a worker says for whom the final dot may be sent, it has not begun with the others, or they have their answer and it
        /// was lost with the worker. Before it dials for all.
        /// </summary>
        public bool IsUnbegun(long recipientId) =>
            BeganAt == 0 || ((IsDone || Ends.Count > 0) && !Ends.Contains(recipientId) && !Ends.Contains(-recipientId));
    }
}
