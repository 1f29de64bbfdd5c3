using System.Text;

namespace MailPipeline.Console.Api;

/// <param name="IsTooLong">It had more octets than are allowed, and is left out.</param>
internal readonly record struct BoundedLine(string Text, bool IsTooLong);

/// <summary>Lines of UTF-8, each up to a length; what is longer takes no memory.</summary>
internal sealed class BoundedLines(Stream body, int longest) : IDisposable
{
    private readonly byte[] _buffer = new byte[16 * 1024];
    private readonly MemoryStream _line = new();

    private int _start;
    private int _end;

    /// <returns>Without its end; null: there are no more.</returns>
    public async ValueTask<BoundedLine?> ReadAsync(CancellationToken cancellation)
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

    private BoundedLine Take(bool isTooLong) =>
        isTooLong ? new BoundedLine("", true) : new BoundedLine(Encoding.UTF8.GetString(_line.GetBuffer().AsSpan(0, (int)_line.Length)).TrimEnd('\r'), false);
}
