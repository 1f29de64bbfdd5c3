using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MailPipeline.Authentication.Spf;

/// <summary>Addresses as SPF compares and writes them.</summary>
internal static class SpfNetwork
{
    /// <summary>RFC 7208 §5: the client is of the same family, and the first bits of both are the same.</summary>
    public static bool Contains(SpfDirective directive, IPAddress network, IPAddress client)
    {
        if (network.AddressFamily != client.AddressFamily)
            return false;
        Span<byte> first = stackalloc byte[16];
        Span<byte> second = stackalloc byte[16];
        network.TryWriteBytes(first, out _);
        client.TryWriteBytes(second, out _);
        var bits = network.AddressFamily == AddressFamily.InterNetworkV6 ? directive.BitsIPv6 : directive.BitsIPv4;
        var octets = bits / 8;
        if (!first[..octets].SequenceEqual(second[..octets]))
            return false;
        return bits % 8 == 0 || (first[octets] ^ second[octets]) >> (8 - (bits % 8)) == 0;
    }

    /// <summary>RFC 7208 §7.3, %{i}: each number, or of IPv6 each four bits, between dots.</summary>
    public static string Dotted(IPAddress address)
    {
        if (address.AddressFamily == AddressFamily.InterNetwork)
            return address.ToString();
        var text = new StringBuilder();
        foreach (var octet in address.GetAddressBytes())
            text.Append(CultureInfo.InvariantCulture, $"{(text.Length > 0 ? "." : "")}{octet >> 4:x}.{octet & 0xF:x}");
        return text.ToString();
    }
}
