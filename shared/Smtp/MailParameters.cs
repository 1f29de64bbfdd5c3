using System.Buffers.Text;
using System.Text;

namespace MailPipeline.Smtp;

/// <summary>The parameters of MAIL. Each has a method that reads it, and stands in the row of its extension.</summary>
internal struct MailParameters
{
    // RFC 4865 §4: a digit that is not 0, and up to eight more.
    private const int MaxHoldDigits = 9;

    // A fraction of a second may have any number of digits; nobody needs so many.
    private const int MaxHoldUntilLength = 64;

    // RFC 2852 §4.
    private const int MaxByDigits = 9;

    // RFC 1870 §6: 1*20DIGIT.
    private const int MaxSizeDigits = 20;

    private bool _hasBody;
    private DsnReturn _return;
    private string? _envelopeId;
    private string? _hold;
    private TimeSpan? _holdFor;
    private DateTimeOffset _holdUntil;
    private int? _priority;
    private long? _bySeconds;
    private bool _isReturned;
    private bool _isTraced;

    public SmtpBody Body { get; private set; }

    public bool SmtpUtf8 { get; private set; }

    /// <summary>A parameter is written in UTF-8.</summary>
    public bool NeedsSmtpUtf8 { get; private set; }

    /// <summary>RFC 8689: it goes under TLS to hosts that are proven, or nowhere.</summary>
    public bool RequireTls { get; private set; }

    public long? SizeBytes { get; private set; }

    /// <summary>Who is said to have submitted the message; null: nothing was said.</summary>
    public MailSubmitter? Submitter { get; private set; }

    /// <summary>What they say about reports; null: nothing.</summary>
    public readonly MailDsn? Dsn => _return == DsnReturn.Unsaid && _envelopeId is null ? null : new MailDsn(_return, _envelopeId ?? "");

    /// <summary>What they say about time; null: nothing.</summary>
    /// <param name="now">As of which HOLDFOR and BY count.</param>
    public readonly MailTiming? Timing(DateTimeOffset now) =>
        _hold is null && _priority is null && _bySeconds is null ? null : new MailTiming
        {
            Release = _hold is null ? null : new ReleaseRequest(_hold, _holdFor is { } time ? now + time : _holdUntil),
            Priority = _priority,
            By = _bySeconds is { } seconds ? new DeliverBy(now.AddSeconds(seconds), _isReturned, _isTraced) : null,
        };

    public static SmtpReply? Size(ref MailParameters parameters, ReadOnlySpan<byte> value, bool hasValue)
    {
        if (parameters.SizeBytes is not null || value.Length is 0 or > MaxSizeDigits)
            return Replies.C501BadArgument;
        if (value.ContainsAnyExceptInRange((byte)'0', (byte)'9'))
            return Replies.C501BadArgument;

        // Twenty digits may be more than fits: as good as infinite.
        parameters.SizeBytes = Utf8Parser.TryParse(value, out long size, out _) ? size : long.MaxValue;
        return null;
    }

    public static SmtpReply? BodyType(ref MailParameters parameters, ReadOnlySpan<byte> value, bool hasValue)
    {
        if (parameters._hasBody)
            return Replies.C501BadBody;
        parameters._hasBody = true;
        if (Ascii.EqualsIgnoreCase(value, "8BITMIME"u8))
            parameters.Body = SmtpBody.EightBitMime;
        else if (!Ascii.EqualsIgnoreCase(value, "7BIT"u8))
            return Replies.C501BadBody;
        return null;
    }

    public static SmtpReply? Utf8(ref MailParameters parameters, ReadOnlySpan<byte> value, bool hasValue)
    {
        // RFC 6531 §3.4: without a value.
        if (hasValue || parameters.SmtpUtf8)
            return Replies.C501BadArgument;
        parameters.SmtpUtf8 = true;
        return null;
    }

    public static SmtpReply? Tls(ref MailParameters parameters, ReadOnlySpan<byte> value, bool hasValue)
    {
        // RFC 8689 §4.1: without a value.
        if (hasValue || parameters.RequireTls)
            return Replies.C501BadArgument;
        parameters.RequireTls = true;
        return null;
    }

