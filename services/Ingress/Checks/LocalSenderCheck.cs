using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>A stranger may not name a sender of ours, where <see cref="LocalSenderOptions"/> say so.</summary>
internal sealed class LocalSenderCheck(AddressResolver addresses, SenderRewriting rewriting, TimeProvider time) : ICheck
{
    public async ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        if (context.MayRelay || context.Sender is not { HasDomain: true, HasAddressLiteral: false } sender)
            return Verdict.GoOn;
        // It is a stranger's, that we have rewritten, and comes home by another system.
        if (rewriting.Read(sender.Canonical, time.GetUtcNow()) is { Fault: ReturnPathFault.None })
            return Verdict.GoOn;
        return (await addresses.ResolveAsync(sender.Canonical, cancellation)) is { IsLocal: true, IsRelayed: false } ? new(Replies.C550LocalSender) : Verdict.GoOn;
    }
}
