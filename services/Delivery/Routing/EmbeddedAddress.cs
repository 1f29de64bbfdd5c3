using System.Net;
using System.Net.Sockets;

namespace MailPipeline.Delivery.Routing;

/// <summary>The IPv4 address that packets to an IPv6 address end at: a translator or a tunnel reads it out of the other.</summary>
internal static class EmbeddedAddress
{
    private const int IPv4Bytes = 4;

    /// <summary>Where the last four octets stand.</summary>
    private const int Last = 12;

    private static readonly IPNetwork s_wellKnown = IPNetwork.Parse("64:ff9b::/96");
    private static readonly IPNetwork s_localUse = IPNetwork.Parse("64:ff9b:1::/48");
    private static readonly IPNetwork s_translated = IPNetwork.Parse("::ffff:0:0:0/96");
    private static readonly IPNetwork s_compatible = IPNetwork.Parse("::/96");
    private static readonly IPNetwork s_6To4 = IPNetwork.Parse("2002::/16");
    private static readonly IPNetwork s_teredo = IPNetwork.Parse("2001::/32");

    /// <summary>Null: the address leads to no IPv4 address that can be read out of it.</summary>
    public static IPAddress? Of(IPAddress address)
    {
        if (address.AddressFamily != AddressFamily.InterNetworkV6)
            return null;
        Span<byte> octets = stackalloc byte[16];
        address.TryWriteBytes(octets, out _);
        // NAT64 (RFC 6052 §2.1), SIIT (RFC 2765 §2.1), and what came before both (RFC 4291 §2.5.5.1).
        if (s_wellKnown.Contains(address) || s_translated.Contains(address) || s_compatible.Contains(address))
            return new IPAddress(octets[Last..]);
        if (s_localUse.Contains(address))
            return OfLocalUse(octets);
        // RFC 3056 §2
        if (s_6To4.Contains(address))
            return new IPAddress(octets.Slice(2, IPv4Bytes));
        // RFC 4380 §4: the client's address, each bit of it turned.
        return s_teredo.Contains(address) ? new IPAddress([(byte)~octets[12], (byte)~octets[13], (byte)~octets[14], (byte)~octets[15]]) : null;
    }

    /// <summary>
    /// RFC 8215 leaves it to each network how long its prefix is. RFC 6052 §2.2 has four forms from 48 bits on: but for the longest, the
    /// address lies around octet 8, and zeros follow it. Hosts' addresses seldom end in zero: where the zeros begin, the address ends.
    /// </summary>
    private static IPAddress OfLocalUse(ReadOnlySpan<byte> octets) => octets.LastIndexOfAnyExcept((byte)0) switch
    {
        > 12 => new IPAddress(octets[Last..]),
        12 => new IPAddress(octets.Slice(9, IPv4Bytes)),
        11 => new IPAddress([octets[7], octets[9], octets[10], octets[11]]),
        _ => new IPAddress([octets[6], octets[7], octets[9], octets[10]]),
    };
}
