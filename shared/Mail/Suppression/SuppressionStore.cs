using System.Collections.Frozen;
using System.Data.Common;
using System.Globalization;
using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>Why a recipient is on a list. The numbers are stored; they never change meaning.</summary>
public enum SuppressionCause
{
    /// <summary>A far end has refused him for good.</summary>
    Reply = 1,

    /// <summary>He has complained of mail from the sender (RFC 5965).</summary>
    Complaint = 2,

    /// <summary>An operator has put him there, by himself or out of a file.</summary>
    Operator = 3,
}

/// <summary>A sender that has a suppression list.</summary>
/// <param name="Sender">See <see cref="SuppressionStore.SenderKey"/>.</param>
/// <param name="KeepFor">How long who comes to the list by himself stays there; null: for good.</param>
public sealed record SuppressingSender(string Sender, TimeSpan? KeepFor, DateTimeOffset Since, string SetBy);

/// <summary>A recipient who is not sent mail of a sender.</summary>
/// <param name="Address">In the form in which addresses are compared (<see cref="MailName.Key"/>).</param>
/// <param name="Reason">In one line: a reply, or a word of whoever did it; may be empty.</param>
/// <param name="Until">Null: for good.</param>
public sealed record Suppression(string Sender, string Address, SuppressionCause Cause, string Reason, DateTimeOffset Since, DateTimeOffset? Until)
{
    /// <summary>
    /// RFC 3463 §3.8: by a rule of this sender's, and not "no such mailbox" (5.1.1): nobody has asked the far end now, and programs that read
    /// reports would take our word for a new reply of it.
    /// </summary>
    public const string Status = "5.7.1";

    /// <summary>What the sender is told of it, and the timeline says.</summary>
    public string Explanation => string.Create(CultureInfo.InvariantCulture,
        $"not tried: on the suppression list of {Sender} since {Since:yyyy-MM-dd}{(Until is { } until ? $" until {until:yyyy-MM-dd}" : "")}, {CauseText}{(Reason.Length > 0 ? $": {Reason}" : "")}");

    private string CauseText => Cause switch
    {
        SuppressionCause.Reply => "because its host has refused it for good",
        SuppressionCause.Complaint => "because of a complaint",
        _ => "put there by an operator",
    };
}

/// <summary>
/// The suppression lists of those senders that have one: who has refused mail for good, or complained, is not tried again on their behalf until a
/// time. A sender is the account that was logged in, else the domain of the reverse-path, as where senders take turns (<see cref="FlowKey"/>).
/// </summary>
public sealed class SuppressionStore(MailDatabase database, MailStoreOptions options)
{
    /// <summary>Senders that have a list at once: all of them are in memory, and read anew every second while mail comes.</summary>
    public const int MostSenders = 1000;

    /// <summary>Recipients that are put on a list in one transaction.</summary>
    public const int MostAtOnce = 500;

    private const int MaxReason = 500;
    private const long ForGood = long.MaxValue;

    private const string Columns = "sender, address, cause, reason, since, until_at";

    private static readonly Statement s_senders = new("SELECT sender, keep_for, since, set_by FROM suppression_senders ORDER BY sender");

    private static readonly Statement s_countSenders = new("SELECT COUNT(*) FROM suppression_senders WHERE sender <> $1");

    private static readonly Statement s_begin = new(
        """
        INSERT INTO suppression_senders (sender, since, keep_for, set_by) VALUES ($1, $2, $3, $4)
        ON CONFLICT (sender) DO UPDATE SET keep_for = excluded.keep_for, set_by = excluded.set_by
        RETURNING since
        """) { Locks = SharedRows.Suppressions };

    private static readonly Statement s_end = new("DELETE FROM suppression_senders WHERE sender = $1") { Locks = SharedRows.Suppressions };

    internal static readonly Statement s_find = new($"SELECT {Columns} FROM suppressions WHERE id {{in_1}} AND until_at + 0 > $2");

    internal static readonly Statement s_list = new(
        $"SELECT {Columns} FROM suppressions WHERE sender = $1 AND address > $2 AND until_at + 0 > $3 ORDER BY address LIMIT $4");

    private const string Insert = "INSERT INTO suppressions (id, sender, address, cause, reason, since, until_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";

    // Who is there stays as he is: since when and why is what the sender has been told.
    private static readonly Statement s_note = new(
        $"""
        {Insert}
        ON CONFLICT (id) DO UPDATE SET cause = excluded.cause, reason = excluded.reason, since = excluded.since, until_at = excluded.until_at
        WHERE suppressions.until_at <= excluded.since
        """) { Locks = SharedRows.Suppressions };

    private static readonly Statement s_set = new(
        $"""
        {Insert}
        ON CONFLICT (id) DO UPDATE SET cause = excluded.cause, reason = excluded.reason, since = excluded.since, until_at = excluded.until_at
        """) { Locks = SharedRows.Suppressions };

