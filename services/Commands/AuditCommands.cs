using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace MailPipeline.Commands;

/// <summary>What operators did.</summary>
internal static class AuditCommands
{
    private const int MostAtOnce = 100_000;

    public static Command Audit(CommandTree tree)
    {
        var since = SinceOption.Create("");
        var limit = new Option<int>("--limit") { Description = "so many of the last ones", HelpName = "NUMBER", DefaultValueFactory = _ => 50 };
        limit.Validators.Add(result => Require(
            result, typed => int.TryParse(typed, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is > 0 and <= MostAtOnce, $"1 to {MostAtOnce}"));
        var audit = tree.Create("audit", "what operators did: who, when, what and to what", async (store, line, cancellation) =>
            AuditReply.Of(await store.Audit.ListAsync(SinceOption.Read(line.GetValue(since), store.Time.GetUtcNow()), line.GetValue(limit), cancellation)));
        audit.Options.Add(since);
        audit.Options.Add(limit);
        return audit;
    }

    private static void Require(OptionResult option, Func<string, bool> isAllowed, string allowed)
    {
        if (option.Tokens is [var typed] && !isAllowed(typed.Value))
            option.AddError($"{option.Option.Name} is '{typed.Value}'; it must be {allowed}");
    }
}
