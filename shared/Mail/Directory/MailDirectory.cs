using System.Collections.Concurrent;
using System.Globalization;
using MailPipeline.Sasl;
using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>A user of ours: logs in with the address and owns the maildrop of the same id.</summary>
public sealed record Account(long Id, string Address, StoredPassword Password);

public sealed record Alias(string Address, string Target);

/// <summary>What has a name: an account, aliases (their targets in order), both or neither.</summary>
public sealed record DirectoryEntry(Account? Account, IReadOnlyList<string> Targets)
{
    internal static readonly DirectoryEntry Nothing = new(null, []);

    internal bool IsEmpty => Account is null && Targets.Count == 0;
}

/// <summary>A domain of ours.</summary>
/// <param name="AliasOf">The domain of ours that it stands for, each address for the one with the same local part; empty: it has addresses of its own.</param>
/// <param name="Relay">Where its mail goes (<see cref="NextHop"/>, or <see cref="ByMx"/>); empty: into maildrops here.</param>
public sealed record MailDomain(string Name, string AliasOf = "", string Relay = "", RelayRecipients Recipients = RelayRecipients.All)
{
    /// <summary>The relay of a domain whose mail goes to its better MX: we are its backup.</summary>
    public const string ByMx = "mx";

    public bool IsRelayed => Relay.Length > 0;
}

/// <summary>Which recipients of a domain that we relay for are taken. The numbers of the first two are stored; they never change meaning.</summary>
public enum RelayRecipients
{
    /// <summary>All; the next hop refuses who is not there.</summary>
    All = 0,

    /// <summary>Those that an alias has, be it one to themselves.</summary>
    Listed = 1,

    /// <summary>Those that an alias has, and those that the next hop says it takes. Stored in a column of its own.</summary>
    Verify = 2,
}

/// <summary>
/// Domains, accounts and aliases of ours. Addresses compare without regard to case and to how their characters are composed, domains in
/// U-labels are those in A-labels, and all are kept in the one form that <see cref="MailName.Key"/> gives. Answers are remembered for <see cref="MailStoreOptions.DirectoryCacheTime"/>, so that changes made by another process show soon.
/// </summary>
public sealed class MailDirectory(MailDatabase database, MailStoreOptions options) : IDirectoryReader
{
    /// <summary>Most answers remembered of each kind; beyond it everything is forgotten and learnt again.</summary>
    private const int MaxCached = 20_000;

    internal static readonly Statement FindDomain = new("SELECT name, alias_of, relay, relay_recipients, relay_verify FROM domains WHERE name = $1");
    private static readonly Statement s_listDomains = new("SELECT name, alias_of, relay, relay_recipients, relay_verify FROM domains ORDER BY name");
    private static readonly Statement s_relayedDomains = new("SELECT name, alias_of, relay, relay_recipients, relay_verify FROM domains WHERE relay <> ''");
    private static readonly Statement s_firstDomains = new("SELECT name FROM domains WHERE alias_of = '' AND relay = '' ORDER BY name LIMIT $1");
    internal static readonly Statement Find = new(
        """
        SELECT id, address, password_hash, CASE WHEN scram_hash = password_hash THEN scram_keys ELSE '' END FROM accounts WHERE address = $1
        UNION ALL
        SELECT 0, target, '', '' FROM aliases WHERE address = $1
        ORDER BY 2
        """);

    private static readonly Statement s_listAccounts = new(
        "SELECT id, address, password_hash, CASE WHEN scram_hash = password_hash THEN scram_keys ELSE '' END FROM accounts ORDER BY address");
    private static readonly Statement s_listAddresses = new(
        "SELECT address FROM accounts WHERE address > $1 AND substr(address, length(address) - length($2) + 1) = $2 ORDER BY address LIMIT $3");
    private static readonly Statement s_setPassword = new(
        "UPDATE accounts SET password_hash = $2, scram_keys = $3, scram_hash = $2 WHERE address = $1");

    private static readonly Statement s_renewPassword = new(
        "UPDATE accounts SET password_hash = $2, scram_keys = $3, scram_hash = $2 WHERE id = $1 AND password_hash = $4");

    // Of "SCRAM-SHA-256$50000:...", which has four digits or five.
    private static readonly Statement s_scramIterations = new(
        """
        SELECT CASE WHEN substr(scram_keys, 19, 1) = ':' THEN substr(scram_keys, 15, 4) ELSE substr(scram_keys, 15, 5) END, COUNT(*)
        FROM accounts WHERE scram_keys <> '' AND scram_hash = password_hash GROUP BY 1
        """);

