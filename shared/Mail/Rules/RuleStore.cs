using System.Data.Common;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What became of a rule that was to be added.</summary>
public enum RuleAddition
{
    Added,

    /// <summary>Another one has its name.</summary>
    NameTaken,

    /// <summary>There are as many as there may be.</summary>
    TooMany,
}

/// <summary>
/// The rules of operators. Each change raises their version, by which every process of Queue sees within moments that there is something to read; nothing else is
/// read or written where there are none.
/// </summary>
public sealed class RuleStore(MailDatabase database)
{
    public const int Most = 1000;

    private const double RateScale = 1000;

    private const string Columns =
        """
        name, act, domain, site, sender, sender_domain, account, recipient, message_id, older_ms, reply, text, rate_milli, until_at, why, set_by, host, set_at, ended_at,
        done, place
        """;

    internal static readonly Statement s_version = new("SELECT version FROM queue_rules_version WHERE id = 1");

    // Whoever changes rules waits here for whoever does.
    private static readonly Statement s_raise = new(
        "UPDATE queue_rules_version SET version = version + 1, released = CASE WHEN $1 = 1 THEN version + 1 ELSE released END WHERE id = 1");

    internal static readonly Statement s_list = new($"SELECT {Columns} FROM queue_rules ORDER BY name");

    private static readonly Statement s_find = new($"SELECT {Columns} FROM queue_rules WHERE name = $1");

    private static readonly Statement s_count = new("SELECT COUNT(*) FROM queue_rules");

    private static readonly Statement s_insert = new(
        $"""
        INSERT INTO queue_rules ({Columns})
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) ON CONFLICT (name) DO NOTHING
        """);

    private static readonly Statement s_delete = new("DELETE FROM queue_rules WHERE name = $1");

    private static readonly Statement s_end = new("UPDATE queue_rules SET ended_at = $2 WHERE name = $1 AND ended_at = 0 AND until_at > 0 AND until_at <= $2");

    private static readonly Statement s_forget = new("DELETE FROM queue_rules WHERE ended_at > 0 AND ended_at < $1");

    // Another rule may have its name by now.
    private static readonly Statement s_advance = new(
        "UPDATE queue_rules SET done = done + $3, place = $4, ended_at = $5 WHERE name = $1 AND set_at = $2 AND ended_at = 0");

    public async Task<long> FindVersionAsync(CancellationToken cancellationToken) =>
        (await database.QueryAsync(s_version, r => r.GetInt64(0), cancellationToken)).FirstOrDefault();

    /// <summary>All rules, also those that have ended, in order of their names.</summary>
    public async Task<IReadOnlyList<QueueRule>> ListAsync(CancellationToken cancellationToken) => await database.QueryAsync(s_list, Read, cancellationToken);

    /// <summary>What stands now.</summary>
    public Task<RuleSet> ReadStandingAsync(CancellationToken cancellationToken) => ReadStandingAsync(database, cancellationToken);

    internal static async Task<RuleSet> ReadStandingAsync(MailDatabase database, CancellationToken cancellationToken)
    {
        // The version first: what changes meanwhile is read under an older one, and read again.
        var version = (await database.QueryAsync(s_version, r => r.GetInt64(0), cancellationToken)).FirstOrDefault();
        var rules = await database.QueryAsync(s_list, Read, cancellationToken);
        return rules.Count == 0 ? new RuleSet(version, [], DateTimeOffset.MinValue) : new RuleSet(version, rules, database.Time.GetUtcNow());
    }

    public async Task<QueueRule?> FindAsync(string name, CancellationToken cancellationToken) =>
        (await database.QueryAsync(s_find, Read, cancellationToken, name)).FirstOrDefault();

    /// <summary>The rule as it is kept, with who made it and when; null: see what is said with it.</summary>
    public async Task<(RuleAddition End, QueueRule Rule)> AddAsync(QueueRule rule, OperatorIdentity by)
    {
        var note = await AuditNote.BeginAsync(database, by);
        rule = rule with { SetBy = by.Name, Host = by.Host, SetAt = note.At };
        var end = await database.WriteAsync(async transaction =>
        {
            await transaction.ExecuteAsync(s_raise, 0);
            if ((await transaction.QueryAsync(s_count, r => r.GetInt64(0)))[0] >= Most)
                return RuleAddition.TooMany;
            if (await transaction.ExecuteAsync(s_insert, Values(rule)) == 0)
                return RuleAddition.NameTaken;
            await note.WriteAsync(transaction, OperatorAction.RuleAdded, SubjectOf(rule));
            return RuleAddition.Added;
        });
        return (end, rule);
    }

