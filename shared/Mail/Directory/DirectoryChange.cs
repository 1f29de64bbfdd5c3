using System.Text;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>
/// The directory as one transaction reads and changes it, while every other change of domains, accounts and aliases, of whatever process,
/// waits for its end. What was found is so until then. Awaits nothing but the transaction.
/// </summary>
public sealed class DirectoryChange : IDirectoryReader
{
    // The row that gives accounts their ids is taken first by whoever changes what an address leads to.
    private static readonly Statement s_lock = new(
        "UPDATE id_blocks SET next = next WHERE name = $1") { Locks = SharedRows.IdBlocks };

    private static readonly Statement s_nextAccount = new(
        "UPDATE id_blocks SET next = next + 1 WHERE name = $1 RETURNING next") { Locks = SharedRows.IdBlocks };

    private static readonly Statement s_addAccount = new(
        """
        INSERT INTO accounts (id, address, password_hash, scram_keys, scram_hash, created_at) VALUES ($1, $2, $3, $4, $3, $5)
        ON CONFLICT DO NOTHING
        """);

    private static readonly Statement s_addDomain = new(
        """
        INSERT INTO domains (name, created_at, alias_of, relay, relay_recipients, relay_verify) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT DO NOTHING
        """);

    private static readonly Statement s_removeDomain = new("DELETE FROM domains WHERE name = $1");
    private static readonly Statement s_countAccounts = new(
        "SELECT COUNT(*) FROM accounts WHERE substr(address, length(address) - length(CAST($1 AS TEXT)) + 1) = $1");

    private static readonly Statement s_addAlias = new(
        "INSERT INTO aliases (address, target, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");

    private static readonly Statement s_removeAlias = new("DELETE FROM aliases WHERE address = $1 AND target = $2");

    private static readonly Statement s_aliasDomains = new("SELECT name FROM domains WHERE alias_of = $1 ORDER BY name");

    private readonly IWriteTransaction _transaction;
    private readonly DateTimeOffset _now;
    private readonly AuditNote? _note;

    // One check follows many ways through the same names.
    private readonly Dictionary<string, MailDomain?> _domains = [];
    private readonly Dictionary<string, DirectoryEntry> _entries = [];

    /// <param name="note">Of the operator's act that it is; null: it is none.</param>
    internal DirectoryChange(IWriteTransaction transaction, DateTimeOffset now, string detailSeparators, AuditNote? note = null)
    {
        DetailSeparators = detailSeparators;
        _note = note;
        _transaction = transaction;
        _now = now;
    }

    public string DetailSeparators { get; }

    /// <summary>What is done, once; in the transaction that does it.</summary>
    public ValueTask NoteAsync(OperatorAction action, string subject) =>
        (_note ?? throw new InvalidOperationException("Nobody acts.")).WriteAsync(_transaction, action, subject);

    /// <summary>Keeps other changes of the directory off until the transaction ends.</summary>
    internal static async ValueTask LockAsync(IWriteTransaction transaction) => await transaction.ExecuteAsync(s_lock, "account");

    /// <summary>Null: it is none of ours.</summary>
    public ValueTask<MailDomain?> FindDomainAsync(string domain) => ReadAsync(_domains, domain, async name =>
        (await _transaction.QueryAsync(MailDirectory.FindDomain, MailDirectory.ReadDomain, name)).FirstOrDefault());

    /// <summary>The domains that stand for this one.</summary>
    public async ValueTask<IReadOnlyList<string>> FindAliasDomainsAsync(string domain) =>
        await _transaction.QueryAsync(s_aliasDomains, r => r.GetString(0), MailDirectory.Normalize(domain));

    public ValueTask<DirectoryEntry> FindAsync(string address) => ReadAsync(_entries, address, async name =>
        MailDirectory.ToEntry(await _transaction.QueryAsync(MailDirectory.Find, MailDirectory.ReadAccount, name)));

