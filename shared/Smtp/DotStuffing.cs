using System.Buffers;

namespace MailPipeline.Smtp;

/// <summary>
/// The sending side of DATA: puts a dot before each line that begins with one, and ends the content with CRLF.CRLF
/// (RFC 5321 §4.5.2). Content may come in chunks cut anywhere. Nothing else is changed, bare CR and LF included; only CRLF
/// begins a line. Mutable: one value for each message, kept in a variable or a field that is not readonly.
/// </summary>
public struct DotStuffing()
{
    private State _state = State.LineStart;

    private enum State : byte
    {
        LineStart,
        Text,
        AfterCr,
    }

    /// <summary>Writes one chunk of content.</summary>
    public void Write(ReadOnlySpan<byte> content, IBufferWriter<byte> output)
    {
        ArgumentNullException.ThrowIfNull(output);
        if (content.IsEmpty)
            return;

        if (_state == State.AfterCr && content[0] == '\n')
        {
            output.Write("\n"u8);
            content = content[1..];
            _state = State.LineStart;
            if (content.IsEmpty)
                return;
        }

        if (_state == State.LineStart && content[0] == '.')
            output.Write("."u8);

        while (true)
        {
            var index = content.IndexOf("\r\n."u8);
            if (index < 0)
                break;
            output.Write(content[..(index + 3)]);
            output.Write("."u8);
            content = content[(index + 3)..];
            _state = State.Text;
        }

        output.Write(content);
        if (content.EndsWith("\r\n"u8))
            _state = State.LineStart;
        else if (!content.IsEmpty)
            _state = content[^1] == '\r' ? State.AfterCr : State.Text;
    }

    /// <summary>Ends the content; a last line without CRLF gets one, which SMTP cannot do without.</summary>
    public readonly void Finish(IBufferWriter<byte> output)
    {
        ArgumentNullException.ThrowIfNull(output);
        output.Write(_state == State.LineStart ? ".\r\n"u8 : "\r\n.\r\n"u8);
    }
}
