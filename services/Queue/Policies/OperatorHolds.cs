using MailPipeline.Mail;

namespace MailPipeline.Queue.Policies;

/// <summary>What rules hold, for whoever would give up or tell of what waits: it is left to the operator. What is suspended grows older as any other.</summary>
internal sealed class OperatorHolds(RuleBook rules, QueueStore queue, ReplyStore replyStore, TimeProvider time)
{
    /// <summary>As it is now. Nothing is read where no rule holds anything.</summary>
    public async Task<HeldMail> OfAsync(IEnumerable<string> domains, CancellationToken cancellationToken)
    {
        var current = rules.Current;
        var found = new Dictionary<string, (DomainRules Rules, string Site)>(StringComparer.Ordinal);
        if (current.KeepsBack)
        {
            foreach (var domain in domains.Distinct(StringComparer.Ordinal))
            {
                var site = current.NeedsSite ? (await queue.FindDomainAsync(domain, cancellationToken)).Site : "";
                if (current.OfDomain(domain, site) is var said && !ReferenceEquals(said, DomainRules.None))
                    found.Add(domain, (said, site));
            }
        }
        return new HeldMail(found, time.GetUtcNow());
    }

    /// <summary>Those of these that are held.</summary>
    public async Task<IReadOnlySet<long>> FindAsync(
        IReadOnlyList<Recipient> recipients, Func<Recipient, string> domainOf, CancellationToken cancellationToken)
    {
        var held = await OfAsync(recipients.Select(domainOf), cancellationToken);
        var replies = !held.NeedsReply ? new Dictionary<long, string>()
            : await replyStore.FindLastAsync([.. recipients.Select(recipient => recipient.RecipientId)], cancellationToken);
        return recipients.Where(recipient => held.Holds(domainOf(recipient), recipient, replies.GetValueOrDefault(recipient.RecipientId, "")))
            .Select(recipient => recipient.RecipientId).ToHashSet();
    }
}

/// <param name="domains">Those of which rules say something.</param>
internal sealed class HeldMail(IReadOnlyDictionary<string, (DomainRules Rules, string Site)> domains, DateTimeOffset now)
{
    public bool HoldsAllOf(string domain) => domains.TryGetValue(domain, out var known) && known.Rules.Whole is { Act: RuleAct.Hold };

    public bool NeedsReply => domains.Values.Any(known => known.Rules.NeedsReply);

    /// <param name="domain">The name of its queue.</param>
    public bool Holds(string domain, Recipient recipient, string lastReply) => domains.TryGetValue(domain, out var known)
        && known.Rules.FindHold(RuleSubject.Of(recipient, domain, known.Site, lastReply), now) is { Act: RuleAct.Hold };

    public bool Holds(LateMessage message, TellableRecipient recipient) => domains.TryGetValue(recipient.Domain, out var known)
        && known.Rules.FindHold(
            new RuleSubject(
                recipient.Domain, known.Site, message.Sender, message.Flow, recipient.Address, recipient.Original, message.MessageId, message.Since,
                recipient.Last?.Reply ?? ""), now) is { Act: RuleAct.Hold };
}
