using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using MailPipeline.Smtp;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>
/// Writes replies and messages. What is written leaves at a flush, replies to pipelined commands together; long answers are
/// flushed on the way, so that a slow client holds up the reading of its message and not memory.
/// </summary>
internal sealed class Pop3Output(PipeWriter writer, Action progress)
{
    /// <summary>Most octets that wait for a flush.</summary>
    private const int FlushThreshold = 16 * 1024;

    private DotStuffing _stuffing;
    private int _unflushed;

    public void Line(string line)
    {
        _unflushed += (int)Encoding.UTF8.GetBytes(line, writer);
        writer.Write("\r\n"u8);
        _unflushed += 2;
    }

    /// <summary>Writes lines that never begin with a dot, then the line that ends them.</summary>
    public async ValueTask LinesAsync(IEnumerable<string> lines, CancellationToken cancellation)
    {
        foreach (var line in lines)
        {
            Line(line);
            if (_unflushed >= FlushThreshold)
                await FlushAsync(cancellation);
        }
        Line(".");
    }

    /// <summary>Begins a message, to be written by <see cref="OctetsAsync"/> and ended by <see cref="EndMessage"/>.</summary>
    public void BeginMessage() => _stuffing = new DotStuffing();

    /// <summary>Writes octets of a message, dot-stuffed (RFC 1939 §3), however they are cut.</summary>
    public async ValueTask OctetsAsync(ReadOnlyMemory<byte> octets, CancellationToken cancellation)
    {
        while (octets.Length > 0)
        {
            var slice = octets[..Math.Min(octets.Length, FlushThreshold)];
            _stuffing.Write(slice.Span, writer);
            _unflushed += slice.Length;
            octets = octets[slice.Length..];
            if (_unflushed >= FlushThreshold)
                await FlushAsync(cancellation);
        }
    }

    /// <summary>Writes the line that ends a message, after the CRLF that its last line may lack.</summary>
    public void EndMessage()
    {
        _stuffing.Finish(writer);
        _unflushed++;
    }

    public async ValueTask FlushIfFullAsync(CancellationToken cancellation)
    {
        if (_unflushed >= FlushThreshold)
            await FlushAsync(cancellation);
    }

    /// <exception cref="IOException">The client is gone.</exception>
    public async ValueTask FlushAsync(CancellationToken cancellation)
    {
        if (_unflushed == 0)
            return;
        _unflushed = 0;
        var flushed = await writer.FlushAsync(cancellation);
        if (flushed.IsCompleted)
            throw new IOException("The client closed the connection");
        progress();
    }
}
