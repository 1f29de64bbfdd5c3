using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What somebody reports of mail in the name of a domain.</summary>
/// <param name="MessageId">By which it came.</param>
/// <param name="Policy">What the domain asks for: none, quarantine or reject.</param>
/// <param name="OmittedMessages">Of rows that are not kept.</param>
/// <param name="Author">The domain that the message says it is from; empty: none, or several.</param>
/// <param name="IsProven">DMARC says that this is true, and it is of the organisation that the report names to answer for it.</param>
public sealed record ReceivedDmarcReport(
    long MessageId, string Domain, string Organization, string Email, string ReportId, DateTimeOffset Begin, DateTimeOffset End, string Policy,
    IReadOnlyList<ReceivedDmarcRow> Rows, long OmittedMessages, string Author = "", bool IsProven = false);

/// <param name="Source">The client's address.</param>
/// <param name="Disposition">What was done: none, quarantine or reject.</param>
public sealed record ReceivedDmarcRow(string Source, string HeaderFrom, long Messages, string Disposition, bool HasDkim, bool HasSpf);

/// <summary>What became of a report that was read.</summary>
public enum DmarcReportKept
{
    Kept,

    /// <summary>It is there already.</summary>
    Known,

    /// <summary>There are as many rows of the last day as are kept; nothing was changed, and another day there may be room.</summary>
    NoRoom,
}

/// <summary>Messages in the name of a domain, of one of its sources, or as one organisation reports them.</summary>
/// <param name="Name">Which domain, source or organisation.</param>
/// <param name="Reports">That tell of them.</param>
/// <param name="Organizations">Who told of them.</param>
/// <param name="FirstOrganization">One of those.</param>
/// <param name="Dkim">A signature of an aligned domain was valid.</param>
/// <param name="Spf">SPF passed for an aligned domain.</param>
/// <param name="Failed">Neither.</param>
/// <param name="ProvenReports">Reports from whom they name to answer for them, as DMARC showed.</param>
public sealed record DmarcSum(
    string Name, long Reports, long Organizations, string FirstOrganization, long Messages, long Dkim, long Spf, long Failed, long Quarantined, long Rejected,
    long ProvenReports);

/// <summary>By what messages are added up.</summary>
public enum DmarcGrouping
{
    Domain,
    Source,
    Organization,
}

/// <summary>Reports by DMARC that others sent, and the messages that may be some until somebody has looked. Each report is kept once, however often it comes.</summary>
public sealed class DmarcReportStore(MailDatabase database)
{
    /// <summary>Kept of what comes within a day; anybody may send reports.</summary>
    internal const long MostRowsADay = 200_000;

    /// <summary>Of those, for reports from nobody knows whom: they leave room for the others.</summary>
    internal const long MostUnprovenRowsADay = MostRowsADay / 4;

    /// <summary>Other writers wait for a transaction.</summary>
    internal const int RowsAtOnce = 500;

    private const int MaxName = 255;

    private const string Proven = "dmarc-pass";

    private static readonly Statement s_unread = new("SELECT message_id, tries FROM dmarc_unread WHERE due_at <= $1 ORDER BY due_at, message_id LIMIT $2");

    private static readonly Statement s_try = new("UPDATE dmarc_unread SET tries = tries + 1 WHERE message_id = $1");

    private static readonly Statement s_postpone = new("UPDATE dmarc_unread SET tries = 0, due_at = $2 WHERE message_id = $1");

    private static readonly Statement s_isHeld = new("SELECT COUNT(*) FROM recipients WHERE id BETWEEN $1 AND $2 AND state = 5");

    private static readonly Statement s_isRead = new("DELETE FROM dmarc_unread WHERE message_id = $1");

    private static readonly Statement s_rowsSince = new(
        """
        SELECT CAST(COALESCE(SUM(row_count + 1), 0) AS BIGINT), CAST(COALESCE(SUM(CASE WHEN is_proven = 0 THEN row_count + 1 ELSE 0 END), 0) AS BIGINT)
        FROM dmarc_reports WHERE received_at > $1
        """);

