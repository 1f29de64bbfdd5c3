using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Administration;

/// <summary>What others report of mail in the name of domains, and what we report to others (RFC 7489 §7.2).</summary>
public sealed class DmarcOverview(DmarcReportStore received, DmarcResultStore sent)
{
    /// <summary>What is reported of the time since then, by domain.</summary>
    /// <param name="most">So many domains, those with most messages.</param>
    public async Task<DmarcDomainsFound> ListAsync(DateTimeOffset since, int most, CancellationToken cancellation)
    {
        var domains = await received.SumAsync(DmarcGrouping.Domain, since, "", most + 1, cancellation);
        return new DmarcDomainsFound([.. domains.Take(most)], domains.Count > most);
    }

    /// <summary>What is reported of one domain, by source and by who reports.</summary>
    /// <param name="typed">In any case of letters, in U-labels or in A-labels.</param>
    /// <param name="most">So many of each, those with most messages.</param>
    public async Task<DmarcDomainFound> FindAsync(string typed, DateTimeOffset since, int most, CancellationToken cancellation)
    {
        var domain = DomainName.Key(typed.TrimEnd('.'));
        var sources = await received.SumAsync(DmarcGrouping.Source, since, domain, most + 1, cancellation);
        var organizations = await received.SumAsync(DmarcGrouping.Organization, since, domain, most + 1, cancellation);
        return new DmarcDomainFound(
            domain, [.. sources.Take(most)], sources.Count > most, [.. organizations.Take(most)], organizations.Count > most);
    }

    /// <summary>Reports of ours since then, the newest first.</summary>
    /// <param name="typed">Of which domain; empty: of all.</param>
    public async Task<DmarcSentFound> ListSentAsync(string typed, DateTimeOffset since, int most, CancellationToken cancellation)
    {
        var reports = await sent.ListSentAsync(since, typed.Length == 0 ? "" : DomainName.Key(typed.TrimEnd('.')), most + 1, cancellation);
        return new DmarcSentFound([.. reports.Take(most)], reports.Count > most);
    }
}

/// <param name="HasMore">There are others besides.</param>
public sealed record DmarcDomainsFound(IReadOnlyList<DmarcSum> Domains, bool HasMore);

/// <param name="HasMoreSources">There are others besides.</param>
/// <param name="HasMoreOrganizations">There are others besides.</param>
public sealed record DmarcDomainFound(
    string Domain, IReadOnlyList<DmarcSum> Sources, bool HasMoreSources, IReadOnlyList<DmarcSum> Organizations, bool HasMoreOrganizations);

/// <param name="HasMore">There are others besides.</param>
public sealed record DmarcSentFound(IReadOnlyList<SentDmarcReport> Reports, bool HasMore);
