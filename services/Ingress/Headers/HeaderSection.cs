using System.Buffers;

namespace MailPipeline.Ingress.Headers;

/// <summary>The header section of a message for the checks that read it: a copy of its first 64 KiB, as received.</summary>
internal sealed class HeaderSection
{
    /// <summary>As much as a submitted header is held for, and a report returns.</summary>
    public const int MaxBytes = SubmittedHeader.MaxBytes;

    private readonly ArrayBufferWriter<byte> _held = new();
    private bool _isContentCut;

    /// <summary>Its fields, without the empty line that ends them.</summary>
    public ReadOnlyMemory<byte> Bytes
    {
        get
        {
            var held = _held.WrittenMemory;
            var end = End(held.Span);
            return end < 0 ? held : held[..end];
        }
    }

    /// <summary>It has not ended in what is held, and there was more.</summary>
    public bool IsCut => _isContentCut && End(_held.WrittenSpan) < 0;

    /// <summary>More of the content; what lies behind the header may be in it.</summary>
    public void Take(ReadOnlySpan<byte> content)
    {
        var length = Math.Min(content.Length, MaxBytes - _held.WrittenCount);
        _isContentCut |= length < content.Length;
        _held.Write(content[..length]);
    }

    /// <summary>Up to where its fields go; -1 where no empty line ends them.</summary>
    private static int End(ReadOnlySpan<byte> held)
    {
        if (held.StartsWith("\r\n"u8))
            return 0;
        var last = held.IndexOf("\r\n\r\n"u8);
        return last < 0 ? -1 : last + 2;
    }
}