    public static SmtpReply? Return(ref MailParameters parameters, ReadOnlySpan<byte> value, bool hasValue)
    {
        if (parameters._return != DsnReturn.Unsaid || !DsnSyntax.TryReadReturn(value, out var part))
            return Replies.C501BadReturn;
        parameters._return = part;
        return null;
    }

    public static SmtpReply? EnvelopeId(ref MailParameters parameters, ReadOnlySpan<byte> value, bool hasValue)
    {
        if (parameters._envelopeId is not null || !DsnSyntax.TryReadEnvelopeId(value, out var id))
            return Replies.C501BadEnvelopeId;
        parameters._envelopeId = id;
        return null;
    }

    public static SmtpReply? HoldFor(ref MailParameters parameters, ReadOnlySpan<byte> value, bool hasValue)
    {
        if (parameters._hold is not null)
            return Replies.C501HeldTwice;
        if (value.Length is 0 or > MaxHoldDigits || value[0] == '0' || !Utf8Parser.TryParse(value, out uint seconds, out var length) || length != value.Length)
            return Replies.C501BadHoldFor;
        (parameters._hold, parameters._holdFor) = ($"for;{Encoding.ASCII.GetString(value)}", TimeSpan.FromSeconds(seconds));
        return null;
    }

    public static SmtpReply? HoldUntil(ref MailParameters parameters, ReadOnlySpan<byte> value, bool hasValue)
    {
        if (parameters._hold is not null)
            return Replies.C501HeldTwice;
        if (value.Length > MaxHoldUntilLength || !Rfc3339.TryParse(value, out parameters._holdUntil))
            return Replies.C501BadHoldUntil;
        parameters._hold = $"until;{Encoding.ASCII.GetString(value)}";
        return null;
    }

    public static SmtpReply? Priority(ref MailParameters parameters, ReadOnlySpan<byte> value, bool hasValue)
    {
        // RFC 6710 §3: ["-"] and a digit that is not 0; or 0.
        var digits = value.StartsWith("-"u8) ? value[1..] : value;
        if (parameters._priority is not null || digits is not [>= (byte)'0' and <= (byte)'9' and var digit] || (digit == '0' && digits.Length < value.Length))
            return Replies.C501BadPriority;
        parameters._priority = digits.Length < value.Length ? '0' - digit : digit - '0';
        return null;
    }

    public static SmtpReply? By(ref MailParameters parameters, ReadOnlySpan<byte> value, bool hasValue)
    {
        // RFC 2852 §4: a sign or none, up to nine digits; a semicolon; N or R; T or nothing.
        var end = value.IndexOf((byte)';');
        if (parameters._bySeconds is not null || end <= 0)
            return Replies.C501BadBy;
        var digits = value[0] is (byte)'+' or (byte)'-' ? value[1..end] : value[..end];
        var mode = value[(end + 1)..];
        if (digits.Length is 0 or > MaxByDigits || !Utf8Parser.TryParse(digits, out uint seconds, out var length) || length != digits.Length
            || mode is not [(byte)'N' or (byte)'n' or (byte)'R' or (byte)'r'] and not [(byte)'N' or (byte)'n' or (byte)'R' or (byte)'r', (byte)'T' or (byte)'t'])
        {
            return Replies.C501BadBy;
        }

        parameters._bySeconds = value[0] == '-' ? -seconds : seconds;
        parameters._isReturned = mode[0] is (byte)'R' or (byte)'r';
        parameters._isTraced = mode.Length == 2;
        // RFC 2852 §4: what is to be returned has a time left.
        return parameters._isReturned && parameters._bySeconds <= 0 ? Replies.C501NoTimeLeft : null;
    }

    public static SmtpReply? Auth(ref MailParameters parameters, ReadOnlySpan<byte> value, bool hasValue)
    {
        // RFC 4954 §5: a claim, which is kept as it is from those alone who are believed.
        if (parameters.Submitter is not null || !MailSubmitter.TryRead(value, out var submitter, out var isUtf8))
            return Replies.C501BadSubmitter;
        parameters.Submitter = submitter;
        parameters.NeedsSmtpUtf8 |= isUtf8;
        return null;
    }
}
