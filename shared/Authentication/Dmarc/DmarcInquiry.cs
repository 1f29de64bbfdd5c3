using MailPipeline.Authentication.Dkim;
using MailPipeline.Authentication.Spf;

namespace MailPipeline.Authentication.Dmarc;

/// <summary>DMARC of one message: the policies of its authors are being asked for while what SPF and DKIM find is on its way.</summary>
public sealed class DmarcInquiry
{
    /// <summary>Each costs look-ups.</summary>
    public const int MaxAuthors = 5;

    private readonly DmarcDiscovery _discovery;
    private readonly AuthorDomains _authors;
    private readonly DmarcDiscoveryMode _mode;
    private readonly Random _random;
    private readonly ICollection<string>? _steps;
    private readonly Task<List<(string Author, PolicyAnswer Answer, DmarcPolicy Published)>> _policies;

    internal DmarcInquiry(DmarcDiscovery discovery, AuthorDomains authors, DmarcDiscoveryMode mode, Random random, ICollection<string>? steps)
    {
        (_discovery, _authors, _mode, _random, _steps) = (discovery, authors, mode, random, steps);
        _policies = authors.Domains.Count is 0 or > MaxAuthors ? Task.FromResult<List<(string, PolicyAnswer, DmarcPolicy)>>([]) : FindPoliciesAsync();
    }

    /// <summary>To be called once.</summary>
    /// <inheritdoc cref="DmarcCheck.CheckAsync"/>
    public async Task<DmarcResult> EndAsync(SpfResult? spf, IReadOnlyList<DkimResult> dkim)
    {
        DmarcResult? worst = null;
        foreach (var (author, answer, published) in await _policies)
        {
            var result = await JudgeAsync(author, answer, published, spf, dkim);
            if (worst is null || Severity(result) > Severity(worst))
                worst = result;
        }

        return worst ?? new DmarcResult(AuthenticationStatus.PermanentError, "")
        {
            Reason = _authors.Domains.Count == 0 ? "From names no domain" : $"From names more than {MaxAuthors} domains",
        };
    }

    private async Task<List<(string, PolicyAnswer, DmarcPolicy)>> FindPoliciesAsync()
    {
        var found = new List<(string, PolicyAnswer, DmarcPolicy)>();
        foreach (var author in _authors.Domains)
        {
            try
            {
                var answer = await _discovery.FindPolicyAsync(author);
                found.Add((author, answer, answer.Policy is { } policy ? await PublishedAsync(policy, author) : DmarcPolicy.None));
            }
            catch (OperationCanceledException)
            {
                found.Add((author, new PolicyAnswer(null, "not found out in time", ""), DmarcPolicy.None));
            }
        }

        return found;
    }

    private async Task<DmarcResult> JudgeAsync(string author, PolicyAnswer answer, DmarcPolicy published, SpfResult? spf, IReadOnlyList<DkimResult> dkim)
    {
        if (answer.Policy is not { } policy)
        {
            return answer.Error.Length > 0
                ? new DmarcResult(AuthenticationStatus.TemporaryError, author) { Reason = answer.Error }
                : new DmarcResult(AuthenticationStatus.None, author) { Reason = answer.Reason };
        }

        var record = policy.Record;
        var result = new DmarcResult(AuthenticationStatus.Fail, author) { Record = record, RecordDomain = policy.Domain, Published = published };
        var doubt = "";
        foreach (var partial in dkim.Where(signature => signature.LeavesBodyUncovered))
            _steps?.Add($"DKIM of {partial.Domain}: {AuthenticationWords.Of(partial.Status)}, not counted, as l= leaves some of the body uncovered");
        foreach (var (status, domain, isStrict, isSpf) in Identifiers(spf, dkim, record))
        {
            if (status is not (AuthenticationStatus.Pass or AuthenticationStatus.TemporaryError))
                continue;
            var (isAligned, error) = await IsAlignedAsync(domain, author, isStrict);
            var method = isSpf ? "SPF" : "DKIM";
            _steps?.Add(
                $"{method} of {domain}: {AuthenticationWords.Of(status)}, {isAligned switch { true => "aligned", false => "not aligned", _ => error }} with {author}{(isStrict ? " (strict)" : "")}");
            if (isAligned == true && status == AuthenticationStatus.Pass)
                result = isSpf ? result with { IsSpfAligned = true } : result with { IsDkimAligned = true };
            else if (isAligned != false)
                doubt = isAligned is null ? error : $"{method} of {domain} could not be checked";
        }

        if (result.IsSpfAligned || result.IsDkimAligned)
            return result with { Status = AuthenticationStatus.Pass };
        result = result with { Disposition = Sampled(result.Published, record) };
        // RFC 7489 §6.6.2: what DNS did not say may be a pass.
        return doubt.Length > 0 ? result with { Status = AuthenticationStatus.TemporaryError, Reason = doubt } : result;
    }

    private async Task<(bool? IsAligned, string Error)> IsAlignedAsync(string domain, string author, bool isStrict)
    {
        try
        {
            return await _discovery.IsAlignedAsync(domain, author, isStrict);
        }
        catch (OperationCanceledException)
        {
            return (null, "not found out in time");
        }
    }

    private static IEnumerable<(AuthenticationStatus Status, string Domain, bool IsStrict, bool IsSpf)> Identifiers(
        SpfResult? spf, IReadOnlyList<DkimResult> dkim, DmarcRecord record)
    {
        if (spf is not null)
            yield return (spf.Status, spf.Domain.ToLowerInvariant(), record.IsSpfStrict, true);
        foreach (var signature in dkim.Where(signature => !signature.LeavesBodyUncovered))
            yield return (signature.Status, signature.Domain, record.IsDkimStrict, false);
    }

    private async Task<DmarcPolicy> PublishedAsync(PublishedPolicy policy, string author)
    {
        var record = policy.Record;
        if (policy.Domain == author)
            return record.Policy;
        var below = record.SubdomainPolicy ?? record.Policy;
        return _mode == DmarcDiscoveryMode.TreeWalk && record.NonexistentPolicy is { } nonexistent && nonexistent != below
            && await _discovery.IsNonexistentAsync(author) ? nonexistent : below;
    }

    /// <summary>RFC 7489 §6.6.4, and t of DMARCbis: who is not in the sample has the next milder policy.</summary>
    private DmarcPolicy Sampled(DmarcPolicy policy, DmarcRecord record)
    {
        var isMilder = _mode == DmarcDiscoveryMode.TreeWalk ? record.IsTesting : record.Percent < 100 && _random.Next(100) >= record.Percent;
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
