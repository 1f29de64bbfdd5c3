using MailPipeline.Smtp;

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
/// <param name="Dsn">What it said about reports; null: nothing, as most do.</param>
/// <param name="Timing">What it said about time; null: nothing, as most do.</param>
/// <param name="Submitter">Who has submitted it, as far as those are believed who said so; null: nothing was said, as by most, or that nobody knows
/// (<see cref="BodyType.UnknownSubmitter"/>).</param>
/// <param name="HeaderId">Its field Message-ID, without brackets; empty where it has none that could be told.</param>
public sealed record Envelope(
    long MessageId,
    string Sender,
    string[] Recipients,
    long SizeBytes,
    BodyType Body,
    DateTimeOffset AcceptedAt,
    string TraceParent,
    string Flow = "",
    string HoldReason = "",
    EnvelopeDsn? Dsn = null,
    MailTiming? Timing = null,
    MailSubmitter? Submitter = null,
    string HeaderId = "");

/// <summary>What an envelope said about reports (RFC 3461). It goes with <see cref="BodyType.Dsn"/>.</summary>
/// <param name="Recipients">In the order of the envelope's.</param>
public sealed record EnvelopeDsn(MailDsn Mail, IReadOnlyList<RcptDsn> Recipients)
{
    /// <summary>The parameters of MAIL, then those of each RCPT, one a line.</summary>
    public string ToText() => string.Join('\n', Recipients.Select(recipient => recipient.ToString()).Prepend(Mail.ToString()));

    /// <summary>Reads what <see cref="ToText"/> wrote; null where that is nothing.</summary>
    /// <exception cref="FormatException">It is none of that.</exception>
    public static EnvelopeDsn? Parse(string text) =>
        text.Length == 0 ? null : text.Split('\n') is var lines ? new(MailDsn.Parse(lines[0]), [.. lines.Skip(1).Select(RcptDsn.Parse)]) : null;
}

/// <summary>What the next hop has to be told or to offer: the BODY and SMTPUTF8 parameters of MAIL, and that there are others. The numbers are stored.</summary>
[Flags]
public enum BodyType
{
    SevenBit = 0,

    /// <summary>RFC 6152.</summary>
    EightBitMime = 1,

    /// <summary>
    /// Its header is in UTF-8, and only a host that offers SMTPUTF8 may have it (RFC 6531 §3.2). What the addresses need is seen by them,
    /// as each of its recipients may need it or not.
    /// </summary>
    SmtpUtf8 = 2,

    /// <summary>Storage has parameters about reports (RFC 3461). The bus carries no more of them than this.</summary>
    Dsn = 4,

    /// <summary>Storage has a priority (RFC 6710) or a time of delivery (RFC 2852) that hosts are told of. The bus carries no more of them than this.</summary>
    Timing = 16,

    /// <summary>Storage knows who submitted it (AUTH= of MAIL, RFC 4954 §5), as hosts that we trust are told.</summary>
    Submitter = 32,

    /// <summary>REQUIRETLS (RFC 8689): only a host that offers it too, and is proven to be the right one under TLS, may have it, or a report about it.</summary>
    RequireTls = 64,

    /// <summary>Its field TLS-Required says no (RFC 8689 §3): what domains publish of TLS does not keep it from them.</summary>
    TlsOptional = 128,

    /// <summary>Nobody who is believed knows who submitted it (AUTH=&lt;&gt; of MAIL, RFC 4954 §5), as hosts that we trust are told. Storage has no more of it.</summary>
    UnknownSubmitter = 256,

    /// <summary>
    /// The numbers from 65,536 on, of which there are none yet: each will ask for something without which the message may not be sent, as REQUIRETLS
    /// does. Who does not know it leaves the message to others. Of the numbers below he passes over what he does not know.
    /// </summary>
    Unknown = ~0xFFFF,
}

/// <summary>The key by which messages of one sender are known among others that wait.</summary>
public static class FlowKey
{
    /// <summary>The account that was logged in, else the domain of the sender, else (null sender) nothing. In lower case.</summary>
    /// <param name="account">Address of the account; empty where nobody was logged in.</param>
    public static string Of(string account, string sender) =>
        (account.Length > 0 ? account : sender[(sender.LastIndexOf('@') + 1)..]).ToLowerInvariant();
}
