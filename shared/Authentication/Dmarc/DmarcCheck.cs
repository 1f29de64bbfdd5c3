using MailPipeline.Authentication.Dkim;
using MailPipeline.Authentication.Spf;
using MailPipeline.Dns;

namespace MailPipeline.Authentication.Dmarc;

/// <summary>
/// Asks the domain that a message says it is from whether it is (RFC 7489 §6.6): it is where SPF passed, or a signature is valid, for a domain
/// that is aligned with it. Of several authors the one decides whose policy asks for most.
/// </summary>
public sealed class DmarcCheck(IDnsLookup dns, DmarcDiscoveryMode mode, Func<PublicSuffixList> suffixes, Random random)
{
    /// <summary>Each costs look-ups.</summary>
    public const int MaxAuthors = 5;

    /// <param name="authors">Of whom the message says that it is.</param>
    /// <param name="spf">Of the sender of its envelope (RFC 7489 §4.1), not of the greeting; null: it was not asked.</param>
    /// <param name="dkim">Of its signatures.</param>
    /// <param name="steps">Gets the steps on the way, where somebody wants to see them.</param>
    /// <param name="deadline">The time is up.</param>
    public async Task<DmarcResult> CheckAsync(
        AuthorDomains authors, SpfResult? spf, IReadOnlyList<DkimResult> dkim, ICollection<string>? steps, CancellationToken deadline)
    {
        ArgumentNullException.ThrowIfNull(authors);
        if (authors.Domains.Count is 0 or > MaxAuthors)
        {
            return new DmarcResult(AuthenticationStatus.PermanentError, "")
            {
                Reason = authors.Domains.Count == 0 ? "From names no domain" : $"From names more than {MaxAuthors} domains",
            };
        }

        var discovery = new DmarcDiscovery(dns, mode, mode == DmarcDiscoveryMode.PublicSuffixList ? suffixes() : PublicSuffixList.None, steps, deadline);
        DmarcResult? worst = null;
        foreach (var author in authors.Domains)
        {
            DmarcResult result;
            try
            {
                result = await CheckAsync(discovery, author, spf, dkim, steps);
            }
            catch (OperationCanceledException)
            {
                result = new DmarcResult(AuthenticationStatus.TemporaryError, author) { Reason = "not found out in time" };
            }

            if (worst is null || Severity(result) > Severity(worst))
                worst = result;
        }

        return worst!;
    }

    private async Task<DmarcResult> CheckAsync(
        DmarcDiscovery discovery, string author, SpfResult? spf, IReadOnlyList<DkimResult> dkim, ICollection<string>? steps)
    {
        var answer = await discovery.FindPolicyAsync(author);
        if (answer.Policy is not { } policy)
        {
            return answer.Error.Length > 0
                ? new DmarcResult(AuthenticationStatus.TemporaryError, author) { Reason = answer.Error }
                : new DmarcResult(AuthenticationStatus.None, author) { Reason = answer.Reason };
        }

        var record = policy.Record;
        var result = new DmarcResult(AuthenticationStatus.Fail, author)
        {
            Record = record, RecordDomain = policy.Domain, Published = await PublishedAsync(discovery, policy, author),
        };
        var doubt = "";
        foreach (var (status, domain, isStrict, isSpf) in Identifiers(spf, dkim, record))
        {
            if (status is not (AuthenticationStatus.Pass or AuthenticationStatus.TemporaryError))
                continue;
            var (isAligned, error) = await discovery.IsAlignedAsync(domain, author, isStrict);
            steps?.Add($"{(isSpf ? "SPF" : "DKIM")} of {domain}: {AuthenticationWords.Of(status)}, {(isAligned switch { true => "aligned", false => "not aligned", _ => error })} with {author}{(isStrict ? " (strict)" : "")}");
            if (isAligned == true && status == AuthenticationStatus.Pass)
                result = isSpf ? result with { IsSpfAligned = true } : result with { IsDkimAligned = true };
            else if (isAligned != false)
                doubt = isAligned is null ? error : $"{(isSpf ? "SPF" : "DKIM")} of {domain} could not be checked";
        }

        if (result.IsSpfAligned || result.IsDkimAligned)
            return result with { Status = AuthenticationStatus.Pass };
        result = result with { Disposition = Sampled(result.Published, record) };
        // RFC 7489 §6.6.2: what DNS did not say may be a pass.
        return doubt.Length > 0 ? result with { Status = AuthenticationStatus.TemporaryError, Reason = doubt } : result;
    }

    private static IEnumerable<(AuthenticationStatus Status, string Domain, bool IsStrict, bool IsSpf)> Identifiers(
        SpfResult? spf, IReadOnlyList<DkimResult> dkim, DmarcRecord record)
    {
        if (spf is not null)
            yield return (spf.Status, spf.Domain.ToLowerInvariant(), record.IsSpfStrict, true);
        foreach (var signature in dkim)
            yield return (signature.Status, signature.Domain, record.IsDkimStrict, false);
    }

    private async Task<DmarcPolicy> PublishedAsync(DmarcDiscovery discovery, PublishedPolicy policy, string author)
    {
        var record = policy.Record;
        if (policy.Domain == author)
            return record.Policy;
        var below = record.SubdomainPolicy ?? record.Policy;
        return mode == DmarcDiscoveryMode.TreeWalk && record.NonexistentPolicy is { } nonexistent && nonexistent != below
            && await discovery.IsNonexistentAsync(author) ? nonexistent : below;
    }

    /// <summary>RFC 7489 §6.6.4, and t of DMARCbis: who is not in the sample has the next milder policy.</summary>
    private DmarcPolicy Sampled(DmarcPolicy policy, DmarcRecord record)
    {
        var isMilder = mode == DmarcDiscoveryMode.TreeWalk ? record.IsTesting : record.Percent < 100 && random.Next(100) >= record.Percent;
        return isMilder && policy != DmarcPolicy.None ? policy - 1 : policy;
    }

    /// <summary>Of two authors, who decides: what is asked for, then what is not known, then what is not said.</summary>
    private static int Severity(DmarcResult result) => ((int)result.Disposition * 10) + result.Status switch
    {
        AuthenticationStatus.Fail => 4,
        AuthenticationStatus.TemporaryError => 3,
        AuthenticationStatus.None => 2,
        AuthenticationStatus.Pass => 1,
        _ => 0,
    };
}
