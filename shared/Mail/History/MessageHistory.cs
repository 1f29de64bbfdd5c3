using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>A message and all that is known of its way.</summary>
/// <param name="Envelope">The recipients as accepted, while the router has not seen the message; else empty.</param>
public sealed record MessageTimeline(
    long MessageId, DateTimeOffset AcceptedAt, string Sender, long SizeBytes, IReadOnlyList<string> Envelope,
    IReadOnlyList<RecipientTimeline> Recipients)
{
    /// <summary>What operators did to it, in order.</summary>
    public IReadOnlyList<AuditEntry> Audit { get; init; } = [];

    /// <summary>Its field Message-ID, without brackets; empty where it has none that could be told.</summary>
    public string HeaderId { get; init; } = "";

    /// <summary>What checks at the door called it.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>What its sender has been told of it, in order.</summary>
    public IReadOnlyList<ReportMade> Reports { get; init; } = [];

    /// <summary>Before this time its sender does not want it to leave (RFC 4865); null where he said nothing.</summary>
    public DateTimeOffset? ReleaseAt { get; init; }

    /// <summary>Whose mail it is where senders take turns (<see cref="FlowKey"/>).</summary>
    public string Flow { get; init; } = "";

    /// <summary>Since when its time runs.</summary>
    public DateTimeOffset Since => ReleaseAt > AcceptedAt ? ReleaseAt.Value : AcceptedAt;

    /// <summary>Why its recipients were held from the start; empty where they were not.</summary>
    public string HoldReason { get; init; } = "";
}

/// <summary>One recipient, its state and every attempt in order.</summary>
public sealed record RecipientTimeline(
    long RecipientId, string Address, string Original, string Domain, RecipientRoute Route, RecipientState State,
    DateTimeOffset NextAttemptAt, bool Claimed, DateTimeOffset UpdatedAt, IReadOnlyList<AttemptResult> Attempts)
{
    /// <summary>Why it is held, when it was not an operator who said so; else empty.</summary>
    public string HoldReason { get; init; } = "";

    /// <summary>The sender that its hosts are given, where that is not the message's; else empty.</summary>
    public string ReturnPath { get; init; } = "";

    /// <summary>That it does not want the message, as was reported; null: nothing was.</summary>
    public Complaint? Complaint { get; init; }

    /// <summary>While it waits, where its domain's mail goes as the last attempt found; else empty.</summary>
    public string Site { get; init; } = "";

    /// <summary>Whose mail it is where senders take turns (<see cref="FlowKey"/>).</summary>
    public string Flow { get; init; } = "";
}

/// <summary>Reads what happened, for operators; and forgets it when its time is over.</summary>
public sealed class MessageHistory(MailDatabase database)
{
    /// <summary>Messages and their recipients that are forgotten in one transaction.</summary>
    private const int MostForgotten = 500;

    private static readonly Statement s_message = new(
        """
        SELECT m.id, m.accepted_at, m.sender, m.size_bytes, COALESCE(u.recipients, d.recipients, t.recipients, ''), m.tags, m.hold_reason, m.release_at,
            m.header_id, m.flow
        FROM messages m LEFT JOIN unrouted u ON u.message_id = m.id LEFT JOIN unrouted_dsn d ON d.message_id = m.id
            LEFT JOIN unrouted_timed t ON t.message_id = m.id
        WHERE m.id = $1 AND m.size_bytes >= 0
        """);

    private static readonly Statement s_recipients = new(
        """
        SELECT r.id, r.address, r.original, r.domain, r.route, r.state, r.next_attempt_at, r.claim, r.updated_at, r.hold_reason,
               CASE WHEN r.state = 0 THEN COALESCE(q.site, '') ELSE '' END, r.return_path, r.flow
        FROM recipients r LEFT JOIN domain_queues q ON q.domain = r.domain WHERE r.id BETWEEN $1 AND $2 ORDER BY r.id
        """);

    private static readonly Statement s_attempts = new(
        """
        SELECT recipient_id, outcome, status, reply, remote_host, started_at, finished_at, tls, worker, reply_class, number
        FROM attempts WHERE recipient_id BETWEEN $1 AND $2 ORDER BY recipient_id, number
        """);

    private static readonly Statement s_audit = new(
        "SELECT action, done_by, done_at, recipients FROM operator_audit WHERE message_id = $1 ORDER BY done_at, id");

    private static readonly Statement s_complaints = new(
        "SELECT recipient_id, report_id, at, feedback, source, reporter, original, host, is_trusted FROM complaints WHERE recipient_id BETWEEN $1 AND $2");

    private static readonly Statement s_reports = new(
        "SELECT id, kind, recipients, made_at, is_dropped FROM reports WHERE message_id = $1 ORDER BY made_at, id");

    /// <summary>Messages looked at by one statement.</summary>
    internal const int Page = 10_000;

    /// <summary>Messages looked at in vain by one call: what is too young, or still needed.</summary>
    private const int MostInVain = 200_000;

