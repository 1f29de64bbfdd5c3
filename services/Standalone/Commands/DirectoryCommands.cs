using MailPipeline.Mail;


namespace MailPipeline.Standalone.Commands;

/// <summary>Domains, accounts and aliases: who is at home here.</summary>
internal static class DirectoryCommands
{
    public static readonly Command[] All =
    [
        new("domain add", "DOMAIN", "receive mail for a domain", AddDomainAsync),
        new("domain list", "", "domains of ours", ListDomainsAsync),
        new("domain remove", "DOMAIN", "no longer receive mail for it", RemoveDomainAsync),
        new("account add", "ADDRESS", "a maildrop and the right to submit mail", AddAccountAsync),
        new("account list", "", "accounts", ListAccountsAsync),
        new("account remove", "ADDRESS", "remove the account and all mail in its maildrop", RemoveAccountAsync),
        new("account password", "ADDRESS", "give the account another password", SetPasswordAsync),
        new("alias add", "ADDRESS TARGET", "mail for ADDRESS (or @DOMAIN: for all of a domain) goes to TARGET", AddAliasAsync),
        new("alias list", "", "aliases", ListAliasesAsync),
        new("alias remove", "ADDRESS TARGET", "no longer", RemoveAliasAsync),
    ];

    private static Task<int> AddDomainAsync(Invocation call, CancellationToken cancellation) =>
        AddAsync(call, async (directory, addresses) =>
        {
            var domain = MailNames.NewDomain(call.Values[0]);
            // RFC 5321 §4.5.1: somebody has to read what is written to the postmaster.
            return await directory.AddDomainAsync(domain)
                ? (true, $"{domain} added. Mail to postmaster@{domain} is refused until its first account is there, or an alias or Ingress:Postmaster says who reads it{await NameBrokenAsync(directory, addresses, "@" + domain, cancellation)}")
                : (false, $"{domain} is there already");
        }, cancellation);

    private static Task<int> RemoveDomainAsync(Invocation call, CancellationToken cancellation) =>
        ChangeAsync(call, async (directory, _) =>
        {
            var domain = MailNames.Domain(call.Values[0]);
            var (left, isRemoved) = await directory.ChangeAsync(async change =>
            {
                var accounts = await change.CountAccountsAsync(domain);
                return (accounts, accounts == 0 && await change.RemoveDomainAsync(domain));
            });
            if (left > 0)
                return (false, left == 1 ? $"{domain} has an account; remove it first" : $"{domain} has {left} accounts; remove them first");
            return isRemoved
                ? (true, $"{domain} removed{await NameChangedAsync(directory, domain, cancellation)}")
                : (false, $"There is no domain {domain}");
        }, cancellation);

    /// <summary>The aliases that mean something else now that a domain is no longer ours.</summary>
    private static async Task<string> NameChangedAsync(MailDirectory directory, string domain, CancellationToken cancellation)
    {
        var aliases = await directory.ListAliasesAsync(cancellation);
        var idle = aliases.Where(alias => MailNames.DomainOf(alias.Address) == domain);
        var leaving = aliases.Where(alias => MailNames.DomainOf(alias.Address) != domain && MailNames.DomainOf(alias.Target) == domain);
        return Name("Its aliases do nothing until it is ours again", idle, "removes them")
            + Name("What led to it goes to whatever system receives its mail now", leaving, "ends that");

        static string Name(string what, IEnumerable<Alias> aliases, string end) =>
            string.Join(", ", aliases.Select(alias => $"'alias remove {alias.Address} {alias.Target}'")) is { Length: > 0 } named ? $". {what}; {named} {end}" : "";
    }

    private static Task<int> ListDomainsAsync(Invocation call, CancellationToken cancellation) =>
        ListAsync(call, directory => directory.ListDomainsAsync(cancellation), cancellation);

    private static Task<int> AddAccountAsync(Invocation call, CancellationToken cancellation) =>
        AddAsync(call, async (directory, addresses) =>
        {
            var address = MailNames.Account(call.Values[0]);
            var domain = MailNames.DomainOf(address);
            if (!await directory.IsLocalDomainAsync(domain, cancellation))
                return (false, NotOurs(domain));
            // Asked before the password: nobody likes to type it twice in vain.
            if (await directory.FindAccountAsync(address, cancellation) is not null)
                return (false, $"{address} is there already; 'account password {address}' changes its password");
            var hash = PasswordHash.Create(await ReadPasswordAsync(call.Terminal, directory.MinPasswordLength, cancellation));
            // And again behind it, where nobody can remove the domain any more.
            var isAdded = await directory.ChangeAsync<bool?>(async change =>
                await change.IsLocalDomainAsync(domain) ? await change.AddAccountAsync(address, hash) : null);
            return isAdded switch
            {
                true => (true, $"{address} added{await NamePostmasterAsync(directory, addresses, address, cancellation)}"),
                false => (false, $"{address} is there already"),
                null => (false, NotOurs(domain)),
            };
        }, cancellation);

