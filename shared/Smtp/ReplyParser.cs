using System.Buffers;
using System.Text;

namespace MailPipeline.Smtp;

/// <summary>What <see cref="ReplyParser.TryRead"/> found.</summary>
public enum ReplyStatus
{
    /// <summary>The reply is not whole yet: read more.</summary>
    Incomplete,

    /// <summary>A whole reply.</summary>
    Reply,

    /// <summary>Not SMTP, or over a bound: the connection cannot be used any further. In doubt, temporary.</summary>
    Malformed,
}

/// <summary>
/// Reads the replies of a server, multi-line ones and enhanced codes included (RFC 5321 §4.2.1, RFC 2034 §4), in bounded
/// memory: neither an endless line nor a reply without a last line can grow it.
/// </summary>
public sealed class ReplyParser
{
    // Four times RFC 5321 §4.5.3.1.5: servers do exceed 512 octets (long policy texts with a URL).
    private const int MaxLineBytes = 4 * SmtpLimits.ReplyLineBytes;

    // The longest EHLO replies in the field have some 30 lines.
    private const int MaxLines = 128;

    private readonly List<string> _lines = [];
    private LineReader _reader = new(MaxLineBytes);
    private int _code;
    private EnhancedStatus? _status;

    /// <summary>True when part of a reply has been read: a connection that ends now has broken off within it.</summary>
    public bool HasPartialReply => _lines.Count > 0;

    /// <summary>Takes lines from the front of <paramref name="buffer"/> until one reply is whole.</summary>
    public ReplyStatus TryRead(ref ReadOnlySequence<byte> buffer, out SmtpReply? reply)
    {
        reply = null;
        while (true)
        {
            switch (_reader.TryRead(ref buffer, out var line))
            {
                case LineStatus.Incomplete:
                    return _reader.IsDiscarding ? ReplyStatus.Malformed : ReplyStatus.Incomplete;
                case LineStatus.TooLong:
                    return ReplyStatus.Malformed;
            }

            if (!TryAdd(line.IsSingleSegment ? line.FirstSpan : line.ToArray(), out var isLast) || _lines.Count > MaxLines)
                return ReplyStatus.Malformed;
            if (!isLast)
                continue;

            reply = new SmtpReply(_code, _status, _lines.ToArray());
            _lines.Clear();
            _status = null;
            _code = 0;
            return ReplyStatus.Reply;
        }
    }

    private bool TryAdd(ReadOnlySpan<byte> line, out bool isLast)
    {
        isLast = true;
        if (line.Length < 3 || line[0] is < (byte)'2' or > (byte)'5' || !IsDigit(line[1]) || !IsDigit(line[2]))
            return false;

        var code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
        // RFC 5321 §4.2.1: the number is the same on every line.
        if (_lines.Count > 0 && code != _code)
            return false;

        // A number alone ends a reply (RFC 5321 §4.2: clients should take it so).
        if (line.Length > 3)
        {
            if (line[3] is not ((byte)' ' or (byte)'-'))
                return false;
            isLast = line[3] == ' ';
        }

        var text = line.Length > 4 ? Encoding.UTF8.GetString(line[4..]) : "";
        var status = TakeStatus(code, ref text);
        if (_lines.Count == 0)
            _status = status;
        _code = code;
        _lines.Add(text);
        return true;
    }

    // RFC 2034 §4: the status stands first on each line, and its class is the first digit of the number.
    private static EnhancedStatus? TakeStatus(int code, ref string text)
    {
        var end = text.IndexOf(' ', StringComparison.Ordinal);
        var word = end < 0 ? text.AsSpan() : text.AsSpan(0, end);
        if (!EnhancedStatus.TryParse(word, out var status) || status.Class != code / 100)
            return null;

        text = end < 0 ? "" : text[(end + 1)..];
        return status;
    }

    private static bool IsDigit(byte b) => b is >= (byte)'0' and <= (byte)'9';
}
