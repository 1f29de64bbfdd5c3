using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>A message that went through more servers than any way has is on its way in a circle (RFC 5321 §6.3).</summary>
internal sealed class HopCheck(IOptions<IngressOptions> options) : ICheck
{
    private static readonly Verdict s_loop = new(Replies.C554LoopDetected);

    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation) =>
        new(context.Content.Hops > options.Value.Checks.Hops.Max ? s_loop : Verdict.GoOn);
}