    private static string NotOurs(string domain) => $"{domain} is not a domain of ours; 'domain add {domain}' makes it one";

    /// <summary>RFC 5321 §4.5.1: a domain that receives mail has a postmaster. Until somebody else is named, its first account is.</summary>
    private static async Task<string> NamePostmasterAsync(
        MailDirectory directory, AddressResolver addresses, string account, CancellationToken cancellation)
    {
        var postmaster = $"postmaster@{MailNames.DomainOf(account)}";
        if ((await addresses.ResolveAsync(postmaster, cancellation)).Fault == AddressFault.None)
            return "";
        var gone = (await directory.FindAsync(postmaster, cancellation)).Targets;
        var isNamed = await directory.ChangeAsync(async change =>
        {
            // Those who had it are gone; whoever was named since then is not.
            var targets = (await change.FindAsync(postmaster)).Targets;
            if (!targets.ToHashSet(StringComparer.OrdinalIgnoreCase).SetEquals(gone))
                return false;
            foreach (var target in targets)
                await change.RemoveAliasAsync(postmaster, target);
            return (await change.CheckAliasAsync(postmaster, account)).Fault == AddressFault.None && await change.AddAliasAsync(postmaster, account);
        });
        return isNamed ? $", and reads what is written to {postmaster}" : "";
    }

    private static Task<int> SetPasswordAsync(Invocation call, CancellationToken cancellation) =>
        ChangeAsync(call, async (directory, _) =>
        {
            var address = MailNames.Address(call.Values[0]);
            if (await directory.FindAccountAsync(address, cancellation) is null)
                return (false, $"There is no account {address}");
            return await directory.SetPasswordAsync(address, PasswordHash.Create(await ReadPasswordAsync(call.Terminal, directory.MinPasswordLength, cancellation)))
                ? (true, $"{address} has its new password")
                : (false, $"There is no account {address}");
        }, cancellation);

    private static Task<int> RemoveAccountAsync(Invocation call, CancellationToken cancellation) =>
        ChangeAsync(call, async (directory, addresses) =>
        {
            var address = MailNames.Address(call.Values[0]);
            return await directory.RemoveAccountAsync(address)
                ? (true, $"{address} removed, with its mail{await NameBrokenAsync(directory, addresses, address, cancellation)}")
                : (false, $"There is no account {address}");
        }, cancellation);

    private static Task<int> ListAccountsAsync(Invocation call, CancellationToken cancellation) =>
        ListAsync(call, async directory =>
            [.. (await directory.ListAccountsAsync(cancellation)).Select(account => account.Address)], cancellation);

    private static Task<int> AddAliasAsync(Invocation call, CancellationToken cancellation) =>
        AddAsync(call, (directory, _) =>
        {
            var (address, target) = (MailNames.AddressOrCatchAll(call.Values[0]), MailNames.Address(call.Values[1]));
            // Checked and added at once: of two aliases that would lead to each other the second is refused.
            return directory.ChangeAsync(change => AddAliasAsync(change, address, target));
        }, cancellation);

    private static async ValueTask<(bool Done, string Text)> AddAliasAsync(DirectoryChange change, string address, string target)
    {
        if (!await change.IsLocalDomainAsync(MailNames.DomainOf(address)))
            return (false, NotOurs(MailNames.DomainOf(address)));
        var entry = await change.FindAsync(address);
        if (entry.Targets.Contains(target))
            return (false, $"{address} -> {target} is there already");
        if (await change.CheckAliasAsync(address, target) is var (fault, at) && fault != AddressFault.None)
            return (false, $"{address} -> {target} is not added: {Describe(fault, at)}");
        await change.AddAliasAsync(address, target);
        // Where a name is both, the alias decides: AddressResolver.cs.
        var passedOver = entry.Account is not null && target != address && !entry.Targets.Contains(address);
        return (true, $"{address} -> {target} added" + (passedOver
            ? $". The account {address} gets no more mail itself; 'alias add {address} {address}' keeps a copy there"
            : ""));
    }