    private static readonly Statement s_remove = new($"DELETE FROM suppressions WHERE id = $1 RETURNING {Columns}") { Locks = SharedRows.Suppressions };

    internal static readonly Statement s_expired = new("SELECT id FROM suppressions WHERE until_at <= $1 ORDER BY until_at LIMIT $2");

    private static readonly Statement s_forget = new("DELETE FROM suppressions WHERE id {in_1} AND until_at + 0 <= $2") { Locks = SharedRows.Suppressions };

    private volatile Known? _known;

    /// <summary>A sender as lists are kept for it: an account, or the domain of a reverse-path.</summary>
    public static string SenderKey(string flow) => MailName.Key(flow);

    /// <summary>A recipient as lists name him: as the directory compares addresses.</summary>
    public static string AddressKey(string address) => MailName.Key(address);

    /// <summary>
    /// Those that have a list, by their keys, as they were a moment ago (<see cref="MailStoreOptions.DirectoryCacheTime"/>). While storage is away what
    /// was known counts.
    /// </summary>
    public ValueTask<FrozenDictionary<string, SuppressingSender>> SendersAsync(CancellationToken cancellationToken) =>
        _known is { } known && database.Time.GetElapsedTime(known.At) < options.DirectoryCacheTime
            ? ValueTask.FromResult(known.Senders) : ReadSendersAsync(cancellationToken);

    /// <summary>The same as storage has them now, in order of their names.</summary>
    public async Task<IReadOnlyList<SuppressingSender>> ListSendersAsync(CancellationToken cancellationToken) =>
        await database.QueryAsync(
            s_senders,
            r => new SuppressingSender(
                r.GetString(0), r.GetInt64(1) == 0 ? null : TimeSpan.FromMilliseconds(r.GetInt64(1)), StoredTime.Read(r, 2), r.GetString(3)),
            cancellationToken);

    /// <summary>The sender has a list from now on; one that is there stays, and keeps who comes to it so long. Null: there are too many senders.</summary>
    public async Task<SuppressingSender?> BeginAsync(string sender, TimeSpan? keepFor, OperatorIdentity by)
    {
        var note = await AuditNote.BeginAsync(database, by);
        var keep = (long)(keepFor?.TotalMilliseconds ?? 0);
        var begun = await database.WriteAsync(async transaction =>
        {
            if ((await transaction.QueryAsync(s_countSenders, r => r.GetInt64(0), sender))[0] >= MostSenders)
                return null;
            var since = (await transaction.QueryAsync(s_begin, r => StoredTime.Read(r, 0), sender, note.At, keep, StoredText.Note(by.Name)))[0];
            await note.WriteAsync(transaction, OperatorAction.SuppressionBegun, sender);
            return new SuppressingSender(sender, keepFor, since, by.Name);
        });
        _known = null;
        return begun;
    }

    /// <summary>The list has no effect any more; who is on it stays until his time is over, should it begin again. False: there is none.</summary>
    public async Task<bool> EndAsync(string sender, OperatorIdentity by)
    {
        var note = await AuditNote.BeginAsync(database, by);
        var ended = await database.WriteAsync(async transaction =>
        {
            if (await transaction.ExecuteAsync(s_end, sender) == 0)
                return false;
            await note.WriteAsync(transaction, OperatorAction.SuppressionEnded, sender);
            return true;
        });
        _known = null;
        return ended;
    }

    /// <summary>Who of these is on the list of the sender named with him, whether or not it has effect.</summary>
    public async Task<IReadOnlyList<Suppression>> FindAsync(IReadOnlyCollection<(string Sender, string Address)> asked, CancellationToken cancellationToken)
    {
        if (asked.Count == 0)
            return [];
        var wanted = asked.Select(one => (one.Sender, Address: AddressKey(one.Address))).Where(one => StoredText.IsStorable(one.Address)).ToHashSet();
        var found = await database.QueryAsync(
            s_find, Read, cancellationToken, SqlValue.FromIds(wanted.Select(one => KeyOf(one.Sender, one.Address)).Distinct()), database.Time.GetUtcNow());
        return found.FindAll(one => wanted.Contains((one.Sender, one.Address)));
    }

    /// <summary>The sender's list in order of addresses, behind the given one; empty: from the first.</summary>
    public async Task<IReadOnlyList<Suppression>> ListAsync(string sender, string after, int limit, CancellationToken cancellationToken) =>
        await database.QueryAsync(s_list, Read, cancellationToken, sender, after, database.Time.GetUtcNow(), limit);

