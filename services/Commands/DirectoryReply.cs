using System.Diagnostics;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Mail;

namespace MailPipeline.Commands;

/// <summary>What became of a change of domains, accounts or aliases, in words and as JSON.</summary>
internal static class DirectoryReply
{
    public static Reply Of(DirectoryResult result) => Reply.Say(result.Status, NameOf(result), Text(result), json => WriteTo(json, result));

    public static Reply OfList(string result, IReadOnlyList<string> names) =>
        Reply.Show(result, [.. names.Select(name => new LinePart(MailText.Name(name)))], json => json.WriteStrings(result, names));

    public static Reply OfList(IReadOnlyList<Alias> aliases) =>
        Reply.Show("aliases", [.. aliases.Select(alias => new LinePart(Text(alias)))], json => json.WriteAliases("aliases", aliases));

    public static Reply OfList(IReadOnlyList<MailDomain> domains) =>
        Reply.Show("domains", [.. domains.Select(domain => new LinePart(Text(domain)))], json =>
        {
            json.WriteStrings("domains", domains.Select(domain => domain.Name));
            json.WriteAll("aliasDomains", domains.Where(domain => domain.AliasOf.Length > 0), domain =>
            {
                json.WriteString("domain", domain.Name);
                json.WriteString("aliasOf", domain.AliasOf);
            });
            json.WriteAll("relayedDomains", domains.Where(domain => domain.IsRelayed), domain =>
            {
                json.WriteString("domain", domain.Name);
                json.WriteString("relay", domain.Relay);
                json.WriteString("recipients", Json.Name(domain.Recipients));
            });
        });

    private static string Text(MailDomain domain) => domain switch
    {
        { AliasOf.Length: > 0 } => $"{MailText.Name(domain.Name)} (alias of {domain.AliasOf})",
        { IsRelayed: true, Recipients: RelayRecipients.Listed } => $"{MailText.Name(domain.Name)} (relayed to {domain.Relay}, listed recipients)",
        { IsRelayed: true } => $"{MailText.Name(domain.Name)} (relayed to {domain.Relay})",
        _ => MailText.Name(domain.Name),
    };

    private static string Text(DirectoryResult result) => result switch
    {
        DomainAdded added => $"{MailText.Name(added.Domain)} added" + (added.HasPostmaster
            ? ""
            : $". Mail to postmaster@{added.Domain} is refused until its first account is there, or an alias or Ingress:Postmaster says who reads it")
            + Broken(added.Broken),
        DomainAliasAdded added => $"{MailText.Name(added.Domain)} added: each of its addresses is the same one of {added.Other}{Broken(added.Broken)}",
        DomainRelayAdded { Recipients: RelayRecipients.Listed } added =>
            $"{MailText.Name(added.Domain)} added: mail for it goes on to {Hop(added.Relay)}, for recipients that an alias has; "
            + $"'alias add ann@{added.Domain} ann@{added.Domain}' lists one{Broken(added.Broken)}",
        DomainRelayAdded added =>
            $"{MailText.Name(added.Domain)} added: mail for it goes on to {Hop(added.Relay)}, whoever the recipient is. Who is not there is refused by that host, and "
            + $"its senders get a report from here; '--recipients listed' refuses them at once{Broken(added.Broken)}",
        DomainIsRelayed relayed => $"The mail of {relayed.Domain} goes on to {Hop(relayed.Relay)}, and the domain has no accounts here",
        NotANextHop bad => $"'{bad.Typed}' is no next hop; it looks like mail.example.net, mail.example.net:2525, [2001:db8::1]:25, lmtp:mail.example.net:24, "
            + "lmtp:/run/dovecot/lmtp or mx",
        DomainIsAlias alias => $"{alias.Domain} is an alias of {alias.Other}, and has no addresses but its; add it to {alias.Other}",
        HasAliasDomains kept => $"{kept.Domain} has aliases; remove them first: {string.Join(", ", kept.Aliases.Select(name => $"'domain remove {name}'"))}",
        DomainRemoved removed => $"{removed.Domain} removed" + Name("Its aliases do nothing until it is ours again", removed.Idle, "removes them")
            + Name("What led to it goes to whatever system receives its mail now", removed.Leaving, "ends that"),
        HasAccounts { Accounts: 1 } kept => $"{kept.Domain} has an account; remove it first",
        HasAccounts kept => $"{kept.Domain} has {MailText.Number(kept.Accounts)} accounts; remove them first",
        NoSuchDomain missing => $"There is no domain {missing.Domain}",
        DomainNotOurs foreign => $"{foreign.Domain} is not a domain of ours; 'domain add {foreign.Domain}' makes it one",
        DomainAlreadyThere there => $"{there.Domain} is there already",

        AccountAdded { Postmaster: { } postmaster } added => $"{MailText.Name(added.Address)} added, and reads what is written to {postmaster}",
        AccountAdded added => $"{MailText.Name(added.Address)} added",
        AccountMayBeAdded addable => $"{addable.Address} can be added",
        AccountAlreadyThere there => $"{there.Address} is there already; 'account password {there.Address}' changes its password",
        NoSuchAccount missing => $"There is no account {missing.Address}",
        AccountIsThere there => $"{there.Address} is there",
        PasswordChanged changed => $"{changed.Address} has its new password",
        AccountRemoved removed => $"{removed.Address} removed, with its mail{Broken(removed.Broken)}",

        AliasAdded { PassesOver: true, Alias: var alias } =>
            $"{Text(alias)} added. The account {alias.Address} gets no more mail itself; 'alias add {alias.Address} {alias.Address}' keeps a copy there",
        AliasAdded added => $"{Text(added.Alias)} added",
        AliasAlreadyThere there => $"{Text(there.Alias)} is there already",
        AliasFaulty faulty => $"{Text(faulty.Alias)} is not added: {Text(faulty)}",
        AliasRemoved removed => $"{Text(removed.Alias)} removed{Broken(removed.Broken)}",
        NoSuchAlias missing => $"There is no alias {Text(missing.Alias)}",

        NotADomain bad => $"'{bad.Typed}' is not a domain; it looks like example.org",
        NotAnAddress bad => $"'{bad.Typed}' is not an address; it looks like ann@example.org",
        NotAnAccountName bad => $"'{bad.Typed}' cannot be an account: its name is typed at POP3 as well, so it is without quotes, spaces and unseen characters, "
            + $"at most {bad.MaxLocalPart} octets before the '@' and {bad.MaxLength} in all. An alias may be called so",
        PasswordEmpty => "A password must not be empty; it is typed at the prompt or is the first line of standard input",
        PasswordTooShort bad => $"The password has {bad.Length} characters; it must have at least {bad.MinLength} (Logins:MinPasswordLength)",
        PasswordWithNul => "A password must not contain NUL, which no protocol can carry",
        _ => throw new UnreachableException($"{result.GetType().Name} has no words"),
    };

