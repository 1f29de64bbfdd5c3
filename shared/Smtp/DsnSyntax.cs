using System.Globalization;
using System.Text;

namespace MailPipeline.Smtp;

/// <summary>
/// The values of the parameters about reports (RFC 3461 §4, RFC 6533 §3), read strictly: what is taken here stands in reports, and in the
/// commands to the next hop, as it is. Nothing in it ends a line or is a control character, also when it is decoded.
/// </summary>
internal static class DsnSyntax
{
    /// <summary>RFC 3461 §4.4: characters of ENVID, as they are sent.</summary>
    public const int MaxEnvelopeIdLength = 100;

    /// <summary>RFC 3461 §4.2: characters of ORCPT, as they are sent.</summary>
    public const int MaxOriginalRecipientLength = 500;

    // RFC 3461 §4.2: an atom; the types that are registered are short.
    private const int MaxTypeLength = 64;

    public static bool TryReadReturn(ReadOnlySpan<byte> value, out DsnReturn part)
    {
        part = Ascii.EqualsIgnoreCase(value, "FULL"u8) ? DsnReturn.Full
            : Ascii.EqualsIgnoreCase(value, "HDRS"u8) ? DsnReturn.Headers : DsnReturn.Unsaid;
        return part != DsnReturn.Unsaid;
    }

    public static bool TryReadEnvelopeId(ReadOnlySpan<byte> value, out string id)
    {
        id = "";
        if (value.Length is 0 or > MaxEnvelopeIdLength || !IsPrintableXtext(value))
            return false;
        id = Encoding.ASCII.GetString(value);
        return true;
    }

    /// <summary>NEVER alone, or some of SUCCESS, FAILURE and DELAY, each once.</summary>
    public static bool TryReadNotify(ReadOnlySpan<byte> value, out DsnNotify notify)
    {
        notify = DsnNotify.Unsaid;
        foreach (var range in value.Split((byte)','))
        {
            var flag = Flag(value[range]);
            if (flag == DsnNotify.Unsaid || notify.HasFlag(flag))
                return false;
            notify |= flag;
        }

        return notify == DsnNotify.Never || !notify.HasFlag(DsnNotify.Never);
    }

    /// <summary>Null when all is well, else why not.</summary>
    /// <param name="needsSmtpUtf8">It was written in UTF-8, which only a message with SMTPUTF8 may do (RFC 6533 §3).</param>
    public static SmtpReply? ReadOriginalRecipient(ReadOnlySpan<byte> value, out string address, out bool needsSmtpUtf8)
    {
        (address, needsSmtpUtf8) = ("", false);
        if (value.Length > MaxOriginalRecipientLength)
            return Replies.C501OrcptTooLong;
        var end = value.IndexOf((byte)';');
        if (end is <= 0 or > MaxTypeLength || end == value.Length - 1 || !IsAtom(value[..end]))
            return Replies.C501BadOrcpt;
        var type = Encoding.ASCII.GetString(value[..end]);
        if (!IsUnicodeType(type) && IsPrintableXtext(value[(end + 1)..]))
        {
            address = Encoding.ASCII.GetString(value);
            return null;
        }

        string? written;
        if (type.Equals("rfc822", StringComparison.OrdinalIgnoreCase))
            (type, written) = ("utf-8", ReadUtf8Xtext(value[(end + 1)..]));
        else
            written = IsUnicodeType(type) ? ReadUnicode(value[(end + 1)..], out needsSmtpUtf8) : null;
        if (written is null)
            return Replies.C501BadOrcpt;
        // What it has become is what travels on.
        if (type.Length + 1 + written.Length > MaxOriginalRecipientLength)
            return Replies.C501OrcptTooLong;
        address = $"{type};{written}";
        return null;
    }

    /// <summary>RFC 6533 §3: addresses of this type are no xtext.</summary>
    public static bool IsUnicodeType(string type) => type.Equals("utf-8", StringComparison.OrdinalIgnoreCase);

