namespace MailPipeline.Ingress.Checks;

/// <summary>Begins to ask DNS about a stranger before he is greeted, and lets him go on: those who want to know wait for it at RCPT.</summary>
internal sealed class ClientInquiryCheck(PolicyFile policy, DnsLists lists, ClientNames names) : ICheck
{
    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        var current = policy.Current;
        if (current.DnsLists is { } asked && context.IsStrangerOn(asked.Options.Listeners))
            context.Inquiry.Begin(context.Client!, asked, lists);
        if (current.ClientHost is { AsksAddress: true } host && context.IsStrangerOn(host.Listeners))
            _ = context.Inquiry.ReverseNameAsync(context.Client!, names);
        return new(Verdict.GoOn);
    }
}
