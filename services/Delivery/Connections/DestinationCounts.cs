using System.Net;

namespace MailPipeline.Delivery.Connections;

/// <summary>How many connections without a result there are, by domain and by address. Not safe for threads: the lock is its owner's.</summary>
internal sealed class DestinationCounts
{
    private readonly Dictionary<string, int> _domains = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<IPAddress, int> _addresses = [];

    public int Of(string domain) => _domains.GetValueOrDefault(domain);

    public int Of(IPAddress address) => _addresses.GetValueOrDefault(address);

    public void Add(string domain, IPAddress address)
    {
        _domains[domain] = Of(domain) + 1;
        _addresses[address] = Of(address) + 1;
    }

    public void Remove(string domain, IPAddress address)
    {
        Less(_domains, domain);
        Less(_addresses, address);
    }

    private static void Less<T>(Dictionary<T, int> counts, T of)
        where T : notnull
    {
        if (--counts[of] == 0)
            counts.Remove(of);
    }
}
