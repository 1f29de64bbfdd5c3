using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.LineServer;

/// <summary>What <see cref="ProxyHeader.TryRead"/> found.</summary>
internal enum ProxyHeaderStatus
{
    Incomplete,
    Complete,
    Invalid,
}

/// <summary>
/// The header that a load balancer puts before a connection to tell whose it is: versions 1 (a line) and 2 (binary) of the
/// PROXY protocol (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). Pure.
/// </summary>
internal static class ProxyHeader
{
    // §2.1: the longest line of version 1, CRLF included.
    private const int MaxLineBytes = 107;

    private const int FixedBytes = 16;

    // §2.2 allows 65,535; what is worth knowing of a TCP connection, TLVs included, is far below.
    private const int MaxVariableBytes = 4096;

    private const int Local = 0x20;
    private const int Proxied = 0x21;
    private const int Tcp4 = 0x11;
    private const int Tcp6 = 0x21;

    private static ReadOnlySpan<byte> Signature => [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A];

    /// <param name="consumed">Where the client's own octets begin, once complete.</param>
    /// <param name="client">Null when the header names nobody: the balancer speaks for itself (a health check) or does not know.</param>
    public static ProxyHeaderStatus TryRead(ReadOnlySequence<byte> buffer, out SequencePosition consumed, out IPEndPoint? client)
    {
        consumed = buffer.Start;
        client = null;
        Span<byte> bytes = stackalloc byte[FixedBytes + MaxVariableBytes];
        var length = (int)Math.Min(buffer.Length, bytes.Length);
        buffer.Slice(0, length).CopyTo(bytes);
        bytes = bytes[..length];

        var common = Math.Min(length, Signature.Length);
        var (status, taken) = bytes[..common].SequenceEqual(Signature[..common])
            ? ReadBinary(bytes, out client)
            : ReadLine(bytes, out client);
        // Nobody comes from there through a balancer, and whoever does is trusted with things that strangers are not.
        if (client is not null && IPAddress.IsLoopback(HostAddress.Plain(client.Address)))
            return ProxyHeaderStatus.Invalid;
        if (status == ProxyHeaderStatus.Complete)
            consumed = buffer.GetPosition(taken);
        return status;
    }

    private static (ProxyHeaderStatus Status, int Taken) ReadBinary(ReadOnlySpan<byte> bytes, out IPEndPoint? client)
    {
        client = null;
        if (bytes.Length < FixedBytes)
            return (ProxyHeaderStatus.Incomplete, 0);
        var variable = BinaryPrimitives.ReadUInt16BigEndian(bytes[14..]);
        if (variable > MaxVariableBytes || bytes[12] is not (Local or Proxied))
            return (ProxyHeaderStatus.Invalid, 0);
        if (bytes.Length < FixedBytes + variable)
            return (ProxyHeaderStatus.Incomplete, 0);
        var addresses = bytes.Slice(FixedBytes, variable);
        if (bytes[12] == Proxied)
        {
            switch (bytes[13])
            {
                case Tcp4 when variable >= 12:
                    client = new IPEndPoint(new IPAddress(addresses[..4]), BinaryPrimitives.ReadUInt16BigEndian(addresses[8..]));
                    break;
                case Tcp6 when variable >= 36:
                    client = new IPEndPoint(new IPAddress(addresses[..16]), BinaryPrimitives.ReadUInt16BigEndian(addresses[32..]));
                    break;
                case Tcp4 or Tcp6:
                    return (ProxyHeaderStatus.Invalid, 0);
            }
        }
        return (ProxyHeaderStatus.Complete, FixedBytes + variable);
    }

    private static (ProxyHeaderStatus Status, int Taken) ReadLine(ReadOnlySpan<byte> bytes, out IPEndPoint? client)
    {
        client = null;
        var prefix = "PROXY "u8;
        var common = Math.Min(bytes.Length, prefix.Length);
        if (!bytes[..common].SequenceEqual(prefix[..common]))
            return (ProxyHeaderStatus.Invalid, 0);
        var end = bytes[..Math.Min(bytes.Length, MaxLineBytes)].IndexOf("\r\n"u8);
        if (end < 0)
            return (bytes.Length >= MaxLineBytes ? ProxyHeaderStatus.Invalid : ProxyHeaderStatus.Incomplete, 0);
        var words = Encoding.ASCII.GetString(bytes[..end]).Split(' ');
        if (words is ["PROXY", "UNKNOWN", ..])
            return (ProxyHeaderStatus.Complete, end + 2);
        if (words is not ["PROXY", "TCP4" or "TCP6", var source, _, var port, _]
            || !HostAddress.TryParse(source, out var address)
            || address.AddressFamily != (words[1] == "TCP4" ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6)
            || !ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            return (ProxyHeaderStatus.Invalid, 0);
        }
        client = new IPEndPoint(address, number);
        return (ProxyHeaderStatus.Complete, end + 2);
    }
}
