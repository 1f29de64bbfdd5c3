namespace MailPipeline.Mail;

/// <summary>Where one address leads in the end: a maildrop here, or an address of another system.</summary>
/// <param name="IsThere">False: a domain of ours, in which nothing has this name.</param>
public readonly record struct AddressEnd(string Address, string Domain, RecipientRoute Route, bool IsThere = true);

/// <summary>Why mail for an address of ours cannot be delivered.</summary>
public enum AddressFault
{
    None,

    /// <summary>Neither an account nor an alias has the name, and no catch-all takes it.</summary>
    NotThere,

    /// <summary>Aliases have it, and all of them end at names that are not there.</summary>
    LeadsNowhere,

    /// <summary>The aliases come back to themselves, and lead to nobody besides.</summary>
    Loop,

    /// <summary>Aliases of aliases are more than <see cref="AddressResolver.MaxAliasDepth"/> deep.</summary>
    TooDeep,

    /// <summary>The aliases lead to more recipients than a message can have.</summary>
    TooWide,
}

/// <summary>What became of following an address.</summary>
/// <param name="IsLocal">The address is of a domain of ours.</param>
/// <param name="Ends">Each end once for each way that leads to it, those that are not there included.</param>
public sealed record ResolvedAddress(bool IsLocal, IReadOnlyList<AddressEnd> Ends, AddressFault Fault)
{
    public bool LeadsTo(Account account) => Ends.Any(
        end => end.Route == RecipientRoute.Local && string.Equals(end.Address, account.Address, StringComparison.OrdinalIgnoreCase));
}

/// <summary>
/// Says where an address leads, to all who ask: the door, the router, the check of senders, the commands. A domain that is not
/// ours: there. A name of ours: its aliases, else its account, else the catch-all of the domain, else nothing. An alias that
/// names its own address keeps a copy in the account of that name.
/// </summary>
public sealed class AddressResolver
{
    private readonly IDirectoryReader _directory;

    public AddressResolver(MailDirectory directory)
        : this((IDirectoryReader)directory)
    {
    }

    internal AddressResolver(IDirectoryReader directory) => _directory = directory;

    /// <summary>Aliases of aliases are followed so far. Long enough for people; a loop that grows names has an end.</summary>
    public const int MaxAliasDepth = 10;

    /// <param name="room">Most ends; one more is <see cref="AddressFault.TooWide"/>.</param>
    public async ValueTask<ResolvedAddress> ResolveAsync(
        string address, CancellationToken cancellationToken, int room = RecipientIds.MaxPerMessage)
    {
        var domain = DomainOf(address);
        if (!await _directory.IsLocalDomainAsync(domain, cancellationToken))
            return new ResolvedAddress(false, [new AddressEnd(address, domain, RecipientRoute.Remote)], AddressFault.None);
        var entry = await _directory.FindAsync(address, cancellationToken);
        if (entry is { Account: not null, Targets.Count: 0 })
            return new ResolvedAddress(true, [new AddressEnd(address, domain, RecipientRoute.Local)], AddressFault.None);
        var walk = new AliasWalk(_directory, planned: null, room);
        await walk.FollowAsync(address, cancellationToken);
        return new ResolvedAddress(true, walk.Ends, walk.Fault);
    }

    /// <summary>What would be wrong with one more alias: with its own target, or with an alias that leads to it.</summary>
    /// <param name="address">A name of ours, or "@example.org" for all of a domain.</param>
    /// <returns>The fault, and the address that has it.</returns>
    public async Task<(AddressFault Fault, string Address)> CheckAliasAsync(string address, string target, CancellationToken cancellationToken)
    {
        var planned = new Alias(MailDirectory.Normalize(address), MailDirectory.Normalize(target));
        // A catch-all makes no name be there, its own target's neither.
        if (planned.Address == "@" + DomainOf(target) && await _directory.FindAsync(target, cancellationToken) is { Account: null, Targets.Count: 0 })
            return (AddressFault.NotThere, planned.Target);
        var own = new AliasWalk(_directory, planned, RecipientIds.MaxPerMessage);
        if (await own.FollowTargetAsync(cancellationToken) is { } fault and not AddressFault.None)
            return (fault, planned.Target);
        // Deeper and wider become those as well that lead here already.
        foreach (var upstream in LeadingTo(planned.Address, await _directory.ListAliasesAsync(cancellationToken)))
        {
            var before = await ResolveAsync(upstream, cancellationToken);
            var after = new AliasWalk(_directory, planned, RecipientIds.MaxPerMessage);
            await after.FollowAsync(upstream, cancellationToken);
            if (before.Fault == AddressFault.None && after.Fault != AddressFault.None)
                return (after.Fault, upstream);
        }
        return (AddressFault.None, "");
    }

    internal static string DomainOf(string address) => address[(address.LastIndexOf('@') + 1)..].ToLowerInvariant();

    /// <summary>The alias addresses from which some way leads to this one; of a catch-all's domain any address may.</summary>
    private static HashSet<string> LeadingTo(string address, IReadOnlyList<Alias> aliases)
    {
        var sources = aliases.ToLookup(alias => alias.Target, alias => alias.Address, StringComparer.Ordinal);
        var found = new HashSet<string>(StringComparer.Ordinal);
        var open = new Queue<string>(address.StartsWith('@')
            ? aliases.Select(alias => alias.Target).Where(target => target.EndsWith(address, StringComparison.Ordinal)).Distinct()
            : [address]);
        while (open.TryDequeue(out var next))
        {
            foreach (var source in sources[next].Where(source => !source.StartsWith('@') && found.Add(source)))
                open.Enqueue(source);
        }
        return found;
    }
}
