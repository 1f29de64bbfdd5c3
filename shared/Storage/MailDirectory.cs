using System.Collections.Concurrent;

namespace MailPipeline.Storage;

/// <summary>A user of ours: logs in with the address and owns the maildrop of the same id.</summary>
public sealed record Account(long Id, string Address, string PasswordHash);

public sealed record Alias(string Address, string Target);

/// <summary>What has a name: an account, aliases (their targets in order), both or neither.</summary>
public sealed record DirectoryEntry(Account? Account, IReadOnlyList<string> Targets)
{
    internal static readonly DirectoryEntry Nothing = new(null, []);
}

/// <summary>
/// Domains, accounts and aliases of ours. Addresses compare without regard to case, and are kept in lower case. Answers
/// are remembered for <see cref="StorageOptions.DirectoryCacheTime"/>, so that changes made by another process show soon.
/// </summary>
public sealed class MailDirectory(MailDatabase database)
{
    /// <summary>Most answers remembered of each kind; beyond it everything is forgotten and learnt again.</summary>
    private const int MaxCached = 20_000;

    private static readonly Statement s_findDomain = new("SELECT 1 FROM domains WHERE name = $1");
    private static readonly Statement s_listDomains = new("SELECT name FROM domains ORDER BY name");
    private static readonly Statement s_firstDomains = new("SELECT name FROM domains ORDER BY name LIMIT $1");
    private static readonly Statement s_addDomain = new("INSERT INTO domains (name, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    private static readonly Statement s_removeDomain = new("DELETE FROM domains WHERE name = $1");

    private static readonly Statement s_find = new(
        """
        SELECT id, address, password_hash FROM accounts WHERE address = $1
        UNION ALL
        SELECT 0, target, '' FROM aliases WHERE address = $1
        ORDER BY 2
        """);

    private static readonly Statement s_listAccounts = new("SELECT id, address, password_hash FROM accounts ORDER BY address");
    private static readonly Statement s_nextAccount = new(
        "UPDATE id_blocks SET next = next + 1 WHERE name = $1 RETURNING next") { Locks = SharedRows.IdBlocks };

    private static readonly Statement s_addAccount = new(
        "INSERT INTO accounts (id, address, password_hash, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING");

    private static readonly Statement s_removeAccount = new("DELETE FROM accounts WHERE address = $1");
    private static readonly Statement s_setPassword = new("UPDATE accounts SET password_hash = $2 WHERE address = $1");
    private static readonly Statement s_accountId = new("SELECT id FROM accounts WHERE address = $1");
    private static readonly Statement s_maildrop = new("SELECT uid FROM maildrop_messages WHERE account_id = $1 ORDER BY uid LIMIT $2");
    private static readonly Statement s_listAliases = new("SELECT address, target FROM aliases ORDER BY address, target");

    private static readonly Statement s_addAlias = new(
        "INSERT INTO aliases (address, target, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");

    private static readonly Statement s_removeAlias = new("DELETE FROM aliases WHERE address = $1 AND target = $2");

    private readonly ConcurrentDictionary<string, (long At, bool Found)> _domains = [];
    private readonly ConcurrentDictionary<int, (long At, IReadOnlyList<string> Names)> _firstDomains = [];
    private readonly ConcurrentDictionary<string, (long At, DirectoryEntry Entry)> _entries = [];

    /// <summary>Shortest password that may be set, in characters (<see cref="StorageOptions.MinPasswordLength"/>).</summary>
    public int MinPasswordLength => database.Options.MinPasswordLength;

    public ValueTask<bool> IsLocalDomainAsync(string domain, CancellationToken cancellationToken) =>
        !StoredText.IsStorable(domain) ? ValueTask.FromResult(false) : CachedAsync(_domains, Normalize(domain), async name =>
            (await database.QueryAsync(s_findDomain, r => true, cancellationToken, name)).Count > 0);

    /// <summary>
    /// What has exactly this name, in one query. An alias "@example.org" stands for every address of the domain that nothing else
    /// has: <see cref="AddressResolver"/> asks for it last.
    /// </summary>
    public ValueTask<DirectoryEntry> FindAsync(string address, CancellationToken cancellationToken) =>
        !StoredText.IsStorable(address) ? ValueTask.FromResult(DirectoryEntry.Nothing) : CachedAsync(_entries, Normalize(address), async name =>
            ToEntry(await database.QueryAsync(s_find, ReadAccount, cancellationToken, name)));

    public async ValueTask<Account?> FindAccountAsync(string address, CancellationToken cancellationToken) =>
        (await FindAsync(address, cancellationToken)).Account;

    public async Task<IReadOnlyList<string>> ListDomainsAsync(CancellationToken cancellationToken) =>
        await database.QueryAsync(s_listDomains, r => r.GetString(0), cancellationToken);

    /// <summary>The first of our domains by name, however many there are.</summary>
    public ValueTask<IReadOnlyList<string>> FirstDomainsAsync(int limit, CancellationToken cancellationToken) =>
        CachedAsync<int, IReadOnlyList<string>>(_firstDomains, limit, async most =>
            await database.QueryAsync(s_firstDomains, r => r.GetString(0), cancellationToken, (long)most));

    public async Task<IReadOnlyList<Account>> ListAccountsAsync(CancellationToken cancellationToken) =>
        await database.QueryAsync(s_listAccounts, ReadAccount, cancellationToken);

    public async Task<IReadOnlyList<Alias>> ListAliasesAsync(CancellationToken cancellationToken) =>
        await database.QueryAsync(s_listAliases, r => new Alias(r.GetString(0), r.GetString(1)), cancellationToken);

    /// <summary>False: it is there already.</summary>
    public Task<bool> AddDomainAsync(string domain) => ChangeAsync(s_addDomain, Normalize(domain), Now);

    public Task<bool> RemoveDomainAsync(string domain) => ChangeAsync(s_removeDomain, Normalize(domain));

    public async Task<bool> AddAccountAsync(string address, string passwordHash)
    {
        var added = await database.WriteAsync(async transaction =>
        {
            var id = (await transaction.QueryAsync(s_nextAccount, r => r.GetInt64(0), "account"))[0] - 1;
            return await transaction.ExecuteAsync(s_addAccount, id, Normalize(address), passwordHash, Now) == 1;
        });
        Forget();
        return added;
    }

    /// <summary>
    /// Removes the maildrop, in pieces, and with the last one the account. False: there is none. What fails between two pieces leaves the
    /// account with the rest of its maildrop.
    /// </summary>
    public async Task<bool> RemoveAccountAsync(string address)
    {
        bool? removed;
        do
            removed = await database.WriteAsync(transaction => RemovePieceAsync(transaction, Normalize(address)));
        while (removed is null);
        Forget();
        return removed.Value;
    }

    /// <returns>Null: there is more.</returns>
    private static async ValueTask<bool?> RemovePieceAsync(IWriteTransaction transaction, string address)
    {
        if (await transaction.QueryAsync(s_accountId, r => r.GetInt64(0), address) is not [var id])
            return false;
        var uids = await transaction.QueryAsync(s_maildrop, r => r.GetInt64(0), id, MaildropStore.MostDeletions);
        await MaildropStore.DeleteAsync(transaction, id, uids);
        return uids.Count == MaildropStore.MostDeletions ? null : await transaction.ExecuteAsync(s_removeAccount, address) == 1;
    }

    public Task<bool> SetPasswordAsync(string address, string passwordHash) =>
        ChangeAsync(s_setPassword, Normalize(address), passwordHash);

    public Task<bool> AddAliasAsync(string address, string target) =>
        ChangeAsync(s_addAlias, Normalize(address), Normalize(target), Now);

    public Task<bool> RemoveAliasAsync(string address, string target) =>
        ChangeAsync(s_removeAlias, Normalize(address), Normalize(target));

    internal static string Normalize(string name) => name.ToLowerInvariant();

    private SqlValue Now => database.Time.GetUtcNow();

    private async Task<bool> ChangeAsync(Statement statement, params SqlValue[] values)
    {
        var changed = await database.WriteAsync(transaction => transaction.ExecuteAsync(statement, values)) == 1;
        Forget();
        return changed;
    }

    private async ValueTask<T> CachedAsync<TKey, T>(
        ConcurrentDictionary<TKey, (long At, T Answer)> cache, TKey key, Func<TKey, Task<T>> read)
        where TKey : notnull
    {
        if (cache.TryGetValue(key, out var known) && database.Time.GetElapsedTime(known.At) < database.Options.DirectoryCacheTime)
            return known.Answer;
        var asked = database.Time.GetTimestamp();
        var answer = await read(key);
        if (cache.Count >= MaxCached)
            cache.Clear();
        cache[key] = (asked, answer);
        return answer;
    }

    /// <summary>All is asked for again; whoever changed it in another process need not wait.</summary>
    public void Forget()
    {
        _domains.Clear();
        _firstDomains.Clear();
        _entries.Clear();
    }

    // An alias has no id.
    private static DirectoryEntry ToEntry(List<Account> rows) =>
        rows.Count == 0 ? DirectoryEntry.Nothing : new DirectoryEntry(
            rows.Find(row => row.Id != 0), rows.Count == 1 && rows[0].Id != 0 ? [] : [.. rows.Where(row => row.Id == 0).Select(row => row.Address)]);

    private static Account ReadAccount(System.Data.Common.DbDataReader row) => new(row.GetInt64(0), row.GetString(1), row.GetString(2));
}
