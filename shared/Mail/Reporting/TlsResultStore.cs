using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What became of sessions with the hosts of a domain under one of its policies, for reports to it (RFC 8460 §4.3).</summary>
/// <param name="Day">Since 1970, by UTC (RFC 8460 §4.1).</param>
/// <param name="Policy">Its type in the first line, then the text of the policy: a line of MTA-STS, or a TLSA record, each.</param>
/// <param name="Result">Empty for success, else the type of failure (RFC 8460 §4.3.1, §4.3.2).</param>
/// <param name="Host">The MX; empty where none was spoken to.</param>
/// <param name="Address">Of the MX; empty for success, and where none was spoken to.</param>
public sealed record TlsResultKey(long Day, string Domain, string Policy, string Result, string Host, string Address);

/// <summary>How often that was so.</summary>
public sealed record TlsResultCount(TlsResultKey Key, long Sessions);

/// <summary>Counts of TLS results by day.</summary>
public sealed class TlsResultStore(MailDatabase database) : DailyResultStore(database, "tls_results")
{
    private const int MaxPolicy = 4000;

    private static readonly Statement s_add = new(
        """
        INSERT INTO tls_results (day, domain, kind, result, host, address, writer, policy, sessions) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (day, domain, kind, result, host, address, writer) DO UPDATE SET sessions = tls_results.sessions + excluded.sessions
        """);

    private static readonly Statement s_of = new(
        """
        SELECT MIN(policy), result, host, address, CAST(SUM(sessions) AS BIGINT) FROM tls_results WHERE day = $1 AND domain = $2
        GROUP BY kind, result, host, address ORDER BY kind, result, host, address LIMIT $3
        """);

    /// <summary>Adds to what this process has counted.</summary>
    /// <param name="writer">A number that no other process has.</param>
    public Task AddAsync(long writer, IReadOnlyCollection<TlsResultCount> counts) => Database.WriteAsync(transaction =>
    {
        foreach (var (key, sessions) in counts)
        {
            transaction.ExecuteLast(
                s_add, key.Day, StoredText.Note(key.Domain, MaxName), KindOf(key.Policy), key.Result, StoredText.Note(key.Host, MaxName), key.Address, writer,
                StoredText.Note(key.Policy, MaxPolicy), sessions);
        }

        return ValueTask.FromResult(true);
    });

    public Task<List<TlsResultCount>> FindAsync(long day, string domain, int most, CancellationToken cancellationToken) => Database.QueryAsync(
        s_of, r => new TlsResultCount(new(day, domain, r.GetString(0), r.GetString(1), r.GetString(2), r.GetString(3)), r.GetInt64(4)), cancellationToken, day,
        domain, most);

    /// <summary>Accepts the messages that tell them, and forgets them; false, and nothing is changed: they are told already.</summary>
    public Task<bool> ReportAsync(long day, string domain, IReadOnlyList<ComposedMessage> reports) => TellAsync(day, domain, reports);

    private static string KindOf(string policy)
    {
        var end = policy.IndexOf('\n', StringComparison.Ordinal);
        return end < 0 ? policy : $"{policy[..end]} {HashOf(policy)}";
    }
}
