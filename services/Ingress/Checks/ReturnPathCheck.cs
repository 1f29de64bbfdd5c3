using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// What comes back to a sender that we have rewritten (<see cref="SenderRewriting"/>) is a report: one that we did rewrite, lately, and from the null
/// sender, unless <see cref="SenderRewritingOptions.AcceptFrom"/> says otherwise. Whoever made up such an address would have us relay for him.
/// </summary>
internal sealed class ReturnPathCheck(SenderRewriting rewriting, TimeProvider time) : ICheck
{
    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation) => new(Check(context));

    private Verdict Check(CheckContext context) => rewriting.Read(context.Recipient.Canonical, time.GetUtcNow()) switch
    {
        null => Verdict.GoOn,
        { Fault: ReturnPathFault.Forged } => new(Replies.C550NoSuchReturnPath),
        { Fault: ReturnPathFault.Expired } => new(Replies.C550ReturnPathExpired),
        _ => context.Transaction.Sender is null || rewriting.TakesAnySender ? Verdict.GoOn : new(Replies.C550ReportsOnly),
    };
}
