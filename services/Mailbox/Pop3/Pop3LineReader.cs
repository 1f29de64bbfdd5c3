using System.Buffers;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>
/// Cuts what a client sends into command lines. A line that cannot be a command is dropped up to its line feed and reported
/// once, however long it is, without being held in memory.
/// </summary>
internal sealed class Pop3LineReader
{
    private readonly byte[] _line = new byte[Pop3Session.MaxLineBytes];
    private bool _dropping;

    /// <summary>
    /// Takes one line off the front of the buffer; false when more octets are needed. The line is without its CRLF and valid
    /// until the next call; with a fault it is empty.
    /// </summary>
    public bool TryRead(ref ReadOnlySequence<byte> buffer, out ReadOnlySpan<byte> line, out LineFault? fault)
    {
        line = default;
        fault = null;
        while (true)
        {
            if (buffer.PositionOf((byte)'\n') is not { } lineFeed)
                return Incomplete(ref buffer, out fault);

            var octets = buffer.Slice(0, buffer.GetPosition(1, lineFeed));
            buffer = buffer.Slice(octets.End);
            if (_dropping)
            {
                _dropping = false;
                continue;
            }
            if (octets.Length > Pop3Session.MaxLineBytes)
            {
                fault = LineFault.TooLong;
                return true;
            }
            octets.CopyTo(_line);
            line = _line.AsSpan(0, (int)octets.Length);
            if (line.EndsWith("\r\n"u8) && !line[..^2].Contains((byte)'\r'))
                line = line[..^2];
            else
                (line, fault) = (default, LineFault.BareLineEnd);
            return true;
        }
    }

    private bool Incomplete(ref ReadOnlySequence<byte> buffer, out LineFault? fault)
    {
        fault = null;
        if (_dropping || buffer.Length >= Pop3Session.MaxLineBytes)
        {
            // Answered at once, not at its end, which may never come.
            fault = _dropping ? null : LineFault.TooLong;
            _dropping = true;
            buffer = buffer.Slice(buffer.End);
        }
        return fault is not null;
    }
}
