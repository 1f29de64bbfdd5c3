using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>A client, or a kind of listener, has not had too many connections lately; nor has the client failed too often, at commands or logins.</summary>
internal sealed class ConnectionLimitCheck(DoorLimits limits) : ICheck
{
    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation) =>
        limits.Counts(LimitWhat.Connections) || limits.Counts(LimitWhat.FailedCommands) || limits.Counts(LimitWhat.FailedLogins) ? JudgeAsync(context) : new(Verdict.GoOn);

    private async ValueTask<Verdict> JudgeAsync(CheckContext context) =>
        await limits.TakeAsync(context, LimitWhat.Connections) is { } rule ? new Verdict(Replies.C421TooMuch) { Rule = rule.Name } : Verdict.GoOn;
}
