using System.CommandLine;
using System.Globalization;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Commands;

/// <summary>From when on something is shown: a time back from now, or a date or a time in UTC.</summary>
internal static class SinceOption
{
    /// <param name="standard">What counts where nothing is typed; empty: since ever.</param>
    public static Option<string> Create(string standard)
    {
        var since = new Option<string>("--since")
        {
            Description = "from when on: a time back from now (12h, 7d) or a date or time in UTC (2030-01-31, 2030-01-31T12:00:00Z)",
            HelpName = "TIME",
        };
        if (standard.Length > 0)
            since.DefaultValueFactory = _ => standard;
        since.Validators.Add(result =>
        {
            if (result.Tokens is [var typed] && !TryParse(typed.Value, default, out _))
                result.AddError($"--since is '{typed.Value}'; it must be 12h, 7d, 2030-01-31 or 2030-01-31T12:00:00Z");
        });
        return since;
    }

    /// <summary>What was typed, which the option has seen to be right.</summary>
    public static DateTimeOffset Read(string? typed, DateTimeOffset now)
    {
        TryParse(typed ?? "", now, out var since);
        return since;
    }

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
}
