using MailPipeline.Mail;
using MailPipeline.Queue.Policies;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;
using Orleans.Concurrency;

namespace MailPipeline.Queue.Sites;

/// <summary>
/// Keeps a <see cref="SiteBudget"/> going: one for each site in the cluster. Whoever waits is called as soon as there is something for him. It
/// remembers rests in storage, and where an operator has set a limit it takes the site over there when it comes into memory, so that no
/// batch that a former life has given out, and that it cannot count, wins a claim any more. The rate of a sender is kept by the same means, under a name
/// of its own (<see cref="SenderRate"/>): it bounds no connections and never rests.
/// </summary>
[Reentrant]
internal sealed partial class SiteGrain : Grain, ISiteGrain
{
    /// <summary>Ticks in which nothing was asked and nothing is out, after which the activation leaves memory.</summary>
    private const int IdleTicksBeforeLeaving = 12;

    private static readonly TimeSpan s_tick = TimeSpan.FromSeconds(5);

    /// <summary>While somebody waits, limits that have changed are seen so soon.</summary>
    private static readonly TimeSpan s_longestLook = TimeSpan.FromSeconds(1);

    /// <summary>Several times as long as domains are silent.</summary>
    private static readonly TimeSpan s_leastUnclaimed = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan s_shortestLook = TimeSpan.FromMilliseconds(1);

    private readonly SiteStore _store;
    private readonly QueueStore _queue;
    private readonly QueuePolicyFile _policy;
    private readonly RuleBook _rules;
    private readonly QueueTelemetry _telemetry;
    private readonly OutageLog _outages;
    private readonly TimeProvider _time;
    private readonly ILogger<SiteGrain> _log;
    private readonly SiteBudget _budget;

    /// <summary>Whose rate this is; null: it is a site.</summary>
    private readonly string? _sender;

    /// <summary>A batch may wait so long on the bus, and as long in a worker who waits for DNS; behind that a claim says whether somebody has it.</summary>
    private readonly TimeSpan _longestUnclaimed;

    private DestinationPolicy? _applied;
    private RuleSet? _appliedRules;
    private Task _takingOver = Task.CompletedTask;
    private IGrainTimer? _timer;
    private DateTimeOffset? _timerAt;
    private SiteNote _noted = new(0, 0, 0, SiteHoldUp.None);

    /// <summary>Storage may say something of the site.</summary>
    private bool _hasRow;
    private int _idleTicks;
    private (int Permits, int Waiting) _counted;

    public SiteGrain(
        SiteStore store, QueueStore queue, QueuePolicyFile policy, RuleBook rules, IOptions<QueueOptions> options, QueueTelemetry telemetry, OutageLog outages, TimeProvider time,
        ILogger<SiteGrain> log)
    {
        (_store, _queue, _policy, _rules, _telemetry, _outages, _time, _log) = (store, queue, policy, rules, telemetry, outages, time, log);
        var settings = options.Value;
        _sender = SenderRate.FlowOf(Site);
        _longestUnclaimed = 2 * settings.BatchTimeout > s_leastUnclaimed ? 2 * settings.BatchTimeout : s_leastUnclaimed;
        _budget = _sender is not null ? new SiteBudget(int.MaxValue, int.MaxValue, _ => TimeSpan.Zero, countsConnections: false) : new SiteBudget(
            Math.Min(settings.InitialConcurrency, settings.SiteConcurrency), settings.SiteConcurrency,
            failures =>
            {
                var step = settings.RetrySteps[Math.Clamp(failures, 1, settings.RetrySteps.Count) - 1];
                return step + (step * (settings.RetryJitter * Random.Shared.NextDouble()));
            });
    }

