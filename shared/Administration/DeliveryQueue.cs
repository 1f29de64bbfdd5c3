using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Administration;

/// <summary>All mail that waits: how much, for whom and why; the switch that pauses its delivery in all servers of the store, and
/// what lets a domain's go at once.</summary>
public sealed class DeliveryQueue(WaitingStore waiting, OperatorStore store, FlushStore flushes, TimeProvider time)
{
    /// <param name="mostDomains">So many are named; all are counted.</param>
    /// <param name="mostHeld">So many held messages are named.</param>
    public async Task<QueueOverview> FindAsync(int mostDomains, int mostHeld, CancellationToken cancellation)
    {
        var summary = await waiting.SummarizeAsync(mostDomains + 1, cancellation);
        var rules = new WaitRules(time.GetUtcNow(), await store.FindPauseAsync(cancellation), new Dictionary<string, DomainBackoff>());
        var waits = new List<DomainWait>();
        foreach (var domain in summary.Domains.Take(mostDomains))
            waits.Add(new DomainWait(domain.Domain, domain.Queued, domain.Claimed, rules.Of(domain), domain.Failures, domain.LastReply) { Site = domain.Site });
        var held = summary.Held == 0 ? [] : await store.ListHeldAsync(mostHeld + 1, cancellation);
        return new QueueOverview(
            Of(rules.Pause), summary.Queued, summary.Unrouted, summary.Claims, summary.Unreported, summary.Held,
            [.. held.Take(mostHeld)], held.Count > mostHeld, waits, summary.Domains.Count > mostDomains)
        {
            HeldBySenders = summary.HeldBySenders,
        };
    }

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
}
