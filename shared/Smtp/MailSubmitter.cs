using System.Globalization;
using System.Text;

namespace MailPipeline.Smtp;

/// <summary>
/// Who is said to have submitted a message: AUTH= of MAIL (RFC 4954 §5). Servers that trust each other hand it on; it says nothing to anybody
/// else.
/// </summary>
/// <param name="Mailbox">Null: nobody knows, or nobody who is believed has said so ("&lt;&gt;").</param>
public sealed record MailSubmitter(SmtpAddress? Mailbox)
{
    private const string Nobody = "<>";

    // RFC 4954 §3 (7): by so much it makes a command line longer.
    private const int MaxLength = 500;

    public static readonly MailSubmitter Unknown = new((SmtpAddress?)null);

    /// <summary>The text that storage keeps.</summary>
    public string ToText() => Mailbox?.Text ?? Nobody;

    /// <summary>Reads what <see cref="ToText"/> wrote; null where that is nothing.</summary>
    /// <exception cref="FormatException">It is none of that.</exception>
    public static MailSubmitter? Parse(string text) => text switch
    {
        "" => null,
        Nobody => Unknown,
        _ => new(SmtpAddress.Parse(text)),
    };

    /// <summary>The parameter of MAIL.</summary>
    /// <param name="isUtf8">The command has SMTPUTF8: without it a mailbox that needs it cannot be said (RFC 6531 §3.4).</param>
    public string ParameterFor(bool isUtf8)
    {
        if (Mailbox is not { } mailbox || (mailbox.NeedsSmtpUtf8 && !isUtf8))
            return $"AUTH={Nobody}";
        var parameter = new StringBuilder("AUTH=", mailbox.Text.Length + 8);
        foreach (var character in mailbox.Text)
        {
            // RFC 4954 §8 (xtext), and UTF-8 as it is.
            if (character is (>= '!' and <= '~' and not ('+' or '=')) or > '\x7f')
                parameter.Append(character);
            else
                parameter.Append(CultureInfo.InvariantCulture, $"+{(int)character:X2}");
        }

        return parameter.ToString();
    }

    /// <summary>Reads the value of the parameter, strictly: what is taken is said to others.</summary>
    /// <param name="needsSmtpUtf8">The mailbox is not all ASCII.</param>
    internal static bool TryRead(ReadOnlySpan<byte> value, out MailSubmitter submitter, out bool needsSmtpUtf8)
    {
        (submitter, needsSmtpUtf8) = (Unknown, false);
        if (value.Length is 0 or > MaxLength)
            return false;
        Span<byte> decoded = stackalloc byte[MaxLength];
        var length = 0;
        for (var i = 0; i < value.Length; i++)
        {
            if (value[i] == '+')
            {
                if (i + 2 >= value.Length || DsnSyntax.Hex(value[i + 1]) is not { } high || DsnSyntax.Hex(value[i + 2]) is not { } low)
                    return false;
                decoded[length++] = (byte)((high << 4) | low);
                i += 2;
            }
            else if (value[i] is (>= (byte)'!' and <= (byte)'~' and not (byte)'=') or > 0x7f)
            {
                decoded[length++] = value[i];
            }
            else
            {
                return false;
            }
        }

        if (decoded[..length].SequenceEqual("<>"u8))
            return true;
        if (!SmtpAddress.TryParse(decoded[..length], allowUtf8: true, out var mailbox))
            return false;
        (submitter, needsSmtpUtf8) = (new(mailbox), mailbox!.IsWrittenInUtf8);
        return true;
    }
}
