using System.Data.Common;
using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>A recipient that was given up, and whose sender has not been told.</summary>
/// <param name="Address">Where the message could not be delivered.</param>
/// <param name="Original">What the sender wrote, where an alias led on from there; else empty.</param>
/// <param name="State">Bounced or Expired.</param>
/// <param name="WasTried">False: given up for what is known of the domain; no attempt of the recipient's own stands behind it.</param>
/// <param name="OriginalRecipient">ORCPT, as <see cref="RcptDsn"/> has it; empty where there was none.</param>
public sealed record UnreportedFailure(
    string Address, string Original, RecipientState State, bool WasTried, AttemptResult Result, string OriginalRecipient = "");

/// <summary>What a report needs of the message it is about.</summary>
/// <param name="Body">What the message needs on its way.</param>
public sealed record ReportedMessage(
    long MessageId, string Sender, DateTimeOffset AcceptedAt, string TraceParent, long SizeBytes, MailDsn Dsn, BodyType Body = BodyType.SevenBit)
{
    public MailTiming Timing { get; init; } = MailTiming.None;

    /// <summary>Since when its time runs: it was accepted or, where its sender had it held, let go.</summary>
    public DateTimeOffset Since { get; init; } = AcceptedAt;

    /// <summary>See <see cref="FlowKey"/>.</summary>
    public string Flow { get; init; } = "";
}

/// <summary>A place in the order in which failures are to be reported.</summary>
public sealed record DueFailure(long DueAt, long RecipientId)
{
    public static readonly DueFailure Start = new(0, 0);

    public long MessageId => RecipientIds.MessageId(RecipientId);
}

/// <summary>
/// Failures between their outcome and the report to the sender. They are noted in the transaction that records the outcome, and go in
/// the one that accepts the report, which finds them as the report says them, so that each is reported once, whoever dies in between.
/// Those of one message that are noted by then share a report. Until then they refer to the message's content, whose header the report returns.
/// </summary>
public sealed class UnreportedStore(MailDatabase database)
{
    // Whatever the last attempt met, an earlier one may have delivered: that is what the sender is told. A message with the null sender has nobody to tell (RFC 5321 §4.5.5, §6.1); who asked for other reports alone is not told either.
    private static readonly Statement s_note = new(
        """
        INSERT INTO unreported (
            recipient_id, address, original, orcpt, state, was_tried, outcome, status, reply, remote_host, started_at, finished_at, due_at)
        SELECT r.id, r.address, r.original, r.orcpt, r.state, $2, CASE WHEN r.uncertain > 0 THEN 4 ELSE $3 END, $4, $5, $6, $7, $8, {now} + $9
        FROM recipients r JOIN messages m ON m.id = (r.id >> 16)
        WHERE r.id = $1 AND m.sender <> '' AND ((r.notify & 15) = 0 OR (r.notify & 4) <> 0)
        """);

    private static readonly Statement s_noteUntried = new(
        """
        INSERT INTO unreported (
            recipient_id, address, original, orcpt, state, was_tried, outcome, status, reply, remote_host, started_at, finished_at, due_at)
        VALUES ($1, $2, $3, $4, 2, 0, 3, $5, $6, '', $7, $7, {now} + $8)
        """);

    // Of a message with very many recipients nobody counts those that wait.
    private static readonly Statement s_waiting = new(
        """
        SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN state IN (0, 5) THEN 1 ELSE 0 END), 0) AS BIGINT)
        FROM (SELECT state FROM recipients WHERE id BETWEEN $1 AND $2 ORDER BY id LIMIT $3) r
        """);

    // The clock is read once, so that it bounds what is read of the index.
    internal static readonly Statement s_due = new(
        """
        SELECT due_at, recipient_id FROM unreported
        WHERE due_at <= (SELECT {now}) AND (due_at, recipient_id) > ($1, $2) ORDER BY due_at, recipient_id LIMIT $3
        """);

    private static readonly Statement s_message = new(
        $"SELECT id, sender, accepted_at, trace_parent, size_bytes, dsn, body, timing, {QueueStore.Since}, flow FROM messages m WHERE id = $1");

