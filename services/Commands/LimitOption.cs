using System.CommandLine;
using System.Globalization;

namespace MailPipeline.Commands;

/// <summary>How many of a list are shown.</summary>
internal static class LimitOption
{
    /// <param name="description">Of which ones.</param>
    /// <param name="standard">Where nothing is typed.</param>
    public static Option<int> Create(string description, int standard, int most)
    {
        var limit = new Option<int>("--limit") { Description = description, HelpName = "NUMBER", DefaultValueFactory = _ => standard };
        limit.Validators.Add(result =>
        {
            if (result.Tokens is [var typed]
                && !(int.TryParse(typed.Value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0 && number <= most))
            {
                result.AddError(string.Create(CultureInfo.InvariantCulture, $"--limit is '{typed.Value}'; it must be 1 to {most}"));
            }
        });
        return limit;
    }
}
