using MailPipeline.Mail;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress;

/// <summary>What becomes of a recipient: refused, taken, or taken under another address.</summary>
internal readonly record struct RecipientVerdict(SmtpReply? Refusal, SmtpAddress? Redirect = null);

/// <summary>Whose mail is taken: recipients of ours from anybody, any other only for those who may relay.</summary>
internal sealed class AddressPolicy(
    AddressResolver addresses, HostPostmaster hostPostmaster, MailDirectory directory, IOptions<IngressOptions> options)
{
    private readonly SmtpAddress? _postmaster =
        options.Value.Postmaster.Length > 0 ? SmtpAddress.Parse(options.Value.Postmaster) : null;

    public async ValueTask<RecipientVerdict> CheckRecipientAsync(SmtpAddress recipient, bool mayRelay, CancellationToken cancellation)
    {
        // RFC 5321 §4.1.1.3: the bare postmaster is the one of this host.
        if (!recipient.HasDomain)
            return await HostPostmasterAsync(cancellation);
        var isOfHost = HostPostmaster.IsMeantBy(recipient.Canonical, options.Value.Hostname);
        if (recipient.HasAddressLiteral)
            return isOfHost ? await HostPostmasterAsync(cancellation) : Relayed(mayRelay);
        var resolved = await addresses.ResolveAsync(recipient.Canonical, cancellation);
        if (isOfHost && (!resolved.IsLocal || resolved.Fault != AddressFault.None))
            return await HostPostmasterAsync(cancellation);
        if (!resolved.IsLocal)
            return Relayed(mayRelay);
        if (resolved.Fault == AddressFault.None)
            return default;
        return recipient.IsPostmaster ? Postmaster() : new(RefusalOf(resolved.Fault));
    }

    // Said while the sender still listens; found later it would be a report, to whoever was named as the sender.
    private static SmtpReply RefusalOf(AddressFault fault) => fault switch
    {
        AddressFault.Loop or AddressFault.TooDeep => Replies.C550AliasLoop,
        AddressFault.TooWide => Replies.C550AliasTooWide,
        _ => Replies.C550NoSuchUser,
    };

    private static RecipientVerdict Relayed(bool mayRelay) => new(mayRelay ? null : Replies.C550RelayingDenied);

    /// <summary>
    /// An authenticated user sends as himself: his account's address, or one that leads to it and is nobody else's account. What a
    /// catch-all leads to him is only what nothing else has. Null: fine.
    /// </summary>
    public async ValueTask<SmtpReply?> CheckSenderAsync(SmtpAddress? sender, Account? account, bool mayRelay, CancellationToken cancellation)
    {
        if (sender is not null && !mayRelay && options.Value.LocalSenders == LocalSenders.Refuse
            && sender is { HasDomain: true, HasAddressLiteral: false } && (await addresses.ResolveAsync(sender.Canonical, cancellation)).IsLocal)
            return Replies.C550LocalSender;
        // The null path is nobody's address; clients use it for disposition notifications (RFC 8098 §3).
        if (account is null || sender is null || options.Value.AllowForeignSenders)
            return null;

        var address = sender.Canonical;
        var isOwned = await directory.FindAccountAsync(address, cancellation) is { } owner
            ? owner.Id == account.Id
            : (await addresses.ResolveAsync(address, cancellation)).LeadsTo(account);
        return isOwned ? null : Replies.C553SenderNotOwned;
    }

    // RFC 5321 §4.5.1: every domain of ours has a postmaster, if the operator named one.
    private RecipientVerdict Postmaster() => _postmaster is null ? new(Replies.C550NoSuchUser) : new(null, _postmaster);

    private async ValueTask<RecipientVerdict> HostPostmasterAsync(CancellationToken cancellation) =>
        await hostPostmaster.FindAsync(options.Value.Hostname, options.Value.Postmaster, cancellation) is { } found
            ? new(null, SmtpAddress.Parse(found))
            : new(Replies.C550NoSuchUser);
}
