using System.Data.Common;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>A recipient that waited under a claim that was not there, and waits without one now.</summary>
public sealed record OwnerlessRecipient(long RecipientId, string Address, long ClaimId);

/// <summary>
/// Finds recipients that wait under a claim that is not there: nobody would try them, take them back or give them up. Nothing writes
/// that, as every end of a claim frees what is left of it or takes it back; this is for the fault that does all the same.
/// </summary>
public sealed class OwnerlessStore(MailDatabase database)
{
    /// <summary>
    /// Of one domain that are looked at, those due for longest. Whoever is ahead of an ownerless recipient is tried, and is ahead no more; so
    /// however many wait, it comes to be among them.
    /// </summary>
    internal const int PerDomain = 500;

    // $2 due before; as the index has it, which holds whoever waits, claimed or not.
    private const string LongestDue =
        "FROM recipients WHERE domain = {0} AND state = 0 AND next_attempt_at <= $2 ORDER BY next_attempt_at, id LIMIT 500";

    private const string HasNoOwner = "r.claim <> 0 AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.id = r.claim)";

    // A domain is due as long as one of its recipients is, whoever claims it: the others are not looked into.
    internal static readonly Statement s_domains = new(
        $"""
        SELECT q.domain, CASE WHEN EXISTS (SELECT 1 FROM (SELECT claim {LongestDue.Replace("{0}", "q.domain", StringComparison.Ordinal)}) r WHERE {HasNoOwner}) THEN 1 ELSE 0 END
        FROM (SELECT domain FROM domain_queues WHERE domain > $1 AND due_at <= $2 ORDER BY domain LIMIT $3) q ORDER BY q.domain
        """);

    internal static readonly Statement s_ownerless = new(
        $"SELECT r.id, r.address, r.claim FROM (SELECT id, address, claim {LongestDue.Replace("{0}", "$1", StringComparison.Ordinal)}) r WHERE {HasNoOwner}");

    /// <summary>
    /// Frees such recipients of the next domains in the order of their names: due as before, no attempt counted. A claim and its recipients
    /// are written in one transaction and looked at by one statement, so that what is just being claimed, or reported, is not among them.
    /// </summary>
    /// <param name="afterDomain">Empty: from the beginning.</param>
    /// <param name="mostDomains">Domains that are looked into.</param>
    /// <param name="dueBefore">What became due later is left for another time.</param>
    /// <returns>Who was freed, and the last domain looked into; null when there is none behind it.</returns>
    public async Task<(IReadOnlyList<OwnerlessRecipient> Freed, string? Last)> FreeAsync(
        string afterDomain, int mostDomains, DateTimeOffset dueBefore, CancellationToken cancellationToken)
    {
        var domains = await database.QueryAsync(
            s_domains, r => (Name: r.GetString(0), IsConcerned: r.GetInt32(1) == 1), cancellationToken, afterDomain, dueBefore, mostDomains);
        var freed = new List<OwnerlessRecipient>();
        foreach (var domain in domains.Where(domain => domain.IsConcerned))
        {
            try
            {
                foreach (var some in (await database.QueryAsync(s_ownerless, Read, cancellationToken, domain.Name, dueBefore)).GroupBy(one => one.ClaimId))
                    freed.AddRange(await FreeAsync(some.Key, [.. some]));
            }
            catch (StorageUnavailableException) when (freed.Count > 0)
            {
                // Who was freed must be told of; the others are looked for again.
                return (freed, afterDomain);
            }
        }
        return (freed, domains.Count < mostDomains ? null : domains[^1].Name);
    }

    private Task<IEnumerable<OwnerlessRecipient>> FreeAsync(long claimId, OwnerlessRecipient[] recipients) =>
        database.WriteAsync(async transaction =>
        {
            var freed = (await OutcomeWriter.FreeOwnerlessAsync(transaction, claimId, recipients.Select(one => one.RecipientId))).ToHashSet();
            return recipients.Where(one => freed.Contains(one.RecipientId));
        });

    private static OwnerlessRecipient Read(DbDataReader row) => new(row.GetInt64(0), row.GetString(1), row.GetInt64(2));
}