    /// <summary>Puts what stands in the place of the rule of this name, if that is still as it was read. False: it is not.</summary>
    public async Task<bool> ChangeAsync(QueueRule before, QueueRule after, OperatorIdentity by)
    {
        var note = await AuditNote.BeginAsync(database, by);
        return await database.WriteAsync(async transaction =>
        {
            await transaction.ExecuteAsync(s_raise, 1);
            if ((await transaction.QueryAsync(s_find, Read, before.Name)) is not [var stored] || stored != before)
                return false;
            await transaction.ExecuteAsync(s_delete, before.Name);
            await transaction.ExecuteAsync(s_insert, Values(after));
            await note.WriteAsync(transaction, OperatorAction.RuleChanged, SubjectOf(after));
            return true;
        });
    }

    /// <summary>What it kept back goes on as it was. Null: there is none of that name.</summary>
    public async Task<QueueRule?> RemoveAsync(string name, OperatorIdentity by)
    {
        var note = await AuditNote.BeginAsync(database, by);
        return await database.WriteAsync(async transaction =>
        {
            await transaction.ExecuteAsync(s_raise, 1);
            if ((await transaction.QueryAsync(s_find, Read, name)) is not [var removed])
                return null;
            await transaction.ExecuteAsync(s_delete, name);
            await note.WriteAsync(transaction, OperatorAction.RuleRemoved, SubjectOf(removed));
            return removed;
        });
    }

    /// <summary>Notes that a rule's time is over, so that what it kept back is looked for.</summary>
    public Task<bool> EndAsync(QueueRule rule)
    {
        var now = database.Time.GetUtcNow();
        return database.WriteAsync(async transaction =>
        {
            await transaction.ExecuteAsync(s_raise, 1);
            return await transaction.ExecuteAsync(s_end, rule.Name, now) > 0;
        });
    }

    /// <summary>Of rules that ended before nothing is known any more.</summary>
    public Task<int> ForgetAsync(DateTimeOffset endedBefore) => database.WriteAsync(transaction => transaction.ExecuteAsync(s_forget, endedBefore));

    /// <summary>How far what is done once has come; false: the rule is not there any more.</summary>
    /// <param name="done">Recipients to whom it was done since.</param>
    public Task<bool> AdvanceAsync(QueueRule rule, int done, string place, DateTimeOffset? endedAt) => database.WriteAsync(async transaction =>
        await transaction.ExecuteAsync(s_advance, rule.Name, rule.SetAt, done, place, endedAt?.ToUnixTimeMilliseconds() ?? 0) > 0);

    private static string SubjectOf(QueueRule rule) =>
        $"{rule.Name}: {rule.Summary}{(rule.Until is { } until ? $"; until {until.ToUniversalTime():yyyy-MM-dd'T'HH:mm:ss'Z'}" : "")}{(rule.Why.Length > 0 ? $"; {rule.Why}" : "")}";

    private static SqlValue[] Values(QueueRule rule)
    {
        var asked = rule.Conditions;
        return
        [
            rule.Name, (long)rule.Act, Text(asked.Domain), Text(asked.Site), Text(asked.Sender), Text(asked.SenderDomain), Text(asked.Login), Text(asked.Recipient),
            asked.MessageId ?? 0, (long)(asked.Older?.TotalMilliseconds ?? 0), asked.Reply, rule.Text, (long)Math.Round(rule.Rate * RateScale), Stored(rule.Until), rule.Why,
            StoredText.Note(rule.SetBy), StoredText.Note(rule.Host), rule.SetAt, Stored(rule.EndedAt), rule.Done, rule.Place,
        ];
    }

    private static string Text(NamePattern? pattern) => pattern?.Text ?? "";

    private static long Stored(DateTimeOffset? time) => time?.ToUnixTimeMilliseconds() ?? 0;

    private static QueueRule Read(DbDataReader r) => new(
        r.GetString(0), (RuleAct)r.GetInt32(1),
        new RuleConditions
        {
            Domain = Pattern(r.GetString(2)), Site = Pattern(r.GetString(3)), Sender = Pattern(r.GetString(4)), SenderDomain = Pattern(r.GetString(5)),
            Login = Pattern(r.GetString(6)), Recipient = Pattern(r.GetString(7)), MessageId = r.GetInt64(8) is var id and not 0 ? id : null,
            Older = r.GetInt64(9) is var age and not 0 ? TimeSpan.FromMilliseconds(age) : null, Reply = r.GetString(10),
        },
        r.GetString(14))
    {
        Text = r.GetString(11), Rate = r.GetInt64(12) / RateScale, Until = Time(r, 13), SetBy = r.GetString(15), Host = r.GetString(16), SetAt = StoredTime.Read(r, 17),
        EndedAt = Time(r, 18), Done = r.GetInt64(19), Place = r.GetString(20),
    };

    private static NamePattern? Pattern(string text) => text.Length == 0 ? null : new NamePattern(text);

    private static DateTimeOffset? Time(DbDataReader row, int column) => row.GetInt64(column) == 0 ? null : StoredTime.Read(row, column);
}