    private static DsnNotify Flag(ReadOnlySpan<byte> word) =>
        Ascii.EqualsIgnoreCase(word, "NEVER"u8) ? DsnNotify.Never
        : Ascii.EqualsIgnoreCase(word, "SUCCESS"u8) ? DsnNotify.Success
        : Ascii.EqualsIgnoreCase(word, "FAILURE"u8) ? DsnNotify.Failure
        : Ascii.EqualsIgnoreCase(word, "DELAY"u8) ? DsnNotify.Delay : DsnNotify.Unsaid;

    // RFC 5322 §3.2.3
    private static bool IsAtom(ReadOnlySpan<byte> text)
    {
        foreach (var octet in text)
        {
            if (!char.IsAsciiLetterOrDigit((char)octet) && !"!#$%&'*-/?^_`{|}~"u8.Contains(octet))
                return false;
        }

        return true;
    }

    // RFC 3461 §4: xchar or "+" and two hexadecimal digits, in capitals; §4.2 and §4.4: printable ASCII behind it.
    private static bool IsPrintableXtext(ReadOnlySpan<byte> text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            var octet = text[i];
            if (octet == '+')
            {
                if (i + 2 >= text.Length || Hex(text[i + 1]) is not { } high || Hex(text[i + 2]) is not { } low || ((high << 4) | low) is < 0x20 or > 0x7e)
                    return false;
                i += 2;
            }
            else if (octet is < (byte)'!' or > (byte)'~' or (byte)'=')
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>A hexadecimal digit in capitals (RFC 3461 §4).</summary>
    public static int? Hex(byte octet) => octet switch
    {
        >= (byte)'0' and <= (byte)'9' => octet - '0',
        >= (byte)'A' and <= (byte)'F' => octet - 'A' + 10,
        _ => null,
    };

    /// <summary>An address of type utf-8 in ASCII; null where it is none.</summary>
    private static string? ReadUnicode(ReadOnlySpan<byte> text, out bool needsSmtpUtf8)
    {
        var written = new StringBuilder(text.Length);
        needsSmtpUtf8 = false;
        while (!text.IsEmpty)
        {
            if (text[0] == '\\')
            {
                if (ReadEmbedded(text, out var length) is not { } embedded)
                    return null;
                Append(written, embedded);
                text = text[length..];
                continue;
            }

            if (Rune.DecodeFromUtf8(text, out var rune, out var consumed) != System.Buffers.OperationStatus.Done || !AddressSyntax.IsVisible(rune) || rune.Value is ' ' or '+' or '=')
                return null;
            needsSmtpUtf8 |= !rune.IsAscii;
            Append(written, rune);
            text = text[consumed..];
        }

        return written.ToString();
    }

    /// <summary>
    /// UTF-8 in xtext, which Postfix sends of the type rfc822 where it relays a message with SMTPUTF8: as it is written for the type that
    /// has it (RFC 6533 §3). Null where it is none.
    /// </summary>
    private static string? ReadUtf8Xtext(ReadOnlySpan<byte> text)
    {
        var octets = new List<byte>(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '+')
            {
                if (text[i] is < (byte)'!' or > (byte)'~' or (byte)'=')
                    return null;
                octets.Add(text[i]);
                continue;
            }

            if (i + 2 >= text.Length || Hex(text[i + 1]) is not { } high || Hex(text[i + 2]) is not { } low)
                return null;
            octets.Add((byte)((high << 4) | low));
            i += 2;
        }

        return AddressSyntax.ToText([.. octets], out _) is { } address && !address.AsSpan().ContainsAnyInRange('\0', '\u001F') && !address.Contains('\u007F', StringComparison.Ordinal)
            ? Xtext.EncodeUnicode(address) : null;
    }

    // EmbeddedUnicodeChar: \x{, two to six hexadecimal digits, }
    private static Rune? ReadEmbedded(ReadOnlySpan<byte> text, out int length)
    {
        length = text.IndexOf((byte)'}') + 1;
        if (length is < 6 or > 10 || !text.StartsWith("\\x{"u8))
            return null;
        var digits = text[3..(length - 1)];
        foreach (var digit in digits)
        {
            if (Hex(digit) is null)
                return null;
        }

        var value = int.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        return Rune.IsValid(value) && new Rune(value) is var rune && AddressSyntax.IsVisible(rune) ? rune : null;
    }

    private static void Append(StringBuilder written, Rune rune) => written.Append(Xtext.EncodeUnicode(rune.ToString()));
}
