using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// Where LMTP is spoken, nobody is served but the servers that the operator lists (<see cref="IngressOptions.LmtpClients"/>) and who may open
/// the socket: RFC 2033 has no word for strangers, and mail that comes this way was judged where it came in.
/// </summary>
internal sealed class LmtpClientCheck : ICheck
{
    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation) =>
        new(context.MayRelay ? Verdict.GoOn : new(Replies.C554ClientRefused));
}
