using MailPipeline.Mail;
using MailPipeline.Sasl;


namespace MailPipeline.Mailbox.Pop3;

/// <summary>What a connection has to do next, as decided by <see cref="Pop3Session"/>. Lines are without their CRLF.</summary>
internal abstract record Pop3Step
{
    private Pop3Step()
    {
    }

    /// <summary>Write one line.</summary>
    internal sealed record Reply(string Line) : Pop3Step;

    /// <summary>Write one line, then the listing and the terminating line. The listing is read once, at once.</summary>
    internal sealed record Listing(string Line, IEnumerable<string> Lines) : Pop3Step;

    /// <summary>Find the keys by which a proof of this name is judged, and give them to the session.</summary>
    internal sealed record FindKeys(string UserName) : Pop3Step;

    /// <summary>Look at what the client says it is, and tell the session whether it is so.</summary>
    internal sealed record Verify(SaslClaim Claim) : Pop3Step;

    /// <summary>Lock and list the maildrop of whose claim was found true, and tell the session how that went.</summary>
    internal sealed record OpenMaildrop : Pop3Step;

    /// <summary>Write one line, drop what was received beyond the command, and start TLS.</summary>
    internal sealed record StartTls(string Line) : Pop3Step;

    /// <summary>Write the line, then the message, or its header and so many lines of its body, and the terminating line.</summary>
    internal sealed record Send(string Line, MaildropMessage Message, long? BodyLines) : Pop3Step;

    /// <summary>Delete the messages with these uids, all or none, and tell the session how that went.</summary>
    internal sealed record Commit(IReadOnlyList<long> Uids) : Pop3Step;

    /// <summary>Write one line and close the connection.</summary>
    internal sealed record Close(string Line) : Pop3Step;
}

/// <summary>Why a login did not lead to an open maildrop.</summary>
internal enum LoginFailure
{
    /// <summary>The name is unknown or the password wrong; a client cannot tell which.</summary>
    BadCredentials,

    /// <summary>Another session has the maildrop (RFC 1939 §4: exclusive access).</summary>
    InUse,

    /// <summary>Storage did not answer.</summary>
    Unavailable,
}

/// <summary>What is wrong with a line that cannot be a command.</summary>
internal enum LineFault
{
    /// <summary>Longer than <see cref="Pop3Session.MaxLineBytes"/>.</summary>
    TooLong,

    /// <summary>A line feed without a carriage return before it.</summary>
    BareLineFeed,

    /// <summary>A control character (NUL and a bare carriage return among them), or text that is not UTF-8.</summary>
    BadCharacter,
}
