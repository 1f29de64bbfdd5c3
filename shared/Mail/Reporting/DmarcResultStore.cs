using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>Messages that DMARC judged in one way on one day.</summary>
/// <param name="Day">Since 1970, by UTC.</param>
/// <param name="Domain">Whose record it was judged by, and who is told.</param>
/// <param name="Judgement">The policy and the judgement, in the text of who judged; empty: those of which there was no room to say how.</param>
public sealed record DmarcResultKey(long Day, string Domain, string Judgement);

/// <summary>How many messages that was.</summary>
public sealed record DmarcResultCount(DmarcResultKey Key, long Messages);

/// <summary>All that was counted of one day of a domain, as far as it is wanted.</summary>
/// <param name="Counts">Those with most messages, the first one most.</param>
/// <param name="Messages">All, those that no count is about included.</param>
public sealed record DmarcDay(IReadOnlyList<DmarcResultCount> Counts, long Messages);

/// <summary>A report that was made, as operators see it.</summary>
/// <param name="MessageId">Under which its way is found.</param>
/// <param name="Day">Which it is about, since 1970.</param>
/// <param name="Rows">Kinds of messages that it tells of.</param>
/// <param name="Messages">Those that it tells of.</param>
public sealed record SentDmarcReport(long MessageId, long Day, string Domain, string Recipient, string ReportId, int Rows, long Messages, DateTimeOffset SentAt);

/// <summary>Counts of judgements by DMARC by day, and what was told of them (RFC 7489 §7.2).</summary>
public sealed class DmarcResultStore(MailDatabase database) : DailyResultStore(database, "dmarc_results")
{
    private const int MaxJudgement = 8000;

    private static readonly Statement s_add = new(
        """
        INSERT INTO dmarc_results (day, domain, kind, writer, judgement, messages) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (day, domain, kind, writer) DO UPDATE SET messages = dmarc_results.messages + excluded.messages
        """);

    private static readonly Statement s_of = new(
        """
        SELECT MIN(judgement), CAST(SUM(messages) AS BIGINT) FROM dmarc_results WHERE day = $1 AND domain = $2 AND kind <> ''
        GROUP BY kind ORDER BY 2 DESC, kind LIMIT $3
        """);

    private static readonly Statement s_all = new(
        "SELECT CAST(COALESCE(SUM(messages), 0) AS BIGINT) FROM dmarc_results WHERE day = $1 AND domain = $2");

    private static readonly Statement s_noteSent = new(
        """
        INSERT INTO dmarc_sent (message_id, day, domain, recipient, report_id, row_count, messages, sent_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """);

    private static readonly Statement s_sent = new(
        """
        SELECT message_id, day, domain, recipient, report_id, row_count, messages, sent_at FROM dmarc_sent
        WHERE sent_at >= $1 AND ($2 = '' OR domain = $2) ORDER BY sent_at DESC, message_id DESC LIMIT $3
        """);

    private static readonly Statement s_forgetSent = new("DELETE FROM dmarc_sent WHERE sent_at < $1");

    /// <summary>Adds to what this process has counted.</summary>
    /// <param name="writer">A number that no other process has.</param>
    public Task AddAsync(long writer, IReadOnlyCollection<DmarcResultCount> counts) => Database.WriteAsync(transaction =>
    {
        foreach (var (key, messages) in counts)
        {
            var judgement = StoredText.Note(key.Judgement, MaxJudgement);
            transaction.ExecuteLast(
                s_add, key.Day, StoredText.Note(key.Domain, MaxName), judgement.Length == 0 ? "" : HashOf(judgement), writer, judgement, messages);
        }

        return ValueTask.FromResult(true);
    });

    public async Task<DmarcDay> FindAsync(long day, string domain, int most, CancellationToken cancellationToken)
    {
        var counts = await Database.QueryAsync(
            s_of, r => new DmarcResultCount(new(day, domain, r.GetString(0)), r.GetInt64(1)), cancellationToken, day, domain, most);
        return new DmarcDay(counts, (await Database.QueryAsync(s_all, r => r.GetInt64(0), cancellationToken, day, domain))[0]);
    }

    /// <summary>Accepts the messages that tell them, and forgets them; false, and nothing is changed: they are told already.</summary>
    /// <param name="sent">What each of them is.</param>
    public Task<bool> ReportAsync(long day, string domain, IReadOnlyList<ComposedMessage> reports, IReadOnlyList<SentDmarcReport> sent) =>
        TellAsync(day, domain, reports, transaction =>
        {
            foreach (var one in sent)
            {
                transaction.ExecuteLast(
                    s_noteSent, one.MessageId, one.Day, one.Domain, StoredText.Note(one.Recipient), one.ReportId, one.Rows, one.Messages, one.SentAt);
            }
        });

    /// <summary>Reports that were made from then on, the newest first.</summary>
    /// <param name="domain">Empty: of all.</param>
    public Task<List<SentDmarcReport>> ListSentAsync(DateTimeOffset since, string domain, int most, CancellationToken cancellationToken) => Database.QueryAsync(
        s_sent,
        r => new SentDmarcReport(
            r.GetInt64(0), r.GetInt64(1), r.GetString(2), r.GetString(3), r.GetString(4), r.GetInt32(5), r.GetInt64(6), StoredTime.Read(r, 7)),
        cancellationToken, since, domain, most);

    /// <summary>Forgets which reports were made before; what they told is forgotten since then.</summary>
    public Task ForgetSentAsync(DateTimeOffset before) => Database.WriteAsync(transaction => transaction.ExecuteAsync(s_forgetSent, before));
}
