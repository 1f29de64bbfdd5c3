using MailPipeline.Smtp;

namespace MailPipeline.Queue.Sites;

/// <summary>What a destination bears.</summary>
/// <param name="Connections">At once; null: nothing is said of them.</param>
/// <param name="MessagesPerSecond">Null: as many as go.</param>
/// <param name="MessagesPerConnection">Null: as many as go.</param>
internal sealed record DestinationLimits(int? Connections, double? MessagesPerSecond, int? MessagesPerConnection)
{
    public static readonly DestinationLimits None = new(null, null, null);
}

/// <summary>
/// The limits of domains and of sites by name, the first that fits: of a domain by its own name and those it lies below, of a site by each of
/// the hosts in its key. Never changes; a changed file makes another.
/// </summary>
internal sealed class DestinationPolicy
{
    public static readonly DestinationPolicy Empty = new(new QueuePolicyOptions());

    private readonly Table _domains = new();
    private readonly Table _hosts = new();

    public DestinationPolicy(QueuePolicyOptions options)
    {
        for (var i = 0; i < options.Destinations.Count; i++)
        {
            var destination = options.Destinations[i];
            var limits = new DestinationLimits(
                destination.Connections > 0 ? destination.Connections : null,
                destination.MessagesPerSecond > 0 ? destination.MessagesPerSecond : null,
                destination.MessagesPerConnection > 0 ? destination.MessagesPerConnection : null);
            if (destination.For.StartsWith(DestinationOptions.HostPrefix, StringComparison.OrdinalIgnoreCase))
                _hosts.Add(destination.For[DestinationOptions.HostPrefix.Length..].ToLowerInvariant(), i, limits);
            else
                _domains.Add(DomainPattern(destination.For), i, limits);
        }
    }

    public DestinationLimits OfDomain(string domain) => _domains.Find(domain)?.Limits ?? DestinationLimits.None;

    /// <param name="site">The key: hosts, separated by commas, with a port where it is not that of SMTP.</param>
    public DestinationLimits OfSite(string site)
    {
        if (_hosts.IsEmpty || site.Length == 0)
            return DestinationLimits.None;
        (int Index, DestinationLimits Limits)? first = null;
        foreach (var host in site.Split(','))
        {
            foreach (var name in (string[])[host, WithoutPort(host)])
            {
                if (_hosts.Find(name) is { } found && (first is null || found.Index < first.Value.Index))
                    first = found;
            }
        }

        return first?.Limits ?? DestinationLimits.None;
    }

    // The queue of a domain has its A-labels for a name.
    private static string DomainPattern(string pattern) =>
        pattern.StartsWith("*.", StringComparison.Ordinal) ? $"*.{DomainName.Key(pattern[2..])}" : pattern == "*" ? pattern : DomainName.Key(pattern);

    private static string WithoutPort(string host)
    {
        if (host.StartsWith('['))
            return host[1..].Split(']')[0];
        var colon = host.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 && colon == host.LastIndexOf(':') ? host[..colon] : host;
    }

    private sealed class Table
    {
        private readonly Dictionary<string, (int Index, DestinationLimits Limits)> _exact = new(StringComparer.Ordinal);

        /// <summary>By the name above; empty for all.</summary>
        private readonly Dictionary<string, (int Index, DestinationLimits Limits)> _below = new(StringComparer.Ordinal);

        public bool IsEmpty => _exact.Count + _below.Count == 0;

        public void Add(string pattern, int index, DestinationLimits limits)
        {
            if (pattern == "*")
                _below.TryAdd("", (index, limits));
            else if (pattern.StartsWith("*.", StringComparison.Ordinal))
                _below.TryAdd(pattern[2..], (index, limits));
            else
                _exact.TryAdd(pattern, (index, limits));
        }

        public (int Index, DestinationLimits Limits)? Find(string name)
        {
            (int Index, DestinationLimits Limits)? first = null;
            if (_exact.TryGetValue(name, out var found))
                first = found;
            if (_below.Count == 0)
                return first;
            for (var dot = name.IndexOf('.', StringComparison.Ordinal); dot >= 0; dot = name.IndexOf('.', dot + 1))
                Consider(name[(dot + 1)..]);
            Consider("");
            return first;

            void Consider(string above)
            {
                if (_below.TryGetValue(above, out var other) && (first is null || other.Index < first.Value.Index))
                    first = other;
            }
        }
    }
}
