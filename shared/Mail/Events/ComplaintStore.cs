using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>A recipient elsewhere whose host has taken a message of ours.</summary>
/// <param name="Original">What the sender wrote, where an alias led on; else empty.</param>
/// <param name="Flow">See <see cref="FlowKey"/>.</param>
public sealed record SentRecipient(long RecipientId, string Address, string Original, string Domain, string Flow);

/// <summary>What became of a complaint.</summary>
public enum ComplaintKept
{
    Recorded,

    /// <summary>Its recipient has complained of that message before.</summary>
    Known,

    /// <summary>It was known from a reporter whom nobody trusts, and now one says so who is trusted.</summary>
    Confirmed,
}

/// <summary>Complaints of recipients, the messages of ours that they may be about, and those that bring them until somebody has looked.</summary>
public sealed class ComplaintStore(MailDatabase database, EventSubscriptions subscriptions)
{
    /// <summary>Messages that are looked at for one Message-ID: whoever sends many under one gets no complaint about the others.</summary>
    private const int MostMessages = 20;

    /// <summary>Recipients of one message that are looked at.</summary>
    private const int MostRecipients = 10_000;

    // Its release is known at once.
    private static readonly TimeSpan s_heldPause = TimeSpan.FromDays(1);

    private static readonly Statement s_unread = new("SELECT message_id, tries FROM feedback_unread WHERE due_at <= $1 ORDER BY due_at, message_id LIMIT $2");

    private static readonly Statement s_try = new("UPDATE feedback_unread SET tries = tries + 1 WHERE message_id = $1");

    private static readonly Statement s_postpone = new("UPDATE feedback_unread SET tries = 0, due_at = $2 WHERE message_id = $1");

    private static readonly Statement s_held = new("SELECT COUNT(*) FROM recipients WHERE id BETWEEN $1 AND $2 AND state = 5");

    private static readonly Statement s_isRead = new("DELETE FROM feedback_unread WHERE message_id = $1");

    private static readonly Statement s_named = new("SELECT message_id FROM search_terms WHERE term = $1 ORDER BY message_id DESC LIMIT $2");

    private static readonly Statement s_headerIds = new("SELECT id, header_id FROM messages WHERE id {in_1} AND size_bytes >= 0");

    // Taken by a host elsewhere.
    private static readonly Statement s_sent = new(
        "SELECT id, address, original, domain, flow FROM recipients WHERE id BETWEEN $1 AND $2 AND route = 0 AND state = 1 ORDER BY id LIMIT $3");

    private static readonly Statement s_insert = new(
        """
        INSERT INTO complaints (recipient_id, report_id, at, feedback, source, reporter, original, host, is_trusted) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT DO NOTHING
        """);

    private static readonly Statement s_confirm = new(
        """
        UPDATE complaints SET report_id = $2, at = $3, feedback = $4, source = $5, reporter = $6, original = $7, host = $8, is_trusted = $9
        WHERE recipient_id = $1 AND is_trusted = 0
        """);

    /// <summary>Messages that somebody is to look at now, and how often that was begun.</summary>
    public Task<List<(long MessageId, int Tries)>> ListUnreadAsync(int most, CancellationToken cancellationToken) =>
        database.QueryAsync(s_unread, r => (r.GetInt64(0), r.GetInt32(1)), cancellationToken, database.Time.GetUtcNow(), most);

    /// <summary>Somebody begins to look at it.</summary>
    public Task TryAsync(long messageId) => database.WriteAsync(transaction => transaction.ExecuteAsync(s_try, messageId));

    /// <summary>Somebody is to look at it later, as if for the first time.</summary>
    public Task PostponeAsync(long messageId, DateTimeOffset until) => database.WriteAsync(transaction => transaction.ExecuteAsync(s_postpone, messageId, until));

    /// <summary>An operator still has to say whether anybody gets it: it is looked at another day, or once it is released.</summary>
    public async Task<bool> PostponeHeldAsync(long messageId, CancellationToken cancellationToken)
    {
        var held = await database.QueryAsync(
            s_held, r => r.GetInt64(0), cancellationToken, RecipientIds.Of(messageId, 0), RecipientIds.Of(messageId, RecipientIds.MaxPerMessage - 1));
        if (held[0] == 0)
            return false;
        await PostponeAsync(messageId, database.Time.GetUtcNow() + s_heldPause);
        return true;
    }

