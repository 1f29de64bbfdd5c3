using System.CommandLine;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Commands;

/// <summary>Client networks that nobody serves.</summary>
internal static class BanCommands
{
    private const int MostAtOnce = 1000;

    private static readonly TimeSpan s_longest = TimeSpan.FromDays(366);

    public static Command Ban(CommandTree tree)
    {
        var network = new Argument<string>("NETWORK") { Description = "an IP address, or a network such as 192.0.2.0/24" };
        var time = new Option<string>("--for") { Description = "for how long: 30m, 12h, 7d", HelpName = "TIME", DefaultValueFactory = _ => "1d" };
        var reason = new Option<string>("--reason") { Description = "why, for who reads the list", HelpName = "TEXT", DefaultValueFactory = _ => "" };
        time.Validators.Add(result =>
        {
            if (result.Tokens is [var typed] && !TryParse(typed.Value, out _))
                result.AddError($"--for is '{typed.Value}'; it must be a time such as 30m, 12h or 7d, up to {s_longest.TotalDays:0}d");
        });
        var add = tree.Create("add", "serve nobody from there for a time, on any server", async (store, line, _) =>
        {
            // The validator has seen it.
            var span = TryParse(line.GetRequiredValue(time), out var parsed) ? parsed : TimeSpan.FromDays(1);
            return BanReply.Of(await store.Bans.AddAsync(line.GetRequiredValue(network), span, line.GetValue(reason) ?? "", tree.OperatorOf(line)));
        }, makes: false, network);
        add.Options.Add(time);
        add.Options.Add(reason);
        return CommandTree.Group(
            "ban", "client networks that nobody serves",
            tree.Create("list", "the bans in force, those of limits too", async (store, _, cancellation) => BanReply.Of(await store.Bans.ListAsync(MostAtOnce, cancellation))),
            add,
            tree.Create("lift", "serve them again", async (store, line, _) =>
                BanReply.Of(await store.Bans.LiftAsync(line.GetRequiredValue(network), tree.OperatorOf(line))), makes: false, network));
    }

    private static bool TryParse(string typed, out TimeSpan time) =>
        Units.TryParseTime(typed, out time) && time > TimeSpan.Zero && time <= s_longest;
}