    internal static readonly Statement ListAliases = new("SELECT address, target FROM aliases ORDER BY address, target");

    private readonly ConcurrentDictionary<string, (long At, MailDomain? Found)> _domains = [];
    private readonly ConcurrentDictionary<int, (long At, IReadOnlyList<string> Names)> _firstDomains = [];
    private readonly ConcurrentDictionary<string, (long At, DirectoryEntry Entry)> _entries = [];
    private readonly ConcurrentDictionary<int, (long At, IReadOnlyDictionary<string, MailDomain> Domains)> _relayed = [];
    private readonly Lock _gate = new();
    private Task _lastChange = Task.CompletedTask;

    public string DetailSeparators => options.DetailSeparators;

    /// <summary>Null: it is none of ours.</summary>
    public ValueTask<MailDomain?> FindDomainAsync(string domain, CancellationToken cancellationToken) =>
        !StoredText.IsStorable(domain) ? ValueTask.FromResult<MailDomain?>(null) : CachedAsync(_domains, Normalize(domain), async name =>
            (await database.QueryAsync(FindDomain, ReadDomain, cancellationToken, name)).FirstOrDefault());

    /// <summary>
    /// What has exactly this name, in one query. An alias "@example.org" stands for every address of the domain that nothing else
    /// has: <see cref="AddressResolver"/> asks for it last.
    /// </summary>
    public ValueTask<DirectoryEntry> FindAsync(string address, CancellationToken cancellationToken) =>
        !StoredText.IsStorable(address) ? ValueTask.FromResult(DirectoryEntry.Nothing) : CachedAsync(_entries, Normalize(address), async name =>
            ToEntry(await database.QueryAsync(Find, ReadAccount, cancellationToken, name)));

    public async ValueTask<Account?> FindAccountAsync(string address, CancellationToken cancellationToken) =>
        (await FindAsync(address, cancellationToken)).Account;

    public async Task<IReadOnlyList<MailDomain>> ListDomainsAsync(CancellationToken cancellationToken) =>
        await database.QueryAsync(s_listDomains, ReadDomain, cancellationToken);

    /// <summary>The first of our domains with addresses of their own, by name, however many there are.</summary>
    public ValueTask<IReadOnlyList<string>> FirstDomainsAsync(int limit, CancellationToken cancellationToken) =>
        CachedAsync<int, IReadOnlyList<string>>(_firstDomains, limit, async most =>
            await database.QueryAsync(s_firstDomains, r => r.GetString(0), cancellationToken, (long)most));

    /// <summary>The domains that we relay for, by name. They are read all at once, as they are asked about for every batch that leaves.</summary>
    public ValueTask<IReadOnlyDictionary<string, MailDomain>> RelayedDomainsAsync(CancellationToken cancellationToken) =>
        CachedAsync<int, IReadOnlyDictionary<string, MailDomain>>(_relayed, 0, async _ =>
            (await database.QueryAsync(s_relayedDomains, ReadDomain, cancellationToken)).ToDictionary(domain => domain.Name, StringComparer.OrdinalIgnoreCase));

    public async Task<IReadOnlyList<Account>> ListAccountsAsync(CancellationToken cancellationToken) =>
        await database.QueryAsync(s_listAccounts, ReadAccount, cancellationToken);

    /// <summary>The accounts that an address may be of: that of its name, and those of which it has a detail.</summary>
    public IReadOnlyList<string> UsersOf(string address) => [address, .. Subaddress.UsersOf(address, DetailSeparators)];

    /// <summary>Addresses of accounts, a bounded number.</summary>
    /// <param name="after">Those behind this one, whether it is there or not; empty: from the first.</param>
    /// <param name="domain">Those of one domain; empty: of all.</param>
    public async Task<IReadOnlyList<string>> ListAddressesAsync(string after, string domain, int limit, CancellationToken cancellationToken) =>
        await database.QueryAsync(s_listAddresses, r => r.GetString(0), cancellationToken, after, domain.Length == 0 ? "" : "@" + domain, limit);

    /// <summary>How many accounts have keys for SCRAM of so many iterations.</summary>
    internal async Task<IReadOnlyList<(int Iterations, long Accounts)>> CountScramIterationsAsync(CancellationToken cancellationToken) =>
        [.. (await database.QueryAsync(s_scramIterations, r => (Iterations: Number(r.GetString(0)), r.GetInt64(1)), cancellationToken))
            .Where(some => some.Iterations >= ScramKeys.LeastIterations)];

