using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// An authenticated user sends as himself: his account's address, with a detail or in a domain that stands for its own as well, or one
/// that leads to it and is nobody else's account. What a catch-all leads to him is only what nothing else has.
/// <see cref="OwnSenderOptions.AllowForeign"/> switches it off.
/// </summary>
internal sealed class OwnSenderCheck(AddressResolver addresses) : ICheck
{
    public async ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        // The null path is nobody's address; clients use it for disposition notifications (RFC 8098 §3).
        if (context.Account is not { } account || context.Sender is not { } sender)
            return Verdict.GoOn;

        var address = sender.Canonical;
        var isOwned = await addresses.FindAccountAsync(address, cancellation) is { } owner
            ? owner.Id == account.Id
            : (await addresses.ResolveAsync(address, cancellation)).LeadsTo(account);
        return isOwned ? Verdict.GoOn : new(Replies.C553SenderNotOwned);
    }
}
