using System.Buffers;
using System.Globalization;
using System.Text;

namespace MailPipeline.Smtp;

/// <summary>
/// One reply of an SMTP server, whole: number, enhanced status and its lines of text (without number and status). The same
/// type is what our server sends and what our client received. Control characters in its text become '?', so that a reply
/// can neither break the dialogue nor a log line.
/// </summary>
public sealed class SmtpReply
{
    // Code, separator and CRLF around the text of a line.
    private const int LineOverhead = 6;

    private byte[]? _bytes;

    public SmtpReply(int code, EnhancedStatus? status, params IReadOnlyList<string> lines)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(code, 200);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(code, 599);
        ArgumentNullException.ThrowIfNull(lines);
        Code = code;
        Status = status;
        Lines = lines.Count == 0 ? [""] : Clean(lines);
    }

    /// <summary>A one-line reply such as (550, "5.1.1", "No such user"); the status must be well-formed.</summary>
    public SmtpReply(int code, string status, string text)
        : this(code, ParseStatus(status), [text])
    {
    }

    /// <summary>A one-line reply without an enhanced status: greeting, EHLO and 3xx.</summary>
    public SmtpReply(int code, string text)
        : this(code, (EnhancedStatus?)null, [text])
    {
    }

    /// <summary>Three digits, 200 to 599.</summary>
    public int Code { get; }

    /// <summary>RFC 2034; absent in the greeting, in replies to EHLO and in 3xx replies.</summary>
    public EnhancedStatus? Status { get; }

    /// <summary>At least one.</summary>
    public IReadOnlyList<string> Lines { get; }

    public bool IsSuccess => Code is >= 200 and < 300;

    public bool IsIntermediate => Code is >= 300 and < 400;

    public bool IsTemporaryFailure => Code is >= 400 and < 500;

    public bool IsPermanentFailure => Code >= 500;

    /// <summary>Writes the reply as it goes over the wire, every line with number, status and CRLF.</summary>
    public void WriteTo(IBufferWriter<byte> output)
    {
        ArgumentNullException.ThrowIfNull(output);
        output.Write(_bytes ??= Encode());
    }

    /// <summary>The reply in one line, as logs and delivery reports show it: "550 5.1.1 No such user".</summary>
    public override string ToString()
    {
        var text = Lines.Count == 1 ? Lines[0] : string.Join(' ', Lines);
        return Status is { } status
            ? string.Create(CultureInfo.InvariantCulture, $"{Code} {status} {text}").TrimEnd()
            : string.Create(CultureInfo.InvariantCulture, $"{Code} {text}").TrimEnd();
    }

    private byte[] Encode()
    {
        var prefix = Status is { } status ? status.ToString() + ' ' : "";
        // RFC 5321 §4.5.3.1.5.
        var room = SmtpLimits.ReplyLineBytes - LineOverhead - prefix.Length;
        var wire = new StringBuilder();
        for (var i = 0; i < Lines.Count; i++)
        {
            // RFC 5321 §4.2.1: a hyphen after the number on all lines but the last.
            wire.Append(CultureInfo.InvariantCulture, $"{Code}{(i < Lines.Count - 1 ? '-' : ' ')}{prefix}");
            wire.Append(Fit(Lines[i], room)).Append("\r\n");
        }

        return Encoding.UTF8.GetBytes(wire.ToString());
    }

    private static string Fit(string text, int room)
    {
        if (Encoding.UTF8.GetMaxByteCount(text.Length) <= room || Encoding.UTF8.GetByteCount(text) <= room)
            return text;

        var length = 0;
        var bytes = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            bytes += rune.Utf8SequenceLength;
            if (bytes > room)
                break;
            length += rune.Utf16SequenceLength;
        }

        return text[..length];
    }

    private static string[] Clean(IReadOnlyList<string> lines)
    {
        var clean = new string[lines.Count];
        for (var i = 0; i < clean.Length; i++)
            clean[i] = PlainText.Of(lines[i]);
        return clean;
    }

    private static EnhancedStatus ParseStatus(string status) =>
        EnhancedStatus.TryParse(status, out var parsed)
            ? parsed
            : throw new ArgumentException($"Not an enhanced status code: {status}", nameof(status));
}
