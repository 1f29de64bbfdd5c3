using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>Who sends has not sent too many messages lately, by the limits of the policy. Asked of what else is taken.</summary>
internal sealed class MessageLimitCheck(DoorLimits limits) : ICheck
{
    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation) =>
        limits.Counts(LimitWhat.Messages) ? JudgeAsync(context) : new(Verdict.GoOn);

    private async ValueTask<Verdict> JudgeAsync(CheckContext context) =>
        await limits.TakeAsync(context, LimitWhat.Messages) is { } rule ? new Verdict(Replies.C451TooMuch) { Rule = rule.Name } : Verdict.GoOn;
}
