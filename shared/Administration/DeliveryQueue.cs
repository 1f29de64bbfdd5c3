using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Administration;

/// <summary>All mail that waits: how much, for whom and why; the switch that pauses its delivery in all servers of the store, and
/// what lets a domain's go at once.</summary>
public sealed class DeliveryQueue(
    WaitingStore waiting, WaitingListStore list, OperatorStore store, QueueStateStore states, QueueStore queue, MailDirectory directory, FlushStore flushes,
    RuleStore standing, TimeProvider time)
{
    private readonly WaitRulesReader _rules = new(store, states, queue, list, standing, time);

    /// <param name="mostDomains">So many are named; all are counted.</param>
    /// <param name="mostHeld">So many held messages are named.</param>
    public async Task<QueueOverview> FindAsync(int mostDomains, int mostHeld, CancellationToken cancellation)
    {
        var rules = await ReadRulesAsync(cancellation);
        var summary = await waiting.SummarizeAsync(mostDomains + 1, rules.Queue, rules.AllPaused is not null, cancellation);
        var waits = new List<DomainWait>();
        foreach (var domain in summary.Domains.Take(mostDomains))
        {
            waits.Add(new DomainWait(domain.Domain, domain.Queued, domain.Claimed, rules.Of(domain), domain.Failures, domain.LastReply)
            {
                Site = domain.Site,
                OldestAt = domain.OldestAt,
            });
        }
        var held = summary.Held == 0 ? [] : await store.ListHeldAsync(mostHeld + 1, cancellation);
        return new QueueOverview(
            Of(rules.Pause), summary.Queued, summary.Unrouted, summary.Claims, summary.Unreported, summary.Held,
            [.. held.Take(mostHeld)], held.Count > mostHeld, waits, summary.Domains.Count > mostDomains)
        {
            HeldBySenders = summary.HeldBySenders,
            SampledAt = summary.SampledAt,
        };
    }

    /// <summary>What waits, in groups, the largest first.</summary>
    /// <param name="most">So many groups are named, a thousand at most; all are counted.</param>
    public async Task<QueueGroups> GroupAsync(WaitingBy by, int most, CancellationToken cancellation)
    {
        var rules = await ReadRulesAsync(cancellation);
        if (by == WaitingBy.Domain)
        {
            var summary = await waiting.SummarizeAsync(most + 1, rules.Queue, rules.AllPaused is not null, cancellation);
            return new QueueGroups(
                by, summary.SampledAt, rules.Now, summary.Queued,
                [.. summary.Domains.Take(most).Select(domain => new QueueGroup(
                    domain.Domain, domain.Queued, domain.Claimed, domain.OldestAt, rules.Of(domain), domain.Due, rules.Of(domain).Until, domain.LastReply))],
                summary.Domains.Count > most);
        }
        var (groups, sampledAt) = await waiting.CountAsync(by, most + 1, rules.Queue, rules.AllPaused is not null, cancellation);
        var details = await waiting.FindDetailsAsync(groups, cancellation);
        return new QueueGroups(
            by, sampledAt, rules.Now, groups.Waiting,
            [.. groups.Groups.Zip(details, (group, detail) => new QueueGroup(
                group.Key, group.Waiting, group.BeingTried, detail.OldestAt, null, group.Due, group.NextAt > rules.Now ? group.NextAt : null, detail.LastReply)).Take(most)],
            groups.Groups.Count > most);
    }

    /// <summary>Those that wait and that are looked for, in the order of their domains and times, then those that are held, then messages that are not routed.</summary>
    /// <param name="after">Where the search before this one ended; null: from the beginning.</param>
    /// <param name="most">So many are found.</param>
    public Task<QueueListing> ListAsync(QueueFilter filter, QueuePlace? after, int most, CancellationToken cancellation) =>
        new QueueSearch(list, waiting, _rules, directory, time).FindAsync(filter, after, most, cancellation);

    /// <param name="by">Who does it; noted with the pause.</param>
    public async Task<QueueResult> PauseAsync(OperatorIdentity by) =>
        await store.PauseDeliveryAsync(by) ? new DeliveryPausedNow() : new DeliveryPausedAlready();

    public async Task<QueueResult> ResumeAsync(OperatorIdentity by) =>
        Of(await store.ResumeDeliveryAsync(by)) is { } ended ? new DeliveryResumed(ended) : new DeliveryNotPaused();

    /// <summary>What waits for the domain is due at once, whatever its schedule says and though the domain backs off.</summary>
    /// <param name="domain">As mail is addressed to it, in any case of letters, in U-labels or in A-labels.</param>
    public async Task<QueueResult> FlushAsync(string domain, OperatorIdentity by)
    {
        var name = DomainName.Key(domain);
        var flush = await flushes.FlushAsync(name, by, bounds: null);
        return flush.End switch
        {
            FlushEnd.Started => new QueueFlushed(name, flush.Messages),
            FlushEnd.Paused => new FlushWhilePaused(name),
            _ => new NothingToFlush(name),
        };
    }

    private static Paused? Of(DeliveryPaused? pause) => pause is null ? null : new Paused(pause.Since, pause.Operator);

    private async Task<WaitRules> ReadRulesAsync(CancellationToken cancellation) => await _rules.ReadAsync(cancellation) with
    {
        Domains = (await list.CountClaimsAsync(cancellation)).ToDictionary(
            domain => domain.Key, domain => new DomainStanding(DomainBackoff.None, domain.Value), StringComparer.Ordinal),
    };
}
