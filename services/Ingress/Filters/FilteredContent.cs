using System.Buffers;

namespace MailPipeline.Ingress.Filters;

/// <summary>Takes the parts of a content in their order.</summary>
internal interface IFilteredParts
{
    /// <param name="value">With the space before it, and with LF between the lines of a folded one.</param>
    ValueTask HeaderAsync(ReadOnlyMemory<byte> name, ReadOnlyMemory<byte> value);

    ValueTask EndOfHeaderAsync();

    /// <summary>Up to <see cref="MilterPackets.MaxBodyBytes"/> octets, lines ending in CRLF.</summary>
    ValueTask BodyAsync(ReadOnlyMemory<byte> piece);
}

/// <summary>
/// Tells the fields of a content that comes in pieces from its body. A field that is longer than it may be, and a line that is none, ends the
/// header: they and all behind them are body, as far as filters see it. One field and one piece of the body are held at most.
/// </summary>
internal sealed class FilteredContent(IFilteredParts parts)
{
    /// <summary>With its name; a packet takes no more.</summary>
    private const int MaxFieldBytes = 60_000;

    private readonly ArrayBufferWriter<byte> _held = new();
    private bool _isBody;

    // How much of what is held was looked through for the end of the field.
    private int _searched;

    public async ValueTask TakeAsync(ReadOnlyMemory<byte> content)
    {
        while (!_isBody && !content.IsEmpty)
        {
            var length = Math.Min(content.Length, MaxFieldBytes + 2 - _held.WrittenCount);
            _held.Write(content.Span[..length]);
            content = content[length..];
            await ReadFieldsAsync(isEnd: false);
        }

        await BodyAsync(content);
    }

    /// <summary>The content has ended.</summary>
    public async ValueTask EndAsync()
    {
        if (!_isBody)
            await ReadFieldsAsync(isEnd: true);
        if (!_isBody)
            await BeginBodyAsync(0);
        if (_held.WrittenCount > 0)
            await parts.BodyAsync(_held.WrittenMemory);
        _held.ResetWrittenCount();
    }

    private async ValueTask ReadFieldsAsync(bool isEnd)
    {
        var start = 0;
        while (!_isBody)
        {
            var rest = _held.WrittenMemory[start..];
            if (rest.Length == 0 && !isEnd)
                break;
            // RFC 5322 §2.1: an empty line ends the header.
            if (rest.Span.StartsWith("\r\n"u8))
            {
                await BeginBodyAsync(start + 2);
                return;
            }

            var end = EndOfField(rest.Span, isEnd);
            if (end < 0)
            {
                if (rest.Length <= MaxFieldBytes && !isEnd)
                    break;
                await BeginBodyAsync(start);
                return;
            }

            var colon = ColonOf(rest.Span[..end]);
            if (colon < 0)
            {
                await BeginBodyAsync(start);
                return;
            }

            await parts.HeaderAsync(rest[..colon], Unfolded(rest[(colon + 1)..(end - 2)]));
            start += end;
            _searched = 0;
        }

        Drop(start);
    }

    /// <summary>Behind the CRLF that no line of white space follows; -1: it is not here yet.</summary>
    private int EndOfField(ReadOnlySpan<byte> rest, bool isEnd)
    {
        for (var at = _searched; ;)
        {
            var next = rest[at..].IndexOf("\r\n"u8);
            if (next < 0)
            {
                _searched = Math.Max(0, rest.Length - 1);
                return -1;
            }

            at += next + 2;
            if (at == rest.Length)
            {
                _searched = at - 2;
                return isEnd ? at : -1;
            }

            if (rest[at] is not ((byte)' ' or (byte)'\t'))
                return at;
        }
    }

    private static int ColonOf(ReadOnlySpan<byte> field)
    {
        var colon = field.IndexOf((byte)':');
        // RFC 5322 §3.6.8
        return colon > 0 && !field[..colon].TrimEnd(" \t"u8).ContainsAnyExceptInRange((byte)'!', (byte)'~') && field[0] is not ((byte)' ' or (byte)'\t') ? colon : -1;
    }

    private static ReadOnlyMemory<byte> Unfolded(ReadOnlyMemory<byte> value)
    {
        if (!value.Span.Contains((byte)'\r'))
            return value;
        var lines = new byte[value.Length];
        var length = 0;
        foreach (var octet in value.Span)
        {
            if (octet != '\r')
                lines[length++] = octet;
        }

        return lines.AsMemory(0, length);
    }

    private async ValueTask BeginBodyAsync(int at)
    {
        _isBody = true;
        await parts.EndOfHeaderAsync();
        Drop(at);
    }

    private async ValueTask BodyAsync(ReadOnlyMemory<byte> content)
    {
        while (!content.IsEmpty)
        {
            var length = Math.Min(content.Length, MilterPackets.MaxBodyBytes - _held.WrittenCount);
            _held.Write(content.Span[..length]);
            content = content[length..];
            if (_held.WrittenCount < MilterPackets.MaxBodyBytes)
                return;
            await parts.BodyAsync(_held.WrittenMemory);
            _held.ResetWrittenCount();
        }
    }

    private void Drop(int length)
    {
        if (length == 0)
            return;
        var rest = _held.WrittenSpan[length..].ToArray();
        _held.ResetWrittenCount();
        _held.Write(rest);
    }
}
