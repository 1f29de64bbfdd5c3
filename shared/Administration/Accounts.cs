using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>The accounts of ours: a maildrop each, and the right to submit mail.</summary>
public sealed class Accounts(MailDirectory directory, AddressResolver addresses, AccountRemoval removal, LoginOptions logins)
{
    // A hash takes tens of megabytes and of milliseconds: whoever asks for many has them one after the other.
    private static readonly SemaphoreSlim s_hashing = new(1);

    public async Task<IReadOnlyList<string>> ListAsync(CancellationToken cancellation) =>
        [.. (await directory.ListAccountsAsync(cancellation)).Select(account => account.Address)];

    /// <summary>Some of them, in order.</summary>
    /// <param name="after">Those behind this address; empty: from the first.</param>
    /// <param name="domain">Those of one domain, as <see cref="MailNames.Domain"/> has it; empty: of all.</param>
    public Task<IReadOnlyList<string>> ListAsync(string after, string domain, int most, CancellationToken cancellation) =>
        directory.ListAddressesAsync(after, domain, most, cancellation);

    /// <summary>To be asked before somebody is asked for a password: nobody likes to type it twice in vain.</summary>
    /// <returns><see cref="AccountMayBeAdded"/>, or why not.</returns>
    public async Task<DirectoryResult> MayAddAsync(string typed, CancellationToken cancellation)
    {
        if (MailNames.Account(typed, out var address) is { } refused)
            return refused;
        var domain = MailNames.DomainOf(address);
        if (Domains.RefuseAccounts(await directory.FindDomainAsync(domain, cancellation), domain) is { } unfit)
            return unfit;
        return await directory.FindAccountAsync(address, cancellation) is null ? new AccountMayBeAdded(address) : new AccountAlreadyThere(address);
    }

    /// <summary>The first account of a domain is its postmaster's too, until somebody else is named.</summary>
    /// <returns><see cref="AccountAdded"/>, or why not.</returns>
    public async Task<DirectoryResult> AddAsync(string typed, string password, OperatorIdentity by, CancellationToken cancellation)
    {
        var answer = await MayAddAsync(typed, cancellation);
        if (answer is not AccountMayBeAdded { Address: var address })
            return answer;
        if (CheckPassword(password) is { } weak)
            return weak;
        var stored = await HashAsync(password, cancellation);
        // The domain is looked up again behind the hash, which takes long, and where nobody can remove it any more.
        return await directory.ChangeAsync(by, change => AddAsync(change, address, stored));
    }

    private static async ValueTask<DirectoryResult> AddAsync(DirectoryChange change, string address, StoredPassword password)
    {
        var domain = MailNames.DomainOf(address);
        if (Domains.RefuseAccounts(await change.FindDomainAsync(domain), domain) is { } unfit)
            return unfit;
        if (!await change.AddAccountAsync(address, password))
            return new AccountAlreadyThere(address);
        var (postmaster, gone) = await BecomePostmasterAsync(change, address);
        var subject = postmaster is null ? address : $"{address}, with {Aliases.TextOf(postmaster, address)}";
        await change.NoteAsync(OperatorAction.AccountAdded, gone.Count == 0 ? subject : $"{subject}, without {string.Join(", ", gone)}");
        return new AccountAdded(address, postmaster);
    }

    /// <summary>To be asked before somebody is asked for a password.</summary>
    /// <returns><see cref="AccountIsThere"/>, or why not.</returns>
    public async Task<DirectoryResult> FindAsync(string typed, CancellationToken cancellation)
    {
        if (MailNames.Address(typed, out var address) is { } refused)
            return refused;
        return await directory.FindAccountAsync(address, cancellation) is null ? new NoSuchAccount(address) : new AccountIsThere(address);
    }

    /// <returns><see cref="PasswordChanged"/>, or why not.</returns>
    public async Task<DirectoryResult> SetPasswordAsync(string typed, string password, OperatorIdentity by, CancellationToken cancellation)
    {
        var answer = await FindAsync(typed, cancellation);
        if (answer is not AccountIsThere { Address: var address })
            return answer;
        if (CheckPassword(password) is { } weak)
            return weak;
        var stored = await HashAsync(password, cancellation);
        return await directory.SetPasswordAsync(address, stored, by) ? new PasswordChanged(address) : new NoSuchAccount(address);
    }

    /// <summary>Removes the account, and all mail in its maildrop.</summary>
    /// <returns><see cref="AccountRemoved"/>, or why not.</returns>
    public async Task<DirectoryResult> RemoveAsync(string typed, OperatorIdentity by, CancellationToken cancellation)
    {
        if (MailNames.Address(typed, out var address) is { } refused)
            return refused;
        return await removal.RemoveAsync(address, by)
            ? new AccountRemoved(address, await AliasReview.FindBrokenAsync(directory, addresses, address, cancellation))
            : new NoSuchAccount(address);
    }

    private async Task<StoredPassword> HashAsync(string password, CancellationToken cancellation)
    {
        await s_hashing.WaitAsync(cancellation);
        try
        {
            return StoredPassword.Create(password, logins.ScramIterations);
        }
        finally
        {
            s_hashing.Release();
        }
    }

    private DirectoryResult? CheckPassword(string password) =>
        password.Length == 0 ? new PasswordEmpty()
        : password.Length < logins.MinPasswordLength ? new PasswordTooShort(password.Length, logins.MinPasswordLength)
        : password.Contains('\0', StringComparison.Ordinal) ? new PasswordWithNul()
        : null;

    /// <summary>RFC 5321 §4.5.1: a domain that receives mail has a postmaster. Until somebody else is named, its first account is.</summary>
    /// <returns>The postmaster's address, null when somebody has it already; and the aliases of it that led nowhere and were removed.</returns>
    private static async ValueTask<(string? Postmaster, IReadOnlyList<string> Gone)> BecomePostmasterAsync(DirectoryChange change, string account)
    {
        var postmaster = $"postmaster@{MailNames.DomainOf(account)}";
        if ((await change.ResolveAsync(postmaster)).Fault == AddressFault.None)
            return (null, []);
        // Those who had it are gone.
        var gone = (await change.FindAsync(postmaster)).Targets;
        foreach (var target in gone)
            await change.RemoveAliasAsync(postmaster, target);
        var isPostmaster = (await change.CheckAliasAsync(postmaster, account)).Fault == AddressFault.None && await change.AddAliasAsync(postmaster, account);
        return (isPostmaster ? postmaster : null, gone.ToList().ConvertAll(target => Aliases.TextOf(postmaster, target)));
    }
}
