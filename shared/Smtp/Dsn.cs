using System.Globalization;
using System.Text;

namespace MailPipeline.Smtp;

/// <summary>
/// Of what a sender wants to be told about a recipient: NOTIFY (RFC 3461 §4.1). <see cref="Never"/> stands alone. The numbers are stored;
/// they never change meaning.
/// </summary>
[Flags]
public enum DsnNotify
{
    /// <summary>He said nothing: of failures, and of delays (RFC 3461 §4.1).</summary>
    Unsaid = 0,
    Never = 1,
    Success = 2,
    Failure = 4,
    Delay = 8,
}

/// <summary>What of the message comes back in a report of failure: RET (RFC 3461 §4.3).</summary>
public enum DsnReturn
{
    Unsaid,

    /// <summary>All of it.</summary>
    Full,

    /// <summary>Its header.</summary>
    Headers,
}

/// <summary>What MAIL says about reports.</summary>
/// <param name="EnvelopeId">ENVID as the client wrote it, in xtext; empty where there was none (RFC 3461 §4.4).</param>
public sealed record MailDsn(DsnReturn Return, string EnvelopeId)
{
    public static readonly MailDsn None = new(DsnReturn.Unsaid, "");

    /// <summary>The id as the sender knows it: printable ASCII.</summary>
    public string EnvelopeIdText => Xtext.Decode(EnvelopeId);

    /// <summary>The parameters as they stand in MAIL; empty where there are none.</summary>
    public override string ToString() => (Return, EnvelopeId) switch
    {
        (DsnReturn.Unsaid, "") => "",
        (DsnReturn.Unsaid, _) => $"ENVID={EnvelopeId}",
        (_, "") => $"RET={Word}",
        _ => $"RET={Word} ENVID={EnvelopeId}",
    };

    /// <summary>Reads what <see cref="ToString"/> wrote.</summary>
    /// <exception cref="FormatException">It is none of that.</exception>
    public static MailDsn Parse(string text)
    {
        var read = None;
        foreach (var parameter in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            var (keyword, value) = DsnText.Divide(parameter);
            read = keyword switch
            {
                "RET" when DsnSyntax.TryReadReturn(value, out var part) => read with { Return = part },
                "ENVID" when DsnSyntax.TryReadEnvelopeId(value, out var id) => read with { EnvelopeId = id },
                _ => throw new FormatException($"Not a parameter of MAIL about reports: {PlainText.Of(parameter)}"),
            };
        }

        return read;
    }

    private string Word => Return == DsnReturn.Full ? "FULL" : "HDRS";
}

/// <summary>What RCPT says about reports.</summary>
/// <param name="OriginalRecipient">
/// ORCPT as the client wrote it, type and address, in ASCII: what is not is written as RFC 6533 §3 has it (<c>\x{E9}</c>). Empty where
/// there was none (RFC 3461 §4.2).
/// </param>
public sealed record RcptDsn(DsnNotify Notify, string OriginalRecipient)
{
    public static readonly RcptDsn None = new(DsnNotify.Unsaid, "");

    private static readonly (DsnNotify Flag, string Word)[] s_words =
        [(DsnNotify.Never, "NEVER"), (DsnNotify.Success, "SUCCESS"), (DsnNotify.Failure, "FAILURE"), (DsnNotify.Delay, "DELAY")];

    /// <summary>Whether the sender is to be told of this; who said nothing is told of failures and delays.</summary>
    public static bool Asks(DsnNotify notify, DsnNotify what) =>
        notify == DsnNotify.Unsaid ? what != DsnNotify.Success : notify.HasFlag(what);

    /// <summary>The parameters as they stand in RCPT; empty where there are none.</summary>
    public override string ToString()
    {
        var notify = string.Join(',', s_words.Where(word => Notify.HasFlag(word.Flag)).Select(word => word.Word));
        return string.Join(' ', new[]
        {
            notify.Length > 0 ? $"NOTIFY={notify}" : "", OriginalRecipient.Length > 0 ? $"ORCPT={OriginalRecipient}" : "",
        }.Where(parameter => parameter.Length > 0));
    }

