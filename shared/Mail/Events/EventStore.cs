using System.Data.Common;
using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>A receiver of events.</summary>
/// <param name="Since">Since when outcomes are written for him.</param>
/// <param name="AwaySince">Since when he takes nothing; null: he does.</param>
/// <param name="Reason">Why; else empty.</param>
/// <param name="Dropped">Events that were never sent to him, because they had grown too old.</param>
public sealed record EventReceiver(string Name, IReadOnlyList<EventKind> Kinds, DateTimeOffset Since, DateTimeOffset? AwaySince, string Reason, long Dropped);

/// <summary>What waits for a receiver.</summary>
/// <param name="Waiting">How many events, of those that are counted.</param>
/// <param name="HasMore">There are more than are counted.</param>
/// <param name="Oldest">For how long the oldest has waited; null: none does.</param>
public sealed record EventBacklog(long Waiting, bool HasMore, TimeSpan? Oldest);

/// <summary>Events that wait for their receivers, and who these are. What is written of outcomes is <see cref="EventOutbox"/>'s.</summary>
public sealed class EventStore(MailDatabase database)
{
    /// <summary>Events that are dropped or forgotten by one transaction.</summary>
    private const int Piece = 500;

    // Writers look every few seconds.
    private static readonly TimeSpan s_heard = TimeSpan.FromMinutes(1);

    private static readonly Statement s_receivers = new("SELECT name, kinds, since, away_since, reason, dropped FROM event_receivers ORDER BY name");

    private static readonly Statement s_register = new(
        """
        INSERT INTO event_receivers (name, kinds, since, seen_at) VALUES ($1, $2, {now}, {now})
        ON CONFLICT (name) DO UPDATE SET kinds = excluded.kinds, seen_at = excluded.seen_at
        """) { Locks = SharedRows.EventReceivers };

    private static readonly Statement s_unseen = new("SELECT name FROM event_receivers WHERE seen_at < {now} - $1");

    private static readonly Statement s_muteUnseen = new("UPDATE event_receivers SET kinds = 0 WHERE name = $1 AND kinds <> 0 AND seen_at < {now} - $2")
        { Locks = SharedRows.EventReceivers };

    private static readonly Statement s_forgetUnseen = new("DELETE FROM event_receivers WHERE name = $1 AND kinds = 0 AND seen_at < {now} - $2") { Locks = SharedRows.EventReceivers };

    private static readonly Statement s_state = new(
        "UPDATE event_receivers SET away_since = CASE WHEN $2 = 1 THEN CASE WHEN away_since = 0 THEN {now} ELSE away_since END ELSE 0 END, reason = $3 WHERE name = $1")
        { Locks = SharedRows.EventReceivers };

    // Of one recipient the attempt says which event is earlier, should the store's clock ever be set back.
    internal static readonly Statement s_next = new(
        """
        SELECT o.recipient_id, o.number, o.kind, o.details, o.written_at, o.at, o.next_at, o.status, o.reply, o.host, o.reply_class,
            COALESCE(m.sender, ''), COALESCE(m.header_id, ''), COALESCE(r.address, ''), COALESCE(r.original, ''), COALESCE(r.domain, ''), COALESCE(r.flow, ''), COALESCE(m.dsn, ''),
            COALESCE(c.report_id, 0), COALESCE(c.feedback, ''), COALESCE(c.source, ''), COALESCE(c.reporter, ''), COALESCE(c.original, ''), COALESCE(c.host, ''),
            COALESCE(c.is_trusted, 0)
        FROM event_outbox o LEFT JOIN recipients r ON r.id = o.recipient_id LEFT JOIN messages m ON m.id = (o.recipient_id >> 16)
            LEFT JOIN complaints c ON c.recipient_id = o.recipient_id AND o.kind = 4
        WHERE o.receiver = $1 AND NOT EXISTS (
            SELECT 1 FROM event_outbox e WHERE e.recipient_id = o.recipient_id AND e.receiver = o.receiver AND e.number < o.number AND e.written_at > o.written_at)
        ORDER BY o.receiver, o.written_at, o.recipient_id, o.number LIMIT $2
        """);

