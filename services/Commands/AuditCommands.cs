using System.CommandLine;

namespace MailPipeline.Commands;

/// <summary>What operators did.</summary>
internal static class AuditCommands
{
    private const int MostAtOnce = 100_000;

    public static Command Audit(CommandTree tree)
    {
        var since = SinceOption.Create("");
        var limit = LimitOption.Create("so many of the last ones", 50, MostAtOnce);
        var audit = tree.Create("audit", "what operators did: who, when, what and to what", async (store, line, cancellation) =>
            AuditReply.Of(await store.Audit.ListAsync(SinceOption.Read(line.GetValue(since), store.Time.GetUtcNow()), line.GetValue(limit), cancellation)));
        audit.Options.Add(since);
        audit.Options.Add(limit);
        return audit;
    }
}
