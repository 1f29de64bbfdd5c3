using MailPipeline.Dns;

namespace MailPipeline.Authentication.Dmarc;

/// <summary>A record, and of which domain it is.</summary>
internal readonly record struct PublishedPolicy(string Domain, DmarcRecord Record);

/// <summary>The policy of a domain, or why there is none.</summary>
/// <param name="Error">DNS gave no answer, in words; empty: it is known.</param>
/// <param name="Reason">Why there is no policy.</param>
internal readonly record struct PolicyAnswer(PublishedPolicy? Policy, string Error, string Reason);

/// <summary>
/// Finds policies, and whose a domain is. One object for each message, which asks about each domain once.
/// </summary>
internal sealed class DmarcDiscovery(
    IDnsLookup dns, DmarcDiscoveryMode mode, PublicSuffixList suffixes, ICollection<string>? steps, CancellationToken deadline)
{
    /// <summary>DMARCbis §4.10: so many names are asked at most, which are all of seven labels and the first one.</summary>
    private const int WalkedLabels = 7;

    private readonly Dictionary<string, Walk> _walks = new(StringComparer.Ordinal);

    /// <summary>RFC 7489 §6.6.3; DMARCbis §4.10.1.</summary>
    public async Task<PolicyAnswer> FindPolicyAsync(string author)
    {
        if (mode == DmarcDiscoveryMode.TreeWalk)
        {
            var walk = await WalkAsync(author);
            var chosen = walk.Policies.Find(policy => policy.Domain == author) is { Record: not null } own ? own
                : walk.Policies.Find(policy => policy.Domain == walk.Organization) is { Record: not null } organization ? organization
                : walk.Policies.Find(policy => policy.Record.IsPublicSuffix == true);
            return new(chosen.Record is null ? null : chosen, walk.Error, "no DMARC record on the way up");
        }

        var (found, error, reason) = await ReadAsync(author);
        var above = suffixes.OrganizationOf(author);
        if (found is not null || error.Length > 0 || reason.Length > 0 || above == author)
            return new(found is null ? null : new(author, found), error, reason.Length > 0 ? reason : "no DMARC record");
        (found, error, reason) = await ReadAsync(above);
        return new(found is null ? null : new(above, found), error, reason.Length > 0 ? reason : $"no DMARC record, at {above} neither");
    }

    /// <summary>RFC 7489 §3.1: both are the same, or, where that is enough, of one organisation.</summary>
    /// <returns>Null and why, where DNS does not say.</returns>
    public async Task<(bool? IsAligned, string Error)> IsAlignedAsync(string domain, string author, bool isStrict)
    {
        if (domain == author)
            return (true, "");
        if (isStrict || domain.Length == 0)
            return (false, "");
        if (mode == DmarcDiscoveryMode.PublicSuffixList)
            return (suffixes.OrganizationOf(domain) == suffixes.OrganizationOf(author), "");
        // Nothing else could be one organisation's: a walk goes up and never beside.
        var (first, second) = (domain.Split('.'), author.Split('.'));
        if (first[^1] != second[^1])
            return (false, "");
        var (ours, theirs) = (await WalkAsync(author), await WalkAsync(domain));
        if (ours.Error.Length > 0 || theirs.Error.Length > 0)
            return (null, ours.Error.Length > 0 ? ours.Error : theirs.Error);
        return (ours.Organization.Length > 0 && ours.Organization == theirs.Organization, "");
    }

    /// <summary>DMARCbis §3.2.13 (np): nothing at all has this name. What cannot be found out is there.</summary>
    public async Task<bool> IsNonexistentAsync(string domain) => (await dns.IPv4Async(domain, deadline)).Status == DnsStatus.NoSuchName;

    // DMARCbis §4.10
    private async Task<Walk> WalkAsync(string start)
    {
        if (_walks.TryGetValue(start, out var known))
            return known;
        var policies = new List<PublishedPolicy>();
        var error = "";
        for (var name = start; name.Length > 0 && error.Length == 0; name = Next(name))
        {
            (var record, error, _) = await ReadAsync(name);
            if (record is null)
                continue;
            policies.Add(new(name, record));
            // What lies above is of somebody else, or nobody's.
            if (record.IsPublicSuffix == false || (record.IsPublicSuffix == true && name != start))
                break;
        }

        var walk = new Walk(policies, OrganizationOf(policies, start), error);
        _walks.Add(start, walk);
        return walk;

        static string Next(string name)
        {
            var labels = name.Split('.');
            return string.Join('.', labels[^Math.Min(labels.Length - 1, WalkedLabels)..]);
        }
    }

    // DMARCbis §4.10.2; empty: nobody's that is known.
    private static string OrganizationOf(List<PublishedPolicy> policies, string start)
    {
        if (policies.Find(policy => policy.Record.IsPublicSuffix == false) is { Record: not null } declared)
            return declared.Domain;
        if (policies.Find(policy => policy.Record.IsPublicSuffix == true && policy.Domain != start) is { Record: not null } suffix)
        {
            var labels = start.Split('.');
            return string.Join('.', labels[^(suffix.Domain.Split('.').Length + 1)..]);
        }

        return policies is [.., var highest] ? highest.Domain : "";
    }

    private async Task<(DmarcRecord? Record, string Error, string Reason)> ReadAsync(string domain)
    {
        var name = $"_dmarc.{domain}";
        var answer = await dns.TxtAsync(name, deadline);
        if (answer.Status == DnsStatus.Failed)
        {
            steps?.Add($"{name}: DNS gave no answer ({answer.Error})");
            return (null, $"DNS gave no answer for TXT {name}: {answer.Error}", "");
        }

        var texts = answer.Records.Where(record => DmarcRecord.IsOne(record.Text)).ToList();
        steps?.Add(texts.Count == 0 ? $"{name}: no DMARC record" : $"{name}: {string.Join(" and ", texts.Select(record => record.Text))}");
        return texts switch
        {
            [] => (null, "", ""),
            [var only] when DmarcRecord.Parse(only.Text) is { } record => (record, "", ""),
            [_] => (null, "", $"the DMARC record of {domain} names no policy"),
            _ => (null, "", $"{domain} has {texts.Count} DMARC records"),
        };
    }

    private sealed record Walk(List<PublishedPolicy> Policies, string Organization, string Error);
}
