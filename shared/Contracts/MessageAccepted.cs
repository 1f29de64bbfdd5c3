namespace MailPipeline.Contracts;

/// <summary>
/// Event, Ingress to Queue: these messages are committed and have no recipient rows yet. A hint: losing it delays
/// routing until the reconciler looks, repeating it changes nothing.
/// </summary>
public sealed record MessageAccepted(AcceptedMessage[] Messages);

/// <summary>One accepted message and its envelope; the bytes stay in storage (claim check).</summary>
/// <param name="MessageId">See <see cref="MessageIds"/>.</param>
/// <param name="Sender">Reverse-path without brackets; empty for the null sender (RFC 5321 §4.5.5).</param>
/// <param name="Recipients">Forward-paths without brackets, as accepted at RCPT, in order.</param>
/// <param name="SizeBytes">Content size in octets, prepended trace headers included.</param>
/// <param name="Body">What the content needs from the next hop.</param>
/// <param name="AcceptedAt">When the commit was asked for.</param>
/// <param name="TraceParent">W3C traceparent of the SMTP transaction; empty when it was not traced.</param>
public sealed record AcceptedMessage(
    long MessageId,
    string Sender,
    string[] Recipients,
    long SizeBytes,
    BodyType Body,
    DateTimeOffset AcceptedAt,
    string TraceParent);

/// <summary>What the content of a message needs from the next hop; the BODY and SMTPUTF8 parameters of MAIL.</summary>
[Flags]
public enum BodyType
{
    SevenBit = 0,

    /// <summary>RFC 6152.</summary>
    EightBitMime = 1,

    /// <summary>RFC 6531.</summary>
    SmtpUtf8 = 2,
}
