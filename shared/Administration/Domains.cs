using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>The domains of ours: those that mail is received for.</summary>
public sealed class Domains(MailDirectory directory, AddressResolver addresses)
{
    public Task<IReadOnlyList<string>> ListAsync(CancellationToken cancellation) => directory.ListDomainsAsync(cancellation);

    /// <returns><see cref="DomainAdded"/>, or why not.</returns>
    public async Task<DirectoryResult> AddAsync(string typed, OperatorIdentity by, CancellationToken cancellation)
    {
        if (MailNames.NewDomain(typed, out var domain) is { } refused)
            return refused;
        var isAdded = await directory.ChangeAsync(by, async change =>
        {
            if (!await change.AddDomainAsync(domain))
                return false;
            await change.NoteAsync(OperatorAction.DomainAdded, domain);
            return true;
        });
        if (!isAdded)
            return new DomainAlreadyThere(domain);
        // RFC 5321 §4.5.1: somebody has to read what is written to the postmaster.
        var postmaster = await addresses.ResolveAsync("postmaster@" + domain, cancellation);
        return new DomainAdded(
            domain, postmaster.Fault == AddressFault.None, await AliasReview.FindBrokenAsync(directory, addresses, "@" + domain, cancellation));
    }

    /// <summary>Accounts keep their domain; aliases stay, and those that mean something else without it are named.</summary>
    /// <returns><see cref="DomainRemoved"/>, or why not.</returns>
    public async Task<DirectoryResult> RemoveAsync(string typed, OperatorIdentity by, CancellationToken cancellation)
    {
        if (MailNames.Domain(typed, out var domain) is { } refused)
            return refused;
        var (left, isRemoved) = await directory.ChangeAsync(by, async change =>
        {
            var accounts = await change.CountAccountsAsync(domain);
            if (accounts > 0 || !await change.RemoveDomainAsync(domain))
                return (accounts, false);
            await change.NoteAsync(OperatorAction.DomainRemoved, domain);
            return (accounts, true);
        });
        if (left > 0)
            return new HasAccounts(domain, left);
        if (!isRemoved)
            return new NoSuchDomain(domain);
        var aliases = await directory.ListAliasesAsync(cancellation);
        var idle = aliases.Where(alias => MailNames.DomainOf(alias.Address) == domain);
        var leaving = aliases.Where(alias => MailNames.DomainOf(alias.Address) != domain && MailNames.DomainOf(alias.Target) == domain);
        return new DomainRemoved(domain, [.. idle], [.. leaving]);
    }
}