    private static int Number(string digits) => int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;

    public async Task<IReadOnlyList<Alias>> ListAliasesAsync(CancellationToken cancellationToken) =>
        await database.QueryAsync(ListAliases, ReadAlias, cancellationToken);

    /// <summary>No other process need wait: what an address leads to does not depend on it.</summary>
    /// <param name="by">Whose act it is, which is noted; null: no operator's.</param>
    public async Task<bool> SetPasswordAsync(string address, StoredPassword password, OperatorIdentity? by = null)
    {
        var note = by is null ? null : await AuditNote.BeginAsync(database, by);
        var changed = await database.WriteAsync(async transaction =>
        {
            if (await transaction.ExecuteAsync(s_setPassword, Normalize(address), password.Hash, password.ScramKeys) == 0)
                return false;
            if (note is not null)
                await note.WriteAsync(transaction, OperatorAction.PasswordChanged, Normalize(address));
            return true;
        });
        Forget();
        return changed;
    }

    /// <summary>Stores a password anew, as it would be now. False: another was set, or this one was renewed, since the account was read.</summary>
    public async Task<bool> RenewPasswordAsync(Account account, StoredPassword renewed)
    {
        var isDone = await database.WriteAsync(async transaction =>
            await transaction.ExecuteAsync(s_renewPassword, account.Id, renewed.Hash, renewed.ScramKeys, account.Password.Hash) == 1);
        Forget();
        return isDone;
    }

    /// <summary>
    /// Makes a change that depends on what is there: it is looked up and changed in one transaction, and no other change of any process
    /// comes between.
    /// </summary>
    /// <param name="change">Awaits nothing but what it is given, and may run again from its start.</param>
    public Task<T> ChangeAsync<T>(Func<DirectoryChange, ValueTask<T>> change) =>
        OneByOneAsync(async transaction =>
        {
            await DirectoryChange.LockAsync(transaction);
            return await change(new DirectoryChange(transaction, database.Time.GetUtcNow(), DetailSeparators));
        });

    /// <summary>Changes the directory as an act of an operator, which the change notes where it does something (<see cref="DirectoryChange.NoteAsync"/>).</summary>
    public async Task<T> ChangeAsync<T>(OperatorIdentity by, Func<DirectoryChange, ValueTask<T>> change)
    {
        var note = await AuditNote.BeginAsync(database, by);
        return await OneByOneAsync(async transaction =>
        {
            await DirectoryChange.LockAsync(transaction);
            return await change(new DirectoryChange(transaction, note.At, DetailSeparators, note));
        });
    }

    /// <summary>The lock keeps other transactions off; changes of this process could share one, and so wait here.</summary>
    internal async Task<T> OneByOneAsync<T>(Func<IWriteTransaction, ValueTask<T>> change)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task before;
        lock (_gate)
            (before, _lastChange) = (_lastChange, done.Task);
        await before;
        try
        {
            return await database.WriteAsync(change);
        }
        finally
        {
            Forget();
            done.SetResult();
        }
    }

    /// <summary>As names are kept, and found however they are typed.</summary>
    internal static string Normalize(string name) => MailName.Key(name);

    private async ValueTask<T> CachedAsync<TKey, T>(
        ConcurrentDictionary<TKey, (long At, T Answer)> cache, TKey key, Func<TKey, Task<T>> read)
        where TKey : notnull
    {
        if (cache.TryGetValue(key, out var known) && database.Time.GetElapsedTime(known.At) < options.DirectoryCacheTime)
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
        _relayed.Clear();
    }

    // An alias has no id.
    internal static DirectoryEntry ToEntry(List<Account> rows) =>
        rows.Count == 0 ? DirectoryEntry.Nothing : new DirectoryEntry(
            rows.Find(row => row.Id != 0), rows.Count == 1 && rows[0].Id != 0 ? [] : [.. rows.Where(row => row.Id == 0).Select(row => row.Address)]);

    internal static Account ReadAccount(System.Data.Common.DbDataReader row) =>
        new(row.GetInt64(0), row.GetString(1), new StoredPassword(row.GetString(2), row.GetString(3)));

    internal static MailDomain ReadDomain(System.Data.Common.DbDataReader row) =>
        new(row.GetString(0), row.GetString(1), row.GetString(2), row.GetInt32(4) != 0 ? RelayRecipients.Verify : (RelayRecipients)row.GetInt32(3));

    internal static Alias ReadAlias(System.Data.Common.DbDataReader row) => new(row.GetString(0), row.GetString(1));
}