    private static string Hop(string relay) => relay == MailDomain.ByMx ? "its better MX" : relay;

    private static string Text(Alias alias) => $"{MailText.Name(alias.Address)} -> {MailText.Name(alias.Target)}";

    private static string Text(AliasFaulty faulty) => faulty.Fault switch
    {
        AddressFault.Loop => $"mail would go in a circle, {string.Join(" -> ", faulty.Circle)}",
        AddressFault.TooDeep => $"{faulty.Address} would lead on through more than {AddressResolver.MaxAliasDepth} aliases",
        AddressFault.TooWide => $"{faulty.Address} would lead to more recipients than a message can have",
        AddressFault.LeadsNowhere => $"{faulty.Address} leads to an address of ours that is not there",
        _ => $"there is no {faulty.Address}; 'account add {faulty.Address}' or another alias makes it",
    };

    private static string Broken(IReadOnlyList<Alias> broken) =>
        broken.Count == 0 ? "" : $". What led there leads nowhere now and is refused; it goes by {Removals(broken)}";

    private static string Name(string what, IReadOnlyList<Alias> aliases, string end) =>
        aliases.Count == 0 ? "" : $". {what}; {Removals(aliases)} {end}";

    private static string Removals(IEnumerable<Alias> aliases) =>
        string.Join(", ", aliases.Select(alias => $"'alias remove {alias.Address} {alias.Target}'"));

