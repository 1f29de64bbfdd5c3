using System.Buffers;
using System.Globalization;
using System.Text;
using MailPipeline.Mail;

namespace MailPipeline.Ingress.Headers;

/// <summary>
/// The beginning of a submitted message, held back until its header section has ended, and what is put in because the header lacks it
/// (RFC 6409 §8.2, §8.3): Date and Message-ID in front of it, and the empty line behind it. The first line that is neither a field nor
/// more of the one before it is text, as Postfix has it, and so is all behind it. What the client sent stays as it is. A header that
/// does not end within <see cref="MaxBytes"/> gets nothing: whatever seems to be missing may still come, and a second Date or
/// Message-ID is worse than none (RFC 5322 §3.6).
/// </summary>
internal sealed class SubmittedHeader(string hostName, long messageId, DateTimeOffset now)
{
    /// <summary>What a report returns of a header, too.</summary>
    public const int MaxBytes = 64 * 1024;

    private readonly ArrayBufferWriter<byte> _held = new();

    // Where the first line begins that was not read yet, and up to where its end was looked for.
    private int _line;
    private int _searched;
    private HeaderLine _previous;

    // With its CRLF, at the front of what is held; 0: there is none.
    private int _mailboxLineBytes;
    private bool _hasDate;
    private bool _hasMessageId;
    private int? _textAt;
    private bool _isWhole;

    /// <summary>
    /// What the client sent of its header so far, with the empty line behind it where there is one; without the line of an mbox file, which
    /// is part of <see cref="Prefix"/>.
    /// </summary>
    public ReadOnlyMemory<byte> Header => _held.WrittenMemory[_mailboxLineBytes..(_textAt ?? _held.WrittenCount)];

    /// <summary>What is held of the text that follows the header, or stands in its place, without an empty line before it.</summary>
    public ReadOnlyMemory<byte> Text => _held.WrittenMemory[(_textAt ?? _held.WrittenCount)..];

    /// <summary>An empty line goes before <see cref="Text"/>.</summary>
    public bool LacksEmptyLine => _textAt is not null;

    /// <summary>Nothing more is held: the header has ended, or is not going to.</summary>
    public bool IsDecided => _isWhole || _held.WrittenCount == MaxBytes;

    /// <summary>Holds content back until it is decided, and says how much of it.</summary>
    public int Take(ReadOnlySpan<byte> content)
    {
        var length = Math.Min(content.Length, MaxBytes - _held.WrittenCount);
        _held.Write(content[..length]);
        Read(isEnd: false);
        return length;
    }

    /// <summary>The content ends here. RFC 5322 §3.5: a message may be all header.</summary>
    public void End()
    {
        if (IsDecided)
            return;
        Read(isEnd: true);
        if (_previous == HeaderLine.MailboxLine)
            BeginText(0);
        _isWhole = true;
    }

    /// <summary>What goes in front of the header; may be nothing.</summary>
    public byte[] Prefix()
    {
        var prefix = new StringBuilder();
        if (_isWhole && !_hasDate)
            prefix.Append(CultureInfo.InvariantCulture, $"Date: {now.UtcDateTime:ddd, dd MMM yyyy HH:mm:ss} +0000\r\n");
        // RFC 5322 §3.6.4: ids of messages begin anew with a new store.
        if (_isWhole && !_hasMessageId)
            prefix.Append(CultureInfo.InvariantCulture, $"Message-ID: <{MessageIds.ToText(messageId)}.{now.ToUnixTimeMilliseconds():x}@{hostName}>\r\n");
        var added = Encoding.UTF8.GetBytes(prefix.ToString());
        // As Postfix does: the line becomes a field.
        return _mailboxLineBytes == 0 ? added : [.. added, .. HeaderLines.MailboxField, .. _held.WrittenSpan[.._mailboxLineBytes]];
    }

    /// <summary>Reads the lines that are there, as far as they are the header's.</summary>
    private void Read(bool isEnd)
    {
        while (!_isWhole && _line < _held.WrittenCount)
        {
            var line = NextLine(out var isLine);
            isLine |= isEnd;
            var kind = HeaderLines.KindOf(line, isLine, _previous);
            // What looks like the line of an mbox file is text as well, unless a field is behind it.
            if (kind == HeaderLine.Text || (_previous == HeaderLine.MailboxLine && kind is not (HeaderLine.Field or HeaderLine.Undecided)))
            {
                BeginText(_previous == HeaderLine.MailboxLine ? 0 : _line);
                return;
            }
            if (!isLine)
                return;
            if (kind == HeaderLine.Field)
                Note(HeaderLines.FieldName(line));
            if (kind == HeaderLine.MailboxLine)
                _mailboxLineBytes = line.Length;
            _isWhole = kind == HeaderLine.Empty;
            _previous = kind;
            _searched = _line += line.Length;
        }
    }

    // Each octet is looked at once, however the content is cut.
    private ReadOnlySpan<byte> NextLine(out bool isLine)
    {
        var held = _held.WrittenSpan;
        var end = held[_searched..].IndexOf((byte)'\n');
        isLine = end >= 0;
        var length = isLine ? _searched + end + 1 - _line : held.Length - _line;
        _searched = _line + length;
        return held.Slice(_line, length);
    }

    private void Note(ReadOnlySpan<byte> name)
    {
        _hasDate |= Ascii.EqualsIgnoreCase(name, "date");
        _hasMessageId |= Ascii.EqualsIgnoreCase(name, "message-id");
    }

    private void BeginText(int at)
    {
        _textAt = at;
        if (at == 0)
            _mailboxLineBytes = 0;
        _isWhole = true;
    }
}
