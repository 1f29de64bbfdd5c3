using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What an operator does. The numbers are stored; they never change meaning.</summary>
public enum OperatorAction
{
    /// <summary>Recipients are kept back until released.</summary>
    Held = 1,

    /// <summary>Recipients are no longer kept back: due at once.</summary>
    Released = 2,

    /// <summary>Recipients are taken out for good; the sender is not told.</summary>
    Removed = 3,

    DomainAdded = 10,
    DomainRemoved = 11,
    AccountAdded = 20,

    /// <summary>With all mail in its maildrop.</summary>
    AccountRemoved = 21,

    PasswordChanged = 22,
    AliasAdded = 30,
    AliasRemoved = 31,
    DeliveryPaused = 40,
    DeliveryResumed = 41,

    /// <summary>What waits for a domain was made due at once.</summary>
    DomainFlushed = 42,

    /// <summary>Nobody from a client network is served for a time.</summary>
    BanSet = 50,

    BanLifted = 51,

    /// <summary>What another domain wants of TLS was forgotten.</summary>
    TlsPolicyForgotten = 60,

    /// <summary>Mail of a domain is signed with a key more.</summary>
    DkimKeyMade = 70,

    DkimKeyRetired = 71,

    /// <summary>A token lets programs in.</summary>
    TokenMade = 80,

    TokenRemoved = 81,

    /// <summary>What waits, and what comes, is held, led elsewhere, returned or the like, by a rule with a name.</summary>
    RuleAdded = 90,

    RuleChanged = 91,

    /// <summary>What it kept back goes on as it was.</summary>
    RuleRemoved = 92,

    /// <summary>A sender has a suppression list from now on, or keeps who comes to it for another time.</summary>
    SuppressionBegun = 120,

    /// <summary>The sender's list has no effect any more, and nobody comes to it.</summary>
    SuppressionEnded = 121,

    /// <summary>A recipient was put on a sender's list.</summary>
    RecipientSuppressed = 122,

    RecipientUnsuppressed = 123,

    /// <summary>Recipients were put on a sender's list out of a file.</summary>
    SuppressionsImported = 124,
}

/// <summary>Who acts, as he says; a note and no proof.</summary>
/// <param name="Host">The machine on which he does it; empty when nobody knows.</param>
public sealed record OperatorIdentity(string Name, string Host = "");

/// <summary>What was done, by whom, when, and to how many recipients where it was done to a message.</summary>
public sealed record AuditEntry(OperatorAction Action, string Operator, DateTimeOffset At, int Recipients)
{
    public string Host { get; init; } = "";

    /// <summary>What it was done to: a name, or the id of a message. Never a password.</summary>
    public string Subject { get; init; } = "";
}

/// <summary>All that operators did. Nothing removes it.</summary>
public sealed class AuditLog(MailDatabase database)
{
    private static readonly Statement s_last = new(
        """
        SELECT action, done_by, done_at, recipients, host, subject FROM operator_audit WHERE done_at >= $1 AND done_at <= $3
        ORDER BY done_at DESC, id DESC LIMIT $2
        """);

    /// <summary>Notes an act whose change is outside of the store, and done.</summary>
    public async Task NoteAsync(OperatorAction action, string subject, OperatorIdentity by)
    {
        var note = await AuditNote.BeginAsync(database, by);
        await database.WriteAsync(async transaction =>
        {
            await note.WriteAsync(transaction, action, subject);
            return true;
        });
    }

    /// <summary>The last acts since a time, the last one first.</summary>
    /// <param name="until">Up to then; null: up to now.</param>
    public async Task<IReadOnlyList<AuditEntry>> ListAsync(DateTimeOffset since, int limit, CancellationToken cancellationToken, DateTimeOffset? until = null) =>
        await database.QueryAsync(
            s_last,
            r => new AuditEntry((OperatorAction)r.GetInt32(0), r.GetString(1), StoredTime.Read(r, 2), r.GetInt32(3))
            {
                Host = r.GetString(4),
                Subject = r.GetString(5),
            },
            cancellationToken, since, limit, until?.ToUnixTimeMilliseconds() ?? long.MaxValue);
}

/// <summary>The note of one act, to be written in the transaction that does it.</summary>
internal sealed class AuditNote
{
    private static readonly Statement s_note = new(
        """
        INSERT INTO operator_audit (id, done_at, done_by, host, action, subject, message_id, recipients)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """);

    private static readonly Statement s_recount = new("UPDATE operator_audit SET recipients = $2 WHERE id = $1");

    private readonly long _id;
    private readonly OperatorIdentity _by;

    private AuditNote(long id, OperatorIdentity by, DateTimeOffset at) => (_id, _by, At) = (id, by, at);

    public DateTimeOffset At { get; }

    /// <summary>Before the transaction, which may run again: its note has the same id then.</summary>
    public static async ValueTask<AuditNote> BeginAsync(MailDatabase database, OperatorIdentity by) =>
        new(await database.AuditIds.NextAsync(CancellationToken.None), by, database.Time.GetUtcNow());

    public async ValueTask WriteAsync(
        IWriteTransaction transaction, OperatorAction action, string subject, long messageId = 0, int recipients = 0) =>
        await transaction.ExecuteAsync(
            s_note, _id, At, StoredText.Note(_by.Name), StoredText.Note(_by.Host), (long)action, StoredText.Note(subject), messageId, recipients);

    /// <summary>Of an act of several transactions, the first of which wrote the note: it has come so far.</summary>
    public async ValueTask RecountAsync(IWriteTransaction transaction, int recipients) => await transaction.ExecuteAsync(s_recount, _id, recipients);
}
