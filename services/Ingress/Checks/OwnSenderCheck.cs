using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// An authenticated user sends as himself, by one of his <see cref="OwnAddresses"/>.
/// <see cref="OwnSenderOptions.AllowForeign"/> switches it off.
/// </summary>
internal sealed class OwnSenderCheck(OwnAddresses own) : ICheck
{
    public async ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        // The null path is nobody's address; clients use it for disposition notifications (RFC 8098 §3).
        if (context.Account is not { } account || context.Sender is not { } sender)
            return Verdict.GoOn;
        return await own.HasAsync(account, sender, cancellation) ? Verdict.GoOn : new(Replies.C553SenderNotOwned);
    }
}
