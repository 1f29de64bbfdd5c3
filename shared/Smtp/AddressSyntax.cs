using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MailPipeline.Smtp;

/// <summary>The grammar of mailboxes and domains, on octets (RFC 5321 §4.1.2, §4.1.3; UTF-8 by RFC 6531 §3.3).</summary>
internal static class AddressSyntax
{
    // RFC 5322 §3.2.3.
    private static readonly SearchValues<byte> s_atext =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~"u8);

    /// <summary>Length of the Dot-string or Quoted-string at the front; 0 when there is none.</summary>
    public static int LocalPartLength(ReadOnlySpan<byte> text, bool allowUtf8) =>
        !text.IsEmpty && text[0] == '"' ? QuotedLength(text, allowUtf8) : DotStringLength(text, allowUtf8);

    /// <summary>A domain name or an address literal, whole.</summary>
    public static bool IsDomainOrLiteral(ReadOnlySpan<byte> text, bool allowUtf8) =>
        !text.IsEmpty && text[0] == '[' ? IsLiteral(text) : IsDomain(text, allowUtf8);

    /// <summary>
    /// RFC 5321 §4.1.2 Domain. Underscores are taken as well, which the grammar has not: DNS allows them and such domains
    /// do receive mail.
    /// </summary>
    public static bool IsDomain(ReadOnlySpan<byte> text, bool allowUtf8)
    {
        if (text.Length is 0 or > SmtpLimits.DomainBytes)
            return false;

        var labelStart = 0;
        for (var i = 0; i <= text.Length; i++)
        {
            if (i == text.Length || text[i] == '.')
            {
                var label = text[labelStart..i];
                // A U-label may have more octets than the A-label that it stands for.
                if (label.IsEmpty || (label.Length > SmtpLimits.LabelBytes && Ascii.IsValid(label)) || label[0] == '-' || label[^1] == '-')
                    return false;
                labelStart = i + 1;
            }
            else if (!IsLetterOrDigit(text[i]) && text[i] is not ((byte)'-' or (byte)'_') && !(allowUtf8 && text[i] >= 0x80))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>RFC 5321 §4.1.3: IPv4, IPv6 or a tagged general literal, in brackets.</summary>
    public static bool IsLiteral(ReadOnlySpan<byte> text)
    {
        if (text.Length is < 3 or > SmtpLimits.DomainBytes || text[0] != '[' || text[^1] != ']')
            return false;

        var inner = text[1..^1];
        var colon = inner.IndexOf((byte)':');
        if (colon < 0)
            return IsIPv4(inner);

        var tag = inner[..colon];
        var content = inner[(colon + 1)..];
        if (Ascii.EqualsIgnoreCase(tag, "IPv6"u8))
            return IsIPv6(content);

        if (tag.IsEmpty || !IsLetterOrDigit(tag[^1]) || content.IsEmpty)
            return false;
        foreach (var octet in tag)
            if (!IsLetterOrDigit(octet) && octet != '-')
                return false;
        // dcontent
        foreach (var octet in content)
            if (octet is < 33 or > 126 or (byte)'[' or (byte)'\\' or (byte)']')
                return false;
        return true;
    }

    /// <summary>
    /// The text of octets; null when they are not well-formed UTF-8, or hold something that is not seen or turns the direction of what is:
    /// RFC 6531 §3.3 allows any character, and a control, a line separator or a joiner in an address serves only to deceive.
    /// </summary>
    public static string? ToText(ReadOnlySpan<byte> octets, out bool isUtf8)
    {
        isUtf8 = !Ascii.IsValid(octets);
        if (!isUtf8)
            return Encoding.ASCII.GetString(octets);
        if (!System.Text.Unicode.Utf8.IsValid(octets))
            return null;
        var text = Encoding.UTF8.GetString(octets);
        foreach (var rune in text.EnumerateRunes())
        {
            if (!rune.IsAscii && !IsVisible(rune))
                return null;
        }

        return text;
    }

    /// <summary>A character that may stand in an address, and so in reports and in the header of a message.</summary>
    public static bool IsVisible(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator
            or UnicodeCategory.ParagraphSeparator or UnicodeCategory.OtherNotAssigned);

    /// <summary>What a local part means: without quotes and quoting backslashes.</summary>
    public static string Unquote(ReadOnlySpan<char> localPart)
    {
        if (localPart.IsEmpty || localPart[0] != '"')
            return localPart.ToString();

        var inner = localPart[1..^1];
        if (!inner.Contains('\\'))
            return inner.ToString();

        var text = new StringBuilder(inner.Length);
        for (var i = 0; i < inner.Length; i++)
        {
            if (inner[i] == '\\')
                i++;
            text.Append(inner[i]);
        }

        return text.ToString();
    }

    /// <summary>Puts a local part into quotes if it needs them.</summary>
    public static string Quote(string localPart)
    {
        var octets = Encoding.UTF8.GetBytes(localPart);
        if (octets.Length > 0 && DotStringLength(octets, allowUtf8: true) == octets.Length)
            return localPart;
        return $"\"{localPart.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
    }

    private static int DotStringLength(ReadOnlySpan<byte> text, bool allowUtf8)
    {
        var position = 0;
        while (true)
        {
            var atom = AtomLength(text[position..], allowUtf8);
            if (atom == 0)
                return 0;
            position += atom;
            if (position == text.Length || text[position] != '.')
                return position;
            position++;
        }
    }

    private static int AtomLength(ReadOnlySpan<byte> text, bool allowUtf8)
    {
        var length = 0;
        while (true)
        {
            var next = text[length..].IndexOfAnyExcept(s_atext);
            if (next < 0)
                return text.Length;
            length += next;
            if (!allowUtf8 || text[length] < 0x80)
                return length;
            length++;
        }
    }

    // Quoted-string = DQUOTE *QcontentSMTP DQUOTE; qtextSMTP = %d32-33 / %d35-91 / %d93-126; quoted-pairSMTP = %d92 %d32-126
    private static int QuotedLength(ReadOnlySpan<byte> text, bool allowUtf8)
    {
        for (var i = 1; i < text.Length; i++)
        {
            var octet = text[i];
            if (octet == '"')
                return i + 1;
            if (octet == '\\')
            {
                if (++i == text.Length || text[i] is < 32 or > 126)
                    return 0;
            }
            else if (octet is < 32 or 127 || (octet >= 0x80 && !allowUtf8))
            {
                return 0;
            }
        }

        return 0;
    }

    internal static bool IsIPv4(ReadOnlySpan<byte> text) => ParseIPv4(text) is not null;

    /// <summary>Snum = 1*3DIGIT, 0 to 255, each decimal; null: it is none. <see cref="IPAddress"/> takes a part with a leading zero for octal.</summary>
    internal static IPAddress? ParseIPv4(ReadOnlySpan<byte> text)
    {
        Span<byte> octets = stackalloc byte[4];
        var parts = 0;
        foreach (var range in text.Split((byte)'.'))
        {
            var part = text[range];
            if (parts == octets.Length || part.Length is 0 or > 3 || !Utf8Parser.TryParse(part, out byte octet, out var used) || used != part.Length || part[0] == '+')
                return null;
            octets[parts++] = octet;
        }

        return parts == octets.Length ? new IPAddress(octets) : null;
    }

    internal static bool IsIPv6(ReadOnlySpan<byte> text)
    {
        if (text.Length > SmtpLimits.DomainBytes)
            return false;
        // IPAddress also takes zones and brackets.
        foreach (var octet in text)
            if (!Uri.IsHexDigit((char)octet) && octet is not ((byte)':' or (byte)'.'))
                return false;

        Span<char> chars = stackalloc char[SmtpLimits.DomainBytes];
        var length = Encoding.ASCII.GetChars(text, chars);
        return IPAddress.TryParse(chars[..length], out var address) && address.AddressFamily == AddressFamily.InterNetworkV6;
    }

    private static bool IsLetterOrDigit(byte octet) => char.IsAsciiLetterOrDigit((char)octet);
}
