using System.Globalization;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress;

/// <summary>
/// What ETRN does (RFC 1985): mail that waits for a domain is due at once, wherever in the cluster its queue is. It is an operator's act, and
/// stands in the audit; but how often it is obeyed has bounds.
/// </summary>
internal sealed class QueueStart(FlushStore store, IOptions<IngressOptions> options)
{
    private readonly FlushBounds _bounds = new(options.Value.EtrnInterval, options.Value.EtrnMaxDomains);

    /// <summary>The reply of RFC 1985 §5.3.</summary>
    public async ValueTask<SmtpReply> StartAsync(SmtpQueueName queue, OperatorIdentity by, CancellationToken cancellation)
    {
        IReadOnlyList<string> domains = queue.WithSubdomains
            ? await store.ListDomainsAsync(queue.Domain, _bounds.MostByCaller, cancellation) : [queue.Domain];
        var (ends, messages) = (new HashSet<FlushEnd>(), 0L);
        foreach (var domain in domains)
        {
            var flush = await store.FlushAsync(domain, by, _bounds);
            ends.Add(flush.End);
            messages += flush.End == FlushEnd.Started ? flush.Messages : 0;
            // What is said of one domain is said of all.
            if (flush.End == FlushEnd.Paused)
                break;
        }

        // A domain that was started a moment ago stops none of the others.
        if (ends.Contains(FlushEnd.Started))
            return new SmtpReply(253, "2.0.0", string.Create(CultureInfo.InvariantCulture, $"OK, {messages} pending messages for node {queue.Domain} started"));
        if (ends.Contains(FlushEnd.Paused))
            return new SmtpReply(458, "4.3.2", $"Unable to queue messages for node {queue.Domain}, delivery is paused");
        return ends.Contains(FlushEnd.TooSoon)
            ? new SmtpReply(458, "4.7.0", $"Unable to queue messages for node {queue.Domain}, too soon after the last time")
            : new SmtpReply(251, "2.0.0", $"OK, no messages waiting for node {queue.Domain}");
    }
}
