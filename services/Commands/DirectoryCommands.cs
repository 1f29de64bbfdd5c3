using System.CommandLine;
using MailPipeline.Administration;
using MailPipeline.Mail;

namespace MailPipeline.Commands;

/// <summary>Domains, accounts and aliases: who is at home here.</summary>
internal static class DirectoryCommands
{
    public static Command Domain(CommandTree tree)
    {
        var name = new Argument<string>("DOMAIN") { Description = "a domain name, in ASCII as it is called in mail" };
        var aliasOf = new Option<string>("--alias-of")
        {
            Description = "each of its addresses is the same one of this domain of ours", HelpName = "DOMAIN",
        };
        var relay = new Option<string>("--relay")
        {
            Description = "its mail goes on to this host: HOST[:PORT], lmtp:HOST[:PORT], lmtp:/PATH of a socket, or mx, its better MX", HelpName = "HOP",
        };
        var recipients = new Option<RelayRecipients?>("--recipients") 
        {
            Description = "with --relay: take all (the default), those that an alias has, or those that the hop takes when it is asked", HelpName = "all|listed|verify",
        };
        var add = tree.Create("add", "receive mail for a domain", async (store, line, cancellation) =>
        {
            var (domain, by) = (line.GetRequiredValue(name), tree.OperatorOf(line));
            return DirectoryReply.Of((line.GetValue(aliasOf), line.GetValue(relay), line.GetValue(recipients)) switch
            {
                ({ } other, null, null) => await store.Domains.AddAliasAsync(domain, other, by, cancellation),
                (null, { } hop, var taken) => await store.Domains.AddRelayAsync(domain, hop, taken ?? RelayRecipients.All, by, cancellation),
                (null, null, null) => await store.Domains.AddAsync(domain, by, cancellation),
                (null, null, _) => throw new UsageException("--recipients needs --relay"),
                _ => throw new UsageException("--alias-of goes without --relay and --recipients"),
            });
        }, makes: true, name);
        add.Options.Add(aliasOf);
        add.Options.Add(relay);
        add.Options.Add(recipients);
        return CommandTree.Group("domain", "the domains that mail is received for",
            add,
            tree.Create("list", "domains of ours", async (store, _, cancellation) =>
                DirectoryReply.OfList(await store.Domains.ListAsync(cancellation))),
            tree.Create("remove", "no longer receive mail for it", async (store, line, cancellation) =>
                DirectoryReply.Of(await store.Domains.RemoveAsync(line.GetRequiredValue(name), tree.OperatorOf(line), cancellation)), makes: false, name));
    }

    /// <param name="terminal">Where a password is asked for; it is never an argument, which others on the machine can see.</param>
    public static Command Account(CommandTree tree, Terminal terminal)
    {
        var address = new Argument<string>("ADDRESS") { Description = "the account's address, which is its user name too" };
        return CommandTree.Group("account", "the accounts, each with a maildrop and the right to submit mail",
            tree.Create("add", "add an account; its password is asked for, or is the first line of standard input", async (store, line, cancellation) =>
            {
                var name = line.GetRequiredValue(address);
                if (await store.Accounts.MayAddAsync(name, cancellation) is var answer and not AccountMayBeAdded)
                    return DirectoryReply.Of(answer);
                return DirectoryReply.Of(await store.Accounts.AddAsync(name, await terminal.ReadPasswordAsync(cancellation), tree.OperatorOf(line), cancellation));
            }, makes: true, address),
            tree.Create("list", "accounts", async (store, _, cancellation) =>
                DirectoryReply.OfList("accounts", await store.Accounts.ListAsync(cancellation))),
            tree.Create("remove", "remove the account and all mail in its maildrop", async (store, line, cancellation) =>
                DirectoryReply.Of(await store.Accounts.RemoveAsync(line.GetRequiredValue(address), tree.OperatorOf(line), cancellation)), makes: false, address),
            tree.Create("password", "give the account another password", async (store, line, cancellation) =>
            {
                var name = line.GetRequiredValue(address);
                if (await store.Accounts.FindAsync(name, cancellation) is var answer and not AccountIsThere)
                    return DirectoryReply.Of(answer);
                return DirectoryReply.Of(await store.Accounts.SetPasswordAsync(
                    name, await terminal.ReadPasswordAsync(cancellation), tree.OperatorOf(line), cancellation));
            }, makes: false, address));
    }

    public static Command Alias(CommandTree tree)
    {
        var address = new Argument<string>("ADDRESS") { Description = "an address of ours, or @DOMAIN for all of a domain" };
        var target = new Argument<string>("TARGET") { Description = "where its mail goes" };
        return CommandTree.Group("alias", "mail for one address goes to another",
            tree.Create("add", "mail for ADDRESS (or @DOMAIN: for all of a domain) goes to TARGET", async (store, line, _) =>
                DirectoryReply.Of(await store.Aliases.AddAsync(line.GetRequiredValue(address), line.GetRequiredValue(target), tree.OperatorOf(line))), makes: true, address, target),
            tree.Create("list", "aliases", async (store, _, cancellation) =>
                DirectoryReply.OfList(await store.Aliases.ListAsync(cancellation))),
            tree.Create("remove", "no longer", async (store, line, cancellation) =>
                DirectoryReply.Of(await store.Aliases.RemoveAsync(
                    line.GetRequiredValue(address), line.GetRequiredValue(target), tree.OperatorOf(line), cancellation)),
                makes: false, address, target));
    }
}
