using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using MailPipeline.Administration;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Commands;

/// <summary>What waits for whom, why, and whether anything is handed out.</summary>
internal static class QueueCommands
{
    private const int MaxDomains = 200;
    private const int MaxHeld = 20;
    private const int MaxGroups = WaitingGroups.Most;
    private const int MaxListed = 10_000;

    public static Command Queue(CommandTree tree)
    {
        var by = new Option<string>("--by") { Description = "what waits, counted by domain, site, sender or reason", HelpName = "WHAT" };
        Require(by, typed => Enum.TryParse<WaitingBy>(typed, ignoreCase: true, out _) && !char.IsAsciiDigit(typed[0]), "domain, site, sender or reason");
        var limit = Limit("so many domains, sites or senders", MaxDomains, MaxGroups);
        var queue = tree.Create("queue", "domains for which mail waits, and why", async (store, line, cancellation) =>
        {
            if (line.GetValue(by) is { } what)
                return QueueReply.Of(await store.Queue.GroupAsync(Enum.Parse<WaitingBy>(what, ignoreCase: true), line.GetValue(limit), cancellation));
            return QueueReply.Of(await store.Queue.FindAsync(line.GetValue(limit), MaxHeld, cancellation), store.Time.GetUtcNow());
        });
        queue.Options.Add(by);
        queue.Options.Add(limit);
        queue.Subcommands.Add(List(tree));
        var file = new Argument<string>("FILE") { Description = "as Queue:PolicyFile names it" };
        queue.Subcommands.Add(CommandTree.Group(
            "policy", "what destinations bear, when mail is tried again, what replies mean",
            tree.CreateWithDns("check", "would Queue take this file, and what does each entry of it mean?", null, (_, line, _) =>
                Task.FromResult(CheckReply.Of(QueuePolicyCheck.Read(line.GetRequiredValue(file)))), file)));
        queue.Subcommands.Add(tree.Create("pause", "hand nothing out any more, in all servers; mail is accepted as before", async (store, line, _) =>
            QueueReply.Of(await store.Queue.PauseAsync(tree.OperatorOf(line)))));
        queue.Subcommands.Add(tree.Create("resume", "hand out again what is due", async (store, line, _) =>
            QueueReply.Of(await store.Queue.ResumeAsync(tree.OperatorOf(line)))));
        var domain = new Argument<string>("DOMAIN") { Description = "the domain for which mail waits" };
        queue.Subcommands.Add(tree.Create("flush", "try what waits for a domain at once, though the domain backs off", async (store, line, _) =>
            QueueReply.Of(await store.Queue.FlushAsync(line.GetRequiredValue(domain), tree.OperatorOf(line))), makes: false, domain));
        return queue;
    }

    private static Command List(CommandTree tree)
    {
        var domain = Text("--domain", "DOMAIN", "of recipients there, or in all domains below one: *.example.org");
        Require(domain, typed => !typed.TrimStart('*').Contains('*', StringComparison.Ordinal) && (!typed.StartsWith('*') || typed is ['*', '.', not '.', ..]), "a domain, or *. and a domain");
        var sender = Text("--sender", "SENDER", "from this address or account, or from a domain without having logged in; <> for reports");
        var recipient = Text("--recipient", "ADDRESS", "to this address, as it is or as it was before aliases");
        var reason = Text("--reason", "WORD", $"that wait for this reason: {string.Join(", ", WaitWords.All)}");
        Require(reason, typed => WaitWords.Find(typed) is not null, $"one of {string.Join(", ", WaitWords.All)}");
        var older = Text("--older", "TIME", "accepted at least so long ago: 30m, 2h, 3d");
        Require(older, typed => Units.TryParseTime(typed, out _), Units.TimeForm);
        var reply = Text("--reply", "TEXT", "whose last attempt came to a reply with this in it");
        var after = Text("--after", "PLACE", "go on where the list before ended, with the same options");
        Require(after, typed => QueuePlace.Parse(typed) is not null, "what the list before said to go on with");
        var limit = Limit("so many", 50, MaxListed);
        var list = tree.Create("list", "those that wait, with the reason of each", async (store, line, cancellation) =>
        {
            var filter = new QueueFilter
            {
                Domain = line.GetValue(domain),
                Sender = line.GetValue(sender),
                Recipient = line.GetValue(recipient),
                Reason = line.GetValue(reason) is { } word ? WaitWords.Find(word) : null,
                Older = Units.TryParseTime(line.GetValue(older) ?? "", out var time) ? time : null,
                Reply = line.GetValue(reply),
            };
            var place = line.GetValue(after) is { } typed ? QueuePlace.Parse(typed) : null;
            return QueueListReply.Of(await store.Queue.ListAsync(filter, place, line.GetValue(limit), cancellation), store.Time.GetUtcNow());
        });
        foreach (var option in (Option[])[domain, sender, recipient, reason, older, reply, limit, after])
            list.Options.Add(option);
        return list;
    }

    private static Option<string> Text(string name, string help, string description)
    {
        var option = new Option<string>(name) { Description = description, HelpName = help };
        Require(option, typed => typed.Length > 0, "not empty");
        return option;
    }

    private static Option<int> Limit(string description, int standard, int most)
    {
        var limit = new Option<int>("--limit") { Description = $"{description}; default {standard}", HelpName = "NUMBER", DefaultValueFactory = _ => standard };
        Require(limit, typed => int.TryParse(typed, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0 && number <= most, $"1 to {most}");
        return limit;
    }

    private static void Require(Option option, Func<string, bool> isAllowed, string allowed) => option.Validators.Add(result =>
    {
        if (result.Tokens is [var typed] && !isAllowed(typed.Value))
            result.AddError($"{option.Name} is '{typed.Value}'; it must be {allowed}");
    });
}
