using System.Globalization;

namespace MailPipeline.Queue.Sites;

/// <summary>How mail leaves, as far as that changes while processes run: the settings of the file that <see cref="QueueOptions.PolicyFile"/> names.</summary>
public sealed class QueuePolicyOptions
{
    /// <summary>What messages call the file's settings by: "Policy:Destinations:0:Connections".</summary>
    internal const string SectionName = "Policy";

    private const int MostDestinations = 10_000;

    /// <summary>What single destinations bear, the first that fits.</summary>
    public IList<DestinationOptions> Destinations { get; init; } = [];

    internal void Validate(List<string> failures)
    {
        const string setting = $"{SectionName}:{nameof(Destinations)}";
        if (Destinations.Count > MostDestinations)
            failures.Add($"{setting} has {Destinations.Count} entries; it may have {MostDestinations}");
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        for (var i = 0; i < Destinations.Count; i++)
        {
            Destinations[i].Validate($"{setting}:{i}", failures);
            if (!names.Add(Destinations[i].For))
                failures.Add($"{setting}:{i}:{nameof(DestinationOptions.For)} is '{Destinations[i].For}', as that of an entry before; each must have its own");
        }
    }
}

/// <summary>What one destination bears.</summary>
public sealed class DestinationOptions
{
    internal const string HostPrefix = "mx:";

    internal const int MostConnections = 10_000;
    internal const int MostMessagesPerConnection = 100_000;
    internal const double LeastRate = 0.001;
    internal const double MostRate = 100_000;

    /// <summary>
    /// A domain, "*.example.org" (all below it) or "*": for each domain by itself. With "mx:" before it hosts, by which a site is known of
    /// whose hosts one fits: for all domains together whose mail goes there.
    /// </summary>
    public string For { get; set; } = "";

    /// <summary>Most connections at once. 0: as without this entry.</summary>
    public int Connections { get; set; }

    /// <summary>Most messages in a second. 0: no bound.</summary>
    public double MessagesPerSecond { get; set; }

    /// <summary>Most messages over one connection. 0: no bound.</summary>
    public int MessagesPerConnection { get; set; }

    internal void Validate(string setting, List<string> failures)
    {
        var name = For.StartsWith(HostPrefix, StringComparison.OrdinalIgnoreCase) ? For[HostPrefix.Length..] : For;
        if (!IsPattern(name))
            failures.Add($"{setting}:{nameof(For)} is '{For}'; it must be a domain, '*.' and a domain, '*', or one of these behind 'mx:' for the hosts of a site");
        if (Connections is < 0 or > MostConnections)
            failures.Add($"{setting}:{nameof(Connections)} is {Connections}; it must be 1 to {MostConnections}, or 0 for no limit of its own");
        if (MessagesPerConnection is < 0 or > MostMessagesPerConnection)
            failures.Add($"{setting}:{nameof(MessagesPerConnection)} is {MessagesPerConnection}; it must be 1 to {MostMessagesPerConnection}, or 0 for no limit");
        if (MessagesPerSecond != 0 && MessagesPerSecond is not (>= LeastRate and <= MostRate))
            failures.Add(string.Create(CultureInfo.InvariantCulture, $"{setting}:{nameof(MessagesPerSecond)} is {MessagesPerSecond}; it must be {LeastRate} to {MostRate}, or 0 for no limit"));
        if (Connections == 0 && MessagesPerSecond == 0 && MessagesPerConnection == 0)
            failures.Add($"{setting} limits nothing; it must have {nameof(Connections)}, {nameof(MessagesPerSecond)} or {nameof(MessagesPerConnection)}");
    }

    private static bool IsPattern(string name)
    {
        if (name == "*")
            return true;
        if (name.StartsWith("*.", StringComparison.Ordinal))
            name = name[2..];
        return name.Length is > 0 and <= 255 && !name.StartsWith('.') && name.All(c => !char.IsWhiteSpace(c) && c is not ('*' or '@' or ','));
    }
}
