using System.Globalization;
using System.Net;
using System.Text;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Dns;

/// <summary>The name under which DNS has the names of an address: "1.2.0.192.in-addr.arpa" (RFC 1035 §3.5), "….ip6.arpa" (RFC 3596 §2.5).</summary>
public static class ReverseName
{
    public static string Of(IPAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        var bytes = HostAddress.Plain(address).GetAddressBytes();
        var name = new StringBuilder();
        for (var i = bytes.Length - 1; i >= 0; i--)
        {
            if (bytes.Length == 4)
                name.Append(CultureInfo.InvariantCulture, $"{bytes[i]}.");
            else
                name.Append(CultureInfo.InvariantCulture, $"{bytes[i] & 0xF:x}.{bytes[i] >> 4:x}.");
        }

        return name.Append(bytes.Length == 4 ? "in-addr.arpa" : "ip6.arpa").ToString();
    }
}
