using MailPipeline.Mail;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>A recipient of ours is there. Said while the sender still listens; found later it would be a report, to whoever was named as the sender.</summary>
internal sealed class LocalRecipientCheck(AddressResolver addresses, IOptions<IngressOptions> options) : ICheck
{
    private readonly SmtpAddress? _postmaster =
        options.Value.Postmaster.Length > 0 ? SmtpAddress.Parse(options.Value.Postmaster) : null;

    public async ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        var recipient = context.Recipient;
        if (recipient.HasAddressLiteral)
            return Verdict.GoOn;
        var resolved = await context.ResolveRecipientAsync(addresses, cancellation);
        if (!resolved.IsLocal || resolved.Fault == AddressFault.None)
            return Verdict.GoOn;
        if (recipient.IsPostmaster)
            return Postmaster();
        // RFC 2142 §4: whoever reads a domain's complaints where nobody is named for them.
        if (!recipient.LocalPart.Equals("abuse", StringComparison.OrdinalIgnoreCase))
            return new(RefusalOf(resolved.Fault));
        var own = $"postmaster@{recipient.Domain}";
        return (await addresses.ResolveAsync(own, cancellation)).Fault == AddressFault.None ? new(null, SmtpAddress.Parse(own)) : Postmaster();
    }

    private static SmtpReply RefusalOf(AddressFault fault) => fault switch
    {
        AddressFault.Loop or AddressFault.TooDeep => Replies.C550AliasLoop,
        AddressFault.TooWide => Replies.C550AliasTooWide,
        _ => Replies.C550NoSuchUser,
    };

    // RFC 5321 §4.5.1: every domain of ours has a postmaster, if the operator named one.
    private Verdict Postmaster() => _postmaster is null ? new(Replies.C550NoSuchUser) : new(null, _postmaster);
}
