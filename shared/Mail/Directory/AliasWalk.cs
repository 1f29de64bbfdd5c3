namespace MailPipeline.Mail;

/// <summary>One address followed through its aliases, and what was met on the way.</summary>
/// <param name="planned">An alias that counts as if it were there.</param>
internal sealed class AliasWalk(IDirectoryReader directory, Alias? planned, int room)
{
    private readonly HashSet<string> _followed = new(StringComparer.Ordinal);

    // From the address that was asked for to the one that is looked at.
    private readonly List<string> _path = [];
    private bool _isDeep;
    private bool _comesBack;
    private bool _isGone;
    private bool _usesAlias;

    public List<AddressEnd> Ends { get; } = [];

    /// <summary>The first circle that was met: the names on the way, from one of them back to itself.</summary>
    public IReadOnlyList<string> Circle { get; private set; } = [];

    public AddressFault Fault =>
        Ends.Count > room ? AddressFault.TooWide
        : _isDeep ? AddressFault.TooDeep
        : Ends.Exists(end => end.IsThere) ? AddressFault.None
        : Ends.Count == 0 && !_isGone ? AddressFault.Loop
        : _usesAlias ? AddressFault.LeadsNowhere
        : AddressFault.NotThere;

    public ValueTask FollowAsync(string address, CancellationToken cancellationToken) => FollowAsync(address, depth: 0, cancellationToken);

    /// <summary>
    /// Follows the planned alias alone, and finds fault with all of it: one dead or looping end is enough, though others are alive.
    /// </summary>
    public async ValueTask<AddressFault> FollowTargetAsync(CancellationToken cancellationToken)
    {
        var (address, target) = planned!;
        if (address == target && ((await directory.FindAsync(address, cancellationToken)).Account is not null
            || await directory.FindDomainAsync(AddressResolver.DomainOf(address), cancellationToken) is { IsRelayed: true }))
        {
            return AddressFault.None;
        }

        _followed.Add(address);
        _path.Add(address);
        await FollowAsync(target, depth: 1, cancellationToken);
        return Fault is var fault and not AddressFault.None ? fault
            : _comesBack ? AddressFault.Loop
            : Ends.Exists(end => !end.IsThere) ? AddressFault.LeadsNowhere
            : AddressFault.None;
    }

    private async ValueTask FollowAsync(string asked, int depth, CancellationToken cancellationToken)
    {
        if (Ends.Count > room)
            return;
        var (address, domain, own) = await directory.InOwnDomainAsync(asked, cancellationToken);
        if (own is null)
        {
            Ends.Add(new AddressEnd(address, domain, RecipientRoute.Remote));
            return;
        }
        var name = MailDirectory.Normalize(address);
        if (!_followed.Add(name))
        {
            // Two ways to one list are no loop.
            if (_path.IndexOf(name) is >= 0 and var position)
                ComeBack(name, position);
            return;
        }
        var (alias, account, targets) = await TargetsAsync(name, domain, cancellationToken);
        var end = own.IsRelayed
            ? new AddressEnd(
                address, domain, RecipientRoute.Remote, own.Recipients != RelayRecipients.Listed || targets.Count > 0,
                IsUnverified: own.Recipients == RelayRecipients.Verify && targets.Count == 0)
            : new AddressEnd(address, domain, RecipientRoute.Local, account is not null, account?.Address);
        var mayKeep = own.IsRelayed || account is not null;
        // A copy kept in its own account is the account; in a domain that we relay for it says that the name is there.
        if (targets.Count == 0 || (mayKeep && targets is [var only] && only == alias))
        {
            Ends.Add(end);
            return;
        }
        if (depth == AddressResolver.MaxAliasDepth)
        {
            // An end all the same: nobody whose mail was accepted before it grew so deep may vanish.
            _isDeep = true;
            Ends.Add(end);
            return;
        }
        _usesAlias = true;
        _path.Add(name);
        _path.Add(alias);
        foreach (var target in targets)
        {
            // An alias that names its own address keeps a copy here: "alice -> alice, bob".
            if (mayKeep && target == alias)
                Ends.Add(end);
            else
                await FollowAsync(target, depth + 1, cancellationToken);
        }
        _path.RemoveRange(_path.Count - 2, 2);
    }

    private void ComeBack(string name, int position)
    {
        _comesBack = true;
        // What a catch-all leads to by itself is a name that is not there.
        _isGone |= position + 1 < _path.Count && _path[position + 1].StartsWith('@');
        if (Circle.Count > 0)
            return;
        var circle = new List<string>();
        foreach (var step in _path.Skip(position))
        {
            // A name and the alias that has it.
            if (circle.Count == 0 || circle[^1] != step)
                circle.Add(step);
        }
        Circle = [.. circle, name];
    }

    /// <summary>What leads on from a name: its own aliases, those of its user, or, where nothing else has the name, the catch-all.</summary>
    /// <returns>The alias by its address; what led there names the same account.</returns>
    private async ValueTask<(string Alias, Account? Account, IReadOnlyList<string> Targets)> TargetsAsync(
        string name, string domain, CancellationToken cancellationToken)
    {
        foreach (var known in Subaddress.UsersOf(name, directory.DetailSeparators).Prepend(name))
        {
            var account = (await directory.FindAsync(known, cancellationToken)).Account;
            var targets = await WithPlannedAsync(known, cancellationToken);
            if (targets.Count > 0 || account is not null)
                return (known, account, targets);
        }
        var catchAll = "@" + domain;
        return (catchAll, null, await WithPlannedAsync(catchAll, cancellationToken));
    }

    private async ValueTask<IReadOnlyList<string>> WithPlannedAsync(string alias, CancellationToken cancellationToken)
    {
        var targets = (await directory.FindAsync(alias, cancellationToken)).Targets;
        return planned is not null && planned.Address == alias && !targets.Contains(planned.Target) ? [.. targets, planned.Target] : targets;
    }
}
