using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace MailPipeline.Ingress.Filters;

/// <summary>A milter says what is none of its protocol, or more than it may.</summary>
internal sealed class MilterFaultException(string message) : Exception(message);

/// <summary>Writes packets: the length of what follows in four octets, a letter, and what belongs to it.</summary>
internal static class MilterPackets
{
    /// <summary>Octets of one piece of a body (MILTER_CHUNK_SIZE).</summary>
    public const int MaxBodyBytes = 65_535;

    /// <summary>Longest packet that a milter may send; libmilter's are shorter.</summary>
    public const int MaxBytes = 128 * 1024;

    public const int HeadBytes = 5;

    public static void Write(IBufferWriter<byte> output, MilterCommand command, ReadOnlySpan<byte> content = default)
    {
        var span = output.GetSpan(HeadBytes + content.Length);
        BinaryPrimitives.WriteUInt32BigEndian(span, (uint)content.Length + 1);
        span[4] = (byte)command;
        content.CopyTo(span[HeadBytes..]);
        output.Advance(HeadBytes + content.Length);
    }

    /// <summary>Each text ends in NUL; what has one in it is cut off there.</summary>
    public static void Write(IBufferWriter<byte> output, MilterCommand command, params ReadOnlySpan<string> texts)
    {
        var content = new ArrayBufferWriter<byte>();
        foreach (var text in texts)
            AddText(content, text);
        Write(output, command, content.WrittenSpan);
    }

    /// <summary>What the next command comes with; those without a value are left out.</summary>
    public static void WriteMacros(IBufferWriter<byte> output, MilterCommand command, IReadOnlyList<(string Name, string Value)> macros)
    {
        var content = new ArrayBufferWriter<byte>();
        content.Write<byte>([(byte)command]);
        foreach (var (name, value) in macros)
        {
            if (value.Length == 0)
                continue;
            AddText(content, name);
            AddText(content, value);
        }

        if (content.WrittenCount > 1)
            Write(output, MilterCommand.Macros, content.WrittenSpan);
    }

    public static void AddText(IBufferWriter<byte> output, string text)
    {
        var end = text.IndexOf('\0', StringComparison.Ordinal);
        Encoding.UTF8.GetBytes(end < 0 ? text : text.AsSpan(0, end), output);
        output.Write<byte>([0]);
    }

    /// <summary>The head of each packet is its length.</summary>
    public const int LengthBytes = sizeof(uint);

    /// <summary>The length of what follows a head.</summary>
    /// <exception cref="MilterFaultException">It is none that a packet can have.</exception>
    public static int LengthOf(ReadOnlySpan<byte> head)
    {
        var length = BinaryPrimitives.ReadUInt32BigEndian(head);
        return length is > 0 and <= MaxBytes ? (int)length : throw new MilterFaultException($"it sends a packet of {length} octets");
    }
}

/// <summary>Reads what a packet has in it.</summary>
internal ref struct MilterReader(ReadOnlySpan<byte> content)
{
    private ReadOnlySpan<byte> _rest = content;

    public uint Number()
    {
        if (_rest.Length < sizeof(uint))
            throw new MilterFaultException("a number is cut off");
        var number = BinaryPrimitives.ReadUInt32BigEndian(_rest);
        _rest = _rest[sizeof(uint)..];
        return number;
    }

    /// <summary>Up to its NUL.</summary>
    public string Text()
    {
        var end = _rest.IndexOf((byte)0);
        if (end < 0)
            throw new MilterFaultException("a text has no end");
        var text = Encoding.UTF8.GetString(_rest[..end]);
        _rest = _rest[(end + 1)..];
        return text;
    }
}