    private const string Failure = "recipient_id, address, original, state, was_tried, outcome, status, reply, remote_host, started_at, finished_at, orcpt";

    private static readonly Statement s_list = new(
        $"SELECT {Failure} FROM unreported WHERE recipient_id BETWEEN $1 AND $2 ORDER BY recipient_id LIMIT $3");

    private static readonly Statement s_lock = new(
        $"SELECT {Failure} FROM unreported WHERE recipient_id {{in_1}} ORDER BY recipient_id {{for_update}}") { Locks = SharedRows.Unreported };

    // All or none: two reports in one transaction both find what they lock.
    private static readonly Statement s_take = new(
        "DELETE FROM unreported WHERE recipient_id {in_1} AND (SELECT COUNT(*) FROM unreported WHERE recipient_id {in_1}) = $2")
        { Locks = SharedRows.Unreported };

    private static readonly Statement s_postpone = new(
        """
        UPDATE unreported SET due_at = {now} + $3 WHERE recipient_id IN (
            SELECT recipient_id FROM unreported WHERE recipient_id BETWEEN $1 AND $2 ORDER BY recipient_id {for_update})
        """) { Locks = SharedRows.Unreported };

    /// <summary>Messages with no more recipients are looked through to see whether any of them still waits.</summary>
    private const int MostCounted = 100;

    /// <summary>Failures whose report is due, after the given one in that order; due is not later than the store's clock says.</summary>
    public async Task<IReadOnlyList<DueFailure>> ListDueAsync(DueFailure after, int limit, CancellationToken cancellationToken) =>
        await database.QueryAsync(s_due, r => new DueFailure(r.GetInt64(0), r.GetInt64(1)), cancellationToken, after.DueAt, after.RecipientId, limit);

    /// <summary>Null when nobody knows the message any more.</summary>
    public async Task<ReportedMessage?> FindMessageAsync(long messageId, CancellationToken cancellationToken) =>
        (await database.QueryAsync(
            s_message,
            r => new ReportedMessage(
                r.GetInt64(0), r.GetString(1), StoredTime.Read(r, 2), r.GetString(3), r.GetInt64(4), MailDsn.Parse(r.GetString(5)),
                (BodyType)r.GetInt32(6))
            {
                Timing = MailTiming.Parse(r.GetString(7)),
                Since = StoredTime.Read(r, 8),
                Flow = r.GetString(9),
            },
            cancellationToken, messageId))
        .FirstOrDefault();

    /// <summary>
    /// Accepts the report that <paramref name="compose"/> makes of the failures of the message that are noted, at most so many, and takes
    /// those away. It is asked outside of any transaction, anew where another reporter was quicker, and not at all where there are none.
    /// </summary>
    /// <param name="mostAnHour">So many reports in an hour the sender gets; a further one is dropped, and noted as that.</param>
    public async Task<ReportEnd> ReportAsync(
        long messageId, int limit, Func<IReadOnlyList<UnreportedFailure>, ComposedMessage> compose, CancellationToken cancellationToken,
        int mostAnHour = int.MaxValue)
    {
        var (first, last) = Range(messageId);
        while (true)
        {
            var noted = await database.QueryAsync(s_list, Read, cancellationToken, first, last, limit);
            if (noted.Count == 0)
                return ReportEnd.Nothing;
            // A thousand failures take their time: neither the writer nor the caller's grain waits for it.
            var report = await Task.Run(() => compose(noted), cancellationToken);
            if (await AcceptAsync(messageId, report, noted, mostAnHour) is { } end)
                return end;
        }
    }

    /// <summary>Null: not all of the failures are noted any more as the report says them, and nothing was changed.</summary>
    private Task<ReportEnd?> AcceptAsync(long messageId, ComposedMessage report, List<UnreportedFailure> failures, int mostAnHour)
    {
        var ids = SqlValue.FromIds(failures.Select(failure => failure.Result.RecipientId));
        var acceptance = new ReportAcceptance(database, messageId, ReportKind.Failed, report, failures.Count, mostAnHour);
        return database.WriteAsync<ReportEnd?>(async transaction =>
        {
            var stored = await transaction.QueryAsync(s_lock, Read, ids);
            if (!stored.SequenceEqual(failures) || await transaction.ExecuteAsync(s_take, ids, failures.Count) == 0)
                return null;
            var end = await acceptance.AcceptAsync(transaction);
            await transaction.DropReferencesAsync([.. failures.Select(_ => messageId)]);
            return end;
        });
    }

