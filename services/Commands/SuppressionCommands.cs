using System.CommandLine;
using System.Text;
using MailPipeline.Administration;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Commands;

/// <summary>Suppression lists of senders: who is not sent their mail any more.</summary>
internal static class SuppressionCommands
{
    private const string Never = "never";

    private static readonly TimeSpan s_standard = TimeSpan.FromDays(180);

    private static readonly TimeSpan s_longest = TimeSpan.FromDays(3650);

    public static Command Suppression(CommandTree tree, Terminal terminal)
    {
        var sender = new Argument<string>("SENDER") { Description = "an account, or the domain of senders who do not log in" };
        var address = new Argument<string>("ADDRESS") { Description = "the recipient" };
        return CommandTree.Group(
            "suppression", "lists of who is not sent mail of a sender any more",
            On(tree, sender),
            tree.Create("off", "a sender's list has no effect any more", async (store, line, _) =>
                SuppressionReply.Of(await store.Suppressions.EndAsync(line.GetRequiredValue(sender), tree.OperatorOf(line))), makes: false, sender),
            List(tree), Add(tree, sender, address),
            tree.Create("remove", "take a recipient off a sender's list: he is sent mail again", async (store, line, _) =>
                SuppressionReply.Of(await store.Suppressions.RemoveAsync(line.GetRequiredValue(sender), line.GetRequiredValue(address), tree.OperatorOf(line))),
                makes: false, sender, address),
            Import(tree, terminal, sender), Export(tree, terminal, sender));
    }

    private static Command On(CommandTree tree, Argument<string> sender)
    {
        var keep = KeepOption($"how long who comes to it by himself stays there; default {s_standard.TotalDays:0}d");
        var on = tree.Create("on", "a sender has a list: who is refused for good, or complains, is not tried again", async (store, line, cancellation) =>
            SuppressionReply.Of(await store.Suppressions.BeginAsync(
                line.GetRequiredValue(sender), KeepOf(line.GetValue(keep)) is { } said ? said.Time : s_standard, tree.OperatorOf(line), cancellation)), makes: false, sender);
        on.Options.Add(keep);
        return on;
    }

    private static Command List(CommandTree tree)
    {
        var of = new Argument<string>("SENDER") { Description = "whose list; without it, those who have one", Arity = ArgumentArity.ZeroOrOne };
        var recipient = new Option<string>("--recipient") { Description = "on whose lists this address is", HelpName = "ADDRESS" };
        var after = new Option<string>("--after") { Description = "go on behind this address", HelpName = "ADDRESS" };
        var limit = LimitOption.Create("so many recipients", 100, 10_000);
        var list = tree.Create("list", "who has a list, or who is on one", async (store, line, cancellation) =>
        {
            if (line.GetValue(recipient) is { } wanted)
            {
                return line.GetValue(of) is null
                    ? SuppressionReply.Of(await store.Suppressions.FindRecipientAsync(wanted, cancellation))
                    : throw new UsageException("--recipient goes without SENDER: it looks through all lists");
            }
            if (line.GetValue(of) is not { } sender)
                return SuppressionReply.Of(await store.Suppressions.ListSendersAsync(cancellation));
            return await store.Suppressions.ListAsync(sender, line.GetValue(after) ?? "", line.GetValue(limit), cancellation) is { } found
                ? SuppressionReply.Of(found) : SuppressionReply.Of(new NoSuppressionList(sender));
        }, makes: false, of);
        list.Options.Add(recipient);
        list.Options.Add(after);
        list.Options.Add(limit);
        return list;
    }

    private static Command Add(CommandTree tree, Argument<string> sender, Argument<string> address)
    {
        var keep = KeepOption("how long; default: as the list says");
        var reason = new Option<string>("--reason") { Description = "why: the sender reads it in the report", HelpName = "TEXT" };
        var add = tree.Create("add", "put a recipient on a sender's list", async (store, line, cancellation) => SuppressionReply.Of(await store.Suppressions.AddAsync(
            line.GetRequiredValue(sender), line.GetRequiredValue(address), KeepOf(line.GetValue(keep)), line.GetValue(reason) ?? "", tree.OperatorOf(line), cancellation)),
            makes: false, sender, address);
        add.Options.Add(keep);
        add.Options.Add(reason);
        return add;
    }

