using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// One question about mail at the door. One object for all sessions, asked from many at once; what a session is about stands in the context.
/// </summary>
internal interface ICheck
{
    /// <summary>
    /// What becomes of what is proposed. To go on costs no allocation. Storage that is away may be thrown as it is: the client hears "later".
    /// </summary>
    ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation);
}

/// <summary>What a check says: go on (the default), or what ends its stage.</summary>
/// <param name="Reply">4xx or 5xx: the command is refused with it.</param>
/// <param name="Redirect">The recipient is taken, and this address in its place.</param>
internal readonly record struct Verdict(SmtpReply? Reply, SmtpAddress? Redirect = null)
{
    /// <summary>This check has nothing against it: the next one is asked.</summary>
    public static Verdict GoOn => default;

    public bool IsGoOn => Reply is null && Redirect is null;
}

/// <summary>What checks may know of one session: who the client is, and what it proposes. One object for each connection.</summary>
internal sealed class CheckContext(SmtpSession session, bool isRelayClient)
{
    private SmtpAddress? _resolvedRecipient;
    private ResolvedAddress? _resolved;

    /// <summary>Who has logged in; null is a stranger.</summary>
    public Account? Account { get; set; }

    /// <summary>The client has logged in, or the operator lists it.</summary>
    public bool MayRelay => Account is not null || isRelayClient;

    /// <summary>The reverse-path, null for the null path; while the sender is checked.</summary>
    public SmtpAddress? Sender => session.ProposedSender;

    /// <summary>While a recipient is checked.</summary>
    public SmtpAddress Recipient => session.ProposedRecipient ?? throw new InvalidOperationException("No recipient is proposed.");

    /// <summary>Where the recipient leads, looked up once for all checks of it.</summary>
    public async ValueTask<ResolvedAddress> ResolveRecipientAsync(AddressResolver addresses, CancellationToken cancellation)
    {
        var recipient = Recipient;
        if (_resolved is not { } resolved || !ReferenceEquals(recipient, _resolvedRecipient))
        {
            resolved = await addresses.ResolveAsync(recipient.Canonical, cancellation);
            (_resolvedRecipient, _resolved) = (recipient, resolved);
        }

        return resolved;
    }
}
