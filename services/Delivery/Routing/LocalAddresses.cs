using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Routing;

/// <summary>
/// Addresses that mean ourselves (RFC 5321 §5.1), whoever names them in his MX or in an address literal: those of this machine, those that
/// name no single other machine, and those that the operator says. Mail sent there would come back. A form of IPv6 that leads to an IPv4
/// address (<see cref="EmbeddedAddress"/>) is taken for that address too.
/// </summary>
internal sealed class LocalAddresses
{
    /// <summary>Interfaces come and go; reading them costs some milliseconds.</summary>
    private static readonly TimeSpan s_refresh = TimeSpan.FromMinutes(1);

    private static readonly IPNetwork[] s_local =
    [
        // "This network" (RFC 1122 §3.2.1.3), which Linux takes for itself; loopback; link-local; multicast and beyond, broadcast included.
        .. Networks("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"),
        // The unspecified address, loopback and the deprecated IPv4-compatible ones; link-local; multicast.
        .. Networks("::/96", "fe80::/10", "ff00::/8"),
    ];

    private static readonly IPNetwork[] s_private = Networks(
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10");

    private readonly TimeProvider _time;
    private readonly bool _allowsLocal;
    private readonly bool _allowsPrivate;
    private readonly HashSet<IPAddress> _own;
    private volatile Interfaces? _interfaces;

    public LocalAddresses(IOptions<DeliveryOptions> options, TimeProvider time)
    {
        _time = time;
        _allowsLocal = options.Value.LocalAddresses == AddressRule.Allow;
        _allowsPrivate = options.Value.PrivateAddresses == AddressRule.Allow;
        _own = [.. options.Value.OwnAddresses.Select(text => HostAddress.Plain(IPAddress.Parse(text)))];
    }

    /// <summary>RFC 6761 §6.3: whatever DNS says of it, this name means the machine itself.</summary>
    public bool IsOwn(string name) =>
        !_allowsLocal
        && (name.Equals("localhost", StringComparison.OrdinalIgnoreCase) || name.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase));

    /// <summary>Mail to this address would come back to us.</summary>
    public bool IsOwn(IPAddress address) => Leads(address, IsPlainlyOwn);

    /// <summary>An address of a private network, and the operator wants no mail sent there that no route leads to.</summary>
    public bool IsRefusedPrivate(IPAddress address) =>
        !_allowsPrivate && Leads(address, plain => s_private.Any(network => network.Contains(plain)));

    private static bool Leads(IPAddress address, Predicate<IPAddress> isMeant)
    {
        var plain = HostAddress.Plain(address);
        return isMeant(plain) || (EmbeddedAddress.Of(plain) is { } embedded && isMeant(embedded));
    }

    private bool IsPlainlyOwn(IPAddress plain) =>
        _own.Contains(plain)
        || (!_allowsLocal && (s_local.Any(network => network.Contains(plain)) || Current().Addresses.Contains(plain)));

    private static IPNetwork[] Networks(params string[] texts) => [.. texts.Select(text => IPNetwork.Parse(text))];

    private Interfaces Current()
    {
        if (_interfaces is { } known && _time.GetElapsedTime(known.ReadAt) < s_refresh)
            return known;
        HashSet<IPAddress> addresses =
        [
            .. NetworkInterface.GetAllNetworkInterfaces()
                .SelectMany(adapter => adapter.GetIPProperties().UnicastAddresses)
                .Select(found => found.Address)
                .Where(address => address.AddressFamily is AddressFamily.InterNetwork or AddressFamily.InterNetworkV6),
        ];
        return _interfaces = new Interfaces(addresses, _time.GetTimestamp());
    }

    private sealed record Interfaces(HashSet<IPAddress> Addresses, long ReadAt);
}