    private string Site => this.GetPrimaryKeyString();

    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        var stored = await _store.FindAsync(Site, cancellationToken);
        _hasRow = stored != StoredSite.None;
        _budget.Remember(new SiteRest(stored.Failures, stored.RestUntil, stored.Reason));
        ApplyLimits();
        this.RegisterGrainTimer(TickAsync, new GrainTimerCreationOptions(s_tick, s_tick) { Interleave = true });
    }

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        _telemetry.SiteChanged(-_counted.Permits, -_counted.Waiting, _sender is not null);
        return Task.CompletedTask;
    }

    public async ValueTask<SiteAnswer> AskAsync(SiteAsk ask)
    {
        _idleTicks = 0;
        foreach (var report in ask.Ends ?? [])
            await EndAsync(report);
        ApplyLimits();
        if (_budget.NeedsEpoch)
            await TakeOverAsync();
        if (_budget.Rests(_time.GetUtcNow()) && ask.Insists)
            await ShortenAsync();
        if (_budget.Rests(_time.GetUtcNow()))
            return new(null, _budget.Rest);
        _budget.Ask(ask);
        return Serve(ask.Domain) is { } permit ? new(permit, null) : SiteAnswer.Wait;
    }

    public async Task EndAsync(SiteReport report)
    {
        _idleTicks = 0;
        ApplyLimits();
        if (report.State == SiteState.SlowDown)
            _telemetry.SiteSlowed();
        var hasChanged = _budget.End(report, _time.GetUtcNow());
        if (!hasChanged)
        {
            Serve();
            return;
        }

        _hasRow = true;
        var rest = _budget.Rest;
        if (_budget.Rests(_time.GetUtcNow()))
        {
            _telemetry.SiteRests();
            LogRests(_log, Site, rest.Until, rest.Reason);
            foreach (var domain in _budget.DismissWaiting())
                await GrainFactory.GetGrain<ISiteWaiter>(domain).FollowRestAsync(Site, rest);
        }

        Serve();
        await WriteSafelyAsync(() => _store.SetRestAsync(Site, new StoredSite(rest.Failures, rest.Until, rest.Reason)));
    }

    public Task AssertAsync(string domain, long[] batchIds)
    {
        _idleTicks = 0;
        _budget.Assert(domain, batchIds, _time.GetUtcNow());
        Count();
        return Task.CompletedTask;
    }

    /// <summary>Gives out what there is: to this one by the answer, to the others by a call.</summary>
    private SitePermit? Serve(string? asking = null)
    {
        SitePermit? own = null;
        foreach (var (domain, permit) in _budget.Serve(_time.GetUtcNow()))
        {
            if (domain == asking)
                own = permit;
            else
                _ = OfferAsync(domain, permit);
        }

        foreach (var domain in _budget.TakeLate())
            GrainFactory.GetGrain<ISiteWaiter>(domain).TellEndsAsync(Site).Ignore();
        Count();
        SetTimer();
        return own;
    }

    private async Task OfferAsync(string domain, SitePermit permit)
    {
        try
        {
            if (await GrainFactory.GetGrain<ISiteWaiter>(domain).TakePermitAsync(Site, permit))
                return;
            _budget.End(SiteReport.Untouched(domain, permit.BatchId), _time.GetUtcNow());
            Serve();
        }
#pragma warning disable CA1031 // Whether it was taken is not known: storage says later whether somebody holds a claim.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            LogNotOffered(_log, Site, domain, exception);
        }
    }

    private void ApplyLimits()
    {
        var (policy, rules) = (_policy.Current, _rules.Current);
        if (ReferenceEquals(policy, _applied) && ReferenceEquals(rules, _appliedRules))
            return;
        (_applied, _appliedRules) = (policy, rules);
        _budget.SetLimits(
            _sender is null ? policy.OfSite(Site).At(rules.RateOfSite(Site))
                : DestinationLimits.None with { MessagesPerSecond = _policy.Senders.Of(_sender).MessagesPerSecond }, _time.GetUtcNow());
    }

    /// <summary>Once for all who ask meanwhile.</summary>
    private async Task TakeOverAsync()
    {
        if (_takingOver.IsCompleted)
            _takingOver = BeginEpochAsync();
        await _takingOver;
    }

    private async Task BeginEpochAsync()
    {
        _hasRow = true;
        var taken = await _store.TakeOverAsync(Site);
        var held = await _store.ListHeldAsync(Site, CancellationToken.None);
        // A sender whose rate was not used lately leaves nothing behind, and has all of it.
        _budget.Begin(taken.Epoch, held, taken.IsAfterOthers, _time.GetUtcNow(), isRested: taken.IsNew && _sender is not null);
    }

    private async Task ShortenAsync()
    {
        var stored = await _store.FindAsync(Site, CancellationToken.None);
        _budget.Shorten(new SiteRest(stored.Failures, stored.RestUntil, stored.Reason));
    }

    /// <summary>For the moment when somebody's turn comes without a report, and for limits that change meanwhile.</summary>
    private void SetTimer()
    {
        if (_budget.Waiting == 0)
            return;
        var now = _time.GetUtcNow();
        var next = _budget.NextAt(now) is { } at && at - now < s_longestLook ? at : now + s_longestLook;
        if (_timerAt is { } set && set > now && set <= next)
            return;
        _timerAt = next;
        var due = next - now > s_shortestLook ? next - now : s_shortestLook;
        if (_timer is null)
            _timer = this.RegisterGrainTimer(LookAsync, new GrainTimerCreationOptions(due, Timeout.InfiniteTimeSpan) { Interleave = true });
        else
            _timer.Change(due, Timeout.InfiniteTimeSpan);
    }

    private async Task LookAsync(CancellationToken cancellationToken)
    {
        _timerAt = null;
        ApplyLimits();
        if (_budget.NeedsEpoch)
            await WriteSafelyAsync(TakeOverAsync);
        Serve();
    }

    private async Task TickAsync(CancellationToken cancellationToken)
    {
        await WriteSafelyAsync(async () =>
        {
            await DropLostAsync(cancellationToken);
            var note = _budget.Describe(_time.GetUtcNow());
            if (note.Waiting == 0 && _noted.Waiting == 0)
                return;
            _hasRow = true;
            await _store.NoteAsync(Site, note);
            _noted = note;
        });
        Serve();
        if (!_budget.IsIdle || (_sender is not null && !_budget.IsRested(_time.GetUtcNow())))
        {
            _idleTicks = 0;
            return;
        }

        if (++_idleTicks < IdleTicksBeforeLeaving)
            return;
        if (_hasRow)
        {
            // Of senders with a rate there may be very many. A permit of this life that a worker still holds counts no more, as in another life.
            var epoch = _budget.EndEpoch();
            await WriteSafelyAsync(() => _store.ForgetAsync(Site, epoch));
        }

        // Somebody may have asked meanwhile.
        if (_idleTicks > 0)
            DeactivateOnIdle();
    }

    /// <summary>A permit of which its domain does not speak any more ends when nobody holds a claim for the batch, and nobody can win one.</summary>
    private async Task DropLostAsync(CancellationToken cancellationToken)
    {
        var silent = _budget.Silent(_longestUnclaimed, _time.GetUtcNow());
        if (silent.Count == 0)
            return;
        var held = await _queue.FindHeldAsync(silent, cancellationToken);
        var now = _time.GetUtcNow();
        // Somebody may have spoken of it meanwhile.
        foreach (var batchId in _budget.Silent(_longestUnclaimed, now).Intersect(silent).Where(batchId => !held.Contains(batchId)))
            _budget.Drop(batchId, now);
    }

    private void Count()
    {
        var now = (_budget.Permits, _budget.Waiting);
        if (now == _counted)
            return;
        _telemetry.SiteChanged(now.Permits - _counted.Permits, now.Waiting - _counted.Waiting, _sender is not null);
        _counted = now;
    }

    private async Task WriteSafelyAsync(Func<Task> write)
    {
        try
        {
            await write();
        }
        catch (StorageUnavailableException exception)
        {
            if (_outages.MayWrite(2123, exception))
                LogStorageAway(_log, Site, exception);
        }
    }

    [LoggerMessage(2123, LogLevel.Warning, "{Site}: the store is away; what its hosts are given goes on when it is back")]
    private static partial void LogStorageAway(ILogger log, string site, Exception exception);

    [LoggerMessage(2124, LogLevel.Warning, "{Site} takes nothing, for whichever domain, and rests until {Until:u}: {Reason}")]
    private static partial void LogRests(ILogger log, string site, DateTimeOffset until, string reason);

    [LoggerMessage(2125, LogLevel.Warning, "{Site}: {Domain} could not be told that it is its turn")]
    private static partial void LogNotOffered(ILogger log, string site, string domain, Exception exception);
}
