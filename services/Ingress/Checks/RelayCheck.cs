using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// Recipients of ours from anybody, any other only for those who may relay. Where LMTP is spoken it is maildrops that mail is handed in to
/// (RFC 2033 §1): whatever else the client may do, mail for elsewhere goes to a listener of SMTP.
/// </summary>
internal sealed class RelayCheck(AddressResolver addresses) : ICheck
{
    public async ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        if (context.MayRelay && !context.IsForMaildrops)
            return Verdict.GoOn;
        // Address literals are none of ours, whoever's address it is.
        if (context.Recipient.HasAddressLiteral || await context.ResolveRecipientAsync(addresses, cancellation) is not { IsLocal: true } resolved)
            return new(Replies.C550RelayingDenied);
        if (resolved.IsRelayed && context.IsForMaildrops)
            return new(Replies.C550RelayingDenied);
        // A host that we relay for trusts us, and may read a way to others into a local part: "you%example.net" (RFC 5321 §3.6.1).
        return resolved.IsRelayed && context.Recipient.LocalPart.AsSpan().ContainsAny('%', '!', '@') ? new(Replies.C550RelayingDenied) : Verdict.GoOn;
    }
}
