using System.Buffers;

namespace MailPipeline.Smtp;

/// <summary>What <see cref="LineReader.TryRead"/> found.</summary>
public enum LineStatus
{
    /// <summary>No whole line yet: read more. Octets of an oversized line may have been consumed.</summary>
    Incomplete,

    /// <summary>A line that ended in CRLF.</summary>
    Line,

    /// <summary>A line that ended in LF alone; a server refuses it (RFC 5321 §2.3.8), a client may be lenient.</summary>
    BareLineFeed,

    /// <summary>The end of a line longer than the limit; its octets are gone, but for the first ones.</summary>
    TooLong,
}

/// <summary>
/// Cuts a stream into lines and never lets a line without end grow a buffer: what exceeds the limit is consumed as it
/// comes and reported once, when its end comes. Mutable: keep it in a field, not in a readonly one.
/// </summary>
/// <param name="maxBytes">Longest line taken, its terminator included.</param>
/// <param name="startBytes">How many octets of a line too long are kept; less than <paramref name="maxBytes"/>.</param>
public struct LineReader(int maxBytes, int startBytes = 8)
{
    private bool _discarding;
    private byte[]? _start;

    /// <summary>Longest line taken, its terminator included; may be changed between lines.</summary>
    public int MaxBytes { get; set; } = maxBytes;

    /// <summary>True in the middle of a line that is already longer than the limit.</summary>
    public readonly bool IsDiscarding => _discarding;

    /// <summary>The first octets of the line that <see cref="IsDiscarding"/> speaks of; empty otherwise.</summary>
    public readonly ReadOnlySpan<byte> Start => _discarding ? _start : default;

    /// <summary>
    /// Takes one line from the front of <paramref name="buffer"/> and moves its start behind it. <paramref name="line"/>
    /// comes without its terminator; of one too long only the first octets come.
    /// </summary>
    public LineStatus TryRead(ref ReadOnlySequence<byte> buffer, out ReadOnlySequence<byte> line)
    {
        line = default;
        var first = buffer.FirstSpan;
        var index = first.IndexOf((byte)'\n');
        long length = index;
        if (index < 0)
        {
            if (buffer.IsSingleSegment || (length = IndexOfLineFeed(buffer)) < 0)
                return Exhausted(ref buffer);
        }

        var status = Classify(buffer, length);
        if (status is LineStatus.Line)
            line = buffer.Slice(0, length - 1);
        else if (status is LineStatus.BareLineFeed)
            line = buffer.Slice(0, length);
        else
            line = new ReadOnlySequence<byte>(_discarding ? _start! : StartOf(buffer));

        buffer = buffer.Slice(length + 1);
        _discarding = false;
        return status;
    }

    private readonly LineStatus Classify(in ReadOnlySequence<byte> buffer, long lineFeed)
    {
        if (_discarding || lineFeed + 1 > MaxBytes)
            return LineStatus.TooLong;
        if (lineFeed == 0)
            return LineStatus.BareLineFeed;

        var before = lineFeed <= buffer.FirstSpan.Length
            ? buffer.FirstSpan[(int)lineFeed - 1]
            : buffer.Slice(lineFeed - 1, 1).FirstSpan[0];
        return before == '\r' ? LineStatus.Line : LineStatus.BareLineFeed;
    }

    private LineStatus Exhausted(ref ReadOnlySequence<byte> buffer)
    {
        if (_discarding || buffer.Length >= MaxBytes)
        {
            if (!_discarding)
                _start = StartOf(buffer);
            _discarding = true;
            buffer = buffer.Slice(buffer.End);
        }

        return LineStatus.Incomplete;
    }

    private readonly byte[] StartOf(in ReadOnlySequence<byte> buffer) => buffer.Slice(0, Math.Min(buffer.Length, startBytes)).ToArray();

    private static long IndexOfLineFeed(in ReadOnlySequence<byte> buffer) =>
        buffer.PositionOf((byte)'\n') is { } position ? buffer.Slice(0, position).Length : -1;
}
