using System.Globalization;
using System.Net;
using System.Net.Sockets;
using MailPipeline.Dns;
using MailPipeline.MtaSts;

namespace MailPipeline.Administration;

/// <summary>Where the host of a policy is, as DNS says: an operator looks at his own, which may be next to him.</summary>
public sealed class PublishedHosts(IDnsLookup dns) : IPolicyHosts
{
    private const int HttpsPort = 443;

    private const int MostAddresses = 4;

    /// <exception cref="SocketException">DNS gives no answer.</exception>
    public async Task<IReadOnlyList<IPEndPoint>> FindAsync(string name)
    {
        var (four, six) = (await dns.IPv4Async(name, CancellationToken.None), await dns.IPv6Async(name, CancellationToken.None));
        IPAddress[] found = [.. four.Records, .. six.Records];
        if (found.Length == 0 && (four.Status == DnsStatus.Failed || six.Status == DnsStatus.Failed))
            throw new SocketException((int)SocketError.TryAgain, $"DNS gave no answer: {(four.Status == DnsStatus.Failed ? four.Error : six.Error)}");
        return [.. found.Take(MostAddresses).Select(address => new IPEndPoint(address, HttpsPort))];
    }
}

/// <summary>The policy of a domain (RFC 8461 §3.2) as its host hands it out, held against the hosts that take the domain's mail.</summary>
internal sealed class PublishedStsPolicy(StsFetch fetch)
{
    /// <summary>Of one fetch: longer than any sender waits.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    /// <summary>RFC 8461 §3.2 expects weeks; below this a sender that sends seldom has forgotten it each time.</summary>
    private static readonly TimeSpan s_leastAge = TimeSpan.FromDays(7);

    private static readonly TimeSpan s_usualAge = TimeSpan.FromDays(14);

    /// <param name="hosts">That take mail of the domain; null: nobody knows, and the policy is held against none.</param>
    public async Task<PublishedItem> CheckAsync(string domain, IReadOnlyList<string>? hosts)
    {
        var page = StsFetch.PageOf(domain).ToString();
        // The id counts for who remembers a policy.
        var (policy, _, error, isUnanswered) = await fetch.FetchAsync(domain, "0");
        if (isUnanswered)
            return new(PublishedKind.MtaStsPolicy, page, PublishedState.Unknown, [], [new(RemarkKind.StsNotFetched, error)], []);
        if (policy is null)
            return new(PublishedKind.MtaStsPolicy, page, PublishedState.Wrong, [], [new(RemarkKind.StsNotToBeHad, error)], hosts is null ? [] : Wanted(page, hosts, StsMode.Testing, s_usualAge));
        string[] found = policy.Text.Split('\n');
        var unnamed = policy.Mode == StsMode.None || hosts is null ? [] : hosts.Where(host => !policy.Names(host)).ToList();
        if (hosts is not null && unnamed.Count > 0)
        {
            return new(
                PublishedKind.MtaStsPolicy, page, PublishedState.Wrong, found,
                [new(policy.Mode == StsMode.Enforce ? RemarkKind.StsHostsShutOut : RemarkKind.StsHostsUnnamed, unnamed)],
                Wanted(page, hosts, policy.Mode, policy.MaxAge));
        }

        return new(PublishedKind.MtaStsPolicy, page, PublishedState.Ok, found, [.. Remarks(policy, hosts)], []);
    }

    private static IEnumerable<PublishedRemark> Remarks(StsPolicy policy, IReadOnlyList<string>? hosts)
    {
        if (policy.Mode == StsMode.None)
            yield return new(RemarkKind.StsNone);
        else if (policy.Mode == StsMode.Testing)
            yield return new(RemarkKind.StsTesting);
        if (hosts is null)
            yield return new(RemarkKind.StsHostsUnknown);
        else if (policy.Mode != StsMode.None && policy.Patterns.FirstOrDefault(pattern => !hosts.Any(host => (policy with { Patterns = [pattern] }).Names(host))) is { } idle)
            yield return new(RemarkKind.StsIdlePattern, idle);
        if (policy.Mode != StsMode.None && policy.MaxAge < s_leastAge)
            yield return new(RemarkKind.StsShortAge, Seconds(policy.MaxAge), Seconds(s_usualAge));
    }

    private static string Seconds(TimeSpan time) => time.TotalSeconds.ToString(CultureInfo.InvariantCulture);

    private static string[] Wanted(string page, IReadOnlyList<string> hosts, StsMode mode, TimeSpan age) =>
    [
        $"{page}:", "  version: STSv1", $"  mode: {mode.ToString().ToLowerInvariant()}",
        .. hosts.Select(host => $"  mx: {host}"), $"  max_age: {Seconds(age < s_leastAge ? s_usualAge : age)}",
    ];
}
