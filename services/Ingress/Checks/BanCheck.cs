using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// A client under a ban is not served: asked before the greeting, and at MAIL of sessions that were there before it. It hears "later", for a
/// ban ends. This machine and clients that the operator lists are under none.
/// </summary>
internal sealed class BanCheck(BanList bans) : ICheck
{
    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        if (!bans.Has(context))
            return new(Verdict.GoOn);
        return new(new Verdict(context.Stage == CheckStage.Connection ? Replies.C421Banned : Replies.C451Banned) { Rule = "ban" });
    }
}
