using System.Net;
using System.Net.Sockets;
using MailPipeline.Dns;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Ingress.Checks;

/// <summary>The lists as they are asked.</summary>
internal sealed class DnsListPolicy(DnsListOptions options)
{
    public DnsListOptions Options { get; } = options;

    public IReadOnlyList<DnsList> Lists { get; } = [.. options.Lists.Select(entry => new DnsList(entry))];
}

/// <summary>One list, and which of its answers count.</summary>
internal sealed class DnsList(DnsListEntry entry)
{
    // RFC 5782 §2.1: answers are in there; 127.0.0.1 should be none, and a resolver that lies answers so.
    private static readonly ReturnCodes s_loopback = new(0x7F000002, 0x7FFFFFFF);

    // By which the large lists say "you ask through a public resolver", "too often", "there is no such zone".
    private static readonly ReturnCodes s_errors = new(0x7FFFFF00, 0x7FFFFFFF);

    private readonly ReturnCodes[] _codes = [.. entry.Codes.Select(text => ReturnCodes.TryParse(text, out var codes) ? codes : throw new FormatException(text))];

    public string Zone { get; } = entry.Zone.TrimEnd('.').ToLowerInvariant();

    public int Weight { get; } = entry.Weight;

    /// <summary>It says that it cannot answer, or what no list says.</summary>
    public static bool IsError(IPAddress answer) => !s_loopback.Has(ReturnCodes.NumberOf(answer)) || s_errors.Has(ReturnCodes.NumberOf(answer));

    public bool Counts(IPAddress answer) => _codes.Length == 0 || Array.Exists(_codes, codes => codes.Has(ReturnCodes.NumberOf(answer)));
}

/// <summary>What lists say of a client.</summary>
/// <param name="Score">The sum of the weights of those that have it.</param>
/// <param name="Zone">The one of them with the greatest weight; null: none has it.</param>
internal readonly record struct DnsListScore(int Score, string? Zone);

/// <summary>
/// Asks lists of addresses in DNS. A list that has no answer, says that it cannot answer, or answers to the address that no list may have
/// (RFC 5782 §5) has nobody: trouble of a list is no fault of the client.
/// </summary>
internal sealed partial class DnsLists(DnsCache dns, IngressTelemetry telemetry, TimeProvider time, ILogger<DnsLists> log) : IDisposable
{
    private static readonly IPAddress s_nobody = IPAddress.Loopback;

    // ::ffff:7f00:1, which is asked for in half octets as any address of IPv6 is.
    private const string NobodyOfIPv6 = "1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.";

    private readonly LogCap<string> _broken = new(time, 1, TimeSpan.FromHours(1), (zone, count) => LogBrokenMore(log, zone, count));

    /// <summary>Asks all of them at once; each task ends with whether the list has the client.</summary>
    public Task<bool>[] Ask(IPAddress client, IReadOnlyList<DnsList> lists)
    {
        var asked = new Task<bool>[lists.Count];
        for (var i = 0; i < asked.Length; i++)
            asked[i] = HasAsync(lists[i], client);
        return asked;
    }

    /// <summary>The score, of the lists that have answered by then.</summary>
    public async ValueTask<DnsListScore> ScoreAsync(Task<bool>[] asked, DnsListPolicy policy)
    {
        Task all = Task.WhenAll(asked);
        if (!all.IsCompleted)
        {
            using var patience = new CancellationTokenSource(policy.Options.MaxWait, time);
            await all.WaitAsync(patience.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        var (score, worst) = (0, (DnsList?)null);
        for (var i = 0; i < asked.Length && i < policy.Lists.Count; i++)
        {
            if (!asked[i].IsCompletedSuccessfully || !asked[i].Result)
                continue;
            score += policy.Lists[i].Weight;
            if (worst is null || policy.Lists[i].Weight > worst.Weight)
                worst = policy.Lists[i];
        }

        return new DnsListScore(score, worst?.Zone);
    }

    public void Dispose() => _broken.Dispose();

    private async Task<bool> HasAsync(DnsList list, IPAddress client)
    {
        var answer = await dns.IPv4Async(ReversedName.Under(client, list.Zone));
        if (answer.Status == DnsStatus.Failed)
        {
            telemetry.DnsListAsked(list.Zone, "failed");
            return false;
        }

        if (answer.Status != DnsStatus.Found)
        {
            telemetry.DnsListAsked(list.Zone, "not_listed");
            return false;
        }

        if (answer.Records.FirstOrDefault(DnsList.IsError) is { } error)
            return Broken(list, $"it answered {error}");
        // A zone that has expired, or that somebody has bought, answers to everything.
        var nobody = client.AddressFamily == AddressFamily.InterNetworkV6 && !client.IsIPv4MappedToIPv6
            ? NobodyOfIPv6 + list.Zone : ReversedName.Under(s_nobody, list.Zone);
        if ((await dns.IPv4Async(nobody)).Status == DnsStatus.Found)
            return Broken(list, "it has the address that no list may have");
        var isListed = answer.Records.Any(list.Counts);
        telemetry.DnsListAsked(list.Zone, isListed ? "listed" : "not_listed");
        return isListed;
    }

    private bool Broken(DnsList list, string reason)
    {
        telemetry.DnsListAsked(list.Zone, "error");
        if (_broken.MayWrite(list.Zone))
            LogBroken(log, list.Zone, reason);
        return false;
    }

    [LoggerMessage(1043, LogLevel.Warning, "The DNS list {Zone} does not count: {Reason}")]
    private static partial void LogBroken(ILogger log, string zone, string reason);

    [LoggerMessage(1044, LogLevel.Warning, "The DNS list {Zone} did not count {Count} times more")]
    private static partial void LogBrokenMore(ILogger log, string zone, long count);
}
