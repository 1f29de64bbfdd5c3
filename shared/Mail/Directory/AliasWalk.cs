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
        if (address == target && (await directory.FindAsync(address, cancellationToken)).Account is not null)
            return AddressFault.None;
        _followed.Add(address);
        _path.Add(address);
        await FollowAsync(target, depth: 1, cancellationToken);
        return Fault is var fault and not AddressFault.None ? fault
            : _comesBack ? AddressFault.Loop
            : Ends.Exists(end => !end.IsThere) ? AddressFault.LeadsNowhere
            : AddressFault.None;
    }

    private async ValueTask FollowAsync(string address, int depth, CancellationToken cancellationToken)
    {
        if (Ends.Count > room)
            return;
        var domain = AddressResolver.DomainOf(address);
        if (!await directory.IsLocalDomainAsync(domain, cancellationToken))
        {
            Ends.Add(new AddressEnd(address, domain, RecipientRoute.Remote));
            return;
        }
        var name = MailDirectory.Normalize(address);
        if (!_followed.Add(name))
        {
            // Two ways to one list are no loop.
            if (_path.IndexOf(name) is >= 0 and var position)
            {
                _comesBack = true;
                // What a catch-all leads to by itself is a name that is not there.
                _isGone |= position + 1 < _path.Count && _path[position + 1].StartsWith('@');
            }
            return;
        }
        var account = (await directory.FindAsync(name, cancellationToken)).Account;
        var (alias, targets) = await TargetsAsync(name, domain, account, cancellationToken);
        // A copy kept in its own account is the account.
        if (targets.Count == 0 || (account is not null && targets is [var only] && only == name))
        {
            Ends.Add(new AddressEnd(address, domain, RecipientRoute.Local, account is not null));
            return;
        }
        if (depth == AddressResolver.MaxAliasDepth)
        {
            // An end all the same: nobody whose mail was accepted before it grew so deep may vanish.
            _isDeep = true;
            Ends.Add(new AddressEnd(address, domain, RecipientRoute.Local, account is not null));
            return;
        }
        _usesAlias = true;
        _path.Add(name);
        _path.Add(alias);
        foreach (var target in targets)
        {
            // An alias that names its own address keeps a copy here: "alice -> alice, bob".
            if (account is not null && target == name)
                Ends.Add(new AddressEnd(address, domain, RecipientRoute.Local));
            else
                await FollowAsync(target, depth + 1, cancellationToken);
        }
        _path.RemoveRange(_path.Count - 2, 2);
    }

    /// <summary>The catch-all counts only where nothing else has the name.</summary>
    private async ValueTask<(string Alias, IReadOnlyList<string> Targets)> TargetsAsync(
        string name, string domain, Account? account, CancellationToken cancellationToken)
    {
        var targets = await WithPlannedAsync(name, cancellationToken);
        if (targets.Count > 0 || account is not null)
            return (name, targets);
        var catchAll = "@" + domain;
        return (catchAll, await WithPlannedAsync(catchAll, cancellationToken));
    }

    private async ValueTask<IReadOnlyList<string>> WithPlannedAsync(string alias, CancellationToken cancellationToken)
    {
        var targets = (await directory.FindAsync(alias, cancellationToken)).Targets;
        return planned is not null && planned.Address == alias && !targets.Contains(planned.Target) ? [.. targets, planned.Target] : targets;
    }
}