    internal static readonly Statement s_page = new(
        $"""
        SELECT COUNT(*), COALESCE(MAX(id), 0), CAST(COALESCE(SUM(CASE WHEN since < $2 THEN 1 ELSE 0 END), 0) AS BIGINT),
            CAST(COALESCE(SUM(CASE WHEN accepted_at < $2 THEN 1 ELSE 0 END), 0) AS BIGINT)
        FROM (SELECT id, accepted_at, {QueueStore.Since} AS since FROM messages m WHERE id > $1 ORDER BY id LIMIT $3) p
        """);

    // A message has ended with the last of its recipients. Whoever is still to be told of one has to be told whose it was.
    internal static readonly Statement s_old = new(
        $"""
        SELECT id FROM messages m WHERE id > $1 AND id <= $3 AND content_refs = 0 AND {QueueStore.Since} < $2
            AND NOT EXISTS (SELECT 1 FROM recipients r WHERE r.id BETWEEN (m.id << 16) AND (m.id << 16) + 65535 AND r.updated_at >= $2)
            AND NOT EXISTS (SELECT 1 FROM event_outbox e WHERE e.recipient_id BETWEEN (m.id << 16) AND (m.id << 16) + 65535)
        ORDER BY id LIMIT 200
        """);

    private static readonly Statement s_recipientsOf = new(
        """
        SELECT r.id, r.address, r.original FROM {set_1} CROSS JOIN recipients r
        WHERE r.id BETWEEN (set_1.value << 16) AND (set_1.value << 16) + 65535 ORDER BY r.id
        """);

    private static readonly Statement s_forgetMessages = new(
        "DELETE FROM messages WHERE id {in_1} AND content_refs + 0 = 0 RETURNING id, sender, header_id") { Locks = SharedRows.Messages };

    private static readonly Statement s_forgetAttempts = new("DELETE FROM attempts WHERE recipient_id {in_1}");
    private static readonly Statement s_forgetComplaints = new("DELETE FROM complaints WHERE recipient_id {in_1}");
    private static readonly Statement s_forgetRecipients = new("DELETE FROM recipients WHERE id {in_1}");

    private long _after;

    public async Task<MessageTimeline?> FindAsync(long messageId, CancellationToken cancellationToken)
    {
        var rows = await database.QueryAsync(
            s_message,
            r => new MessageTimeline(
                r.GetInt64(0), StoredTime.Read(r, 1), r.GetString(2), r.GetInt64(3),
                r.GetString(4).Split('\n', StringSplitOptions.RemoveEmptyEntries), [])
            {
                Tags = r.GetString(5).Split('\n', StringSplitOptions.RemoveEmptyEntries),
                HoldReason = r.GetString(6),
                ReleaseAt = r.GetInt64(7) == 0 ? null : StoredTime.Read(r, 7),
                HeaderId = r.GetString(8),
                Flow = r.GetString(9),
            },
            cancellationToken, messageId);
        if (rows is not [var message])
            return null;
        var (first, last) = Range(messageId);
        // First the states, then the attempts: what led to a state is there before it.
        var recipients = await database.QueryAsync(
            s_recipients,
            r => new RecipientTimeline(
                r.GetInt64(0), r.GetString(1), r.GetString(2), r.GetString(3), (RecipientRoute)r.GetInt32(4),
                (RecipientState)r.GetInt32(5), StoredTime.Read(r, 6), r.GetInt64(7) != 0 && r.GetInt32(5) == 0, StoredTime.Read(r, 8), [])
            {
                HoldReason = r.GetString(9),
                Site = r.GetString(10),
                ReturnPath = r.GetString(11),
                Flow = r.GetString(12),
            },
            cancellationToken, first, last);
        var attempts = (await database.QueryAsync(
            s_attempts,
            r => new AttemptResult(
                r.GetInt64(0), (AttemptOutcome)r.GetInt32(1), r.GetString(2), r.GetString(3), r.GetString(4),
                StoredTime.Read(r, 5), StoredTime.Read(r, 6), Tls: AttemptTls.Parse(r.GetString(7)), Worker: r.GetString(8))
            {
                Class = (ReplyClass)r.GetInt32(9),
                IsUntried = r.GetInt64(10) == OutcomeWriter.Untried,
            },
            cancellationToken, first, last)).ToLookup(attempt => attempt.RecipientId);
        var audit = await database.QueryAsync(
            s_audit,
            r => new AuditEntry((OperatorAction)r.GetInt32(0), r.GetString(1), StoredTime.Read(r, 2), r.GetInt32(3)), cancellationToken,
            messageId);
        var reports = await database.QueryAsync(
            s_reports,
            r => new ReportMade(r.GetInt64(0), (ReportKind)r.GetInt32(1), r.GetInt32(2), StoredTime.Read(r, 3), r.GetInt64(4) != 0), cancellationToken,
            messageId);
        var complaints = (await database.QueryAsync(
            s_complaints,
            r => new Complaint(r.GetInt64(0), r.GetInt64(1), StoredTime.Read(r, 2), r.GetString(3), r.GetString(4), r.GetString(5), r.GetString(6), r.GetString(7), r.GetInt64(8) != 0),
            cancellationToken, first, last)).ToDictionary(complaint => complaint.RecipientId);
        return message with { Recipients = [.. recipients.Select(recipient => recipient with { Attempts = [.. attempts[recipient.RecipientId]], Complaint = complaints.GetValueOrDefault(recipient.RecipientId) })], Audit = audit, Reports = reports };
    }

