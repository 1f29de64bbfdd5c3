using System.Net;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.LineServer;

/// <summary>A set of client addresses, given as addresses and CIDR networks.</summary>
public sealed class ClientNetworks
{
    // RFC 4291 §2.5.5.2: the bits of ::ffff:0:0/96, behind which an IPv4 address stands.
    private const int MappedBits = 96;

    private readonly IPNetwork[] _networks;

    public ClientNetworks(IEnumerable<string> texts) =>
        _networks = [.. texts.Select(text => TryParse(text, out var network) ? network : throw new FormatException($"Not a network: {text}"))];

    public static bool TryParse(string text, out IPNetwork network)
    {
        if (!text.Contains('/', StringComparison.Ordinal) && HostAddress.TryParse(text, out var address))
        {
            address = HostAddress.Plain(address);
            network = new IPNetwork(address, address.GetAddressBytes().Length * 8);
            return true;
        }

        if (!IPNetwork.TryParse(text, out network))
            return false;
        // Clients that come by IPv4 are known by their IPv4 addresses, whatever socket they came through.
        if (network.PrefixLength >= MappedBits && network.BaseAddress.IsIPv4MappedToIPv6)
            network = new IPNetwork(network.BaseAddress.MapToIPv4(), network.PrefixLength - MappedBits);
        return true;
    }

    /// <summary>
    /// What counts as one client: an IPv4 address, and of IPv6 the network of which one customer has at least one (RFC 6177).
    /// </summary>
    /// <param name="bitsOfIPv6">Of its name, 64 for a single network.</param>
    public static IPNetwork NetworkOf(IPAddress address, int bitsOfIPv6)
    {
        var bytes = HostAddress.Plain(address).GetAddressBytes();
        if (bytes.Length == 4)
            return new IPNetwork(new IPAddress(bytes), 32);
        for (var bit = bitsOfIPv6; bit < bytes.Length * 8; bit++)
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        return new IPNetwork(new IPAddress(bytes), bitsOfIPv6);
    }

    public bool Contains(IPAddress address)
    {
        foreach (var network in _networks)
        {
            if (network.Contains(address))
                return true;
        }

        return false;
    }
}
