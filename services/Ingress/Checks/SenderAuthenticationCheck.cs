using MailPipeline.Authentication;
using MailPipeline.Authentication.Spf;
using MailPipeline.Dns;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// Begins to ask whether a stranger may use the names that it gives (SPF), and waits for nothing: the answers are there when the content has
/// ended, where <see cref="MessageAuthenticationCheck"/> judges.
/// </summary>
internal sealed class SenderAuthenticationCheck(DnsCache dns, IOptions<IngressOptions> options, TimeProvider time) : ICheck
{
    private readonly AuthenticationOptions _options = options.Value.Checks.Authentication;

    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        // Who logs in or is listed is known, and this machine is we ourselves.
        if (context.Authentication == AuthenticationPolicy.Off || context.MayRelay || context.IsLocalClient || context.Client is not { } client)
            return new(Verdict.GoOn);
        var (now, receiver) = (time.GetUtcNow(), options.Value.HostName);
        var inquiry = new SpfInquiry(new QuestionBudgets(dns, _options.MaxQuestions), _options.MaxTime, time);
        context.AskSpf(inquiry);
        inquiry.Begin(
            SpfQuestion.OfSender(client, context.Greeting, context.Sender) with { Now = now, Receiver = receiver },
            SpfQuestion.OfHelo(client, context.Greeting) with { Now = now, Receiver = receiver }, context.Sender is not null);
        return new(Verdict.GoOn);
    }
}
