using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What a rule fits now.</summary>
/// <param name="BeingTried">Of these, those that a worker tries now.</param>
/// <param name="Domains">In so many domains.</param>
/// <param name="Looked">Recipients that were looked at.</param>
/// <param name="IsExact">False: there are more, which nobody has looked at; at least so many fit.</param>
public sealed record RuleCount(long Recipients, long BeingTried, long Domains, long Looked, bool IsExact);

/// <summary>
/// Counts what a rule fits, and would be done to: a rule of destinations along the index, exactly; any other by looking at recipients, as long as the patience lasts.
/// </summary>
public sealed class RuleCounter(MailDatabase database)
{
    private readonly RuleTargets _targets = new(database);
    private readonly MeasureStore _measures = new(database);

    public async Task<RuleCount> CountAsync(RuleConditions conditions, bool held, TimeSpan patience, CancellationToken cancellationToken)
    {
        if (conditions.IsOfDestinations && !held && !conditions.IsEmpty)
            return await CountDestinationsAsync(conditions, cancellationToken);
        var started = database.Time.GetTimestamp();
        var domains = new HashSet<string>(StringComparer.Ordinal);
        long recipients = 0, tried = 0, looked = 0;
        for (var place = WaitingPlace.Start; ;)
        {
            var page = await _targets.PageAsync(conditions, place, held, cancellationToken, RuleTargets.LongPage);
            looked += page.Looked;
            recipients += page.Targets.Count;
            tried += page.Targets.Count(target => target.IsClaimed);
            domains.UnionWith(page.Targets.Select(target => target.Domain));
            if (page.Next is null || database.Time.GetElapsedTime(started) >= patience)
                return new(recipients, tried, domains.Count, looked, page.Next is null);
            place = page.Next;
        }
    }

    private async Task<RuleCount> CountDestinationsAsync(RuleConditions conditions, CancellationToken cancellationToken)
    {
        var claimed = await _measures.CountClaimedAsync(cancellationToken);
        long recipients = 0, tried = 0, domains = 0;
        await foreach (var parts in _measures.DomainsAsync(database.Time.GetUtcNow(), conditions.Domain is { IsExact: true } one ? one.Text : "", cancellationToken))
        {
            if (!conditions.FitsDestination(parts[0].Domain, parts[0].Site))
                continue;
            domains++;
            recipients += parts.Sum(part => part.Queued);
            tried += claimed.GetValueOrDefault(parts[0].Domain);
        }
        return new(recipients, tried, domains, recipients, IsExact: true);
    }
}
