using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Commands;

/// <summary>What operators did.</summary>
internal static class AuditCommands
{
    private const int MostAtOnce = 100_000;

    public static Command Audit(CommandTree tree)
    {
        var since = new Option<string>("--since")
        {
            Description = "from when on: a time back from now (12h, 7d) or a date or time in UTC (2030-01-31, 2030-01-31T12:00:00Z)",
            HelpName = "TIME",
        };
        var limit = new Option<int>("--limit") { Description = "so many of the last ones", HelpName = "NUMBER", DefaultValueFactory = _ => 50 };
        since.Validators.Add(result => Require(result, typed => TryParse(typed, default, out _), "12h, 7d, 2030-01-31 or 2030-01-31T12:00:00Z"));
        limit.Validators.Add(result => Require(
            result, typed => int.TryParse(typed, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is > 0 and <= MostAtOnce, $"1 to {MostAtOnce}"));
        var audit = tree.Create("audit", "what operators did: who, when, what and to what", async (store, line, cancellation) =>
        {
            TryParse(line.GetValue(since) ?? "", store.Time.GetUtcNow(), out var from);
            return AuditReply.Of(await store.Audit.ListAsync(from, line.GetValue(limit), cancellation));
        });
        audit.Options.Add(since);
        audit.Options.Add(limit);
        return audit;
    }

    /// <summary>Nothing: since ever.</summary>
    private static bool TryParse(string typed, DateTimeOffset now, out DateTimeOffset since)
    {
        since = DateTimeOffset.UnixEpoch;
        if (typed.Length == 0)
            return true;
        if (!Units.TryParseTime(typed, out var back))
        {
            return DateTimeOffset.TryParse(
                typed, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out since);
        }
        if (now - DateTimeOffset.UnixEpoch > back)
            since = now - back;
        return true;
    }

    private static void Require(OptionResult option, Func<string, bool> isAllowed, string allowed)
    {
        if (option.Tokens is [var typed] && !isAllowed(typed.Value))
            option.AddError($"{option.Option.Name} is '{typed.Value}'; it must be {allowed}");
    }
}