    /// <summary>There is nothing in it to be recorded.</summary>
    public Task DropAsync(long messageId) => database.WriteAsync(transaction => transaction.ExecuteAsync(s_isRead, messageId));

    /// <summary>
    /// Our messages that a report is about: of the id and of the Message-ID that it names. Ids are given in order, and can be guessed; a Message-ID is known to who has the message.
    /// </summary>
    /// <param name="headerId">Without brackets; empty: it names none.</param>
    /// <param name="messageId">Null: it names none.</param>
    /// <param name="idSuffices">Where it names no Message-ID: whoever says so is believed.</param>
    public async Task<IReadOnlyList<long>> FindMessagesAsync(string headerId, long? messageId, bool idSuffices, CancellationToken cancellationToken)
    {
        if (!StoredText.IsStorable(headerId))
            return [];
        var ids = messageId is { } id ? [id]
            : headerId.Length > 0 ? await database.QueryAsync(s_named, r => r.GetInt64(0), cancellationToken, SearchTerm.OfHeaderId(headerId), MostMessages) : [];
        if (ids.Count == 0)
            return [];
        var found = await database.QueryAsync(s_headerIds, r => (Id: r.GetInt64(0), HeaderId: r.GetString(1)), cancellationToken, SqlValue.FromIds(ids));
        // A hash led there; and whoever sends a message may write any field Received into it.
        return [.. found.Where(one => one.HeaderId == headerId ? headerId.Length > 0 || idSuffices : headerId.Length == 0 && idSuffices).Select(one => one.Id)];
    }

    /// <summary>Recipients elsewhere whose hosts have taken it.</summary>
    public Task<List<SentRecipient>> ListSentAsync(long messageId, CancellationToken cancellationToken) => database.QueryAsync(
        s_sent, r => new SentRecipient(r.GetInt64(0), r.GetString(1), r.GetString(2), r.GetString(3), r.GetString(4)), cancellationToken,
        RecipientIds.Of(messageId, 0), RecipientIds.Of(messageId, RecipientIds.MaxPerMessage - 1), MostRecipients);

    /// <summary>
    /// Records that the recipient does not want the message, once, with the event of it and his place on the sender's list; and nobody looks at the report again. What is known
    /// puts nobody on a list another time: an operator may have taken him off it.
    /// </summary>
    /// <param name="suppression">What comes to a list by it, if the reporter is trusted; null: nothing.</param>
    public Task<ComplaintKept> RecordAsync(SentRecipient about, Complaint complaint, Suppression? suppression) => database.WriteAsync(async transaction =>
    {
        transaction.ExecuteLast(s_isRead, complaint.ReportId);
        SqlValue[] values =
        [
            about.RecipientId, complaint.ReportId, complaint.At, StoredText.Note(complaint.Feedback, MaxName), StoredText.Note(complaint.Source, MaxName),
            StoredText.Note(complaint.Reporter, MaxName), StoredText.Note(complaint.Original, MaxName), StoredText.Note(complaint.Host, MaxName), complaint.IsTrusted ? 1 : 0,
        ];
        var kept = await transaction.ExecuteAsync(s_insert, values) > 0 ? ComplaintKept.Recorded
            : complaint.IsTrusted && await transaction.ExecuteAsync(s_confirm, values) > 0 ? ComplaintKept.Confirmed : ComplaintKept.Known;
        if (kept != ComplaintKept.Known && complaint.IsTrusted && suppression is not null)
            SuppressionStore.Note(transaction, suppression);
        if (kept == ComplaintKept.Recorded)
        {
            EventOutbox.Write(transaction, subscriptions, new OutcomeEvent(
                new AttemptResult(about.RecipientId, AttemptOutcome.Delivered, "", "", "", complaint.At, complaint.At), OutcomeEvent.ComplaintNumber, EventKind.Complained));
        }

        return kept;
    });

    private const int MaxName = 255;
}
