using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>Not more of the sender waits here than the policy allows, the recipients that he has named in this message included.</summary>
internal sealed class SenderQueueCheck(SenderQueues queues) : ICheck
{
    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation) =>
        queues.AreBounded ? JudgeAsync(context, cancellation) : new(Verdict.GoOn);

    // RFC 3463 §3.4: X.3.1, the storage that this sender has here is full. It is nobody's mailbox (X.2.2), and no fault of the message (X.5.3).
    private async ValueTask<Verdict> JudgeAsync(CheckContext context, CancellationToken cancellation) =>
        await queues.HaveRoomAsync(
            FlowKey.Of(context.Account?.Address ?? "", context.SenderDomain ?? ""), context.Transaction.Recipients.Count + 1, cancellation)
            ? Verdict.GoOn : new Verdict(Replies.C452SenderQueueFull);
}