    /// <summary>Accounts in one domain.</summary>
    public async ValueTask<long> CountAccountsAsync(string domain) =>
        (await _transaction.QueryAsync(s_countAccounts, r => r.GetInt64(0), "@" + MailDirectory.Normalize(domain)))[0];

    /// <inheritdoc cref="AddressResolver.ResolveAsync(string, CancellationToken, int, DateTimeOffset?)"/>
    public async ValueTask<ResolvedAddress> ResolveAsync(string address) =>
        await new AddressResolver(this).ResolveAsync(address, CancellationToken.None);

    /// <inheritdoc cref="AddressResolver.CheckAliasAsync"/>
    public async ValueTask<AliasCheck> CheckAliasAsync(string address, string target) =>
        await new AddressResolver(this).CheckAliasAsync(address, target, CancellationToken.None);

    /// <summary>False: it is there already.</summary>
    public ValueTask<bool> AddDomainAsync(MailDomain domain) => WriteAsync(
        s_addDomain, MailDirectory.Normalize(domain.Name), _now, MailDirectory.Normalize(domain.AliasOf), domain.Relay,
        domain.Recipients == RelayRecipients.Listed ? 1 : 0, domain.Recipients == RelayRecipients.Verify ? 1 : 0);

    /// <summary>Accounts and aliases stay. False: there is none.</summary>
    public async ValueTask<bool> RemoveDomainAsync(string domain)
    {
        var name = MailDirectory.Normalize(domain);
        if (!await WriteAsync(s_removeDomain, name))
            return false;
        await ApiTokenStore.RemoveOfDomainAsync(_transaction, name);
        return true;
    }

    /// <summary>False: it is there already.</summary>
    public async ValueTask<bool> AddAccountAsync(string address, StoredPassword password)
    {
        var id = (await _transaction.QueryAsync(s_nextAccount, r => r.GetInt64(0), "account"))[0] - 1;
        return await WriteAsync(s_addAccount, id, MailDirectory.Normalize(address), password.Hash, password.ScramKeys, _now);
    }

    /// <summary>Whatever it leads to. False: it is there already.</summary>
    public ValueTask<bool> AddAliasAsync(string address, string target) =>
        WriteAsync(s_addAlias, MailDirectory.Normalize(address), MailDirectory.Normalize(target), _now);

    /// <summary>False: there is none.</summary>
    public async ValueTask<bool> RemoveAliasAsync(string address, string target)
    {
        var key = MailDirectory.Normalize(target);
        // One that an earlier program added may be kept in another form.
        var kept = Ascii.IsValid(key) && !key.Contains("xn--", StringComparison.Ordinal) ? key
            : (await FindAsync(address)).Targets.FirstOrDefault(known => MailDirectory.Normalize(known) == key) ?? key;
        return await WriteAsync(s_removeAlias, MailDirectory.Normalize(address), kept);
    }

    ValueTask<MailDomain?> IDirectoryReader.FindDomainAsync(string domain, CancellationToken cancellationToken) => FindDomainAsync(domain);

    ValueTask<DirectoryEntry> IDirectoryReader.FindAsync(string address, CancellationToken cancellationToken) => FindAsync(address);

    async Task<IReadOnlyList<Alias>> IDirectoryReader.ListAliasesAsync(CancellationToken cancellationToken) =>
        await _transaction.QueryAsync(MailDirectory.ListAliases, MailDirectory.ReadAlias);

    private static async ValueTask<T> ReadAsync<T>(Dictionary<string, T> known, string name, Func<string, ValueTask<T>> read)
    {
        var key = MailDirectory.Normalize(name);
        if (!known.TryGetValue(key, out var found))
            known[key] = found = await read(key);
        return found;
    }

    private async ValueTask<bool> WriteAsync(Statement statement, params SqlValue[] values)
    {
        _domains.Clear();
        _entries.Clear();
        return await _transaction.ExecuteAsync(statement, values) == 1;
    }
}
