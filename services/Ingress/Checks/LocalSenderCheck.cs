using MailPipeline.Mail;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>Whether a stranger may name a sender of ours; as <see cref="IngressOptions.LocalSenders"/> says.</summary>
internal sealed class LocalSenderCheck(AddressResolver addresses, IOptions<IngressOptions> options) : ICheck
{
    public async ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        if (options.Value.LocalSenders != LocalSenders.Refuse || context.MayRelay
            || context.Sender is not { HasDomain: true, HasAddressLiteral: false } sender)
            return Verdict.GoOn;
        return (await addresses.ResolveAsync(sender.Canonical, cancellation)).IsLocal ? new(Replies.C550LocalSender) : Verdict.GoOn;
    }
}
