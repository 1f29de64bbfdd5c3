using System.Globalization;

namespace MailPipeline.Dns;

/// <summary>Names as <see cref="DnsReader.ReadName"/> gives them: labels one behind the other, each behind its length, the root left out.</summary>
internal static class DnsName
{
    public const int MaxBytes = 255;
    public const int MaxLabelBytes = 63;

    /// <summary>Of the text of any name.</summary>
    public const int MaxChars = MaxBytes * EscapedOctet;

    private const int EscapedOctet = 4;

    /// <summary>
    /// The name as text without its final dot, empty for the root. Octets other than letters, digits, hyphen and underscore are
    /// written <c>\DDD</c> (RFC 1035 §5.1), so that a dot within a label is not taken for one between two.
    /// </summary>
    /// <param name="text">Room for <see cref="MaxChars"/>.</param>
    /// <returns>Its length.</returns>
    public static int Write(ReadOnlySpan<byte> name, Span<char> text)
    {
        var length = 0;
        for (var at = 0; at < name.Length; at += 1 + name[at])
        {
            if (length > 0)
                text[length++] = '.';
            foreach (var octet in name.Slice(at + 1, name[at]))
            {
                if (IsPlain(octet))
                {
                    text[length++] = (char)octet;
                    continue;
                }

                text[length] = '\\';
                octet.TryFormat(text[(length + 1)..], out _, "D3", CultureInfo.InvariantCulture);
                length += EscapedOctet;
            }
        }

        return length;
    }

    /// <inheritdoc cref="Write"/>
    public static string TextOf(ReadOnlySpan<byte> name)
    {
        Span<char> text = stackalloc char[MaxChars];
        return text[..Write(name, text)].ToString();
    }

    /// <summary>Nothing in it has to be escaped: it may name a host, and its text is no longer than it.</summary>
    public static bool IsPlain(ReadOnlySpan<byte> name)
    {
        for (var at = 0; at < name.Length; at += 1 + name[at])
        {
            foreach (var octet in name.Slice(at + 1, name[at]))
            {
                if (!IsPlain(octet))
                    return false;
            }
        }

        return true;
    }

    /// <summary>RFC 4343: case is ignored in ASCII letters alone. Lengths of labels are below the letters.</summary>
    public static bool AreSame(ReadOnlySpan<byte> name, ReadOnlySpan<byte> other)
    {
        if (name.Length != other.Length)
            return false;
        for (var i = 0; i < name.Length; i++)
        {
            if (name[i] != other[i] && !(char.IsAsciiLetter((char)name[i]) && (name[i] ^ other[i]) == ('a' ^ 'A')))
                return false;
        }

        return true;
    }

    private static bool IsPlain(byte octet) => char.IsAsciiLetterOrDigit((char)octet) || octet is (byte)'-' or (byte)'_';
}
