namespace MailPipeline.Mail;

/// <summary>What was said of a message before its content: from whom, to whom, and what it needs on its way.</summary>
/// <param name="MessageId">See <see cref="MessageIds"/>.</param>
/// <param name="Sender">Reverse-path without brackets; empty for the null sender (RFC 5321 §4.5.5).</param>
/// <param name="Recipients">Forward-paths without brackets, as accepted at RCPT, in order.</param>
/// <param name="SizeBytes">Octets of the message, with the fields that were put in front of it.</param>
/// <param name="Body">What the content needs from the next hop.</param>
/// <param name="AcceptedAt">When the commit was asked for.</param>
/// <param name="TraceParent">W3C traceparent of the SMTP transaction; empty when it was not traced.</param>
/// <param name="Flow">Whose message it is where senders take turns; see <see cref="FlowKey"/>.</param>
/// <param name="HoldReason">Why all of its recipients wait for an operator from the start; empty: they do not.</param>
public sealed record Envelope(
    long MessageId,
    string Sender,
    string[] Recipients,
    long SizeBytes,
    BodyType Body,
    DateTimeOffset AcceptedAt,
    string TraceParent,
    string Flow = "",
    string HoldReason = "");

/// <summary>What the content of a message needs from the next hop; the BODY and SMTPUTF8 parameters of MAIL. The numbers are stored.</summary>
[Flags]
public enum BodyType
{
    SevenBit = 0,

    /// <summary>RFC 6152.</summary>
    EightBitMime = 1,

    /// <summary>RFC 6531.</summary>
    SmtpUtf8 = 2,
}

/// <summary>The key by which messages of one sender are known among others that wait.</summary>
public static class FlowKey
{
    /// <summary>The account that was logged in, else the domain of the sender, else (null sender) nothing. In lower case.</summary>
    /// <param name="account">Address of the account; empty where nobody was logged in.</param>
    public static string Of(string account, string sender) =>
        (account.Length > 0 ? account : sender[(sender.LastIndexOf('@') + 1)..]).ToLowerInvariant();
}
