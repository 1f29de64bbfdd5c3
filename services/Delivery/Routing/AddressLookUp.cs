using System.Net;
using MailPipeline.Dns;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Routing;

/// <summary>
/// The addresses of a name, remembered: A and AAAA, asked for at once. Half an answer is used. A question that had no answer last time is waited for no
/// longer than <see cref="HostLookUps.Patience"/> where the other one finds addresses, and not asked again while it is left alone.
/// </summary>
internal sealed class AddressLookUp(
    IDnsLookup dns, UnansweredQuestions unanswered, IOptions<DeliveryOptions> options, IOptions<DnsOptions> dnsOptions, TimeProvider time, Random random)
{
    /// <summary>Of an IPv6 address and the place that names it.</summary>
    private const int AddressBytes = 88;

    /// <summary>Half an answer is remembered at least so long.</summary>
    private static readonly TimeSpan s_halfAnswerTime = TimeSpan.FromSeconds(10);

    private static readonly DnsAnswer<IPAddress> s_none = new(DnsStatus.NoData, [], TimeSpan.MaxValue);

    private readonly TtlCache<HostAddresses> _remembered = new(dnsOptions.Value.CacheBytes, time);

    public Task<HostAddresses> FindAsync(string name) => _remembered.GetAsync(name, async asked =>
    {
        var (found, timeToLive) = await AskAsync(asked);
        return new Remembered<HostAddresses>(found, timeToLive, (AddressBytes * found.Addresses.Count) + ((found.Alias.Length + (found.Failure?.Text.Length ?? 0)) * sizeof(char)));
    });

    /// <returns>What was found, and how long it may be remembered.</returns>
    private async Task<(HostAddresses Found, TimeSpan TimeToLive)> AskAsync(string name)
    {
        var (four, six) = options.Value.Addresses switch
        {
            AddressPreference.IPv4Only => (await IPv4Async(name), s_none),
            AddressPreference.IPv6Only => (s_none, await IPv6Async(name)),
            _ => await BothAsync(name),
        };
        var (first, second) = options.Value.Addresses is AddressPreference.IPv6First or AddressPreference.IPv6Only ? (six, four) : (four, six);
        if (first.Records.Count + second.Records.Count > 0)
        {
            // RFC 7672 §2.2.2: what is not vouched for of either leads mail to whoever put it there.
            var isAuthenticated = (first.Records.Count == 0 || first.IsAuthenticated) && (second.Records.Count == 0 || second.IsAuthenticated);
            return (new HostAddresses([.. Shuffled(first.Records), .. Shuffled(second.Records)], null)
            {
                IsAuthenticated = isAuthenticated,
                Alias = first.Records.Count > 0 ? first.Alias : second.Alias,
            }, FoundTimeToLive(first, second));
        }

        var failed = new[] { first, second }.Where(answer => answer.Status == DnsStatus.Failed).MinBy(answer => answer.TimeToLive);
        return failed is not null
            ? (HostAddresses.None(isPermanent: false, "4.4.3", $"DNS gave no answer for the address of {name} ({failed.Error})"), failed.TimeToLive)
            : (HostAddresses.None(isPermanent: true, "5.4.4", $"Host {name} has no address"), dnsOptions.Value.Bounded(first.TimeToLive < second.TimeToLive ? first.TimeToLive : second.TimeToLive));
    }

    private async Task<(DnsAnswer<IPAddress> Four, DnsAnswer<IPAddress> Six)> BothAsync(string name)
    {
        var left4 = unanswered.Left($"A {name}");
        var left6 = unanswered.Left($"AAAA {name}");
        if (left4 is null && left6 is { } left)
            return await SureFirstAsync(IPv4Async, IPv6Async, name, left);
        if (left6 is null && left4 is { } other)
        {
            var (six, four) = await SureFirstAsync(IPv6Async, IPv4Async, name, other);
            return (four, six);
        }

        var asked4 = IPv4Async(name);
        var asked6 = IPv6Async(name);
        return (await asked4, await asked6);
    }

    /// <param name="left">How much longer the doubtful question is left alone.</param>
    private async Task<(DnsAnswer<IPAddress> Sure, DnsAnswer<IPAddress> Doubtful)> SureFirstAsync(
        Func<string, Task<DnsAnswer<IPAddress>>> sureAsync, Func<string, Task<DnsAnswer<IPAddress>>> doubtfulAsync, string name, TimeSpan left)
    {
        var asked = left > TimeSpan.Zero ? null : doubtfulAsync(name);
        var sure = await sureAsync(name);
        if (sure.Status != DnsStatus.Found || await IsThereAsync(asked))
            return (sure, await (asked ?? doubtfulAsync(name)));
        return (sure, DnsAnswer.Failure<IPAddress>("not waited for") with { TimeToLive = left > TimeSpan.Zero ? left : TimeSpan.Zero });
    }

    private async Task<bool> IsThereAsync(Task<DnsAnswer<IPAddress>>? asked)
    {
        if (asked is null)
            return false;
        try
        {
            await asked.WaitAsync(HostLookUps.Patience, time);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private Task<DnsAnswer<IPAddress>> IPv4Async(string name) => AskAsync($"A {name}", dns.IPv4Async(name, CancellationToken.None));

    private Task<DnsAnswer<IPAddress>> IPv6Async(string name) => AskAsync($"AAAA {name}", dns.IPv6Async(name, CancellationToken.None));

    /// <summary>A failure comes with the time for which the question is left alone.</summary>
    private async Task<DnsAnswer<IPAddress>> AskAsync(string question, Task<DnsAnswer<IPAddress>> asked)
    {
        var answer = await asked;
        if (answer.IsOurFault)
            return answer;
        if (answer.Status == DnsStatus.Failed)
            return answer with { TimeToLive = unanswered.Note(question) };
        unanswered.Forget(question);
        return answer;
    }

    private IPAddress[] Shuffled(IReadOnlyList<IPAddress> addresses)
    {
        IPAddress[] shuffled = [.. addresses];
        random.Shuffle(shuffled);
        return shuffled;
    }

    private TimeSpan FoundTimeToLive(DnsAnswer<IPAddress> first, DnsAnswer<IPAddress> second)
    {
        var timeToLive = dnsOptions.Value.CacheTime;
        foreach (var answer in (ReadOnlySpan<DnsAnswer<IPAddress>>)[first, second])
        {
            var limit = answer.Status switch
            {
                DnsStatus.Found => answer.TimeToLive,
                DnsStatus.Failed => answer.TimeToLive > s_halfAnswerTime ? answer.TimeToLive : s_halfAnswerTime,
                _ => timeToLive,
            };
            timeToLive = limit < timeToLive ? limit : timeToLive;
        }

        return timeToLive;
    }
}
