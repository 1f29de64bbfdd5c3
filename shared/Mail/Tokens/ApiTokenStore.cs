using System.Data.Common;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>A token, without its secret, which nobody but its bearer has.</summary>
/// <param name="Domain">It lets its bearer see and change what belongs to this domain of ours alone; empty: everything.</param>
/// <param name="AccountAddress">It lets its bearer see and send the mail of this account alone; empty: of all that its domain has.</param>
/// <param name="UntilAt">When it ends; null: it does not.</param>
/// <param name="UsedAt">When it was last used, to within a minute; null: never.</param>
public sealed record ApiToken(
    string Name, ApiScopes Scopes, string Domain, string AccountAddress, DateTimeOffset MadeAt, string MadeBy, DateTimeOffset? UntilAt, DateTimeOffset? UsedAt)
{
    /// <summary>It is for everything that the store has.</summary>
    public bool IsForAll => Domain.Length == 0 && AccountAddress.Length == 0;
}

/// <summary>Tokens by which programs come to the operator's acts over the network. A digest of each is kept, and never the token.</summary>
public sealed class ApiTokenStore(MailDatabase database)
{
    /// <summary>So many there can be, so that a list of them is short.</summary>
    public const int MaxTokens = 1000;

    private const string Columns = "name, scopes, domain, account, made_at, made_by, until_at, used_at";

    private static readonly TimeSpan s_useNotedEach = TimeSpan.FromMinutes(1);

    // Of an account or a domain that is another one of the same name it is none.
    private static readonly Statement s_find = new(
        $"""
        SELECT {Columns} FROM api_tokens t WHERE digest = $1
            AND (account = '' OR EXISTS (SELECT 1 FROM accounts a WHERE a.address = t.account AND a.created_at <= t.made_at))
            AND (domain = '' OR EXISTS (SELECT 1 FROM domains d WHERE d.name = t.domain AND d.created_at <= t.made_at))
        """);

    private static readonly Statement s_list = new($"SELECT {Columns} FROM api_tokens ORDER BY name LIMIT $1");

    private static readonly Statement s_removeEnded = new("DELETE FROM api_tokens WHERE until_at > 0 AND until_at <= $1");

    private static readonly Statement s_count = new("SELECT COUNT(*) FROM api_tokens");

    private static readonly Statement s_add = new(
        """
        INSERT INTO api_tokens (name, digest, scopes, domain, account, made_at, made_by, until_at, used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)
        ON CONFLICT DO NOTHING
        """);

    private static readonly Statement s_remove = new($"DELETE FROM api_tokens WHERE name = $1 RETURNING {Columns}");

    private static readonly Statement s_removeOfAccount = new("DELETE FROM api_tokens WHERE account = $1");

    private static readonly Statement s_removeOfDomain = new("DELETE FROM api_tokens WHERE domain = $1");

    private static readonly Statement s_used = new("UPDATE api_tokens SET used_at = $2 WHERE digest = $1 AND used_at < $3");

    /// <summary>Whose token this is, if it has not ended. That it was used is noted once a minute. Those that have ended are removed when another is made.</summary>
    /// <returns>Null: it is none.</returns>
    public async Task<ApiToken?> FindAsync(string token, CancellationToken cancellation)
    {
        if (!TokenText.IsWellFormed(token))
            return null;
        var digest = TokenText.DigestOf(token);
        if (await database.QueryAsync(s_find, Read, cancellation, digest) is not [var found])
            return null;
        var now = database.Time.GetUtcNow();
        if (found.UntilAt <= now)
            return null;
        if (found.UsedAt is null || now - found.UsedAt >= s_useNotedEach)
            await NoteUseAsync(digest, now);
        return found;
    }

    /// <summary>By name.</summary>
    public async Task<IReadOnlyList<ApiToken>> ListAsync(CancellationToken cancellation) =>
        await database.QueryAsync(s_list, Read, cancellation, MaxTokens);

    /// <param name="token">As it is shown to its bearer, this once.</param>
    /// <returns>False: one of that name is there, or there are as many as there can be.</returns>
    public async Task<bool> AddAsync(ApiToken made, string token, OperatorIdentity by)
    {
        var note = await AuditNote.BeginAsync(database, by);
        return await database.WriteAsync(async transaction =>
        {
            await transaction.ExecuteAsync(s_removeEnded, note.At);
            if ((await transaction.QueryAsync(s_count, r => r.GetInt64(0)))[0] >= MaxTokens)
                return false;
            if (await transaction.ExecuteAsync(
                s_add, made.Name, TokenText.DigestOf(token), (long)made.Scopes, made.Domain, made.AccountAddress, made.MadeAt, StoredText.Note(made.MadeBy),
                made.UntilAt?.ToUnixTimeMilliseconds() ?? 0) == 0)
                return false;
            await note.WriteAsync(transaction, OperatorAction.TokenMade, SubjectOf(made));
            return true;
        });
    }

    /// <summary>From then on it lets nobody in.</summary>
    /// <returns>Null: there is none of that name.</returns>
    public async Task<ApiToken?> RemoveAsync(string name, OperatorIdentity by)
    {
        var note = await AuditNote.BeginAsync(database, by);
        return await database.WriteAsync(async transaction =>
        {
            if (await transaction.QueryAsync(s_remove, Read, name) is not [var removed])
                return null;
            await note.WriteAsync(transaction, OperatorAction.TokenRemoved, SubjectOf(removed));
            return removed;
        });
    }

    /// <summary>They end with the account: who gets its name later has not made them.</summary>
    internal static ValueTask<int> RemoveOfAccountAsync(IWriteTransaction transaction, string account) => transaction.ExecuteAsync(s_removeOfAccount, account);

    /// <summary>They end with the domain.</summary>
    internal static ValueTask<int> RemoveOfDomainAsync(IWriteTransaction transaction, string domain) => transaction.ExecuteAsync(s_removeOfDomain, domain);

    /// <summary>For people. Who wants to see why the disk is full is let in though it cannot be written.</summary>
    private async Task NoteUseAsync(string digest, DateTimeOffset now)
    {
        try
        {
            await database.WriteAsync(transaction => transaction.ExecuteAsync(s_used, digest, now, now - s_useNotedEach));
        }
        catch (StorageUnavailableException)
        {
        }
    }

    private static string SubjectOf(ApiToken token) =>
        $"{token.Name}: {token.Scopes}{(token.AccountAddress.Length > 0 ? $" of {token.AccountAddress}" : token.Domain.Length > 0 ? $" of {token.Domain}" : "")}".ToLowerInvariant();

    private static ApiToken Read(DbDataReader r) => new(
        r.GetString(0), (ApiScopes)r.GetInt32(1), r.GetString(2), r.GetString(3), StoredTime.Read(r, 4), r.GetString(5), TimeOrNull(r, 6), TimeOrNull(r, 7));

    private static DateTimeOffset? TimeOrNull(DbDataReader r, int column) => r.GetInt64(column) == 0 ? null : StoredTime.Read(r, column);
}
