using System.Buffers;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>Dot-stuffing of one message (RFC 1939 §3): temporary, until the shared one is there.</summary>
internal sealed class DotStuffing
{
    private int _matched = 2;

    public int Write(ReadOnlySpan<byte> octets, IBufferWriter<byte> writer)
    {
        var written = 0;
        var from = 0;
        for (var i = 0; i < octets.Length; i++)
        {
            var octet = octets[i];
            if (octet == '.' && _matched == 2)
            {
                writer.Write(octets[from..i]);
                writer.Write("."u8);
                written += i - from + 1;
                from = i;
            }
            _matched = octet == '\r' ? 1 : octet == '\n' && _matched == 1 ? 2 : 0;
        }
        writer.Write(octets[from..]);
        return written + octets.Length - from;
    }

    public int End(IBufferWriter<byte> writer)
    {
        var end = _matched == 2 ? ".\r\n"u8 : "\r\n.\r\n"u8;
        writer.Write(end);
        return end.Length;
    }
}
