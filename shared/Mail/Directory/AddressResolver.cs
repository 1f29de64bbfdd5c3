using MailPipeline.Smtp;

namespace MailPipeline.Mail;

/// <summary>Where one address leads in the end: a maildrop here, or an address of another system.</summary>
/// <param name="Address">As it was asked for, with its detail (<see cref="Subaddress"/>); in the domain that another one of ours stands for.</param>
/// <param name="IsThere">False: a domain of ours, in which nothing has this name.</param>
/// <param name="Account">Whose maildrop it is, by its address; null for an address of another system, or one that is not there.</param>
/// <param name="IsUnverified">Only the next hop of its domain knows whether it is there.</param>
public readonly record struct AddressEnd(
    string Address, string Domain, RecipientRoute Route, bool IsThere = true, string? Account = null, bool IsUnverified = false);

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
    /// <summary>Its domain's maildrops are elsewhere, and we take its mail for them.</summary>
    public bool IsRelayed { get; init; }

    /// <summary>It is a sender that we have rewritten: what comes there are reports.</summary>
    public bool IsReturnPath { get; init; }

    public bool LeadsTo(Account account) => Ends.Any(
        end => end.Route == RecipientRoute.Local && string.Equals(end.Account, account.Address, StringComparison.OrdinalIgnoreCase));
}

/// <summary>What would be wrong with one more alias.</summary>
/// <param name="Address">The address that has the fault; empty where there is none.</param>
/// <param name="Circle">For a <see cref="AddressFault.Loop"/>: the names on the way, from one of them back to itself.</param>
public sealed record AliasCheck(AddressFault Fault, string Address, IReadOnlyList<string> Circle)
{
    internal static readonly AliasCheck Sound = new(AddressFault.None, "", []);
}

/// <summary>
/// Says where an address leads, to all who ask: the door, the router, the check of senders, the commands. A domain that is not
/// ours: there. A name of ours: its aliases, else its account, else those of the name without its detail (<see cref="Subaddress"/>),
/// else the catch-all of the domain, else nothing. A sender that we have rewritten (<see cref="SenderRewriting"/>) leads to whom it stands for. An alias that names its own address keeps a copy in the account of that name. A domain
/// that is an alias of another has no names of its own: each of its addresses is the same one there. One that we relay for has no accounts:
/// what no alias leads elsewhere goes on to its next hop, all of it, what an alias has, or what that hop takes, as the operator said.
/// </summary>
public sealed class AddressResolver
{
    private readonly IDirectoryReader _directory;
    private readonly SenderRewriting? _rewriting;
    private readonly TimeProvider _time = TimeProvider.System;

    /// <param name="rewriting">Null, where nobody writes to senders that were rewritten.</param>
    public AddressResolver(MailDirectory directory, SenderRewriting? rewriting = null, TimeProvider? time = null)
        : this((IDirectoryReader)directory)
    {
        _rewriting = rewriting;
        _time = time ?? _time;
    }

    internal AddressResolver(IDirectoryReader directory) => _directory = directory;

    /// <summary>Aliases of aliases are followed so far. Long enough for people; a loop that grows names has an end.</summary>
    public const int MaxAliasDepth = 10;

    /// <param name="room">Most ends; one more is <see cref="AddressFault.TooWide"/>.</param>
    /// <param name="at">When its mail was accepted, by which a rewritten sender is still valid; null: now.</param>
    public ValueTask<ResolvedAddress> ResolveAsync(
        string address, CancellationToken cancellationToken, int room = RecipientIds.MaxPerMessage, DateTimeOffset? at = null) =>
        _rewriting?.Read(address, at ?? _time.GetUtcNow()) is { } path
            ? ResolveReturnPathAsync(path, room, at, cancellationToken) : ResolveNameAsync(address, room, cancellationToken);

    // Ours, as an alias is, though nobody has written it into the directory. Each one that stands in another is shorter.
    private async ValueTask<ResolvedAddress> ResolveReturnPathAsync(
        RewrittenSender path, int room, DateTimeOffset? at, CancellationToken cancellationToken) =>
        path.Fault == ReturnPathFault.None
            ? await ResolveAsync(path.Sender, cancellationToken, room, at) with { IsLocal = true, IsReturnPath = true }
            : new ResolvedAddress(true, [], AddressFault.NotThere);

