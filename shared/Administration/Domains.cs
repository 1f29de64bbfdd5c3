using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>The domains of ours: those that mail is received for.</summary>
public sealed class Domains(MailDirectory directory, AddressResolver addresses)
{
    public Task<IReadOnlyList<MailDomain>> ListAsync(CancellationToken cancellation) => directory.ListDomainsAsync(cancellation);

    /// <returns>Null: it is none of ours.</returns>
    public async Task<MailDomain?> FindAsync(string typed, CancellationToken cancellation) =>
        MailNames.Domain(typed, out var domain) is null ? await directory.FindDomainAsync(domain, cancellation) : null;

    /// <summary>A domain that stands for another one has no accounts and aliases of its own: each address there is the same one here.</summary>
    /// <returns><see cref="DomainAliasAdded"/>, or why not.</returns>
    public async Task<DirectoryResult> AddAliasAsync(string typed, string typedOther, OperatorIdentity by, CancellationToken cancellation)
    {
        if (MailNames.Domain(typed, out var domain) is { } refused)
            return refused;
        if (MailNames.Domain(typedOther, out var other) is { } refusedOther)
            return refusedOther;
        var result = await directory.ChangeAsync(by, change => AddAliasAsync(change, domain, other));
        return result is DomainAliasAdded
            ? new DomainAliasAdded(domain, other, await AliasReview.FindBrokenAsync(directory, addresses, "@" + domain, cancellation))
            : result;
    }

    /// <summary>A domain whose maildrops are elsewhere: we take its mail and send it on.</summary>
    /// <param name="typedHop">A <see cref="NextHop"/>, or "mx": to its MX that is better than we are.</param>
    /// <returns><see cref="DomainRelayAdded"/>, or why not.</returns>
    public async Task<DirectoryResult> AddRelayAsync(
        string typed, string typedHop, RelayRecipients recipients, OperatorIdentity by, CancellationToken cancellation)
    {
        if (MailNames.Domain(typed, out var domain) is { } refused)
            return refused;
        var relay = string.Equals(typedHop, MailDomain.ByMx, StringComparison.OrdinalIgnoreCase) ? MailDomain.ByMx
            : NextHop.TryParse(typedHop, out var hop) ? hop.ToString() : "";
        if (relay.Length == 0)
            return new NotANextHop(typedHop);
        var isAdded = await directory.ChangeAsync(by, async change =>
        {
            if (!await change.AddDomainAsync(new MailDomain(domain, Relay: relay, Recipients: recipients)))
                return false;
            await change.NoteAsync(OperatorAction.DomainAdded, $"{domain}, relayed to {relay}{(recipients switch { RelayRecipients.Listed => ", listed recipients", RelayRecipients.Verify => ", verified recipients", _ => "" })}");
            return true;
        });
        return isAdded
            ? new DomainRelayAdded(domain, relay, recipients, await AliasReview.FindBrokenAsync(directory, addresses, "@" + domain, cancellation))
            : new DomainAlreadyThere(domain);
    }

    /// <returns><see cref="DomainAdded"/>, or why not.</returns>
    public async Task<DirectoryResult> AddAsync(string typed, OperatorIdentity by, CancellationToken cancellation)
    {
        if (MailNames.Domain(typed, out var domain) is { } refused)
            return refused;
        var isAdded = await directory.ChangeAsync(by, async change =>
        {
            if (!await change.AddDomainAsync(new MailDomain(domain)))
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
        if (await directory.ChangeAsync(by, change => RemoveAsync(change, domain)) is { } kept)
            return kept;
        var aliases = await directory.ListAliasesAsync(cancellation);
        var idle = aliases.Where(alias => MailNames.DomainOf(alias.Address) == domain);
        var leaving = aliases.Where(alias => MailNames.DomainOf(alias.Address) != domain && MailNames.DomainOf(alias.Target) == domain);
        return new DomainRemoved(domain, [.. idle], [.. leaving]);
    }

    /// <summary>Why no alias can be added in a domain; null where one can.</summary>
    internal static DirectoryResult? RefuseAliases(MailDomain? found, string domain) => found switch
    {
        null => new DomainNotOurs(domain),
        { AliasOf: { Length: > 0 } other } => new DomainIsAlias(domain, other),
        _ => null,
    };

    /// <summary>Why no account can be added in a domain, and none can stand for it; null where one can.</summary>
    internal static DirectoryResult? RefuseAccounts(MailDomain? found, string domain) =>
        found is { IsRelayed: true } ? new DomainIsRelayed(domain, found.Relay) : RefuseAliases(found, domain);

    private static async ValueTask<DirectoryResult> AddAliasAsync(DirectoryChange change, string domain, string other)
    {
        if (RefuseAccounts(await change.FindDomainAsync(other), other) is { } unfit)
            return unfit;
        if (!await change.AddDomainAsync(new MailDomain(domain, other)))
            return new DomainAlreadyThere(domain);
        await change.NoteAsync(OperatorAction.DomainAdded, $"{domain}, alias of {other}");
        return new DomainAliasAdded(domain, other, []);
    }

    /// <returns>Why it is not removed; null where it is.</returns>
    private static async ValueTask<DirectoryResult?> RemoveAsync(DirectoryChange change, string domain)
    {
        if (await change.CountAccountsAsync(domain) is > 0 and var accounts)
            return new HasAccounts(domain, accounts);
        if (await change.FindAliasDomainsAsync(domain) is { Count: > 0 } standing)
            return new HasAliasDomains(domain, standing);
        if (!await change.RemoveDomainAsync(domain))
            return new NoSuchDomain(domain);
        await change.NoteAsync(OperatorAction.DomainRemoved, domain);
        return null;
    }
}
