using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>Recipients of ours from anybody, any other only for those who may relay.</summary>
internal sealed class RelayCheck(AddressResolver addresses) : ICheck
{
    public async ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        if (context.MayRelay)
            return Verdict.GoOn;
        // Address literals are none of ours, whoever's address it is.
        var isLocal = !context.Recipient.HasAddressLiteral && (await context.ResolveRecipientAsync(addresses, cancellation)).IsLocal;
        return isLocal ? Verdict.GoOn : new(Replies.C550RelayingDenied);
    }
}
