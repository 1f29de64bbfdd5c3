using System.CommandLine;

namespace MailPipeline.Commands;

/// <summary>What waits for whom, and whether anything is handed out.</summary>
internal static class QueueCommands
{
    private const int MaxDomains = 200;
    private const int MaxHeld = 20;

    public static Command Queue(CommandTree tree)
    {
        var queue = tree.Create("queue", "domains for which mail waits, and why", async (store, _, cancellation) =>
            QueueReply.Of(await store.Queue.FindAsync(MaxDomains, MaxHeld, cancellation)));
        queue.Subcommands.Add(tree.Create("pause", "hand nothing out any more, in all servers; mail is accepted as before", async (store, line, _) =>
            QueueReply.Of(await store.Queue.PauseAsync(tree.OperatorOf(line)))));
        queue.Subcommands.Add(tree.Create("resume", "hand out again what is due", async (store, line, _) =>
            QueueReply.Of(await store.Queue.ResumeAsync(tree.OperatorOf(line)))));
        var domain = new Argument<string>("DOMAIN") { Description = "the domain for which mail waits" };
        queue.Subcommands.Add(tree.Create("flush", "try what waits for a domain at once, though the domain backs off", async (store, line, _) =>
            QueueReply.Of(await store.Queue.FlushAsync(line.GetRequiredValue(domain), tree.OperatorOf(line))), makes: false, domain));
        return queue;
    }
}