    private static Command Import(CommandTree tree, Terminal terminal, Argument<string> sender)
    {
        var file = new Argument<string>("FILE") { Description = "CSV or JSON, one recipient a line; -: standard input" };
        var keep = KeepOption("how long those stay of whom the file does not say it; default: as the list says");
        var import = tree.Create("import", "put all on a sender's list whom a file names", async (store, line, cancellation) =>
        {
            var (name, by) = (line.GetRequiredValue(file), tree.OperatorOf(line));
            if (name == "-")
                return SuppressionReply.Of(await store.Suppressions.ImportAsync(line.GetRequiredValue(sender), terminal.In, "standard input", KeepOf(line.GetValue(keep)), by, cancellation));
            StreamReader text;
            try
            {
                text = new StreamReader(name, Encoding.UTF8);
            }
            catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException or ArgumentException)
            {
                throw new UsageException($"FILE is '{name}', which cannot be read: {unreadable.Message}");
            }
            using (text)
                return SuppressionReply.Of(await store.Suppressions.ImportAsync(line.GetRequiredValue(sender), text, Path.GetFileName(name), KeepOf(line.GetValue(keep)), by, cancellation));
        }, makes: false, sender, file);
        import.Options.Add(keep);
        return import;
    }

    private static Command Export(CommandTree tree, Terminal terminal, Argument<string> sender)
    {
        var format = new Option<SuppressionFormat>("--format") { Description = "csv (the default) or ndjson", HelpName = "csv|ndjson" };
        var export = tree.Create("export", "write a sender's list as a file that import reads", async (store, line, cancellation) =>
        {
            if (tree.WantsJson(line))
                throw new UsageException("export writes lines; '--format ndjson' in the place of --json writes one object in each");
            var typed = line.GetRequiredValue(sender);
            if (await store.Suppressions.ExportAsync(typed, cancellation) is not { } list)
                return SuppressionReply.Of(new NoSuppressionList(typed));
            try
            {
                if (line.GetValue(format) == SuppressionFormat.Csv)
                    await terminal.Out.WriteLineAsync(SuppressionFile.Header);
                await foreach (var one in list.WithCancellation(cancellation))
                    await terminal.Out.WriteLineAsync(SuppressionFile.Line(one, line.GetValue(format)));
            }
            catch (IOException unwritten)
            {
                return Reply.Fail(ActStatus.NotDone, "notWritten", $"The list could not be written whole: {unwritten.Message}");
            }
            return Reply.Show("exported", [], static _ => { });
        }, makes: false, sender);
        export.Options.Add(format);
        return export;
    }

    private static Option<string> KeepOption(string description)
    {
        var keep = new Option<string>("--for") { Description = $"{description}: 12h, 30d, {Never}", HelpName = "TIME" };
        keep.Validators.Add(result =>
        {
            if (result.Tokens is [var typed] && !TryParse(typed.Value, out _))
                result.AddError($"--for is '{typed.Value}'; it must be a time such as 12h or 30d, up to {s_longest.TotalDays:0}d, or {Never}");
        });
        return keep;
    }

    /// <summary>What the validator has seen to be right; null: nothing was said.</summary>
    private static KeepTime? KeepOf(string? typed) => typed is not null && TryParse(typed, out var time) ? new KeepTime(time) : null;

    private static bool TryParse(string typed, out TimeSpan? time)
    {
        time = null;
        if (typed.Equals(Never, StringComparison.OrdinalIgnoreCase))
            return true;
        if (!Units.TryParseTime(typed, out var parsed) || parsed < TimeSpan.FromSeconds(1) || parsed > s_longest)
            return false;
        time = parsed;
        return true;
    }
}
