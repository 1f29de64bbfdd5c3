using System.Net;
using System.Net.Sockets;
using MailPipeline.Dns;

namespace MailPipeline.Authentication.Spf;

/// <summary>
/// The names of a client that lead back to its address (RFC 7208 §5.5), looked up when the first term wants them. What is not found out is
/// passed over: whoever owns an address says there what he likes, and it is no fault of the domain that asks.
/// </summary>
internal sealed class SpfClientNames(IDnsLookup dns, SpfLimits limits, IPAddress client, CancellationToken deadline)
{
    private const string Unknown = "unknown";

    private List<string>? _names;

    public bool AreThere => _names is { Count: > 0 };

    /// <summary>DNS says that there are none.</summary>
    public bool IsVoid { get; private set; }

    public async Task FindAsync()
    {
        if (_names is not null)
            return;
        _names = [];
        var answer = await dns.PtrAsync(client, deadline);
        IsVoid = answer.Status is DnsStatus.NoData or DnsStatus.NoSuchName;
        // RFC 7208 §4.6.4: all but the first are ignored.
        foreach (var (host, addresses) in await Task.WhenAll(answer.Records.Take(limits.PtrNames).Select(AddressesAsync)))
        {
            if (addresses.Contains(client))
                _names.Add(host);
        }
    }

    /// <summary>One of them is the domain, or below it.</summary>
    public bool HasWithin(string domain) => _names!.Exists(name => IsWithin(name, domain));

    /// <summary>RFC 7208 §7.3, %{p}: the domain itself, else one below it, else any.</summary>
    public string Best(string domain) =>
        _names!.Find(name => name.Equals(domain, StringComparison.OrdinalIgnoreCase))
        ?? _names.Find(name => IsWithin(name, domain)) ?? (_names is [var any, ..] ? any : Unknown);

    private async Task<(string Host, IReadOnlyList<IPAddress> Addresses)> AddressesAsync(string host)
    {
        var answer = client.AddressFamily == AddressFamily.InterNetworkV6
            ? await dns.IPv6Async(host, deadline) : await dns.IPv4Async(host, deadline);
        return (host, answer.Records);
    }

    private static bool IsWithin(string name, string domain) =>
        name.EndsWith(domain, StringComparison.OrdinalIgnoreCase)
        && (name.Length == domain.Length || (domain.Length > 0 && name[^(domain.Length + 1)] == '.'));
}
