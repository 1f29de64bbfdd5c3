using System.Buffers;
using System.Text;
using MailPipeline.LineServer;
using MailPipeline.Smtp;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>
/// Writes replies and messages. What is written leaves when the client has to be waited for, replies to pipelined commands together
/// (RFC 2449 §6.6); long answers are flushed on the way, so that a slow client holds up the reading of its message and not memory.
/// </summary>
internal sealed class Pop3Output(LineConnection connection)
{
    private DotStuffing _stuffing;

    public void Line(string line)
    {
        Encoding.UTF8.GetBytes(line, connection.Output);
        connection.Output.Write("\r\n"u8);
    }

    /// <summary>Writes lines that never begin with a dot, then the line that ends them.</summary>
    public async ValueTask LinesAsync(IEnumerable<string> lines)
    {
        foreach (var line in lines)
        {
            Line(line);
            await FlushIfFullAsync();
        }
        Line(".");
    }

    /// <summary>Begins a message, to be written by <see cref="OctetsAsync"/> and ended by <see cref="EndMessage"/>.</summary>
    public void BeginMessage() => _stuffing = new DotStuffing();

    /// <summary>Writes octets of a message, dot-stuffed (RFC 1939 §3), however they are cut.</summary>
    public async ValueTask OctetsAsync(ReadOnlyMemory<byte> octets)
    {
        while (octets.Length > 0)
        {
            var slice = octets[..Math.Min(octets.Length, LineConnection.FlushThreshold)];
            _stuffing.Write(slice.Span, connection.Output);
            octets = octets[slice.Length..];
            await FlushIfFullAsync();
        }
    }

    /// <summary>Writes the line that ends a message, after the CRLF that its last line may lack.</summary>
    public void EndMessage() => _stuffing.Finish(connection.Output);

    /// <exception cref="IOException">The client is gone.</exception>
    public async ValueTask FlushIfFullAsync()
    {
        if (connection.UnflushedBytes < LineConnection.FlushThreshold)
            return;
        await connection.FlushAsync();
        if (connection.IsUnheard)
            throw new IOException("The client closed the connection");
    }
}
