using MailPipeline.LineServer;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>Who may talk to us: the settings of the file that <see cref="CheckOptions.PolicyFile"/> names. Without an entry a check is off.</summary>
public sealed class PolicyOptions
{
    /// <summary>What messages call the file's settings by: "Policy:DnsLists:MaxWait".</summary>
    internal const string SectionName = "Policy";

    private const int MaxLimits = 100;
    private const int MaxSenderQueues = 10_000;

    public DnsListOptions DnsLists { get; init; } = new();

    public ClientHostOptions ClientHost { get; init; } = new();

    public EarlyTalkerOptions EarlyTalkers { get; init; } = new();

    public GreylistOptions Greylisting { get; init; } = new();

    public IList<LimitOptions> Limits { get; init; } = [];

    /// <summary>How much of single senders may wait here: the first that fits.</summary>
    public IList<SenderQueueOptions> SenderQueues { get; init; } = [];

    internal void Validate(IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        DnsLists.Validate($"{SectionName}:{nameof(DnsLists)}", listeners, failures);
        ClientHost.Validate($"{SectionName}:{nameof(ClientHost)}", listeners, failures);
        EarlyTalkers.Validate($"{SectionName}:{nameof(EarlyTalkers)}", listeners, failures);
        Greylisting.Validate($"{SectionName}:{nameof(Greylisting)}", listeners, failures);
        ValidateSenderQueues(failures);
        // Each is a bucket that is looked at for each message.
        if (Limits.Count > MaxLimits)
            failures.Add($"{SectionName}:{nameof(Limits)} has {Limits.Count} entries; it may have {MaxLimits}");
        for (var i = 0; i < Limits.Count; i++)
        {
            Limits[i].Validate($"{SectionName}:{nameof(Limits)}:{i}", listeners, failures);
            if (Limits.Take(i).Any(other => other.Name == Limits[i].Name))
                failures.Add($"{SectionName}:{nameof(Limits)}:{i}:Name is '{Limits[i].Name}', as that of another limit; each must have a name of its own");
        }
    }

    private void ValidateSenderQueues(List<string> failures)
    {
        var setting = $"{SectionName}:{nameof(SenderQueues)}";
        if (SenderQueues.Count > MaxSenderQueues)
            failures.Add($"{setting} has {SenderQueues.Count} entries; it may have {MaxSenderQueues}");
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        for (var i = 0; i < SenderQueues.Count; i++)
        {
            SenderQueues[i].Validate($"{setting}:{i}", failures);
            if (!names.Add(SenderQueues[i].From))
                failures.Add($"{setting}:{i}:From is '{SenderQueues[i].From}', as that of an entry before; each must have its own");
        }
    }

    internal static void RequireTime(string setting, TimeSpan time, TimeSpan least, TimeSpan most, List<string> failures)
    {
        if (time < least || time > most)
            failures.Add($"{setting} is {time}; it must be {least} to {most}");
    }

    internal static void RequireDomains(string setting, IList<string> domains, List<string> failures)
    {
        for (var i = 0; i < domains.Count; i++)
        {
            if (!SmtpAddress.TryParse($"x@{domains[i]}", out var parsed) || parsed!.HasAddressLiteral)
                failures.Add($"{setting}:{i} is '{domains[i]}'; it must be a domain name such as example.org");
        }
    }

    internal static void RequireNetworks(string setting, IList<string> networks, List<string> failures)
    {
        for (var i = 0; i < networks.Count; i++)
        {
            if (!ClientNetworks.TryParse(networks[i], out _))
                failures.Add($"{setting}:{i} is '{networks[i]}'; it must be an IP address or a network such as 192.0.2.0/24");
        }
    }

    /// <summary>The name is one of the domains, or below one of them.</summary>
    internal static bool IsBelow(string name, IList<string> domains)
    {
        foreach (var domain in domains)
        {
            if (name.EndsWith(domain, StringComparison.OrdinalIgnoreCase) && (name.Length == domain.Length || name[^(domain.Length + 1)] == '.'))
                return true;
        }

        return false;
    }
}