    private static string Describe(AddressFault fault, string address) => fault switch
    {
        AddressFault.Loop => "it would lead back to itself",
        AddressFault.TooDeep => $"{address} would lead on through more than {AddressResolver.MaxAliasDepth} aliases",
        AddressFault.TooWide => $"{address} would lead to more recipients than a message can have",
        AddressFault.LeadsNowhere => $"{address} leads to an address of ours that is not there",
        _ => $"there is no {address}; 'account add {address}' or another alias makes it",
    };

    private static Task<int> RemoveAliasAsync(Invocation call, CancellationToken cancellation) =>
        ChangeAsync(call, async (directory, addresses) =>
        {
            var (address, target) = (MailNames.AddressOrCatchAll(call.Values[0]), MailNames.Address(call.Values[1]));
            return await directory.RemoveAliasAsync(address, target)
                ? (true, $"{address} -> {target} removed{await NameBrokenAsync(directory, addresses, address, cancellation)}")
                : (false, $"There is no alias {address} -> {target}");
        }, cancellation);

    /// <summary>The aliases that lead to a name which something was taken from, as far as they lead nowhere now.</summary>
    private static async Task<string> NameBrokenAsync(
        MailDirectory directory, AddressResolver addresses, string address, CancellationToken cancellation)
    {
        var broken = new List<string>();
        foreach (var (source, target) in await directory.ListAliasesAsync(cancellation))
        {
            var isHit = target == address || (address.StartsWith('@') && target.EndsWith(address, StringComparison.Ordinal));
            if (isHit && (await addresses.ResolveAsync(target, cancellation)).Fault != AddressFault.None)
                broken.Add($"'alias remove {source} {target}'");
        }
        return broken.Count == 0 ? "" : $". What led there leads nowhere now and is refused; it goes by {string.Join(", ", broken)}";
    }

    private static Task<int> ListAliasesAsync(Invocation call, CancellationToken cancellation) =>
        ListAsync(call, async directory =>
            [.. (await directory.ListAliasesAsync(cancellation)).Select(alias => $"{alias.Address} -> {alias.Target}")], cancellation);

    private static async Task<int> AddAsync(
        Invocation call, Func<MailDirectory, AddressResolver, Task<(bool Done, string Text)>> add, CancellationToken cancellation)
    {
        await using var store = await OpenStore.OpenOrMakeAsync(call.Arguments, cancellation);
        return await ChangeAsync(call, store, add);
    }

    private static async Task<int> ChangeAsync(
        Invocation call, Func<MailDirectory, AddressResolver, Task<(bool Done, string Text)>> change, CancellationToken cancellation)
    {
        await using var store = await OpenStore.OpenAsync(call.Arguments, cancellation);
        return await ChangeAsync(call, store, change);
    }

    private static async Task<int> ChangeAsync(
        Invocation call, OpenStore store, Func<MailDirectory, AddressResolver, Task<(bool Done, string Text)>> change)
    {
        var (done, text) = await change(store.Directory, store.Addresses);
        await (done ? call.Terminal.Out : call.Terminal.Error).WriteLineAsync(text);
        return done ? CommandTable.Done : CommandTable.NotDone;
    }

    private static async Task<int> ListAsync(
        Invocation call, Func<MailDirectory, Task<IReadOnlyList<string>>> list, CancellationToken cancellation)
    {
        await using var store = await OpenStore.OpenAsync(call.Arguments, cancellation);
        foreach (var line in await list(store.Directory))
            await call.Terminal.Out.WriteLineAsync(line);
        return CommandTable.Done;
    }

    private static async Task<string> ReadPasswordAsync(Terminal terminal, int minLength, CancellationToken cancellation)
    {
        string? password;
        if (terminal.PromptSecret is { } prompt)
        {
            password = prompt("Password: ");
            if (password is not null && prompt("Once more: ") != password)
                throw new UsageException("The two passwords differ");
        }
        else
        {
            password = await terminal.In.ReadLineAsync(cancellation);
        }
        if (string.IsNullOrEmpty(password))
            throw new UsageException("A password must not be empty; it is typed at the prompt or is the first line of standard input");
        if (password.Length < minLength)
            throw new UsageException($"The password has {password.Length} characters; it must have at least {minLength} (Storage:MinPasswordLength)");
        return password.Contains('\0', StringComparison.Ordinal)
            ? throw new UsageException("A password must not contain NUL, which no protocol can carry")
            : password;
    }
}
