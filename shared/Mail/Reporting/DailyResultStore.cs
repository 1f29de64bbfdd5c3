using System.Security.Cryptography;
using System.Text;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>
/// Results of one kind, counted by domain and day (UTC) for all processes, until the domain is told of them. Each process has rows of its own, so that
/// none waits for another to count; whoever reads adds them up. A day of a domain is told once.
/// </summary>
/// <param name="table">Has columns "day" and "domain".</param>
public abstract class DailyResultStore(MailDatabase database, string table)
{
    /// <summary>As long as a name of DNS.</summary>
    private protected const int MaxName = 255;

    /// <summary>128 bits: nobody finds two texts that share them.</summary>
    private const int HashBytes = 16;

    private readonly Statement _domains = new(
        $"SELECT day, domain FROM {table} WHERE day < $1 AND (day, domain) > ($2, $3) GROUP BY day, domain ORDER BY day, domain LIMIT $4");

    private readonly Statement _forget = new($"DELETE FROM {table} WHERE day = $1 AND domain = $2");

    private readonly Statement _forgetBefore = new($"DELETE FROM {table} WHERE day < $1");

    private protected MailDatabase Database => database;

    /// <summary>Days before the given one with the domains that something was counted of, in this order.</summary>
    /// <param name="after">The last one that is known already; null: from the first.</param>
    public Task<List<(long Day, string Domain)>> ListBeforeAsync(long day, (long Day, string Domain)? after, int most, CancellationToken cancellationToken) =>
        database.QueryAsync(
            _domains, r => (r.GetInt64(0), r.GetString(1)), cancellationToken, day, after?.Day ?? long.MinValue, after?.Domain ?? "", most);

    /// <summary>They are told, or nobody wants to know.</summary>
    public Task ForgetAsync(long day, string domain) => database.WriteAsync(transaction => transaction.ExecuteAsync(_forget, day, domain));

    /// <summary>Nobody could tell them in time.</summary>
    public Task ForgetBeforeAsync(long day) => database.WriteAsync(transaction => transaction.ExecuteAsync(_forgetBefore, day));

    /// <summary>Accepts the messages that tell them, and forgets them; false, and nothing is changed: they are told already.</summary>
    /// <param name="note">What else is written then; null: nothing.</param>
    private protected Task<bool> TellAsync(long day, string domain, IReadOnlyList<ComposedMessage> reports, Action<IWriteTransaction>? note = null) =>
        database.WriteAsync(async transaction =>
        {
            if (await transaction.ExecuteAsync(_forget, day, domain) == 0)
                return false;
            foreach (var report in reports)
                await MessageStore.InsertAsync(transaction, report.Message, ReportAcceptance.ChunksOf(database, report));
            note?.Invoke(transaction);
            return true;
        });

    /// <summary>What a text is known by in a key, which has no room for it.</summary>
    internal static string HashOf(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, HashBytes));
}