    // The names in JSON are promised: a record may be called otherwise one day.
    private static string NameOf(DirectoryResult result) => result switch
    {
        DomainAdded => "domainAdded",
        DomainAliasAdded => "domainAliasAdded",
        DomainRelayAdded => "domainRelayAdded",
        DomainIsRelayed => "domainIsRelayed",
        NotANextHop => "notANextHop",
        DomainIsAlias => "domainIsAlias",
        HasAliasDomains => "hasAliasDomains",
        DomainRemoved => "domainRemoved",
        HasAccounts => "hasAccounts",
        NoSuchDomain => "noSuchDomain",
        DomainNotOurs => "domainNotOurs",
        DomainAlreadyThere => "domainAlreadyThere",
        AccountAdded => "accountAdded",
        AccountMayBeAdded => "accountMayBeAdded",
        AccountAlreadyThere => "accountAlreadyThere",
        NoSuchAccount => "noSuchAccount",
        AccountIsThere => "accountIsThere",
        PasswordChanged => "passwordChanged",
        AccountRemoved => "accountRemoved",
        AliasAdded => "aliasAdded",
        AliasAlreadyThere => "aliasAlreadyThere",
        AliasFaulty => "aliasFaulty",
        AliasRemoved => "aliasRemoved",
        NoSuchAlias => "noSuchAlias",
        NotADomain => "notADomain",
        NotAnAddress => "notAnAddress",
        NotAnAccountName => "notAnAccountName",
        PasswordEmpty => "passwordEmpty",
        PasswordTooShort => "passwordTooShort",
        PasswordWithNul => "passwordWithNul",
        _ => throw new UnreachableException($"{result.GetType().Name} has no name"),
    };

    /// <summary>The domain or the account that a result is about; null when it is about an alias, or says nothing but its name.</summary>
    private static (string Property, string Value)? SubjectOf(DirectoryResult result) => result switch
    {
        DomainAdded added => ("domain", added.Domain),
        DomainAliasAdded added => ("domain", added.Domain),
        DomainRelayAdded added => ("domain", added.Domain),
        DomainIsRelayed relayed => ("domain", relayed.Domain),
        DomainIsAlias alias => ("domain", alias.Domain),
        HasAliasDomains kept => ("domain", kept.Domain),
        DomainRemoved removed => ("domain", removed.Domain),
        HasAccounts kept => ("domain", kept.Domain),
        NoSuchDomain missing => ("domain", missing.Domain),
        DomainNotOurs foreign => ("domain", foreign.Domain),
        DomainAlreadyThere there => ("domain", there.Domain),
        AccountAdded added => ("address", added.Address),
        AccountAlreadyThere there => ("address", there.Address),
        NoSuchAccount missing => ("address", missing.Address),
        PasswordChanged changed => ("address", changed.Address),
        AccountRemoved removed => ("address", removed.Address),
        _ => null,
    };

    private static void WriteTo(Utf8JsonWriter json, DirectoryResult result)
    {
        if (SubjectOf(result) is var (property, value))
            json.WriteString(property, value);
        switch (result)
        {
            case DomainAdded added:
                json.WriteBoolean("hasPostmaster", added.HasPostmaster);
                json.WriteAliases("brokenAliases", added.Broken);
                break;
            case DomainAliasAdded added:
                json.WriteString("aliasOf", added.Other);
                json.WriteAliases("brokenAliases", added.Broken);
                break;
            case DomainRelayAdded added:
                json.WriteString("relay", added.Relay);
                json.WriteString("recipients", Json.Name(added.Recipients));
                json.WriteAliases("brokenAliases", added.Broken);
                break;
            case DomainIsRelayed relayed:
                json.WriteString("relay", relayed.Relay);
                break;
            case DomainIsAlias alias:
                json.WriteString("aliasOf", alias.Other);
                break;
            case HasAliasDomains kept:
                json.WriteStrings("aliasDomains", kept.Aliases);
                break;
            case DomainRemoved removed:
                json.WriteAliases("idleAliases", removed.Idle);
                json.WriteAliases("leavingAliases", removed.Leaving);
                break;
            case HasAccounts kept:
                json.WriteNumber("accounts", kept.Accounts);
                break;
            case AccountAdded added:
                json.WriteString("postmaster", added.Postmaster);
                break;
            case AccountRemoved removed:
                json.WriteAliases("brokenAliases", removed.Broken);
                break;
            case AliasAdded added:
                json.WriteAlias(added.Alias);
                json.WriteBoolean("passesOverAccount", added.PassesOver);
                break;
            case AliasAlreadyThere there:
                json.WriteAlias(there.Alias);
                break;
            case AliasFaulty faulty:
                json.WriteAlias(faulty.Alias);
                json.WriteString("fault", Json.Name(faulty.Fault));
                json.WriteString("faultyAddress", faulty.Address);
                json.WriteStrings("circle", faulty.Circle);
                break;
            case AliasRemoved removed:
                json.WriteAlias(removed.Alias);
                json.WriteAliases("brokenAliases", removed.Broken);
                break;
            case NoSuchAlias missing:
                json.WriteAlias(missing.Alias);
                break;
            case PasswordTooShort weak:
                json.WriteNumber("minLength", weak.MinLength);
                break;
        }
    }
}
