using MailPipeline.LineServer;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// The operator's list of networks that nothing is taken from: they are greeted with 554, and heard until they say QUIT (RFC 5321 §3.1).
/// </summary>
internal sealed class ClientNetworkCheck(IOptions<IngressOptions> options) : ICheck
{
    private static readonly Verdict s_refused = new(Replies.C554ClientRefused);

    private readonly ClientNetworks _refused = new(options.Value.Checks.ClientNetwork.Refused);
    private readonly ClientNetworks _except = new(options.Value.Checks.ClientNetwork.Except);

    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation) =>
        new(context.Client is { } client && _refused.Contains(client) && !_except.Contains(client) ? s_refused : Verdict.GoOn);
}
