using System.CommandLine;
using MailPipeline.Administration;
using MailPipeline.Authentication.Dkim;

namespace MailPipeline.Commands;

/// <summary>The keys that mail is signed with: made, shown with the records that have to be published, and retired.</summary>
internal static class DkimCommands
{
    public static Command Dkim(CommandTree tree)
    {
        var domain = new Argument<string>("DOMAIN") { Description = "the domain that signs" };
        var selector = new Argument<string>("SELECTOR") { Description = "as 'dkim list' shows it" };
        var some = new Argument<string?>("DOMAIN") { Description = "only its keys", Arity = ArgumentArity.ZeroOrOne };
        var kind = new Option<DkimKeyChoice>("--kind") { Description = "which keys to make; both are used side by side", HelpName = "both|rsa|ed25519" };
        var named = new Option<string?>("--selector") { Description = "what their selectors begin with; default: the month, as m202601", HelpName = "NAME" };
        var dns = new Option<string?>("--dns") { Description = "ask this server whether the records are published", HelpName = "SERVER[:PORT]" };
        var create = tree.CreateWithKeys("create", "make keys for a domain, and show the records to publish", async (keys, line, cancellation) =>
        {
            var result = await keys.CreateAsync(line.GetRequiredValue(domain), line.GetValue(kind), line.GetValue(named), tree.Now, tree.OperatorOf(line));
            return result is DkimKeysMade made
                ? DkimReply.Of(made, await PublishedAsync(tree, line, made.Keys, line.GetValue(dns), cancellation)) : DkimReply.Of(result);
        }, changes: true, domain);
        create.Options.Add(kind);
        create.Options.Add(named);
        create.Options.Add(dns);
        var list = tree.CreateWithKeys("list", "keys and the records to publish", async (keys, line, cancellation) =>
            keys.Find(line.GetValue(some)) is var result && result is DkimKeysFound found
                ? DkimReply.Of(await PublishedAsync(tree, line, found.Keys, line.GetValue(dns), cancellation)) : DkimReply.Of(result),
            changes: false, some);
        list.Options.Add(dns);
        return CommandTree.Group("dkim", "the keys that mail of our domains is signed with",
            create,
            list,
            tree.CreateWithKeys("retire", "sign with a key no more; its record stays as long as mail is under way that it signed", async (keys, line, _) =>
                DkimReply.Of(await keys.RetireAsync(line.GetRequiredValue(domain), line.GetRequiredValue(selector), tree.OperatorOf(line))),
                changes: true, domain, selector));
    }

    private static async Task<IReadOnlyList<PublishedKey>> PublishedAsync(
        CommandTree tree, ParseResult line, IReadOnlyList<DkimSigningKey> keys, string? server, CancellationToken cancellation)
    {
        if (server is null)
            return await DkimKeys.PublishedAsync(keys, null, cancellation);
        await using var resolver = await tree.OpenResolverAsync(line, server);
        return await DkimKeys.PublishedAsync(keys, resolver.Lookup, cancellation);
    }
}
