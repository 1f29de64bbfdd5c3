using System.Net;

namespace MailPipeline.Mail;

/// <summary>The networks that logins are counted by.</summary>
internal static class LoginNetwork
{
    // What one customer has at most, in the common case: registries give IPv4 out in smaller blocks, and IPv6 to sites by /48 (RFC 6177).
    private const int WideIPv4 = 16;
    private const int WideIPv6 = 48;

    /// <summary>The network of so many bits that an address lies in; of an address, the bits that there are.</summary>
    public static IPNetwork Of(IPAddress address, int length)
    {
        var bytes = address.GetAddressBytes();
        length = Math.Min(length, bytes.Length * 8);
        for (var bit = length; bit < bytes.Length * 8; bit++)
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        return new IPNetwork(new IPAddress(bytes), length);
    }

    /// <summary>The wide network around a prefix, from which one customer may have many prefixes; the prefix itself where it is as wide.</summary>
    public static IPNetwork Wide(IPNetwork prefix)
    {
        var length = prefix.BaseAddress.GetAddressBytes().Length == 4 ? WideIPv4 : WideIPv6;
        return prefix.PrefixLength <= length ? prefix : Of(prefix.BaseAddress, length);
    }
}
