using System.Buffers;
using System.Globalization;
using System.Text;
using MailPipeline.Contracts;

namespace MailPipeline.Ingress;

/// <summary>
/// The beginning of a submitted message, held back until its header section has ended, and what is put in front of it because the
/// header lacks it (RFC 6409 §8.2, §8.3): Date, Message-ID, and the empty line where the content begins without any header. What the
/// client sent stays as it is. A header that does not end within <see cref="MaxBytes"/> gets nothing: whatever seems to be missing may
/// still come, and a second Date or Message-ID is worse than none (RFC 5322 §3.6).
/// </summary>
internal sealed class SubmittedHeader(string hostName, long messageId, DateTimeOffset now)
{
    /// <summary>What a report returns of a header, too.</summary>
    public const int MaxBytes = 64 * 1024;

    /// <summary>RFC 5322 §2.1.1: no line of a header is longer, so that no field's name is.</summary>
    private const int MaxLineBytes = 998;

    private readonly ArrayBufferWriter<byte> _held = new();
    private int _searched;
    private Beginning _beginning;

    private enum Beginning : byte
    {
        Undecided,
        // A field, or the empty line behind a header without any.
        Header,
        // The line that mbox files put before a message ("From ann@example.org Sun Mar  1 ..."), and a field behind it.
        MailboxLine,
        // No header: text, or a line that would be read as more of the field in front of it.
        Text,
    }

    /// <summary>What the client sent so far; at most <see cref="MaxBytes"/>.</summary>
    public ReadOnlyMemory<byte> Held => _held.WrittenMemory;

    /// <summary>Nothing more is held: the header has ended, or is not going to.</summary>
    public bool IsDecided { get; private set; }

    /// <summary>The content begins with text: an empty line goes before it, and everything in it is body.</summary>
    public bool HasNoHeader => _beginning == Beginning.Text;

    private bool IsWhole { get; set; }

    /// <summary>Holds content back until it is decided, and says how much of it.</summary>
    public int Take(ReadOnlySpan<byte> content)
    {
        var length = Math.Min(content.Length, MaxBytes - _held.WrittenCount);
        _held.Write(content[..length]);
        if (_beginning == Beginning.Undecided)
            _beginning = BeginningOf(_held.WrittenSpan);
        IsWhole = HasNoHeader || FindsEnd();
        IsDecided = IsWhole || _held.WrittenCount == MaxBytes;
        return length;
    }

    /// <summary>The content ends here. RFC 5322 §3.5: a message may be all header.</summary>
    public void End()
    {
        if (IsDecided)
            return;
        if (_beginning == Beginning.Undecided && _held.WrittenCount > 0)
            _beginning = Beginning.Text;
        IsWhole = IsDecided = true;
    }

    /// <summary>What goes in front of what is held; may be nothing.</summary>
    public byte[] Prefix()
    {
        var prefix = new StringBuilder();
        if (IsWhole && !Has("date"))
            prefix.Append(CultureInfo.InvariantCulture, $"Date: {now.UtcDateTime:ddd, dd MMM yyyy HH:mm:ss} +0000\r\n");
        // RFC 5322 §3.6.4: ids of messages begin anew with a new store.
        if (IsWhole && !Has("message-id"))
            prefix.Append(CultureInfo.InvariantCulture, $"Message-ID: <{MessageIds.ToText(messageId)}.{now.ToUnixTimeMilliseconds():x}@{hostName}>\r\n");
        if (_beginning == Beginning.MailboxLine)
            prefix.Append("X-Mailbox-Line: "); // As Postfix does: the line becomes a field.
        else if (HasNoHeader)
            prefix.Append("\r\n");
        return Encoding.UTF8.GetBytes(prefix.ToString());
    }

    private static Beginning BeginningOf(ReadOnlySpan<byte> content)
    {
        if (content is [(byte)'\r', ..])
            return Beginning.Header;
        if (content is [(byte)' ' or (byte)'\t', ..])
            return Beginning.Text;
        var line = FirstLine(content[..Math.Min(content.Length, MaxLineBytes)], out var isWhole);
        if (IsField(line, isWhole) is not false and var isField)
            return isField is null ? Beginning.Undecided : Beginning.Header;
        if (!isWhole || !line.TrimStart((byte)'>').StartsWith("From "u8))
            return Beginning.Text;
        var rest = content[line.Length..];
        var next = FirstLine(rest[..Math.Min(rest.Length, MaxLineBytes)], out isWhole);
        return IsField(next, isWhole) switch
        {
            null => Beginning.Undecided,
            true => Beginning.MailboxLine,
            false => Beginning.Text,
        };
    }

    /// <summary>Null: too little of the line is there.</summary>
    private static bool? IsField(ReadOnlySpan<byte> line, bool isWhole) =>
        !FieldName(line).IsEmpty ? true : isWhole || line.Length == MaxLineBytes ? false : null;

    private static ReadOnlySpan<byte> FirstLine(ReadOnlySpan<byte> content, out bool isWhole)
    {
        var end = content.IndexOf((byte)'\n');
        isWhole = end >= 0;
        return isWhole ? content[..(end + 1)] : content;
    }

    /// <summary>RFC 5322 §3.6.8, and the space before the colon of §4.5; empty where the line is no field.</summary>
    private static ReadOnlySpan<byte> FieldName(ReadOnlySpan<byte> line)
    {
        var colon = line.IndexOf((byte)':');
        if (colon <= 0)
            return default;
        var name = line[..colon].TrimEnd(" \t"u8);
        return name.ContainsAnyExceptInRange((byte)'!', (byte)'~') ? default : name;
    }

    // Each octet is looked at once, however the content is cut.
    private bool FindsEnd()
    {
        var content = _held.WrittenSpan;
        if (content.StartsWith("\r\n"u8))
            return true;
        var from = Math.Max(0, _searched - "\r\n\r".Length);
        _searched = content.Length;
        return content[from..].IndexOf("\r\n\r\n"u8) >= 0;
    }

    private bool Has(string field)
    {
        if (HasNoHeader)
            return false;
        for (var rest = _held.WrittenSpan; !rest.IsEmpty && !rest.StartsWith("\r\n"u8);)
        {
            var line = FirstLine(rest, out _);
            if (Ascii.EqualsIgnoreCase(FieldName(line), field))
                return true;
            rest = rest[line.Length..];
        }
        return false;
    }
}
