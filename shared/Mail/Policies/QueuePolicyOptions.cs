using System.Globalization;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Mail;

/// <summary>How mail leaves, as far as that changes while processes run: the settings of the file that Queue:PolicyFile names.</summary>
public sealed class QueuePolicyOptions
{
    /// <summary>What messages call the file's settings by: "Policy:Destinations:0:Connections".</summary>
    public const string SectionName = "Policy";

    private const int MostEntries = 10_000;
    private const int MostReplies = 1_000;

    /// <summary>What single destinations bear, and when mail for them is tried again: the first that says so and fits.</summary>
    public IList<DestinationOptions> Destinations { get; init; } = [];

    /// <summary>
    /// When mail of single senders is tried again, what share they have of a destination and how much they send: the first that says so and fits. What it says of
    /// times counts before what its destination's entry does.
    /// </summary>
    public IList<SenderOptions> Senders { get; init; } = [];

    /// <summary>What replies of far ends mean, before what is built in: the first that fits.</summary>
    public IList<ReplyOptions> Replies { get; init; } = [];

    /// <summary>What a file says; null: something is wrong with it, which is among the failures then.</summary>
    public static QueuePolicyOptions? Read(byte[] bytes, List<string> failures)
    {
        var options = PolicyFiles.ReadOptions<QueuePolicyOptions>(bytes, SectionName, failures);
        options?.Validate(failures);
        return failures.Count > 0 ? null : options;
    }

    /// <summary>Says what is wrong, each by the name of its setting.</summary>
    public void Validate(List<string> failures)
    {
        Validate(nameof(Destinations), Destinations, MostEntries, (entry, setting) => entry.Validate(setting, failures), failures, nameof(DestinationOptions.For), entry => entry.For);
        Validate(nameof(Senders), Senders, MostEntries, (entry, setting) => entry.Validate(setting, failures), failures, nameof(SenderOptions.From), entry => entry.From);
        Validate(nameof(Replies), Replies, MostReplies, (entry, setting) => entry.Validate(setting, failures), failures);
    }

    /// <param name="name">The setting by which entries differ; empty: they need not.</param>
    private static void Validate<T>(
        string list, IList<T> entries, int most, Action<T, string> validate, List<string> failures, string name = "", Func<T, string>? nameOf = null)
    {
        var setting = $"{SectionName}:{list}";
        if (entries.Count > most)
            failures.Add($"{setting} has {entries.Count} entries; it may have {most}");
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        for (var i = 0; i < entries.Count; i++)
        {
            validate(entries[i], $"{setting}:{i}");
            if (nameOf?.Invoke(entries[i]) is { } given && !names.Add(given))
                failures.Add($"{setting}:{i}:{name} is '{given}', as that of an entry before; each must have its own");
        }
    }
}

/// <summary>What one destination bears, and when mail for it is tried again.</summary>
public sealed class DestinationOptions : ScheduleOptions
{
    public const string HostPrefix = "mx:";

    public const int MostConnections = 10_000;
    public const int MostMessagesPerConnection = 100_000;
    public const double LeastRate = 0.001;
    public const double MostRate = 100_000;

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

    public bool HasLimits => Connections != 0 || MessagesPerSecond != 0 || MessagesPerConnection != 0;

    public bool IsOfHosts => For.StartsWith(HostPrefix, StringComparison.OrdinalIgnoreCase);

    /// <summary>As the queue of a domain is called: by its A-labels.</summary>
    public static string DomainKey(string pattern) =>
        pattern.StartsWith("*.", StringComparison.Ordinal) ? $"*.{DomainName.Key(pattern[2..])}" : pattern == "*" ? pattern : DomainName.Key(pattern);

    public void Validate(string setting, List<string> failures)
    {
        var name = IsOfHosts ? For[HostPrefix.Length..] : For;
        if (!IsPattern(name))
            failures.Add($"{setting}:{nameof(For)} is '{For}'; it must be a domain, '*.' and a domain, '*', or one of these behind 'mx:' for the hosts of a site");
        if (Connections is < 0 or > MostConnections)
            failures.Add($"{setting}:{nameof(Connections)} is {Connections}; it must be 1 to {MostConnections}, or 0 for no limit of its own");
        if (MessagesPerConnection is < 0 or > MostMessagesPerConnection)
            failures.Add($"{setting}:{nameof(MessagesPerConnection)} is {MessagesPerConnection}; it must be 1 to {MostMessagesPerConnection}, or 0 for no limit");
        if (MessagesPerSecond != 0 && MessagesPerSecond is not (>= LeastRate and <= MostRate))
            failures.Add(string.Create(CultureInfo.InvariantCulture, $"{setting}:{nameof(MessagesPerSecond)} is {MessagesPerSecond}; it must be {LeastRate} to {MostRate}, or 0 for no limit"));
        if (!HasLimits && !HasSchedule)
        {
            failures.Add(
                $"{setting} says nothing; it must have {nameof(Connections)}, {nameof(MessagesPerSecond)}, {nameof(MessagesPerConnection)}, {nameof(RetrySteps)}, "
                + $"{nameof(MaxAge)}, {nameof(DelayReportAfter)} or {nameof(Uncertain)}");
        }
        // What is decided of a recipient is decided by its domain: where its hosts are, is not known at all times.
        if (HasSchedule && IsOfHosts)
        {
            failures.Add(
                $"{setting} is of hosts ('{For}') and may have limits only; {nameof(RetrySteps)}, {nameof(MaxAge)}, {nameof(DelayReportAfter)} and {nameof(Uncertain)} "
                + "belong to an entry of domains");
        }
        ValidateSchedule(setting, failures);
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
