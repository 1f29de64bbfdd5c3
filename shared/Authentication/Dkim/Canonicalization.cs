using System.Buffers;

namespace MailPipeline.Authentication.Dkim;

/// <summary>What on the way may change without breaking a signature (RFC 6376 §3.4).</summary>
internal enum Canonicalization
{
    Simple,

    /// <summary>White space and the case of field names.</summary>
    Relaxed,
}

/// <summary>A field of a header as it is signed.</summary>
internal static class CanonicalField
{
    /// <param name="hasLineEnd">False for the signature's own field, which is the last of what is signed (RFC 6376 §3.7).</param>
    public static void Write(IBufferWriter<byte> output, Canonicalization canonicalization, MessageField field, bool hasLineEnd = true)
    {
        if (canonicalization == Canonicalization.Simple)
            output.Write(field.Octets.Span.TrimEnd("\r\n"u8));
        else
            WriteRelaxed(output, field);
        if (hasLineEnd)
            output.Write("\r\n"u8);
    }

    /// <summary>RFC 6376 §3.4.2: the name in lower case, folds undone, each run of white space one space, none around the colon and at the end.</summary>
    private static void WriteRelaxed(IBufferWriter<byte> output, MessageField field)
    {
        var value = field.Value.Span;
        var room = output.GetSpan(field.Octets.Length);
        var length = 0;
        foreach (var octet in field.Name)
            room[length++] = octet is >= (byte)'A' and <= (byte)'Z' ? (byte)(octet | 0x20) : octet;
        room[length++] = (byte)':';
        var start = length;
        var isSpace = false;
        for (var at = 0; at < value.Length; at++)
        {
            var octet = value[at];
            if (octet is (byte)' ' or (byte)'\t' or (byte)'\n' || (octet == '\r' && (at + 1 == value.Length || value[at + 1] == '\n')))
            {
                // A line end alone stands for nothing: the white space behind it does.
                isSpace |= octet is (byte)' ' or (byte)'\t';
                continue;
            }

            if (isSpace && length > start)
                room[length++] = (byte)' ';
            isSpace = false;
            room[length++] = octet;
        }

        output.Advance(length);
    }
}
