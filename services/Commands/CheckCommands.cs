using System.CommandLine;
using MailPipeline.Administration;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Dns;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Commands;

/// <summary>Questions to DNS, and about messages: what a listener would say of a sender, and what a domain publishes. None needs a store.</summary>
internal static class CheckCommands
{
    public static Command Check(CommandTree tree)
    {
        var dns = new Option<string>("--dns")
        {
            Description = "the DNS server to ask (default: that of Dns:Servers, or of this machine)", HelpName = "SERVER[:PORT]", Recursive = true,
        };
        dns.Validators.Add(result =>
        {
            if (result.Tokens is [var typed] && !DnsHosting.IsServer(typed.Value))
                result.AddError($"--dns is '{typed.Value}'; it must be an address or address:port, for example 127.0.0.1:5353");
        });
        var check = CommandTree.Group("check", "what DNS says of senders, messages and domains", Sender(tree, dns), Message(tree, dns), Domain(tree, dns), Suffixes(tree));
        check.Options.Add(dns);
        return check;
    }

    private static Command Sender(CommandTree tree, Option<string> dns)
    {
        var client = Client();
        var spf = tree.CreateWithDns("spf", "may this client use these names? (RFC 7208), with every step", dns, async (resolver, line, cancellation) =>
            CheckReply.Of(await resolver.Senders.CheckAsync(line.GetRequiredValue(client.Ip), line.GetValue(client.Helo) ?? "", line.GetValue(client.From) ?? "", cancellation)));
        client.AddTo(spf);
        return spf;
    }

    private static Command Message(CommandTree tree, Option<string> dns)
    {
        var client = Client();
        var file = new Argument<string>("FILE") { Description = "the message as it came" };
        var authority = new Option<string>("--authserv-id") { Description = "who says so in Authentication-Results (default: this machine)", HelpName = "NAME" };
        var walk = new Option<bool>("--tree-walk") { Description = "policies are found by the tree walk of DMARCbis" };
        var suffixes = new Option<string>("--suffixes") { Description = "a Public Suffix List in place of the one that is built in", HelpName = "FILE" };
        var message = tree.CreateWithDns("message", "is it from whom it says? its Authentication-Results (RFC 8601), with every step", dns, async (resolver, line, cancellation) =>
        {
            var list = line.GetValue(suffixes) ?? "";
            if (list.Length > 0 && SuffixList.Find(list) is FileUnusable unusable)
                return CheckReply.Of(unusable);
            var settings = new MessageCheckSettings(
                line.GetValue(authority) ?? OwnHostName.Default.Text, line.GetValue(walk) ? DmarcDiscoveryMode.TreeWalk : DmarcDiscoveryMode.PublicSuffixList, SuffixList.Open(list));
            return CheckReply.Of(await resolver.Messages.CheckAsync(
                line.GetRequiredValue(file), line.GetRequiredValue(client.Ip), line.GetValue(client.Helo) ?? "", line.GetValue(client.From) ?? "", settings, cancellation));
        }, file);
        client.AddTo(message);
        message.Options.Add(authority);
        message.Options.Add(walk);
        message.Options.Add(suffixes);
        return message;
    }

    private static Command Domain(CommandTree tree, Option<string> dns)
    {
        var name = new Argument<string>("DOMAIN") { Description = "a domain name" };
        var hosts = new Option<string[]>("--host") { Description = "a host that takes and sends its mail; may be given again (default: its MX)", HelpName = "NAME" };
        var selectors = new Option<string[]>("--selector") { Description = "a selector that its mail is signed with; may be given again", HelpName = "NAME" };
        var forwarded = new Option<string>("--srs") { Description = "the domain of the senders under which forwarded mail leaves (default: Srs:Domain)", HelpName = "NAME" };
        var domain = tree.CreateWithDns("domain", "what it publishes against what is needed, and what to publish", dns, async (resolver, line, cancellation) =>
            CheckReply.Of(await resolver.Domains.CheckAsync(
                new DomainQuestion(line.GetRequiredValue(name), line.GetValue(hosts) ?? [], line.GetValue(selectors) ?? [], line.GetValue(forwarded) ?? resolver.ForwardedAs),
                cancellation)), name);
        domain.Options.Add(hosts);
        domain.Options.Add(selectors);
        domain.Options.Add(forwarded);
        return domain;
    }

    private static Command Suffixes(CommandTree tree)
    {
        var file = new Argument<string>("FILE") { Description = "a list of the operator's; without it, the one that is built in", Arity = ArgumentArity.ZeroOrOne };
        var renew = new Option<bool>("--renew") { Description = "fetch the newest one into FILE" };
        var from = new Option<string>("--from") { Description = "where from, by HTTPS", HelpName = "URL", DefaultValueFactory = _ => SuffixList.Home };
        var suffixes = tree.CreateWithDns("psl", "the Public Suffix List (publicsuffix.org), by which DMARC knows organisations", null, async (resolver, line, cancellation) =>
        {
            var path = line.GetValue(file) ?? "";
            if (!line.GetValue(renew))
                return CheckReply.Of(SuffixList.Find(path));
            if (path.Length == 0)
                throw new UsageException("--renew needs the FILE into which the list goes");
            return CheckReply.Of(await resolver.Suffixes.RenewAsync(path, line.GetRequiredValue(from), cancellation));
        }, file);
        suffixes.Options.Add(renew);
        suffixes.Options.Add(from);
        return suffixes;
    }

    private static ClientOptions Client() => new(
        new Option<string>("--ip") { Description = "the client's address", HelpName = "ADDRESS", Required = true },
        new Option<string>("--helo") { Description = "what it greets with", HelpName = "NAME" },
        new Option<string>("--from") { Description = "the sender of the envelope; without it, the null path", HelpName = "ADDRESS" });

    private sealed record ClientOptions(Option<string> Ip, Option<string> Helo, Option<string> From)
    {
        public void AddTo(Command command)
        {
            command.Options.Add(Ip);
            command.Options.Add(Helo);
            command.Options.Add(From);
        }
    }
}
