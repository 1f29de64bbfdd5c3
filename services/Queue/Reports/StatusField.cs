using System.Text;
using MailPipeline.Smtp;
using MimeKit;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// Fields of a message/delivery-status part. They are structured and never hold an encoded-word (RFC 3464 §2.1.2, RFC 2047 §5), which
/// is what MimeKit makes of values that do not fit into a line: so they are folded here.
/// </summary>
internal static class StatusField
{
    /// <summary>RFC 5322 §2.1.1: what a line should not exceed, and what it must not.</summary>
    private const int MaxLineLength = 78;
    private const int MostLineLength = 998;

    /// <summary>A name or an address after its type: it is one word, and goes into a line of its own where the first has no room.</summary>
    public static Header Typed(string field, string type, string value) => OneWord(field, type, PlainText.Ascii(value));

    /// <summary>RFC 6533 §3: an address that is not all ASCII has a type of its own, and a form that needs 7 bits.</summary>
    /// <param name="isGlobal">The part is of the type that may have UTF-8, and has the address as it is (RFC 6533 §4.1).</param>
    public static Header Address(string field, string address, bool isGlobal) =>
        Ascii.IsValid(address) ? Typed(field, "rfc822", address)
        : isGlobal ? OneWord(field, "utf-8", PlainText.Of(address))
        : Typed(field, "utf-8", Xtext.EncodeUnicode(address));

    /// <summary>ORCPT as the sender's client gave it; of the type for UTF-8 as the address that it stands for, where the part may have UTF-8.</summary>
    /// <inheritdoc cref="Address"/>
    public static Header OriginalRecipient(string field, string originalRecipient, bool isGlobal)
    {
        var (type, address) = RcptDsn.Split(originalRecipient);
        return isGlobal && RcptDsn.AddressOf(originalRecipient) is { } meant && !Ascii.IsValid(meant)
            ? Address(field, meant, isGlobal) : Typed(field, type, address);
    }

    /// <summary>
    /// Folded between words. A longer one has a line of its own and stays whole, as far as any line may go: a space within it would
    /// make another word of an address.
    /// </summary>
    public static Header Text(string field, string type, string text) => Text(field, $"{type}; {text}");

    /// <inheritdoc cref="Text(string, string, string)"/>
    public static Header Text(string field, string text)
    {
        var folded = new StringBuilder();
        var column = field.Length + 1;
        foreach (var word in PlainText.Ascii(text).Split(' ', StringSplitOptions.RemoveEmptyEntries).SelectMany(word => word.Chunk(MostLineLength - 1)))
        {
            if (column + 1 + word.Length > MaxLineLength)
            {
                folded.Append("\r\n");
                column = 0;
            }
            folded.Append(' ').Append(word);
            column += 1 + word.Length;
        }
        return Raw(field, folded.Append("\r\n").ToString());
    }

    private static Header OneWord(string field, string type, string value)
    {
        var isLong = field.Length + type.Length + value.Length + ": ; ".Length > MaxLineLength;
        return Raw(field, $" {type};{(isLong ? "\r\n " : " ")}{value}\r\n");
    }

    /// <summary>The value as it is, which MimeKit would encode.</summary>
    internal static Header Raw(string field, string value)
    {
        var header = new Header(field, "");
        header.SetRawValue(Encoding.UTF8.GetBytes(value));
        return header;
    }

    /// <summary>RFC 3464 §2.3.6: "smtp" is for what an SMTP server said; the rest is our own.</summary>
    public static bool IsSmtpReply(string reply) =>
        reply.Length > 3 && char.IsAsciiDigit(reply[0]) && char.IsAsciiDigit(reply[1]) && char.IsAsciiDigit(reply[2]) && reply[3] is ' ' or '-';
}
