using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using MailPipeline.Queue.Policies;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reconciling;

/// <summary>
/// Wakes the queues of domains that have something due. A queue that is awake goes on by itself, so waking one is waited for only a second;
/// a domain that cannot be woken holds up none of the others. Where nobody takes batches nobody is woken; where workers of some endpoint are missing,
/// what waits for them is passed over, and as that may be very much, it is done seldom until they are back. No domain is woken of which operators keep back all.
/// </summary>
internal sealed partial class DueDomains(
    QueueStore store, HeldDomainStore heldDomains, IGrainFactory grains, DeliveryPause pause, RuleBook rules, EndpointGate gate, IOptions<QueueOptions> options, TimeProvider time,
    ILogger<DueDomains> log) : IDuty
{
    public const string DutyName = "wake";

    private static readonly TimeSpan s_longestWait = TimeSpan.FromSeconds(1);

    /// <summary>Found in this round, with all of their mail kept back.</summary>
    private readonly List<string> _held = [];

    // Whoever lacks nothing and is due is woken so much later at most.
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(5);

    private Waking? _waking;
    private TimeSpan _pause;
    private long _ended;
    private int _openings;

    public string Name => DutyName;

    public DutyPace Pace => new(options.Value.ReconcileInterval, Share: 0.2);

    public async Task<bool> RoundAsync()
    {
        var openings = gate.Openings;
        if (pause.IsPaused || !rules.IsRead || (openings == _openings && time.GetElapsedTime(_ended) < _pause))
            return false;
        var began = time.GetTimestamp();
        _held.Clear();
        var version = rules.Current.Version;
        var isUseful = await (_waking ??= new Waking(ListAsync, WakeAsync, time)).RoundAsync();
        (_openings, _ended) = (openings, time.GetTimestamp());
        _pause = gate.Closed.Count > 0 ? new DutyPace(TimeSpan.Zero, Share: 0.02, s_longestPause).PauseAfter(time.GetElapsedTime(began)) : TimeSpan.Zero;
        // Judged by other rules in part: then nothing is written, and the next round finds them again.
        if (_held.Count > 0 && rules.Current.Version == version)
            await heldDomains.DeferAsync(_held, version, time.GetUtcNow() + HeldDomainStore.Pause);
        return isUseful;
    }

    private async Task<IReadOnlyList<DueDomain>> ListAsync(DueDomain after, int most)
    {
        var open = new OpenRoutes(
            Local: IsOpen(RecipientRoute.Local), Remote: IsOpen(RecipientRoute.Remote), Failing: IsOpen(RecipientRoute.Remote, probe: true));
        return open == OpenRoutes.None ? [] : await store.ListDueDomainsAsync(time.GetUtcNow(), after, most, CancellationToken.None, open);
    }

    private bool IsOpen(RecipientRoute route, bool probe = false) => gate.IsOpen(Batch.EndpointOf(route, probe));

    private async Task<bool> WakeAsync(DueDomain due)
    {
        if (rules.Current.OfDomain(due.Domain, site: "").Whole is not null)
        {
            _held.Add(due.Domain);
            return false;
        }
        try
        {
            return await grains.GetGrain<IDomainQueueGrain>(due.Domain).WakeAsync().WaitAsync(s_longestWait, time);
        }
        catch (TimeoutException)
        {
            // It goes on by itself, or another round wakes it.
            return false;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            LogNotWoken(log, due.Domain, exception);
            return false;
        }
    }

    [LoggerMessage(2051, LogLevel.Warning, "{Domain} could not be woken; next time")]
    private static partial void LogNotWoken(ILogger log, string domain, Exception exception);
}
