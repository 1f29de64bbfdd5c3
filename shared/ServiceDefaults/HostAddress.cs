using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Tells an address from a name. <c>IPAddress.TryParse</c> takes "1", "127.1", "0x7f.1" and "[::1]:25" too:
/// what is meant as a name would lead to an address that nobody wrote.
/// </summary>
public static class HostAddress
{
    /// <summary>Four decimal octets, or IPv6 without brackets and port.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out IPAddress? address)
    {
#pragma warning disable RS0030 // Here is what the others are to take.
        if (IPAddress.TryParse(text, out address)
            && (address.AddressFamily == AddressFamily.InterNetworkV6 ? !text!.Contains('[', StringComparison.Ordinal) : address.ToString() == text))
            return true;
#pragma warning restore RS0030
        // Nobody takes by mistake what is not meant.
        address = null;
        return false;
    }

    /// <summary>
    /// Splits host, host:port, address, [address]:port; a name may stand in brackets too, which are taken away. Whether the host is one is
    /// for the caller to say.
    /// </summary>
    /// <returns>False: the port is none from 1 to 65535.</returns>
    public static bool TrySplitPort(string text, int defaultPort, out string host, out int port)
    {
        ArgumentNullException.ThrowIfNull(text);
        host = text.Trim();
        port = defaultPort;
        var colon = host.LastIndexOf(':');
        // Without brackets, several colons are an IPv6 address and no port.
        if (colon > host.LastIndexOf(']') && (host.StartsWith('[') || host.IndexOf(':', StringComparison.Ordinal) == colon))
        {
            if (!int.TryParse(host.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port) || port is < 1 or > 65535)
                return false;
            host = host[..colon];
        }

        if (host is ['[', .. var inner, ']'])
            host = inner;
        return true;
    }

    /// <summary>RFC 5321 §4.1.3: "[192.0.2.1]", "[IPv6:2001:db8::1]".</summary>
    public static string Literal(IPAddress address) =>
        address?.AddressFamily == AddressFamily.InterNetworkV6 ? $"[IPv6:{address}]" : $"[{address}]";

    /// <summary>IPv4 addresses as such, whatever socket they came through.</summary>
    public static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    /// <summary>The address of a literal, or of the address alone.</summary>
    public static bool TryParseLiteral([NotNullWhen(true)] string? text, [NotNullWhen(true)] out IPAddress? address)
    {
        if (text is ['[', .., ']'])
            text = text[1..^1] is var inner && inner.StartsWith("IPv6:", StringComparison.OrdinalIgnoreCase) ? inner[5..] : inner;
        return TryParse(text, out address);
    }
}
