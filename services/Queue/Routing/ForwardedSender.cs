using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Queue.Routing;

/// <summary>
/// Under which sender a message leaves for an address that an alias of ours leads to: a stranger's message, to another system, under an address of ours
/// where <see cref="SenderRewriting"/> is on. SPF permits us to send for that and not for the stranger (RFC 7208 §D.3).
/// </summary>
internal sealed class ForwardedSender(MailDirectory directory, SenderRewriting rewriting, QueueTelemetry telemetry)
{
    /// <param name="end">Where an alias led.</param>
    /// <returns>Empty: that of the message.</returns>
    public async ValueTask<string> FindAsync(Envelope message, AddressEnd end, CancellationToken cancellationToken)
    {
        // Reports have none (RFC 5321 §4.5.5).
        if (!rewriting.Rewrites || end.Route == RecipientRoute.Local || message.Sender.Length == 0)
            return "";
        var domain = DomainName.Key(message.Sender[(message.Sender.LastIndexOf('@') + 1)..]);
        // What we may send for needs nothing; the hosts of a domain that we relay for know us.
        if (rewriting.IsOwnDomain(domain) || await directory.FindDomainAsync(domain, cancellationToken) is not null
            || await directory.FindDomainAsync(end.Domain, cancellationToken) is not null)
        {
            return "";
        }

        telemetry.SenderRewritten(rewriting.Rewrite(message.Sender, out var rewritten));
        return rewritten;
    }
}
