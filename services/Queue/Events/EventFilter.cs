using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Queue.Events;

/// <summary>Of whose mail a receiver is told: of those accounts or those sender domains, where some are named.</summary>
internal sealed class EventFilter(IEnumerable<string> accounts, IEnumerable<string> senderDomains)
{
    public static readonly EventFilter All = new([], []);

    private readonly HashSet<string> _accounts = new(accounts.Select(MailName.Key), StringComparer.Ordinal);

    private readonly HashSet<string> _domains = new(senderDomains.Select(DomainName.Key), StringComparer.Ordinal);

    public bool Wants(WaitingEvent happened) =>
        (_accounts.Count == 0 && _domains.Count == 0)
        || (happened.AccountAddress.Length > 0 && _accounts.Contains(MailName.Key(happened.AccountAddress)))
        || (happened.SenderDomain.Length > 0 && _domains.Contains(DomainName.Key(happened.SenderDomain)));
}
