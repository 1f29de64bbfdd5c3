using System.CommandLine;
using MailPipeline.Administration;
using MailPipeline.Mail;

namespace MailPipeline.Commands;

/// <summary>What became of one message, and what an operator can do to it.</summary>
internal static class MessageCommands
{
    private const int MostAtOnce = 1000;

    public static Command Message(CommandTree tree)
    {
        var message = Show(tree, "message", "the timeline of a message, by the id of its 250 reply", all: false);
        message.Subcommands.Add(Show(tree, "all", "the same with each recipient of very many that were delivered", all: true));
        message.Subcommands.Add(Find(tree));
        message.Subcommands.Add(Change(tree, "hold", "keep its waiting recipients back until they are released",
            (messages, id, by, cancellation) => messages.HoldAsync(id, by, cancellation)));
        message.Subcommands.Add(Change(tree, "release", "let its held recipients go: they are due at once",
            (messages, id, by, cancellation) => messages.ReleaseAsync(id, by, cancellation)));
        message.Subcommands.Add(Change(tree, "remove", "end its waiting and held recipients; the sender is not told",
            (messages, id, by, cancellation) => messages.RemoveAsync(id, by, cancellation)));
        return message;
    }

    private static Command Find(CommandTree tree)
    {
        var from = Address("--from", "from whom it was sent, as MAIL said; <> is the null sender, from whom reports come");
        var to = Address("--to", "to whom it was sent, or where an alias has led it");
        var headerId = new Option<string>("--message-id") { Description = "its field Message-ID", HelpName = "MESSAGE-ID" };
        var before = new Option<string>("--before") { Description = "only messages before this one: where a list goes on", HelpName = "ID" };
        before.Validators.Add(result =>
        {
            if (result.Tokens is [var typed] && !MessageIds.TryParse(typed.Value, out _))
                result.AddError($"--before: {MessageReply.NotAnId(typed.Value)}");
        });
        var limit = LimitOption.Create("so many of the latest ones", 50, MostAtOnce);
        var command = tree.Create("find", "messages by sender, recipient and Message-ID, the latest first", async (store, line, cancellation) =>
            MessageReply.Of(await store.Messages.SearchAsync(
                new MessageSearch(Bare(line.GetValue(from)), Bare(line.GetValue(to)), Bare(line.GetValue(headerId))), line.GetValue(before), line.GetValue(limit),
                cancellation)));
        foreach (var option in (Option[])[from, to, headerId, before, limit])
            command.Options.Add(option);
        return command;
    }

    private static Option<string> Address(string name, string description) => new(name) { Description = description, HelpName = "ADDRESS" };

    // As mail and logs write it.
    private static string? Bare(string? typed) => typed is ['<', .., '>'] ? typed[1..^1] : typed;

    private static Command Show(CommandTree tree, string name, string summary, bool all)
    {
        var id = Id();
        return tree.Create(name, summary, async (store, line, cancellation) =>
            MessageReply.Of(await store.Messages.FindAsync(line.GetRequiredValue(id), cancellation), all), makes: false, id);
    }

    private static Command Change(
        CommandTree tree, string name, string summary, Func<Messages, string, OperatorIdentity, CancellationToken, Task<MessageResult>> change)
    {
        var id = Id();
        return tree.Create(name, summary, async (store, line, cancellation) =>
            MessageReply.Of(await change(store.Messages, line.GetRequiredValue(id), tree.OperatorOf(line), cancellation)), makes: false, id);
    }

    private static Argument<string> Id()
    {
        var id = new Argument<string>("ID") { Description = "the hexadecimal number in the reply 'queued as ...'" };
        // Before the store is opened: what is no id is found in none.
        id.Validators.Add(result =>
        {
            if (result.Tokens is [var typed] && !MessageIds.TryParse(typed.Value, out _))
                result.AddError(MessageReply.NotAnId(typed.Value));
        });
        return id;
    }
}