    private static readonly Statement s_taken = new("DELETE FROM event_outbox WHERE recipient_id = $1 AND number = $2 AND receiver = $3") { IsMerged = true };

    internal static readonly Statement s_dropOld = new(
        """
        DELETE FROM event_outbox WHERE receiver = $1 AND (recipient_id, number) IN (
            SELECT recipient_id, number FROM event_outbox WHERE receiver = $1 AND written_at < {now} - $2 ORDER BY receiver, written_at LIMIT $3)
        """);

    internal static readonly Statement s_dropFirst = new(
        """
        DELETE FROM event_outbox WHERE receiver = $1 AND (recipient_id, number) IN (
            SELECT recipient_id, number FROM event_outbox WHERE receiver = $1 ORDER BY receiver, written_at LIMIT $2)
        """);

    private static readonly Statement s_dropped = new("UPDATE event_receivers SET dropped = dropped + $2 WHERE name = $1") { Locks = SharedRows.EventReceivers };

    private static readonly Statement s_count = new("SELECT COUNT(*) FROM (SELECT 1 FROM event_outbox WHERE receiver = $1 LIMIT $2) few");

    private static readonly Statement s_oldest = new("SELECT {now} - written_at FROM event_outbox WHERE receiver = $1 ORDER BY receiver, written_at LIMIT 1");

    public Task<List<EventReceiver>> ListReceiversAsync(CancellationToken cancellationToken) =>
        database.QueryAsync(s_receivers, ReadReceiver, cancellationToken);

    /// <summary>From now on outcomes of these kinds are written for him, as soon as other processes have heard of it; saying it again keeps him.</summary>
    public Task RegisterAsync(string name, IEnumerable<EventKind> kinds)
    {
        var bits = kinds.Aggregate(0L, (all, kind) => all | EventSubscriptions.BitOf(kind));
        return database.WriteAsync(transaction => transaction.ExecuteAsync(s_register, name, bits));
    }

    /// <summary>
    /// Forgets receivers that no process has named for so long, with all that waits for them: nothing more is written for them from then on, and a while later, when every
    /// process has heard of that, they are gone. Returns those, each with how many events went with him.
    /// </summary>
    public async Task<IReadOnlyList<(string Name, long Events)>> ForgetUnseenAsync(TimeSpan unseenFor, CancellationToken cancellationToken)
    {
        var span = (long)unseenFor.TotalMilliseconds;
        var heard = span + (long)s_heard.TotalMilliseconds;
        foreach (var name in await database.QueryAsync(s_unseen, r => r.GetString(0), cancellationToken, span))
            await database.WriteAsync(transaction => transaction.ExecuteAsync(s_muteUnseen, name, span));
        var forgotten = new List<(string, long)>();
        foreach (var name in await database.QueryAsync(s_unseen, r => r.GetString(0), cancellationToken, heard))
        {
            var events = await ClearAsync(name, cancellationToken);
            if (await database.WriteAsync(transaction => transaction.ExecuteAsync(s_forgetUnseen, name, heard)) > 0)
                forgotten.Add((name, events));
        }

        return forgotten;
    }

    /// <summary>Notes that he takes nothing, and why; or, with an empty reason, that he does again.</summary>
    public Task NoteAsync(string name, string reason) => database.WriteAsync(transaction =>
        transaction.ExecuteAsync(s_state, name, reason.Length > 0 ? 1 : 0, StoredText.Note(reason)));

    /// <summary>What is next for him, in the order of being written; of one recipient in the order of its attempts. The same until it is taken.</summary>
    public Task<List<WaitingEvent>> ListNextAsync(string receiver, int most, CancellationToken cancellationToken) =>
        database.QueryAsync(s_next, ReadEvent, cancellationToken, receiver, most);

