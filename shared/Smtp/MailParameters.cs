using System.Buffers.Text;
using System.Text;

namespace MailPipeline.Smtp;

/// <summary>The parameters of MAIL (RFC 5321 §4.1.1.11): those of the extensions our server offers, and no others.</summary>
internal ref struct MailParameters
{
    // RFC 1870 §6: 1*20DIGIT.
    private const int MaxSizeDigits = 20;

    private bool _hasBody;
    private bool _hasAuth;

    public SmtpBody Body { get; private set; }

    public bool SmtpUtf8 { get; private set; }

    public long? SizeBytes { get; private set; }

    /// <summary>Reads what stands behind the path; null when all is well.</summary>
    public SmtpReply? Read(ReadOnlySpan<byte> text, SmtpProfile profile)
    {
        if (!text.IsEmpty && text[0] != ' ')
            return Replies.C501BadArgument;

        foreach (var range in text.Split((byte)' '))
        {
            var parameter = text[range];
            if (parameter.IsEmpty)
                continue;

            var equals = parameter.IndexOf((byte)'=');
            var keyword = equals < 0 ? parameter : parameter[..equals];
            var value = equals < 0 ? default : parameter[(equals + 1)..];
            if (Take(keyword, value, equals >= 0, profile) is { } refusal)
                return refusal;
        }

        return null;
    }

    private SmtpReply? Take(ReadOnlySpan<byte> keyword, ReadOnlySpan<byte> value, bool hasValue, SmtpProfile profile)
    {
        if (Ascii.EqualsIgnoreCase(keyword, "SIZE"u8))
            return TakeSize(value);
        if (Ascii.EqualsIgnoreCase(keyword, "BODY"u8))
            return TakeBody(value);
        if (Ascii.EqualsIgnoreCase(keyword, "SMTPUTF8"u8) && profile.OffersSmtpUtf8)
        {
            // RFC 6531 §3.4: without a value.
            if (hasValue || SmtpUtf8)
                return Replies.C501BadArgument;
            SmtpUtf8 = true;
            return null;
        }

        if (Ascii.EqualsIgnoreCase(keyword, "AUTH"u8) && profile.OffersAuth)
        {
            // RFC 4954 §5: an unverified claim, which an untrusting server takes as "<>": read and not kept.
            if (_hasAuth || value.IsEmpty)
                return Replies.C501BadArgument;
            _hasAuth = true;
            return null;
        }

        // RFC 5321 §4.1.1.11.
        return Replies.C555BadParameter;
    }

    private SmtpReply? TakeSize(ReadOnlySpan<byte> value)
    {
        if (SizeBytes is not null || value.Length is 0 or > MaxSizeDigits)
            return Replies.C501BadArgument;
        foreach (var octet in value)
            if (octet is < (byte)'0' or > (byte)'9')
                return Replies.C501BadArgument;

        // Twenty digits may be more than fits: as good as infinite.
        SizeBytes = Utf8Parser.TryParse(value, out long size, out _) ? size : long.MaxValue;
        return null;
    }

    private SmtpReply? TakeBody(ReadOnlySpan<byte> value)
    {
        if (_hasBody)
            return Replies.C501BadArgument;
        _hasBody = true;
        if (Ascii.EqualsIgnoreCase(value, "8BITMIME"u8))
            Body = SmtpBody.EightBitMime;
        else if (!Ascii.EqualsIgnoreCase(value, "7BIT"u8))
            return Replies.C501BadArgument;
        return null;
    }
}
