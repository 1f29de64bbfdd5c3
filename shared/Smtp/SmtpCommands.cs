using System.Text;

namespace MailPipeline.Smtp;

/// <summary>Where a session stands between two commands.</summary>
public enum SmtpSessionState
{
    /// <summary>No EHLO or HELO yet, or none since TLS began.</summary>
    Connected,

    Greeted,

    /// <summary>MAIL was accepted, and no recipient so far.</summary>
    Mail,

    /// <summary>At least one recipient was accepted.</summary>
    Recipients,

    /// <summary>A chunk of the content was taken, and more is to come.</summary>
    Chunks,
}

/// <summary>
/// The commands and where each is allowed (RFC 5321 §4.1.4): a row for each verb, a column for each state, in a cell the
/// refusal or null.
/// </summary>
internal sealed class SmtpCommands
{
    private const SmtpReply? Yes = null;
    private static readonly SmtpReply s_greet = Replies.C503GreetFirst;
    private static readonly SmtpReply s_mail = Replies.C503MailFirst;
    private static readonly SmtpReply s_busy = Replies.C503InTransaction;
    private static readonly SmtpReply s_nested = Replies.C503NestedMail;
    private static readonly SmtpReply s_noRcpt = Replies.C554NoRecipients;
    private static readonly SmtpReply s_chunks = Replies.C503InChunks;
    private static readonly SmtpReply s_no = Replies.C502NotImplemented;

    private static readonly Row[] s_rows =
    [
        //                                                              Connected Greeted Mail      Recipients Chunks
        new("RCPT",     static (session, argument) => session.Rcpt(argument),     [s_greet, s_mail, Yes,      Yes,      s_chunks]),
        new("MAIL",     static (session, argument) => session.Mail(argument),     [s_greet, Yes,    s_nested, s_nested, s_nested]),
        new("DATA",     static (session, argument) => session.Data(argument),     [s_greet, s_mail, s_noRcpt, Yes,      s_chunks]),
        new("BDAT",     static (session, argument) => session.Bdat(argument),     [s_greet, s_mail, s_noRcpt, Yes,      Yes]),
        new("RSET",     static (session, argument) => session.Rset(argument),     [Yes,     Yes,    Yes,      Yes,      Yes]),
        new("EHLO",     static (session, argument) => session.Ehlo(argument),     [Yes,     Yes,    Yes,      Yes,      Yes]),
        new("HELO",     static (session, argument) => session.Helo(argument),     [Yes,     Yes,    Yes,      Yes,      Yes]),
        // RFC 2033 §4.1, in the place of the two above.
        new("LHLO",     static (session, argument) => session.Lhlo(argument),     [Yes,     Yes,    Yes,      Yes,      Yes]),
        new("QUIT",     static (session, argument) => session.Quit(argument),     [Yes,     Yes,    Yes,      Yes,      Yes]),
        new("NOOP",     static (session, _) => session.Noop(),                    [Yes,     Yes,    Yes,      Yes,      Yes]),
        // RFC 4954 §4: not during a transaction. RFC 3207 §4: it would throw the transaction away; nothing has to be said before it, and some say nothing.
        new("AUTH",     static (session, argument) => session.Auth(argument),     [s_greet, Yes,    s_busy,   s_busy,   s_busy]),
        new("STARTTLS", static (session, argument) => session.StartTls(argument), [Yes,     Yes,    s_busy,   s_busy,   s_busy]),
        // RFC 1985 §5.2
        new("ETRN",     static (session, argument) => session.Etrn(argument),     [s_greet, Yes,    s_busy,   s_busy,   s_busy]),
        // XCLIENT_README: not during a transaction. It begins the session anew.
        new("XCLIENT",  static (session, argument) => session.Xclient(argument),  [Yes,     Yes,    s_busy,   s_busy,   s_busy]),
        new("VRFY",     static (session, argument) => session.Vrfy(argument),     [Yes,     Yes,    Yes,      Yes,      Yes]),
        new("HELP",     static (session, _) => session.Help(),                    [Yes,     Yes,    Yes,      Yes,      Yes]),
        // Known and not offered: RFC 5321 §4.2.4 wants 502 for them.
        new("EXPN",     null, [s_no, s_no, s_no, s_no, s_no]),
        new("TURN",     null, [s_no, s_no, s_no, s_no, s_no]),
        new("SEND",     null, [s_no, s_no, s_no, s_no, s_no]),
        new("SOML",     null, [s_no, s_no, s_no, s_no, s_no]),
        new("SAML",     null, [s_no, s_no, s_no, s_no, s_no]),
    ];

    public delegate SmtpStep Handler(SmtpSession session, ReadOnlySpan<byte> argument);

    /// <summary>The row of a verb in any case of letters; null when nobody knows it.</summary>
    public static Row? Find(ReadOnlySpan<byte> verb)
    {
        foreach (var row in s_rows)
        {
            if (row.Verb.Length == verb.Length && Ascii.EqualsIgnoreCase(row.Verb, verb))
                return row;
        }

        return null;
    }

    public sealed class Row(string verb, Handler? handler, SmtpReply?[] refusals)
    {
        public string Name => verb;

        public byte[] Verb { get; } = Encoding.ASCII.GetBytes(verb);

        /// <summary>Octets that are no lines come behind the command, whatever is said to it (RFC 3030 §2).</summary>
        public bool BringsChunk { get; } = verb == "BDAT";

        public SmtpReply? Refusal(SmtpSessionState state) => refusals[(int)state];

        public SmtpStep Run(SmtpSession session, ReadOnlySpan<byte> argument) =>
            handler?.Invoke(session, argument) ?? throw new InvalidOperationException("The command is refused in every state.");
    }
}