    /// <summary>He has these, or never wants them: they are gone.</summary>
    public Task TakenAsync(string receiver, IReadOnlyList<WaitingEvent> events) => database.WriteAsync(transaction =>
    {
        foreach (var taken in events)
            transaction.ExecuteLast(s_taken, taken.RecipientId, taken.Number, receiver);
        return ValueTask.FromResult(true);
    });

    /// <summary>Drops what has waited for longer, in pieces. Returns how many.</summary>
    public Task<long> DropOldAsync(string receiver, TimeSpan age, CancellationToken cancellationToken) =>
        DropAsync(receiver, long.MaxValue, (transaction, most) => transaction.ExecuteAsync(s_dropOld, receiver, (long)age.TotalMilliseconds, most), cancellationToken);

    /// <summary>Drops so many of what has waited longest, in pieces. Returns how many.</summary>
    public Task<long> DropFirstAsync(string receiver, long count, CancellationToken cancellationToken) =>
        DropAsync(receiver, count, (transaction, most) => transaction.ExecuteAsync(s_dropFirst, receiver, most), cancellationToken);

    /// <param name="most">So many are counted, and no more.</param>
    public async Task<EventBacklog> MeasureAsync(string receiver, long most, CancellationToken cancellationToken)
    {
        var oldest = await database.QueryAsync(s_oldest, r => r.GetInt64(0), cancellationToken, receiver);
        if (oldest.Count == 0)
            return new EventBacklog(0, HasMore: false, null);
        var count = (await database.QueryAsync(s_count, r => r.GetInt64(0), cancellationToken, receiver, most + 1))[0];
        return new EventBacklog(Math.Min(count, most), count > most, TimeSpan.FromMilliseconds(Math.Max(0, oldest[0])));
    }

    private async Task<long> DropAsync(
        string receiver, long count, Func<IWriteTransaction, long, ValueTask<int>> drop, CancellationToken cancellationToken)
    {
        var total = 0L;
        while (total < count)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var most = Math.Min(Piece, count - total);
            var dropped = await database.WriteAsync(async transaction =>
            {
                var gone = await drop(transaction, most);
                if (gone > 0)
                    await transaction.ExecuteAsync(s_dropped, receiver, gone);
                return gone;
            });
            total += dropped;
            if (dropped < most)
                break;
        }

        return total;
    }

    private async Task<long> ClearAsync(string receiver, CancellationToken cancellationToken)
    {
        var total = 0L;
        for (var gone = Piece; gone == Piece; total += gone)
        {
            cancellationToken.ThrowIfCancellationRequested();
            gone = await database.WriteAsync(transaction => transaction.ExecuteAsync(s_dropFirst, receiver, Piece));
        }

        return total;
    }

    private static EventReceiver ReadReceiver(DbDataReader row)
    {
        var kinds = row.GetInt64(1);
        return new EventReceiver(
            row.GetString(0), [.. Enum.GetValues<EventKind>().Where(kind => (kinds & EventSubscriptions.BitOf(kind)) != 0)], StoredTime.Read(row, 2),
            row.GetInt64(3) == 0 ? null : StoredTime.Read(row, 3), row.GetString(4), row.GetInt64(5));
    }

    private static WaitingEvent ReadEvent(DbDataReader row)
    {
        var (recipient, at) = (row.GetInt64(0), StoredTime.Read(row, 5));
        return new WaitingEvent(
            recipient, row.GetInt64(1), (EventKind)row.GetInt32(2), (EventDetails)row.GetInt32(3), StoredTime.Read(row, 4), at,
            row.GetInt64(6) == 0 ? null : StoredTime.Read(row, 6), row.GetString(7), row.GetString(8), row.GetString(9), (ReplyClass)row.GetInt32(10),
            row.GetString(11), row.GetString(12), row.GetString(13), row.GetString(14), row.GetString(15), row.GetString(16), MailDsn.Parse(row.GetString(17)).EnvelopeIdText,
            row.GetInt64(18) == 0 ? null : new Complaint(
                recipient, row.GetInt64(18), at, row.GetString(19), row.GetString(20), row.GetString(21), row.GetString(22), row.GetString(23), row.GetInt64(24) != 0));
    }
}