    private static readonly Statement s_known = new("SELECT id FROM dmarc_reports WHERE report_key = $1 OR id = $2");

    private static readonly Statement s_message = new("SELECT tags, accepted_at FROM messages WHERE id = $1");

    private static readonly Statement s_insert = new(
        """
        INSERT INTO dmarc_reports (
            id, report_key, domain, organization, email, report_id, begin_at, end_at, received_at, policy, row_count, messages, omitted, is_proven)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING
        """);

    private static readonly Statement s_insertRow = new(
        """
        INSERT INTO dmarc_report_rows (report, number, source, header_from, messages, disposition, dkim, spf) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT DO NOTHING
        """);

    private static readonly Statement s_byDomain = Sums("r.domain");

    private static readonly Statement s_bySource = Sums("w.source");

    private static readonly Statement s_byOrganization = Sums("r.organization");

    private static readonly Statement s_old = new("SELECT id FROM dmarc_reports WHERE received_at < $1 ORDER BY received_at LIMIT $2");

    private static readonly Statement s_forgetRows = new("DELETE FROM dmarc_report_rows WHERE report = $1");

    private static readonly Statement s_forget = new("DELETE FROM dmarc_reports WHERE id = $1");

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
            s_isHeld, r => r.GetInt64(0), cancellationToken, RecipientIds.Of(messageId, 0), RecipientIds.Of(messageId, RecipientIds.MaxPerMessage - 1));
        if (held[0] == 0)
            return false;
        await PostponeAsync(messageId, database.Time.GetUtcNow() + QueueStore.HeldReportPause);
        return true;
    }

    /// <summary>There is nothing in it to be kept.</summary>
    public Task DropAsync(long messageId) => database.WriteAsync(async transaction =>
    {
        await transaction.ExecuteAsync(s_forgetRows, messageId);
        return await transaction.ExecuteAsync(s_isRead, messageId);
    });

    /// <summary>Whether the door found that the message is from whom it says (DMARC), and when that was; null: nothing is known of it.</summary>
    public async Task<(bool IsProven, DateTimeOffset AcceptedAt)?> FindMessageAsync(long messageId, CancellationToken cancellationToken) =>
        (await database.QueryAsync(s_message, r => (r.GetString(0).Split('\n').Contains(Proven), StoredTime.Read(r, 1)), cancellationToken, messageId)) is [var found] ? found : null;

    /// <summary>Keeps what was read of a message, and nobody looks at that again unless there is no room.</summary>
    public async Task<DmarcReportKept> KeepAsync(ReceivedDmarcReport report)
    {
        var now = database.Time.GetUtcNow();
        // Who forges a report takes nothing from the one that is proven.
        var key = DailyResultStore.HashOf($"{report.Domain}\n{report.Organization}\n{report.ReportId}\n{report.Author}\n{report.IsProven}");
        if (await database.QueryAsync(s_known, r => r.GetInt64(0), CancellationToken.None, key, report.MessageId) is [_, ..])
            return await database.WriteAsync(transaction => IsKnownAsync(transaction, report.MessageId, key));
        var (all, unproven) = (await database.QueryAsync(s_rowsSince, r => (r.GetInt64(0), r.GetInt64(1)), CancellationToken.None, now.AddDays(-1)))[0];
        if (all + report.Rows.Count >= MostRowsADay || (!report.IsProven && unproven + report.Rows.Count >= MostUnprovenRowsADay))
            return DmarcReportKept.NoRoom;

        // Without the report's own row, which comes last, nobody sees the others; what a process leaves behind is written again or dropped.
        var last = report.Rows.Count == 0 ? 0 : (report.Rows.Count - 1) / RowsAtOnce * RowsAtOnce;
        for (var first = 0; first < last; first += RowsAtOnce)
        {
            var from = first;
            await database.WriteAsync(transaction =>
            {
                Insert(transaction, report, from);
                return ValueTask.FromResult(true);
            });
        }

        return await database.WriteAsync(async transaction =>
        {
            var inserted = await transaction.ExecuteAsync(
                s_insert, report.MessageId, key, StoredText.Note(report.Domain, MaxName), StoredText.Note(report.Organization, MaxName), StoredText.Note(report.Email, MaxName),
                StoredText.Note(report.ReportId, MaxName), report.Begin, report.End, now, StoredText.Note(report.Policy, MaxName), report.Rows.Count,
                report.Rows.Sum(row => row.Messages), report.OmittedMessages, report.IsProven ? 1 : 0);
            if (inserted == 0)
                return await IsKnownAsync(transaction, report.MessageId, key);
            await transaction.ExecuteAsync(s_isRead, report.MessageId);
            Insert(transaction, report, last);
            return DmarcReportKept.Kept;
        });
    }

    private static async ValueTask<DmarcReportKept> IsKnownAsync(IWriteTransaction transaction, long messageId, string key)
    {
        // By this message or by another.
        if (!(await transaction.QueryAsync(s_known, r => r.GetInt64(0), key, messageId)).Contains(messageId))
            await transaction.ExecuteAsync(s_forgetRows, messageId);
        await transaction.ExecuteAsync(s_isRead, messageId);
        return DmarcReportKept.Known;
    }

    private static void Insert(IWriteTransaction transaction, ReceivedDmarcReport report, int first)
    {
        for (var number = first; number < Math.Min(first + RowsAtOnce, report.Rows.Count); number++)
        {
            var row = report.Rows[number];
            transaction.ExecuteLast(
                s_insertRow, report.MessageId, number, StoredText.Note(row.Source, MaxName), StoredText.Note(row.HeaderFrom, MaxName), row.Messages,
                row.Disposition switch { "reject" => 2, "quarantine" => 1, _ => 0 }, row.HasDkim ? 1 : 0, row.HasSpf ? 1 : 0);
        }
    }

    /// <summary>What is reported of the time since then, those with most messages first.</summary>
    /// <param name="domain">In A-labels and lower case; empty: all.</param>
    public Task<List<DmarcSum>> SumAsync(DmarcGrouping grouping, DateTimeOffset since, string domain, int most, CancellationToken cancellationToken) => database.QueryAsync(
        grouping switch
        {
            DmarcGrouping.Domain => s_byDomain,
            DmarcGrouping.Source => s_bySource,
            _ => s_byOrganization,
        },
        r => new DmarcSum(
            r.GetString(0), r.GetInt64(1), r.GetInt64(2), r.GetString(3), r.GetInt64(4), r.GetInt64(5), r.GetInt64(6), r.GetInt64(7), r.GetInt64(8), r.GetInt64(9),
            r.GetInt64(10)),
        cancellationToken, since, domain, most);

    /// <summary>Forgets reports that came before, a bounded number of them.</summary>
    public async Task ForgetAsync(DateTimeOffset before, int most, CancellationToken cancellationToken)
    {
        foreach (var id in await database.QueryAsync(s_old, r => r.GetInt64(0), cancellationToken, before, most))
        {
            await database.WriteAsync(async transaction =>
            {
                await transaction.ExecuteAsync(s_forgetRows, id);
                return await transaction.ExecuteAsync(s_forget, id);
            });
        }
    }

    private static Statement Sums(string group)
    {
        static string Sum(string condition) => $"CAST(SUM(CASE WHEN {condition} THEN w.messages ELSE 0 END) AS BIGINT)";
        return new Statement(
            $"""
            SELECT {group}, COUNT(DISTINCT r.id), COUNT(DISTINCT r.organization), MIN(r.organization), CAST(SUM(w.messages) AS BIGINT), {Sum("w.dkim = 1")}, {Sum("w.spf = 1")},
                {Sum("w.dkim = 0 AND w.spf = 0")}, {Sum("w.disposition = 1")}, {Sum("w.disposition = 2")}, COUNT(DISTINCT CASE WHEN r.is_proven = 1 THEN r.id END)
            FROM dmarc_reports r JOIN dmarc_report_rows w ON w.report = r.id WHERE r.end_at >= $1 AND ($2 = '' OR r.domain = $2)
            GROUP BY {group} ORDER BY 5 DESC, 1 LIMIT $3
            """);
    }
}
