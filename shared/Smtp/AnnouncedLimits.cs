using System.Globalization;

namespace MailPipeline.Smtp;

/// <summary>What a server takes in one session, as it announces it (RFC 9422). What it says nothing of is without a bound.</summary>
/// <param name="Messages">MAILMAX: transactions.</param>
/// <param name="Recipients">RCPTMAX: recipients of one transaction.</param>
/// <param name="RecipientDomains">RCPTDOMAINMAX: different domains of recipients, in all transactions together.</param>
public sealed record AnnouncedLimits(int Messages, int Recipients, int RecipientDomains)
{
    public static readonly AnnouncedLimits None = new(int.MaxValue, int.MaxValue, int.MaxValue);

    /// <summary>Reads "NAME=VALUE NAME=VALUE". What is unknown, or no number above 0 (§4), is passed over.</summary>
    public static AnnouncedLimits Parse(string parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        var limits = None;
        foreach (var parameter in parameters.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (parameter.Split('=') is not [var name, var value] || ValueOf(value) is not { } most)
                continue;
            limits = name.ToUpperInvariant() switch
            {
                "MAILMAX" => limits with { Messages = most },
                "RCPTMAX" => limits with { Recipients = most },
                "RCPTDOMAINMAX" => limits with { RecipientDomains = most },
                _ => limits,
            };
        }

        return limits;
    }

    /// <summary>Six digits at most (§3); what is larger is no bound for anybody here.</summary>
    private static int? ValueOf(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value > 0 ? value : null;
}