    /// <summary>Reads what <see cref="ToString"/> wrote.</summary>
    /// <exception cref="FormatException">It is none of that.</exception>
    public static RcptDsn Parse(string text)
    {
        var read = None;
        foreach (var parameter in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            var (keyword, value) = DsnText.Divide(parameter);
            read = keyword switch
            {
                "NOTIFY" when DsnSyntax.TryReadNotify(value, out var notify) => read with { Notify = notify },
                "ORCPT" when DsnSyntax.ReadOriginalRecipient(value, out var address, out _) is null => read with { OriginalRecipient = address },
                _ => throw new FormatException($"Not a parameter of RCPT about reports: {PlainText.Of(parameter)}"),
            };
        }

        return read;
    }

    /// <summary>The ORCPT that says of an address what was written at first, where no client did (RFC 3461 §4.2, RFC 6533 §3).</summary>
    public static string OriginalRecipientOf(string address) =>
        Ascii.IsValid(address) ? $"rfc822;{Xtext.Encode(address)}" : $"utf-8;{Xtext.EncodeUnicode(address)}";

    /// <summary>The mailbox in an ORCPT of the type for UTF-8 (RFC 6533 §3); null where it is of another type, or what it names is none.</summary>
    public static string? AddressOf(string originalRecipient)
    {
        var (type, written) = Split(originalRecipient);
        return DsnSyntax.IsUnicodeType(type) && Xtext.DecodeUnicode(written) is var address && SmtpAddress.TryParse(address, out _, allowUtf8: true)
            ? address : null;
    }

    /// <summary>Type and address of an ORCPT, as a report names them (RFC 3464 §2.3.1): no longer in xtext.</summary>
    public static (string Type, string Address) Split(string originalRecipient)
    {
        var end = originalRecipient.IndexOf(';', StringComparison.Ordinal);
        var (type, address) = (originalRecipient[..end], originalRecipient[(end + 1)..]);
        return (type, DsnSyntax.IsUnicodeType(type) ? address : Xtext.Decode(address));
    }
}

/// <summary>Octets in the characters that a parameter may have: xtext (RFC 3461 §4), and the form of RFC 6533 §3 for what is not ASCII.</summary>
public static class Xtext
{
    /// <summary>Printable ASCII in xtext.</summary>
    public static string Encode(string text)
    {
        var encoded = new StringBuilder(text.Length);
        foreach (var character in text)
        {
            if (character is >= '!' and <= '~' and not ('+' or '='))
                encoded.Append(character);
            else
                encoded.Append(CultureInfo.InvariantCulture, $"+{(int)character:X2}");
        }

        return encoded.ToString();
    }

    /// <summary>An address that is not all ASCII, in characters that pass as xtext unchanged (RFC 6533 §3, utf-8-addr-xtext).</summary>
    public static string EncodeUnicode(string address)
    {
        var encoded = new StringBuilder(address.Length);
        foreach (var rune in address.EnumerateRunes())
        {
            if (rune.Value is > ' ' and < 0x7f and not ('+' or '=' or '\\'))
                encoded.Append(rune);
            else
                encoded.Append(CultureInfo.InvariantCulture, $"\\x{{{rune.Value:X2}}}");
        }

        return encoded.ToString();
    }

    /// <summary>What <see cref="EncodeUnicode"/> was given, of what was read as that form (RFC 6533 §4.1).</summary>
    internal static string DecodeUnicode(string encoded)
    {
        var text = new StringBuilder(encoded.Length);
        for (var i = 0; i < encoded.Length; i++)
        {
            var end = encoded.AsSpan(i).StartsWith("\\x{") ? encoded.IndexOf('}', i) : -1;
            if (end < 0)
            {
                text.Append(encoded[i]);
                continue;
            }

            text.Append(new Rune(int.Parse(encoded.AsSpan(i + 3, end - i - 3), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)));
            i = end;
        }

        return text.ToString();
    }

    /// <summary>The text behind what was read as xtext.</summary>
    internal static string Decode(string encoded)
    {
        if (!encoded.Contains('+', StringComparison.Ordinal))
            return encoded;
        var text = new StringBuilder(encoded.Length);
        for (var i = 0; i < encoded.Length; i++)
        {
            if (encoded[i] != '+')
            {
                text.Append(encoded[i]);
                continue;
            }

            text.Append((char)byte.Parse(encoded.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
            i += 2;
        }

        return text.ToString();
    }
}

/// <summary>Parameters in the text that storage keeps.</summary>
internal static class DsnText
{
    public static (string Keyword, byte[] Value) Divide(string parameter)
    {
        var equals = parameter.IndexOf('=', StringComparison.Ordinal);
        return equals < 0 ? (parameter, []) : (parameter[..equals], Encoding.ASCII.GetBytes(parameter[(equals + 1)..]));
    }
}
