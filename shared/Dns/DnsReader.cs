using System.Buffers.Binary;

namespace MailPipeline.Dns;

/// <summary>
/// Reads a DNS message in its order (RFC 1035 §4.1). What lies beyond its end, or is no name, breaks it: from then on it gives
/// nothing but zeros and empty names, and who reads asks once, at the end.
/// </summary>
internal ref struct DnsReader(ReadOnlySpan<byte> message)
{
    // A name of 255 octets has at most 127 labels; servers point once or twice.
    private const int MaxPointers = 32;

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

    /// <summary>Reads elsewhere in the same message.</summary>
    public readonly DnsReader At(int position) => new(_message) { Position = position };

    public void SkipName() => ReadName(stackalloc byte[DnsName.MaxBytes]);

    /// <summary>Writes a name as <see cref="DnsName"/> describes it, uncompressed.</summary>
    /// <param name="name">Room for <see cref="DnsName.MaxBytes"/>.</param>
    /// <returns>Its octets; 0 for the root.</returns>
    public int ReadName(scoped Span<byte> name)
    {
        var length = 0;
        var pointers = 0;
        var at = Position;
        var behind = -1;
        while (!IsBroken)
        {
            var head = Octet(at++);
            // RFC 1035 §4.1.4: a pointer names a prior occurrence. What points ahead, or round and round, is none.
            if (head >= 0xC0)
            {
                var target = ((head & 0x3F) << 8) | Octet(at++);
                if (target >= at - 2 || ++pointers > MaxPointers)
                    Break();
                behind = behind < 0 ? at : behind;
                at = target;
                continue;
            }

            if (head == 0)
                break;
            // The root takes one octet more.
            if (head > DnsName.MaxLabelBytes || length + head + 2 > DnsName.MaxBytes || head > _message.Length - at)
            {
                Break();
                break;
            }

            _message.Slice(at - 1, head + 1).CopyTo(name[length..]);
            length += head + 1;
            at += head;
        }

        if (IsBroken)
            return 0;
        Position = behind < 0 ? at : behind;
        return length;
    }

    private byte Octet(int index)
    {
        if (index < _message.Length)
            return _message[index];
        IsBroken = true;
        return 0;
    }
}