    /// <summary>The failures of the message that are noted are due no earlier than after this time.</summary>
    public Task PostponeAsync(long messageId, TimeSpan pause)
    {
        var (first, last) = Range(messageId);
        return database.WriteAsync(async transaction => await transaction.ExecuteAsync(s_postpone, first, last, (long)pause.TotalMilliseconds));
    }

    /// <summary>
    /// Notes what was recorded as bounced or expired in this transaction; what nobody is to be told of gives the bytes back instead.
    /// Returns the messages of which no other recipient waits: there is nothing more to gather for their reports.
    /// </summary>
    internal static async ValueTask<IReadOnlyList<long>> NoteAsync(
        IWriteTransaction transaction, IReadOnlyList<RecipientDecision> ended, TimeSpan delay)
    {
        var noting = ended.Select(decision => (
            MessageId: RecipientIds.MessageId(decision.Result.RecipientId), Noted: NoteAsync(transaction, decision, (long)delay.TotalMilliseconds))).ToList();
        var reported = new HashSet<long>();
        var untold = new List<long>();
        foreach (var (messageId, noted) in noting)
        {
            if (await noted == 1)
                reported.Add(messageId);
            else
                untold.Add(messageId);
        }
        var counting = reported.Select(id => (Id: id, IsComplete: IsCompleteAsync(transaction, id))).ToList();
        await transaction.DropReferencesAsync(untold);
        var complete = new List<long>();
        foreach (var (id, isComplete) in counting)
        {
            if (await isComplete)
                complete.Add(id);
        }
        return complete;
    }

    /// <summary>He begins as bounced in this transaction, and his sender is to be told.</summary>
    internal static void NoteUntried(IWriteTransaction transaction, RoutedRecipient recipient, AttemptResult why, TimeSpan delay) => transaction.ExecuteLast(
        s_noteUntried, why.RecipientId, recipient.Address, recipient.Original, recipient.Dsn?.OriginalRecipient ?? "", StoredText.Note(why.Status),
        StoredText.Note(why.Reply), why.FinishedAt, (long)delay.TotalMilliseconds);

    private static ValueTask<int> NoteAsync(IWriteTransaction transaction, RecipientDecision decision, long delay)
    {
        var result = decision.Result;
        return transaction.ExecuteAsync(
            s_note, result.RecipientId, decision.WasTried ? 1 : 0, (long)result.Outcome, StoredText.Note(result.Status), StoredText.Note(result.Reply),
            StoredText.Note(result.RemoteHost), result.StartedAt, result.FinishedAt, delay);
    }

    private static async ValueTask<bool> IsCompleteAsync(IWriteTransaction transaction, long messageId)
    {
        var (first, last) = Range(messageId);
        var counted = await transaction.QueryAsync(
            s_waiting, r => (Recipients: r.GetInt64(0), Waiting: r.GetInt64(1)), first, last, MostCounted + 1);
        return counted is [{ Recipients: <= MostCounted, Waiting: 0 }];
    }

    private static UnreportedFailure Read(DbDataReader r) => new(
        r.GetString(1), r.GetString(2), (RecipientState)r.GetInt32(3), r.GetInt64(4) != 0,
        new AttemptResult(
            r.GetInt64(0), (AttemptOutcome)r.GetInt32(5), r.GetString(6), r.GetString(7), r.GetString(8), StoredTime.Read(r, 9), StoredTime.Read(r, 10)),
        r.GetString(11));

    private static (long First, long Last) Range(long messageId) =>
        (RecipientIds.Of(messageId, 0), RecipientIds.Of(messageId, RecipientIds.MaxPerMessage - 1));
}
