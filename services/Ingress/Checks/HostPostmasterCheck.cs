using MailPipeline.Mail;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// This host has a postmaster, from whom reports come: mail to him is taken, from anybody, by the mailbox that
/// <see cref="HostPostmaster"/> finds.
/// </summary>
internal sealed class HostPostmasterCheck(AddressResolver addresses, HostPostmaster hostPostmaster, IOptions<IngressOptions> options) : ICheck
{
    public async ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        var recipient = context.Recipient;
        // RFC 5321 §4.1.1.3: the bare postmaster is the one of this host.
        if (!recipient.HasDomain)
            return await FindAsync(cancellation);
        if (!HostPostmaster.IsMeantBy(recipient.Canonical, options.Value.HostName))
            return Verdict.GoOn;
        if (recipient.HasAddressLiteral)
            return await FindAsync(cancellation);
        // A mailbox of that very address comes first.
        return await context.ResolveRecipientAsync(addresses, cancellation) is { IsLocal: true, Fault: AddressFault.None }
            ? Verdict.GoOn
            : await FindAsync(cancellation);
    }

    private async ValueTask<Verdict> FindAsync(CancellationToken cancellation) =>
        await hostPostmaster.FindAsync(options.Value.HostName, options.Value.Postmaster, cancellation) is { } found
            ? new(null, SmtpAddress.Parse(found))
            : new(Replies.C550NoSuchUser);
}
