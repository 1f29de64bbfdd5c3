using System.Data.Common;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>The MTA-STS policy of a domain (RFC 8461), as some process fetched it.</summary>
/// <param name="RecordId">The id in the TXT record when it was fetched.</param>
/// <param name="Text">The policy as its host served it.</param>
/// <param name="ExpiresAt">Until then it holds, whatever DNS or its host say meanwhile.</param>
/// <param name="UsedAt">When mail was last sent by it, to the day.</param>
public sealed record StoredStsPolicy(
    string Domain, string RecordId, string Text, DateTimeOffset FetchedAt, DateTimeOffset ExpiresAt, DateTimeOffset RefreshAt, DateTimeOffset UsedAt);

/// <summary>
/// MTA-STS policies that any process has fetched, for all of them: who has seen a domain's policy once is not talked out of it before it
/// expires (RFC 8461 §10.2), and neither is a process that was started since.
/// </summary>
public sealed class StsPolicyStore(MailDatabase database)
{
    private const string Columns = "domain, record_id, policy, fetched_at, expires_at, refresh_at, used_at";

    private static readonly Statement s_find = new($"SELECT {Columns} FROM sts_policies WHERE domain = $1");

    private static readonly Statement s_list = new($"SELECT {Columns} FROM sts_policies ORDER BY domain LIMIT $1");

    private static readonly Statement s_save = new(
        $"""
        INSERT INTO sts_policies ({Columns}) VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (domain) DO UPDATE SET record_id = excluded.record_id, policy = excluded.policy, fetched_at = excluded.fetched_at,
            expires_at = excluded.expires_at, refresh_at = excluded.refresh_at
        """) { Locks = SharedRows.StsPolicies };

    private static readonly Statement s_use = new("UPDATE sts_policies SET used_at = $2 WHERE domain = $1 AND used_at < $2") { Locks = SharedRows.StsPolicies };

    private static readonly Statement s_due = new(
        $"SELECT {Columns} FROM sts_policies WHERE refresh_at <= $1 AND used_at > $2 ORDER BY refresh_at, domain LIMIT $3");

    private static readonly Statement s_take = new("UPDATE sts_policies SET refresh_at = $3 WHERE domain = $1 AND refresh_at = $2")
        { Locks = SharedRows.StsPolicies };

    private static readonly Statement s_forget = new("DELETE FROM sts_policies WHERE domain = $1") { Locks = SharedRows.StsPolicies };

    private static readonly Statement s_expired = new("SELECT domain FROM sts_policies WHERE expires_at < $1 ORDER BY expires_at LIMIT $2");

    private static readonly Statement s_expire = new("DELETE FROM sts_policies WHERE domain = $1 AND expires_at < $2") { Locks = SharedRows.StsPolicies };

    /// <summary>Null: none was ever fetched, or it is forgotten. It may have expired.</summary>
    public async Task<StoredStsPolicy?> FindAsync(string domain, CancellationToken cancellationToken) =>
        await database.QueryAsync(s_find, Read, cancellationToken, domain) is [var policy] ? policy : null;

    /// <summary>By domain, at most so many.</summary>
    public Task<List<StoredStsPolicy>> ListAsync(int most, CancellationToken cancellationToken) =>
        database.QueryAsync(s_list, Read, cancellationToken, most);

    /// <summary>Keeps it in the place of the one that is there.</summary>
    public Task SaveAsync(StoredStsPolicy policy) => database.WriteAsync(transaction => transaction.ExecuteAsync(
        s_save, policy.Domain, policy.RecordId, policy.Text, policy.FetchedAt, policy.ExpiresAt, policy.RefreshAt, policy.UsedAt));

    /// <summary>Mail is sent by it.</summary>
    public Task UseAsync(string domain, DateTimeOffset now) => database.WriteAsync(transaction => transaction.ExecuteAsync(s_use, domain, now));

    /// <summary>Those that are to be fetched anew and were used since, the first due first.</summary>
    public Task<List<StoredStsPolicy>> ListDueAsync(DateTimeOffset now, DateTimeOffset usedSince, int most, CancellationToken cancellationToken) =>
        database.QueryAsync(s_due, Read, cancellationToken, now, usedSince, most);

    /// <summary>Takes the turn to fetch it anew; false: another process has it.</summary>
    public async Task<bool> TakeAsync(StoredStsPolicy due, DateTimeOffset nextAt) =>
        await database.WriteAsync(transaction => transaction.ExecuteAsync(s_take, due.Domain, due.RefreshAt, nextAt)) == 1;

    /// <summary>False: there was none.</summary>
    public async Task<bool> ForgetAsync(string domain, OperatorIdentity by)
    {
        var note = await AuditNote.BeginAsync(database, by);
        return await database.WriteAsync(async transaction =>
        {
            if (await transaction.ExecuteAsync(s_forget, domain) == 0)
                return false;
            await note.WriteAsync(transaction, OperatorAction.TlsPolicyForgotten, domain);
            return true;
        });
    }

    /// <summary>Forgets those that expired before, a bounded number of them.</summary>
    public async Task ForgetExpiredAsync(DateTimeOffset before, int most, CancellationToken cancellationToken)
    {
        foreach (var domain in await database.QueryAsync(s_expired, r => r.GetString(0), cancellationToken, before, most))
            await database.WriteAsync(transaction => transaction.ExecuteAsync(s_expire, domain, before));
    }

    private static StoredStsPolicy Read(DbDataReader r) => new(
        r.GetString(0), r.GetString(1), r.GetString(2), StoredTime.Read(r, 3), StoredTime.Read(r, 4), StoredTime.Read(r, 5), StoredTime.Read(r, 6));
}
