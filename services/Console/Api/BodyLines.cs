using System.Text;

namespace MailPipeline.Console.Api;

/// <summary>Why a line has no text.</summary>
internal enum BodyLineFault
{
    None,
    TooLong,
    NoUtf8,
}

/// <param name="Text">Without its end; empty where it has a fault.</param>
internal readonly record struct BodyLine(string Text, BodyLineFault Fault);

/// <summary>Lines of UTF-8, each up to a length; what is longer takes no memory.</summary>
internal sealed class BodyLines(Stream body, int longest) : IDisposable
{
    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly byte[] _buffer = new byte[16 * 1024];
    private readonly MemoryStream _line = new();

    private int _start;
    private int _end;
    private bool _isFirst = true;

    /// <returns>Without its end; null: there are no more.</returns>
    public async ValueTask<BodyLine?> ReadAsync(CancellationToken cancellation)
    {
        _line.SetLength(0);
        var isTooLong = false;
        var isEmpty = true;
        while (true)
        {
            if (_start == _end)
            {
                _start = 0;
                _end = await body.ReadAsync(_buffer, cancellation);
                if (_end == 0)
                    return isEmpty ? null : Take(isTooLong);
            }
            isEmpty = false;
            var piece = _buffer.AsMemory(_start, _end - _start);
            var end = piece.Span.IndexOf((byte)'\n');
            var part = end < 0 ? piece : piece[..end];
            isTooLong |= _line.Length + part.Length > longest;
            if (!isTooLong)
                _line.Write(part.Span);
            _start += end < 0 ? piece.Length : end + 1;
            if (end >= 0)
                return Take(isTooLong);
        }
    }

    public void Dispose() => _line.Dispose();

    private BodyLine Take(bool isTooLong)
    {
        var octets = _line.GetBuffer().AsSpan(0, (int)_line.Length);
        // The mark that some programs put before UTF-8.
        if (_isFirst && octets.StartsWith(Encoding.UTF8.Preamble))
            octets = octets[Encoding.UTF8.Preamble.Length..];
        _isFirst = false;
        if (isTooLong)
            return new BodyLine("", BodyLineFault.TooLong);
        try
        {
            return new BodyLine(s_strict.GetString(octets).TrimEnd('\r'), BodyLineFault.None);
        }
        catch (DecoderFallbackException)
        {
            return new BodyLine("", BodyLineFault.NoUtf8);
        }
    }
}