    /// <summary>How a recipient who complains of mail of the sender comes to that one's list, with the record of the complaint. Null: the sender has none.</summary>
    /// <param name="sender">The account or domain whose mail it was (<see cref="FlowKey"/>).</param>
    /// <param name="text">What is known of the complaint, in a few words.</param>
    public async ValueTask<Suppression?> OfComplaintAsync(string sender, string address, string text, CancellationToken cancellationToken) =>
        (await SendersAsync(cancellationToken)).TryGetValue(SenderKey(sender), out var suppressing) && StoredText.IsStorable(address)
            ? Create(suppressing, address, SuppressionCause.Complaint, text, database.Time.GetUtcNow()) : null;

    /// <summary>
    /// An operator puts recipients on a list, in the place of what it says of them, some hundreds in one transaction however many there are. Returns how many.
    /// </summary>
    /// <param name="action">Noted with the first of them, and with each further transaction how many there are by then.</param>
    public async Task<int> SetAsync(IAsyncEnumerable<Suppression> added, OperatorAction action, string subject, OperatorIdentity by, CancellationToken cancellationToken)
    {
        var note = await AuditNote.BeginAsync(database, by);
        var total = 0;
        await foreach (var some in added.Chunk(MostAtOnce).WithCancellation(cancellationToken))
        {
            var before = total;
            total += some.Length;
            await database.WriteAsync(async transaction =>
            {
                var writes = some.Select(one => transaction.ExecuteAsync(s_set, Values(one))).ToList();
                foreach (var write in writes)
                    await write;
                if (before == 0)
                    await note.WriteAsync(transaction, action, subject, recipients: total);
                else
                    await note.RecountAsync(transaction, total);
                return true;
            });
        }
        return total;
    }

    /// <summary>Null: he is not on the list.</summary>
    public async Task<Suppression?> RemoveAsync(string sender, string address, OperatorIdentity by)
    {
        var note = await AuditNote.BeginAsync(database, by);
        return await database.WriteAsync(async transaction =>
        {
            var removed = (await transaction.QueryAsync(s_remove, Read, KeyOf(sender, AddressKey(address)))).Find(one => one.Until is not { } until || until > note.At);
            if (removed is not null)
                await note.WriteAsync(transaction, OperatorAction.RecipientUnsuppressed, $"{removed.Address} of {sender}", recipients: 1);
            return removed;
        });
    }

    /// <summary>Forgets those whose time is over, a bounded number. Returns how many.</summary>
    public async Task<int> ForgetAsync(CancellationToken cancellationToken)
    {
        var now = database.Time.GetUtcNow();
        var ended = await database.QueryAsync(s_expired, r => r.GetInt64(0), cancellationToken, now, MostAtOnce);
        return ended.Count == 0 ? 0 : await database.WriteAsync(transaction => transaction.ExecuteAsync(s_forget, SqlValue.FromIds(ended), now));
    }

    /// <summary>How a recipient stands on a list to which he comes by himself.</summary>
    public static Suppression Create(SuppressingSender sender, string address, SuppressionCause cause, string reason, DateTimeOffset now) =>
        new(sender.Sender, AddressKey(address), cause, ReasonOf(reason), now, now + sender.KeepFor);

    /// <summary>A reason as it is kept: one line, whoever wrote it.</summary>
    public static string ReasonOf(string text) => PlainText.Line(StoredText.Note(text), MaxReason);

    /// <summary>Puts a recipient on a list, in the transaction in which it turned out why. Who is on it already stays there as he is.</summary>
    internal static void Note(IWriteTransaction transaction, Suppression added) => transaction.ExecuteLast(s_note, Values(added));

    private static SqlValue[] Values(Suppression one) =>
    [
        KeyOf(one.Sender, one.Address), one.Sender, one.Address, (long)one.Cause, one.Reason, one.Since,
        one.Until is { } until ? (SqlValue)until : ForGood,
    ];

    // No sender has a line end in it.
    private static long KeyOf(string sender, string address) => TextHash.Of('s', $"{sender}\n{address}");

    private static Suppression Read(DbDataReader r) => new(
        r.GetString(0), r.GetString(1), (SuppressionCause)r.GetInt32(2), r.GetString(3), StoredTime.Read(r, 4), r.GetInt64(5) == ForGood ? null : StoredTime.Read(r, 5));

    private async ValueTask<FrozenDictionary<string, SuppressingSender>> ReadSendersAsync(CancellationToken cancellationToken)
    {
        var asked = database.Time.GetTimestamp();
        try
        {
            var senders = (await ListSendersAsync(cancellationToken)).ToFrozenDictionary(sender => sender.Sender, StringComparer.Ordinal);
            _known = new(asked, senders);
            return senders;
        }
        catch (StorageUnavailableException) when (_known is { } known)
        {
            return known.Senders;
        }
    }

    private sealed record Known(long At, FrozenDictionary<string, SuppressingSender> Senders);
}
