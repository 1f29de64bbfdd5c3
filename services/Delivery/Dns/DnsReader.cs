using System.Buffers.Binary;
using System.Globalization;

namespace MailPipeline.Delivery;

/// <summary>
/// Reads a DNS message in its order (RFC 1035 §4.1). What lies beyond its end, or is no name, breaks it: from then on it gives
/// nothing but zeros and empty names, and who reads asks once, at the end.
/// </summary>
internal ref struct DnsReader(ReadOnlySpan<byte> message)
{
    public const int MaxNameBytes = 255;
    public const int MaxLabelBytes = 63;

    // A name of 255 octets has at most 127 labels; servers point once or twice.
    private const int MaxPointers = 32;
    private const int EscapedOctet = 4;

    private readonly ReadOnlySpan<byte> _message = message;

    public int Position { get; private set; }

    public bool IsBroken { get; private set; }

    public ushort ReadUInt16() => Take(sizeof(ushort)) is { IsEmpty: false } bytes ? BinaryPrimitives.ReadUInt16BigEndian(bytes) : (ushort)0;

    public uint ReadUInt32() => Take(sizeof(uint)) is { IsEmpty: false } bytes ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : 0;

    /// <summary>Empty when the message ends before.</summary>
    public ReadOnlySpan<byte> Take(int count)
    {
        if (IsBroken || count > _message.Length - Position)
        {
            IsBroken = true;
            return default;
        }

        Position += count;
        return _message.Slice(Position - count, count);
    }

    public void Break() => IsBroken = true;

    /// <summary>
    /// A name as text without its final dot, empty for the root. Octets other than letters, digits, hyphen and underscore are
    /// written <c>\DDD</c> (RFC 1035 §5.1), so that a dot within a label is not taken for one between two.
    /// </summary>
    public string ReadName()
    {
        Span<char> text = stackalloc char[MaxNameBytes * EscapedOctet];
        var length = 0;
        var octets = 1;
        var pointers = 0;
        var at = Position;
        var behind = -1;
        while (!IsBroken)
        {
            var head = At(at++);
            // RFC 1035 §4.1.4: a pointer names a prior occurrence. What points ahead, or round and round, is none.
            if (head >= 0xC0)
            {
                var target = ((head & 0x3F) << 8) | At(at++);
                if (target >= at - 2 || ++pointers > MaxPointers)
                    Break();
                behind = behind < 0 ? at : behind;
                at = target;
                continue;
            }

            if (head == 0)
                break;
            octets += head + 1;
            if (head > MaxLabelBytes || octets > MaxNameBytes || head > _message.Length - at)
            {
                Break();
                break;
            }

            if (length > 0)
                text[length++] = '.';
            length += WriteLabel(_message.Slice(at, head), text[length..]);
            at += head;
        }

        if (IsBroken)
            return "";
        Position = behind < 0 ? at : behind;
        return length == 0 ? "" : new string(text[..length]);
    }

    private byte At(int index)
    {
        if (index < _message.Length)
            return _message[index];
        IsBroken = true;
        return 0;
    }

    private static int WriteLabel(ReadOnlySpan<byte> label, Span<char> text)
    {
        var length = 0;
        foreach (var octet in label)
        {
            if (char.IsAsciiLetterOrDigit((char)octet) || octet is (byte)'-' or (byte)'_')
            {
                text[length++] = (char)octet;
                continue;
            }

            text[length] = '\\';
            octet.TryFormat(text[(length + 1)..], out _, "D3", CultureInfo.InvariantCulture);
            length += EscapedOctet;
        }

        return length;
    }
}
