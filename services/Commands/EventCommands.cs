using System.CommandLine;

namespace MailPipeline.Commands;

/// <summary>Events of outcomes, and who is told of them.</summary>
internal static class EventCommands
{
    private const long MostCounted = 1_000_000;

    public static Command Event(CommandTree tree) => CommandTree.Group(
        "event", "events of what becomes of mail, as webhooks and the bus are told",
        tree.Create("status", "who is told, what waits for him, and whether he takes it", async (store, _, cancellation) =>
            EventReply.Of(await store.Events.ListAsync(MostCounted, cancellation))));
}
