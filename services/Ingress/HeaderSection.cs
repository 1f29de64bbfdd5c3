using System.Buffers;

namespace MailPipeline.Ingress;

/// <summary>The header section of a message for the checks that read it: a copy of its first 64 KiB, as received.</summary>
internal sealed class HeaderSection
{
    /// <summary>As much as a submitted header is held for, and a report returns.</summary>
    public const int MaxBytes = SubmittedHeader.MaxBytes;

    private readonly ArrayBufferWriter<byte> _held = new();

    /// <summary>Its fields, without the empty line that ends them.</summary>
    public ReadOnlyMemory<byte> Bytes
    {
        get
        {
            var held = _held.WrittenMemory;
            if (held.Span.StartsWith("\r\n"u8))
                return default;
            var end = held.Span.IndexOf("\r\n\r\n"u8);
            return end < 0 ? held : held[..(end + 2)];
        }
    }

    /// <summary>More of the content; what lies behind the header may be in it.</summary>
    public void Take(ReadOnlySpan<byte> content) => _held.Write(content[..Math.Min(content.Length, MaxBytes - _held.WrittenCount)]);
}
