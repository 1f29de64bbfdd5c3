using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>Who sends has not named too many recipients lately, by the limits of the policy. Asked of those that are taken.</summary>
internal sealed class RecipientLimitCheck(DoorLimits limits) : ICheck
{
    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation) =>
        limits.Counts(LimitWhat.Recipients) ? JudgeAsync(context) : new(Verdict.GoOn);

    private async ValueTask<Verdict> JudgeAsync(CheckContext context) =>
        await limits.TakeAsync(context, LimitWhat.Recipients) is { } rule ? new Verdict(Replies.C451TooMuch) { Rule = rule.Name } : Verdict.GoOn;
}