    /// <summary>
    /// Removes all trace of messages whose last recipient had his end before the given time, but for what operators did to them. Returns how many there were. A call looks at a bounded
    /// number of messages that stay, and the next one goes on behind them; it begins anew where all are too young, for ids are given in order.
    /// </summary>
    public async Task<int> ForgetAsync(DateTimeOffset endedBefore, CancellationToken cancellationToken)
    {
        var total = 0;
        for (var inVain = 0L; inVain < MostInVain;)
        {
            var page = (await database.QueryAsync(
                s_page, r => (Count: r.GetInt64(0), Last: r.GetInt64(1), Old: r.GetInt64(2), Accepted: r.GetInt64(3)), cancellationToken, _after, endedBefore, Page))[0];
            var forgotten = page.Old == 0 ? 0 : await ForgetAsync(_after, page.Last, endedBefore, cancellationToken);
            total += forgotten;
            inVain += page.Count - forgotten;
            // By when they were accepted, which is the order of ids: those that senders had held are young for longer.
            _after = page.Accepted == 0 || page.Count < Page ? 0 : page.Last;
            if (_after == 0)
                break;
        }
        return total;
    }

    /// <summary>Gives back disk space of content that is gone. Returns the bytes.</summary>
    public Task<long> ReclaimSpaceAsync(CancellationToken cancellationToken) => database.ReclaimAsync(cancellationToken);

    private async Task<int> ForgetAsync(long after, long last, DateTimeOffset endedBefore, CancellationToken cancellationToken)
    {
        var total = 0;
        while (true)
        {
            var ids = await database.QueryAsync(s_old, r => r.GetInt64(0), cancellationToken, after, endedBefore, last);
            if (ids.Count == 0)
                return total;
            foreach (var piece in await CutAsync(ids, cancellationToken))
                total += await database.WriteAsync(transaction => ForgetAsync(transaction, piece));
            after = ids[^1];
        }
    }

    /// <summary>Pieces of few recipients each, for others wait while one is forgotten. A message is not divided.</summary>
    private async Task<List<List<OldMessage>>> CutAsync(List<long> ids, CancellationToken cancellationToken)
    {
        var recipients = (await database.QueryAsync(
            s_recipientsOf, r => new OldRecipient(r.GetInt64(0), r.GetString(1), r.GetString(2)), cancellationToken, SqlValue.FromIds(ids)))
            .ToLookup(recipient => RecipientIds.MessageId(recipient.Id));
        var pieces = new List<List<OldMessage>>();
        var size = MostForgotten;
        foreach (var id in ids)
        {
            OldRecipient[] ofMessage = [.. recipients[id]];
            if (size + ofMessage.Length + 1 > MostForgotten)
            {
                pieces.Add([]);
                size = 0;
            }
            pieces[^1].Add(new(id, ofMessage));
            size += ofMessage.Length + 1;
        }
        return pieces;
    }

    private static async ValueTask<int> ForgetAsync(IWriteTransaction transaction, List<OldMessage> messages)
    {
        var forgotten = (await transaction.QueryAsync(
            s_forgetMessages, r => (Id: r.GetInt64(0), Sender: r.GetString(1), HeaderId: r.GetString(2)), SqlValue.FromIds(messages.Select(message => message.Id))))
            .ToDictionary(message => message.Id);
        foreach (var (id, ofMessage) in messages.Where(message => forgotten.ContainsKey(message.Id)))
        {
            SearchTermStore.Forget(transaction, id, SearchTerm.Of(
                forgotten[id].Sender, forgotten[id].HeaderId, ofMessage.SelectMany(recipient => new[] { recipient.Address, recipient.Original })));
        }

        var recipients = SqlValue.FromIds(
            messages.Where(message => forgotten.ContainsKey(message.Id)).SelectMany(message => message.Recipients.Select(recipient => recipient.Id)));
        ValueTask<int>[] deletions =
        [
            transaction.ExecuteAsync(s_forgetAttempts, recipients), transaction.ExecuteAsync(s_forgetRecipients, recipients),
            transaction.ExecuteAsync(s_forgetComplaints, recipients),
            transaction.ExecuteAsync(DeadlineStore.s_forget, SqlValue.FromIds(forgotten.Keys)),
        ];
        foreach (var deletion in deletions)
            await deletion;
        return forgotten.Count;
    }

    private static (long First, long Last) Range(long messageId) =>
        (RecipientIds.Of(messageId, 0), RecipientIds.Of(messageId, RecipientIds.MaxPerMessage - 1));

    private readonly record struct OldRecipient(long Id, string Address, string Original);

    private readonly record struct OldMessage(long Id, OldRecipient[] Recipients);
}
