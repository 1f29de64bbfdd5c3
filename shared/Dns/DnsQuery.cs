using System.Buffers.Binary;
using System.Text;

namespace MailPipeline.Dns;

/// <summary>The types of records that mail asks for or an answer to it may hold.</summary>
internal enum DnsRecordType : ushort
{
    /// <summary>None of the others.</summary>
    None = 0,

    A = 1,
    Ns = 2,
    CName = 5,
    Soa = 6,
    Ptr = 12,
    Mx = 15,
    Txt = 16,
    Aaaa = 28,
    Opt = 41,
    Tlsa = 52,
}

/// <summary>
/// One question in the form it has on the wire (RFC 1035 §4.1), and the test of what answers it (RFC 5452 §9.1). Whoever wants to
/// pass a forged answer off has to know or guess the id beside the port.
/// </summary>
internal sealed class DnsQuery
{
    /// <summary>The header of every message.</summary>
    public const int HeaderBytes = 12;

    /// <summary>Room for the largest question with EDNS.</summary>
    public const int MaxBytes = HeaderBytes + DnsName.MaxBytes + (2 * sizeof(ushort)) + 11;

    public const ushort Internet = 1;

    // What passes the Internet unfragmented (DNS flag day 2020).
    private const int PayloadBytes = 1232;
    private const int RecursionDesired = 0x0100;

    // RFC 6840 §5.7: whoever sets the bit is told whether the answer is authenticated, without the signatures that EDNS would bring along.
    private const int WantsAuthentication = 0x0020;
    private const int IsReply = 0x8000;
    private const int OpCode = 0x7800;
    private const int IsCutShort = 0x0200;
    private const int Code = 0x000F;

    private readonly byte[] _name;

    private DnsQuery(byte[] name, DnsRecordType type)
    {
        _name = name;
        Type = type;
    }

    /// <summary>As <see cref="DnsReader.ReadName"/> would read it.</summary>
    public ReadOnlySpan<byte> Name => _name.AsSpan(0, _name.Length - 1);

    public DnsRecordType Type { get; }

    /// <summary>Null when DNS cannot express the name: an empty label, one over 63 octets, 255 octets in all.</summary>
    public static DnsQuery? Create(string name, DnsRecordType type)
    {
        var text = name.AsSpan();
        if (text.EndsWith('.'))
            text = text[..^1];
        if (text.IsEmpty || text.Length + 2 > DnsName.MaxBytes || !Ascii.IsValid(text))
            return null;

        // Each dot makes room for the length of the label behind it.
        var wire = new byte[text.Length + 2];
        Encoding.ASCII.GetBytes(text, wire.AsSpan(1));
        foreach (var range in text.Split('.'))
        {
            var (start, length) = range.GetOffsetAndLength(text.Length);
            if (length is 0 or > DnsName.MaxLabelBytes)
                return null;
            wire[start] = (byte)length;
        }

        return new DnsQuery(wire, type);
    }

    /// <summary>Writes the whole message; returns its length.</summary>
    public int Write(Span<byte> output, ushort id, bool withEdns)
    {
        ReadOnlySpan<ushort> header = [id, RecursionDesired | WantsAuthentication, 1, 0, 0, (ushort)(withEdns ? 1 : 0)];
        var at = 0;
        foreach (var number in header)
            Put(output, ref at, number);
        _name.CopyTo(output[at..]);
        at += _name.Length;
        Put(output, ref at, (ushort)Type);
        Put(output, ref at, Internet);
        if (!withEdns)
            return at;

        // RFC 6891 §6.1.2: the root as name, our size as class, version 0, nothing in it.
        output[at++] = 0;
        ReadOnlySpan<ushort> record = [(ushort)DnsRecordType.Opt, PayloadBytes, 0, 0, 0];
        foreach (var number in record)
            Put(output, ref at, number);
        return at;
    }

    /// <summary>
    /// It is a reply, has our id and repeats our question. A refusal may come without a question from who could not read it; it
    /// is believed because nothing final follows from it.
    /// </summary>
    public bool IsAnsweredBy(ReadOnlySpan<byte> message, ushort id)
    {
        if (message.Length < HeaderBytes || BinaryPrimitives.ReadUInt16BigEndian(message) != id)
            return false;
        var flags = BinaryPrimitives.ReadUInt16BigEndian(message[2..]);
        if ((flags & IsReply) == 0 || (flags & OpCode) != 0)
            return false;
        var questions = BinaryPrimitives.ReadUInt16BigEndian(message[4..]);
        if (questions == 0)
            return (flags & IsCutShort) != 0 || (DnsResponseCode)(flags & Code) is not (DnsResponseCode.NoError or DnsResponseCode.NoSuchName);
        var question = message[HeaderBytes..];
        // Lengths of labels are below the letters, so that case is ignored in these alone.
        return questions == 1
            && question.Length >= _name.Length + (2 * sizeof(ushort))
            && Ascii.EqualsIgnoreCase(question[.._name.Length], _name)
            && BinaryPrimitives.ReadUInt16BigEndian(question[_name.Length..]) == (ushort)Type
            && BinaryPrimitives.ReadUInt16BigEndian(question[(_name.Length + sizeof(ushort))..]) == Internet;
    }

    private static void Put(Span<byte> output, ref int at, ushort number)
    {
        BinaryPrimitives.WriteUInt16BigEndian(output[at..], number);
        at += sizeof(ushort);
    }
}