    private async ValueTask<ResolvedAddress> ResolveNameAsync(string address, int room, CancellationToken cancellationToken)
    {
        var (named, domain, own) = await _directory.InOwnDomainAsync(address, cancellationToken);
        if (own is null)
            return new ResolvedAddress(false, [new AddressEnd(address, domain, RecipientRoute.Remote)], AddressFault.None);
        var entry = await _directory.FindAsync(named, cancellationToken);
        if (entry is { Account: { } account, Targets.Count: 0 } && !own.IsRelayed)
            return new ResolvedAddress(true, [new AddressEnd(named, domain, RecipientRoute.Local, Account: account.Address)], AddressFault.None);
        var walk = new AliasWalk(_directory, planned: null, room);
        await walk.FollowAsync(named, cancellationToken);
        return new ResolvedAddress(true, walk.Ends, walk.Fault) { IsRelayed = own.IsRelayed };
    }

    /// <summary>The account that has the name itself, with its detail or without, whatever its aliases lead to; null where none has it.</summary>
    public async ValueTask<Account?> FindAccountAsync(string address, CancellationToken cancellationToken)
    {
        var (named, _, own) = await _directory.InOwnDomainAsync(address, cancellationToken);
        return own is { IsRelayed: false } ? (await _directory.FindNameAsync(named, cancellationToken)).Entry.Account : null;
    }

    /// <summary>What would be wrong with one more alias: with its own target, or with an alias that leads to it.</summary>
    /// <param name="address">A name of ours, or "@example.org" for all of a domain.</param>
    public async Task<AliasCheck> CheckAliasAsync(string address, string target, CancellationToken cancellationToken)
    {
        var planned = new Alias(MailDirectory.Normalize(address), MailDirectory.Normalize(target));
        var (named, domain, targetDomain) = await _directory.InOwnDomainAsync(planned.Target, cancellationToken);
        // A catch-all makes no name be there, its own target's neither.
        if (planned.Address == "@" + domain && targetDomain is not { IsRelayed: true, Recipients: RelayRecipients.All or RelayRecipients.Verify }
            && (await _directory.FindNameAsync(named, cancellationToken)).Entry.IsEmpty)
        {
            return new AliasCheck(AddressFault.NotThere, planned.Target, []);
        }

        var own = new AliasWalk(_directory, planned, RecipientIds.MaxPerMessage);
        if (await own.FollowTargetAsync(cancellationToken) is { } fault and not AddressFault.None)
            return new AliasCheck(fault, planned.Target, own.Circle);
        // Deeper and wider become those as well that lead here already.
        foreach (var upstream in await LeadingToAsync(planned.Address, cancellationToken))
        {
            var before = await ResolveAsync(upstream, cancellationToken);
            var after = new AliasWalk(_directory, planned, RecipientIds.MaxPerMessage);
            await after.FollowAsync(upstream, cancellationToken);
            if (before.Fault == AddressFault.None && after.Fault != AddressFault.None)
                return new AliasCheck(after.Fault, upstream, after.Circle);
        }
        return AliasCheck.Sound;
    }

    internal static string DomainOf(string address) => DomainName.Key(address[(address.LastIndexOf('@') + 1)..]);

    /// <summary>The alias addresses from which some way may lead to this one; of a catch-all's domain any address may.</summary>
    private async ValueTask<HashSet<string>> LeadingToAsync(string address, CancellationToken cancellationToken)
    {
        var aliases = new List<(string Target, string Source)>();
        foreach (var alias in await _directory.ListAliasesAsync(cancellationToken))
        {
            var (named, _, _) = await _directory.InOwnDomainAsync(alias.Target, cancellationToken);
            aliases.AddRange(Subaddress.UsersOf(named, _directory.DetailSeparators).Prepend(named).Select(name => (name, alias.Address)));
        }
        var sources = aliases.ToLookup(alias => alias.Target, alias => alias.Source, StringComparer.Ordinal);
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
