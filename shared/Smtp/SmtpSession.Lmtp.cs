namespace MailPipeline.Smtp;

// Where LMTP (RFC 2033) is spoken in the place of SMTP. Its replies to the end of a message stand where that of SMTP does.
public sealed partial class SmtpSession
{
    private bool IsLmtp => profile.Kind == ListenerKind.Lmtp;

    // RFC 2033 §4.1: it means what EHLO means in SMTP, and neither protocol knows the greeting of the other.
    internal SmtpStep Lhlo(ReadOnlySpan<byte> argument) => IsLmtp ? Greet(argument, isExtended: true) : Respond(Replies.C500BadCommand);

    /// <summary>A refusal by the state of the session, as LMTP has it.</summary>
    private SmtpReply InLmtp(SmtpReply refusal)
    {
        if (!IsLmtp)
            return refusal;
        // RFC 2033 §4.2: DATA without a recipient is 503.
        return refusal == Replies.C503GreetFirst ? Replies.C503LhloFirst : refusal == Replies.C554NoRecipients ? Replies.C503NoRecipients : refusal;
    }
}
