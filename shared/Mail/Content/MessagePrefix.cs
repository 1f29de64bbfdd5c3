using System.Text;

namespace MailPipeline.Mail;

/// <summary>
/// The fields that are put in front of a message, made when its content has ended. What is added last stands first: trace fields and
/// results of checks go on top of whatever they are about (RFC 5321 §4.4, RFC 8601 §4). Only whole, well-formed fields are taken, so that
/// nothing that is put in front can end the header, begin another field or change the first line of what was received.
/// </summary>
public sealed class MessagePrefix
{
    /// <summary>Most octets of all fields together.</summary>
    public const int MaxBytes = 64 * 1024;

    /// <summary>RFC 5322 §2.1.1: most octets of one line, without its CRLF.</summary>
    public const int MaxLineBytes = 998;

    private readonly List<byte[]> _added = [];

    public int SizeBytes { get; private set; }

    /// <summary>Puts whole fields, with their line ends, in front of those that are there.</summary>
    /// <exception cref="ArgumentException">They are more than a prefix may have, or no whole fields (RFC 5322 §2.2).</exception>
    public void Add(ReadOnlySpan<byte> fields)
    {
        if (fields.Length > MaxBytes - SizeBytes)
            throw new ArgumentException($"The fields in front of a message may have {MaxBytes} octets.", nameof(fields));
        if (!AreWhole(fields))
            throw new ArgumentException("What is put in front of a message must be whole fields.", nameof(fields));
        if (fields.IsEmpty)
            return;
        _added.Add(fields.ToArray());
        SizeBytes += fields.Length;
    }

    /// <summary>Puts one field of one line in front of those that are there.</summary>
    /// <exception cref="ArgumentException">Name and value make no field of one line, or there is no room for it.</exception>
    public void Add(string name, string value)
    {
        // A line end in either would begin another field, or the text.
        if (!IsField($"{name}: {value}"))
            throw new ArgumentException($"A field is a name, a colon and a value in one line of at most {MaxLineBytes} octets.", nameof(value));
        Add(Encoding.UTF8.GetBytes($"{name}: {value}\r\n").AsSpan());
    }

    /// <summary>The text is one field in one line, without its line end.</summary>
    public static bool IsField(string text) => Encoding.UTF8.GetBytes(text) is { Length: <= MaxLineBytes } line && IsLine(line, isFirst: true);

    /// <summary>Each line ends in CRLF and has no other CR, LF or NUL; it begins with a name and a colon, or goes on with the field before it.</summary>
    public static bool AreWhole(ReadOnlySpan<byte> fields)
    {
        for (var isFirst = true; !fields.IsEmpty; isFirst = false)
        {
            var end = fields.IndexOf("\r\n"u8);
            if (end is < 0 or > MaxLineBytes || !IsLine(fields[..end], isFirst))
                return false;
            fields = fields[(end + 2)..];
        }

        return true;
    }

    private static bool IsLine(ReadOnlySpan<byte> line, bool isFirst)
    {
        if (line.IsEmpty || line.ContainsAny((byte)'\r', (byte)'\n', (byte)0))
            return false;
        // RFC 5322 §2.2.3; a line of white space alone is obsolete (§4.2), and read as the end of the header by some.
        if (line[0] is (byte)' ' or (byte)'\t')
            return !isFirst && line.ContainsAnyExcept((byte)' ', (byte)'\t');
        var colon = line.IndexOf((byte)':');
        return colon > 0 && !line[..colon].ContainsAnyExceptInRange((byte)'!', (byte)'~');
    }

    /// <summary>All fields, as they stand in front of the content.</summary>
    public byte[] ToBytes()
    {
        var bytes = new byte[SizeBytes];
        var at = SizeBytes;
        foreach (var fields in _added)
        {
            at -= fields.Length;
            fields.CopyTo(bytes, at);
        }

        return bytes;
    }
}
