using System.CommandLine;
using MailPipeline.Administration;

namespace MailPipeline.Commands;

/// <summary>Reports by DMARC: what others tell of our domains, and what we tell others.</summary>
internal static class DmarcCommands
{
    private const int MostAtOnce = 200;

    private const string Month = "30d";

    public static Command Dmarc(CommandTree tree)
    {
        var domain = new Argument<string>("DOMAIN") { Description = "of one domain", Arity = ArgumentArity.ZeroOrOne };
        var since = SinceOption.Create(Month);
        var reports = tree.Create("reports", "what others report of mail in our domains' names: by domain, or of one by source and by who reports", async (store, line, cancellation) =>
        {
            var from = SinceOption.Read(line.GetValue(since), store.Time.GetUtcNow());
            return line.GetValue(domain) is { Length: > 0 } name
                ? DmarcReply.Of(await store.Dmarc.FindAsync(name, from, MostAtOnce, cancellation)) : DmarcReply.Of(await store.Dmarc.ListAsync(from, MostAtOnce, cancellation));
        }, makes: false, domain);
        reports.Options.Add(since);
        var sentSince = SinceOption.Create(Month);
        var sent = tree.Create("sent", "the reports that we have sent to others", async (store, line, cancellation) => DmarcReply.Of(
            await store.Dmarc.ListSentAsync(line.GetValue(domain) ?? "", SinceOption.Read(line.GetValue(sentSince), store.Time.GetUtcNow()), MostAtOnce, cancellation)), makes: false, domain);
        sent.Options.Add(sentSince);
        var file = new Argument<string>("FILE") { Description = "a message, or what is attached to it: XML, gzip or zip" };
        return CommandTree.Group("dmarc", "reports by DMARC (RFC 7489): those of others, and ours", reports, sent,
            tree.CreateWithDns("report", "what the report in a file says; needs no store", null, async (_, line, cancellation) =>
                CheckReply.Of(await DmarcFile.ReadAsync(line.GetRequiredValue(file), cancellation)), file));
    }
}
