namespace MailPipeline.Testing;

/// <summary>Transparency of the kit's own clients and far ends (RFC 5321 §4.5.2), independent of the product's.</summary>
public static class DotStuffing
{
    /// <summary>
    /// The content with dots doubled at line starts, ready for the wire; the final dot line is not part of it. The content
    /// must begin at a line start.
    /// </summary>
    public static ReadOnlyMemory<byte> Stuff(ReadOnlyMemory<byte> content)
    {
        var bytes = content.Span;
        var dots = bytes.Count("\r\n."u8) + (bytes.StartsWith("."u8) ? 1 : 0);
        if (dots == 0)
            return content;
        var stuffed = new byte[bytes.Length + dots];
        var to = 0;
        for (var from = 0; from < bytes.Length; from++)
        {
            if (bytes[from] == '.' && (from == 0 || (from >= 2 && bytes[from - 1] == '\n' && bytes[from - 2] == '\r')))
                stuffed[to++] = (byte)'.';
            stuffed[to++] = bytes[from];
        }
        return stuffed;
    }

    /// <summary>The line as it was before stuffing.</summary>
    public static ReadOnlySpan<byte> Unstuff(ReadOnlySpan<byte> line) => line.StartsWith("."u8) ? line[1..] : line;
}
