using MailPipeline.Mail;

namespace MailPipeline.Queue.Policies;

/// <summary>What a destination bears.</summary>
/// <param name="Connections">At once; null: nothing is said of them.</param>
/// <param name="MessagesPerSecond">Null: as many as go.</param>
/// <param name="MessagesPerConnection">Null: as many as go.</param>
internal sealed record DestinationLimits(int? Connections, double? MessagesPerSecond, int? MessagesPerConnection)
{
    public static readonly DestinationLimits None = new(null, null, null);

    /// <summary>The same with so many messages a second, as a rule says; null: no rule says so.</summary>
    public DestinationLimits At(double? perSecond) => perSecond is null ? this : this with { MessagesPerSecond = perSecond };
}

/// <summary>
/// The limits of domains and of sites by name, the first that fits: of a domain by its own name and those it lies below, of a site by each of
/// the hosts in its key. Never changes; a changed file makes another.
/// </summary>
internal sealed class DestinationPolicy
{
    private readonly NameTable<DestinationLimits> _domains = new();
    private readonly NameTable<DestinationLimits> _hosts = new();

    public DestinationPolicy(QueuePolicyOptions options)
    {
        for (var i = 0; i < options.Destinations.Count; i++)
        {
            var destination = options.Destinations[i];
            if (!destination.HasLimits)
                continue;
            var limits = new DestinationLimits(
                destination.Connections > 0 ? destination.Connections : null,
                destination.MessagesPerSecond > 0 ? destination.MessagesPerSecond : null,
                destination.MessagesPerConnection > 0 ? destination.MessagesPerConnection : null);
            if (destination.IsOfHosts)
                _hosts.Add(destination.For[DestinationOptions.HostPrefix.Length..].ToLowerInvariant(), i, limits);
            else
                _domains.Add(DestinationOptions.DomainKey(destination.For), i, limits);
        }
    }

    public DestinationLimits OfDomain(string domain) => _domains.Find(domain)?.Value ?? DestinationLimits.None;

    /// <param name="site">The key: hosts, separated by commas, with a port where it is not that of SMTP.</param>
    public DestinationLimits OfSite(string site)
    {
        if (_hosts.IsEmpty || site.Length == 0)
            return DestinationLimits.None;
        (int Index, DestinationLimits Value)? first = null;
        foreach (var host in site.Split(','))
        {
            foreach (var name in (string[])[host, WithoutPort(host)])
            {
                if (_hosts.Find(name) is { } found && (first is null || found.Index < first.Value.Index))
                    first = found;
            }
        }

        return first?.Value ?? DestinationLimits.None;
    }

    private static string WithoutPort(string host)
    {
        if (host.StartsWith('['))
            return host[1..].Split(']')[0];
        var colon = host.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 && colon == host.LastIndexOf(':') ? host[..colon] : host;
    }
}
