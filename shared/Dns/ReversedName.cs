using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MailPipeline.Dns;

/// <summary>The name under which DNS says something about an address.</summary>
public static class ReversedName
{
    /// <summary>Where the names of its hosts stand.</summary>
    public static string Of(IPAddress address) =>
        Under(address, address.AddressFamily == AddressFamily.InterNetworkV6 && !address.IsIPv4MappedToIPv6 ? "ip6.arpa" : "in-addr.arpa");

    /// <summary>
    /// The octets of an IPv4 address, the half octets of an IPv6 address, the last one first, and the zone: "2.2.0.192.in-addr.arpa" (RFC 1035
    /// §3.5, RFC 3596 §2.5), and of lists of addresses in the same form (RFC 5782 §2.1, §2.4).
    /// </summary>
    public static string Under(IPAddress address, string zone)
    {
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        var bytes = address.GetAddressBytes();
        var name = new StringBuilder();
        for (var i = bytes.Length - 1; i >= 0; i--)
        {
            if (bytes.Length == 4)
                name.Append(CultureInfo.InvariantCulture, $"{bytes[i]}.");
            else
                name.Append(CultureInfo.InvariantCulture, $"{bytes[i] & 0xF:x}.{bytes[i] >> 4:x}.");
        }

        return name.Append(zone).ToString();
    }
}
