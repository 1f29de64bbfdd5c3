using System.Globalization;
using System.Text;

namespace MailPipeline.Testing;

/// <summary>
/// Lines over a byte stream, as SMTP and POP3 use them; only CRLF ends a line. The kit's clients and far ends have their
/// own reading of the protocols, so that a misreading in the product is not repeated here.
/// </summary>
public sealed class WireStream(Stream stream) : IAsyncDisposable
{
    private const int MaxLineBytes = 64 << 20;

    private byte[] _buffer = new byte[32 << 10];
    private int _start;
    private int _end;

    public Stream Stream { get; private set; } = stream;

    /// <summary>True when bytes have come in that nobody has read yet.</summary>
    public bool HasBuffered => _end > _start;

    /// <summary>Continues on another stream (TLS); whatever was buffered is dropped.</summary>
    public void Switch(Stream inner)
    {
        Stream = inner;
        _start = _end = 0;
    }

    /// <summary>The next line without CRLF, valid until the next call; null at the end of the stream.</summary>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadLineAsync(CancellationToken cancellation)
    {
        var scanned = 0;
        while (true)
        {
            var unread = _buffer.AsSpan(_start, _end - _start);
            var found = unread[scanned..].IndexOf("\r\n"u8);
            if (found >= 0)
            {
                var line = _buffer.AsMemory(_start, scanned + found);
                _start += scanned + found + 2;
                return line;
            }
            scanned = Math.Max(0, unread.Length - 1);
            if (!await FillAsync(cancellation))
                return null;
        }
    }

    /// <summary>A reply of one or more lines (RFC 5321 §4.2.1); null when the stream ends before it is whole.</summary>
    public async ValueTask<WireReply?> ReadReplyAsync(CancellationToken cancellation)
    {
        var text = new StringBuilder();
        while (await ReadLineAsync(cancellation) is { } line)
        {
            var one = Encoding.UTF8.GetString(line.Span);
            if (one.Length < 3 || !int.TryParse(one.AsSpan(0, 3), NumberStyles.None, CultureInfo.InvariantCulture, out var code))
                throw new InvalidDataException($"Not a reply: \"{one}\"");
            if (text.Length > 0)
                text.Append('\n');
            text.Append(one);
            if (one.Length == 3 || one[3] != '-')
                return new(code, text.ToString());
        }
        return null;
    }

    /// <summary>Sends text; line ends are part of it.</summary>
    public async ValueTask WriteAsync(string text, CancellationToken cancellation)
    {
        await Stream.WriteAsync(Encoding.UTF8.GetBytes(text), cancellation);
        await Stream.FlushAsync(cancellation);
    }

    public ValueTask DisposeAsync() => Stream.DisposeAsync();

    private async ValueTask<bool> FillAsync(CancellationToken cancellation)
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }
        if (_end == _buffer.Length)
        {
            if (_buffer.Length >= MaxLineBytes)
                throw new InvalidDataException("A line without end");
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }
        var read = await Stream.ReadAsync(_buffer.AsMemory(_end), cancellation);
        _end += read;
        return read > 0;
    }
}

/// <summary>An SMTP reply: its code and all its lines, joined by LF.</summary>
public sealed record WireReply(int Code, string Text);
