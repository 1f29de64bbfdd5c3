using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace MailPipeline.Delivery.Sources;

/// <summary>
/// What a connection to an egress begins with that is told by the PROXY protocol, version 2 (§2.2), where it is to leave from and where it is to go.
/// </summary>
internal static class ProxyLead
{
    private const byte Proxied = 0x21;
    private const byte Tcp4 = 0x11;
    private const byte Tcp6 = 0x21;
    private const int FixedBytes = 16;

    private static ReadOnlySpan<byte> Signature => [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A];

    /// <param name="source">Of the kind of the host's address. Its port is of no meaning to anybody.</param>
    public static byte[] Of(IPEndPoint source, IPEndPoint host)
    {
        var (from, to) = (source.Address.GetAddressBytes(), host.Address.GetAddressBytes());
        var lead = new byte[FixedBytes + from.Length + to.Length + 4];
        Signature.CopyTo(lead);
        lead[12] = Proxied;
        lead[13] = host.AddressFamily == AddressFamily.InterNetwork ? Tcp4 : Tcp6;
        BinaryPrimitives.WriteUInt16BigEndian(lead.AsSpan(14), (ushort)(lead.Length - FixedBytes));
        from.CopyTo(lead, FixedBytes);
        to.CopyTo(lead, FixedBytes + from.Length);
        var ports = lead.AsSpan(FixedBytes + from.Length + to.Length);
        BinaryPrimitives.WriteUInt16BigEndian(ports, (ushort)source.Port);
        BinaryPrimitives.WriteUInt16BigEndian(ports[2..], (ushort)host.Port);
        return lead;
    }
}
