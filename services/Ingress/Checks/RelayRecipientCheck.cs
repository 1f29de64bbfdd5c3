using MailPipeline.Ingress.NextHops;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// A recipient is there behind the next hop of a domain that we relay for, where the operator wants that hop to be asked. What it said is
/// remembered; what it cannot say is <see cref="RelayRecipientOptions.WhenAway"/>. Where an alias leads to several, nobody is asked: one of
/// them is enough.
/// </summary>
internal sealed class RelayRecipientCheck(AddressResolver addresses, RecipientQuestions questions, IOptions<IngressOptions> options) : ICheck
{
    private readonly AwayPolicy _whenAway = options.Value.Checks.RelayRecipient.WhenAway;

    public async ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        if (context.Recipient.HasAddressLiteral || !context.Recipient.HasDomain)
            return Verdict.GoOn;
        if ((await context.ResolveRecipientAsync(addresses, cancellation)).Ends is not [{ IsUnverified: true } end])
            return Verdict.GoOn;
        var known = await questions.FindAsync(end.Address, end.Domain, context.Client);
        return known.Answer switch
        {
            NextHopAnswer.Taken => Verdict.GoOn,
            NextHopAnswer.Refused => new(known.Refusal),
            // Our users have nobody who tries again for them; the queue does.
            _ => _whenAway == AwayPolicy.Accept || context.MayRelay ? Verdict.GoOn : new(Replies.C450Unverified),
        };
    }
}
