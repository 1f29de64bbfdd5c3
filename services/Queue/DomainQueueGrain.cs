using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;
using Orleans.Concurrency;

namespace MailPipeline.Queue;

/// <summary>
/// Keeps a <see cref="DomainQueue"/> going: loads what is due, hands it out, records outcomes, and leaves memory when
/// nothing is due. Everything it knows can be read again from storage, so a second activation for a while does no harm:
/// claims are won in storage.
/// </summary>
[Reentrant]
internal sealed partial class DomainQueueGrain(
    QueueStore store, OutcomeRecorder outcomes, HandOutSender sender, DeliveryPause pause, HandOutGate gate, OverdueClaims overdueClaims,
    IOptions<QueueOptions> options, RetrySchedule schedule, QueueTelemetry telemetry, OutageLog outages, TimeProvider time,
    ILogger<DomainQueueGrain> log) : Grain, IDomainQueueGrain
{
    /// <summary>Idle ticks after which the activation leaves memory.</summary>
    private const int IdleTicksBeforeLeaving = 5;

    private static readonly TimeSpan s_tick = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_longestLook = TimeSpan.FromSeconds(8);

    private readonly DomainQueue _queue = new(options.Value, schedule);

    /// <summary>Claims that have been reported, and whose end storage may not have yet.</summary>
    private readonly HashSet<long> _concluding = [];

    /// <summary>Between looks into storage, for the warden's sake, that find nothing while hand-outs are under way.</summary>
    private readonly GrowingPause _looks = new(s_tick, s_longestLook);

    /// <summary>Recipients found in storage so far.</summary>
    private long _found;

    private int _openings = gate.Openings;

    /// <summary>The route that alone has workers, when storage was read last; null: all have.</summary>
    private RecipientRoute? _only;

    /// <summary>What is due in storage waits for workers that are not there: there is no use in looking often.</summary>
    private bool _waitsForWorkers;

    private bool _pumping;
    private bool _pumpAgain;
    private int _idleTicks;

    private string Domain => this.GetPrimaryKeyString();

    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _queue.Remember(await store.FindStandingAsync(Domain, cancellationToken));
        await AdoptAsync(cancellationToken);
        this.RegisterGrainTimer(TickAsync, new GrainTimerCreationOptions(s_tick, s_tick) { Interleave = true });
    }

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        foreach (var (route, recipients) in _queue.UnderWay)
            telemetry.UnderWay(route, -recipients);
        return Task.CompletedTask;
    }

    public Task OfferAsync(QueuedRecipient[] recipients)
    {
        _idleTicks = 0;
        _queue.Offer(Array.ConvertAll(recipients, ContractMapping.ToRecipient), time.GetUtcNow());
        // The router has more to do than to wait for the bus.
        _ = PumpAsideAsync();
        return Task.CompletedTask;
    }

    public async Task<bool> WakeAsync()
    {
        _idleTicks = 0;
        var now = time.GetUtcNow();
        // Workers that have come since are a reason to look at once.
        if ((!_queue.IsIdle || _waitsForWorkers) && gate.Openings == _openings && _looks.Lasts(now))
            return false;
        // What was deferred becomes due while others are under way, too.
        _queue.NoteDue();
        var before = _found;
        await PumpAsync();
        if (_found > before)
            _looks.Forget();
        else
            _looks.Begin(now);
        return _found > before;
    }

    public async Task CompleteAsync(AttemptsCompleted completed)
    {
        _idleTicks = 0;
        var report = completed.ToReport();
        if (report.GoesOn)
        {
            var (route, count) = _queue.HandBack(report.ClaimId, report.Results.Select(result => result.RecipientId));
            NoLongerUnderWay(route, count);
            await outcomes.RecordAsync(report, [], _queue.Standing.BackoffUntil);
            await PumpAsync();
            return;
        }
        // Somebody else has what this worker was to try: a worker that was given it before this queue was in memory.
        if (report.NothingWon)
            await AdoptAsync(CancellationToken.None);
        _concluding.Add(report.ClaimId);
        try
        {
            await ConcludeAsync(report);
        }
        finally
        {
            _concluding.Remove(report.ClaimId);
        }
    }

    private async Task ConcludeAsync(AttemptReport report)
    {
        var handOut = _queue.Complete(report.ClaimId);
        if (handOut is not null)
            telemetry.UnderWay(handOut.Route, -handOut.Recipients.Length);
        if (report.Results.Any(result => result.Outcome != AttemptOutcome.NotAttempted))
            ForgetSetbacks(handOut);
        else if (handOut is not null)
            _queue.SetBack(handOut.Endpoint, time.GetUtcNow());
        if (DomainQueue.SaysSomething(report, isUnderWay: handOut is not null) && (handOut is not null || await IsHeldHereAsync(report.ClaimId)))
            await LearnAsync(report);
        // The next hand-out need not wait for the records of this one.
        var recording = outcomes.RecordAsync(report, handOut?.Recipients ?? [], _queue.Standing.BackoffUntil);
        await PumpAsync();
        if (await recording)
            _queue.NoteMoreInStore();
    }

    /// <summary>Somebody was tried; of a hand-out that is not known (any more), or was adopted, nobody knows by which endpoint.</summary>
    private void ForgetSetbacks(HandOut? handOut)
    {
        foreach (var endpoint in handOut is { IsAdopted: false } ? [handOut.Endpoint] : HandOutGate.Endpoints)
            _queue.ForgetSetbacks(endpoint);
    }

    /// <summary>A hand-out of before this queue was in memory is believed as long as its claim is held, and an old report is not.</summary>
    private async Task<bool> IsHeldHereAsync(long claimId) =>
        (await store.ListClaimsAsync(Domain, CancellationToken.None)).Contains(claimId);

    private async Task AdoptAsync(CancellationToken cancellationToken)
    {
        // What is ending, or ends while storage answers, is not adopted afterwards.
        var known = _queue.ClaimIds.Concat(_concluding).ToHashSet();
        _queue.Adopt((await store.ListClaimsAsync(Domain, cancellationToken)).Except(known), time.GetUtcNow());
    }

    private void NoLongerUnderWay(RecipientRoute route, int count)
    {
        if (count > 0)
            telemetry.UnderWay(route, -count);
    }

    private async Task LearnAsync(AttemptReport report)
    {
        var reason = report.Unreachable ? report.Results.FirstOrDefault(r => r.Outcome != AttemptOutcome.NotAttempted)?.Reply ?? "" : "";
        if (!_queue.Conclude(report.Unreachable, reason, time.GetUtcNow(), Random.Shared.NextDouble()))
            return;
        if (report.Unreachable)
            LogResting(log, Domain, _queue.Standing.BackoffUntil, reason);
        await store.SetStandingAsync(Domain, _queue.Standing);
    }

    private async Task PumpAsideAsync()
    {
        try
        {
            await PumpAsync();
        }
        catch (StorageUnavailableException exception)
        {
            NoteStorageAway(exception);
        }
        catch (Exception exception)
        {
            LogNotHandedOut(log, Domain, exception);
        }
    }

    private async Task PumpAsync()
    {
        // However long the pause, memory does not fill with what waits; the warden wakes what is due afterwards.
        if (!HasWorkers)
        {
            _queue.LeaveToStore();
            return;
        }
        if (gate.Openings is var openings && openings != _openings)
        {
            foreach (var endpoint in gate.OpenedAfter(_openings))
                _queue.ForgetSetbacks(endpoint);
            _openings = openings;
            ReadAnew();
        }
        if (_pumping)
        {
            _pumpAgain = true;
            return;
        }
        _pumping = true;
        try
        {
            do
            {
                _pumpAgain = false;
                LeaveWhatHasNoWorkers();
                await LoadAsync();
                while (CanHandOut)
                    await HandOutAsync();
            }
            while (_pumpAgain || (_queue.WantsMore(time.GetUtcNow()) && CanHandOut));
        }
        finally
        {
            _pumping = false;
        }
    }

    private bool CanHandOut => !pause.IsPaused && _queue.NextEndpoint is { } endpoint && gate.IsOpen(endpoint) && _queue.CanHandOut(time.GetUtcNow());

    /// <summary>For this domain, as it stands.</summary>
    private bool IsOpen(RecipientRoute route) => gate.IsOpen(_queue.EndpointOf(route));

    /// <summary>Anything at all may be handed out now.</summary>
    private bool HasWorkers => !pause.IsPaused && (IsOpen(RecipientRoute.Remote) || IsOpen(RecipientRoute.Local));

    /// <summary>It takes no room in the window from what has, and is not read.</summary>
    private void LeaveWhatHasNoWorkers()
    {
        RecipientRoute? only = !IsOpen(RecipientRoute.Local) ? RecipientRoute.Remote : !IsOpen(RecipientRoute.Remote) ? RecipientRoute.Local : null;
        if (only is { } open)
            _queue.LeaveToStore(open == RecipientRoute.Local ? RecipientRoute.Remote : RecipientRoute.Local);
        // Of another endpoint, too, because the domain can be reached again: what was passed over lies before the place that was read to.
        if (only != _only)
            ReadAnew();
        _only = only;
    }

    private void ReadAnew()
    {
        _queue.NoteMoreInStore();
        _looks.Forget();
        _waitsForWorkers = false;
    }

    private async Task LoadAsync()
    {
        var now = time.GetUtcNow();
        if (!_queue.WantsMore(now) || pause.IsPaused)
            return;
        var room = _queue.Room;
        var due = await store.ListDueAsync(Domain, now, room, CancellationToken.None, _queue.NextPage(now), _only);
        var waiting = _queue.Waiting;
        foreach (var (route, count) in _queue.Load(due, room))
            NoLongerUnderWay(route, count);
        var found = _queue.Waiting - waiting;
        _found += found;
        _waitsForWorkers &= found == 0;
        var expired = _queue.TakeExpired(now);
        if (expired.Count > 0)
            await outcomes.ExpireAsync(Domain, expired, _queue.Standing.Reason);
    }

    private async Task HandOutAsync()
    {
        var claimId = await store.NextClaimIdAsync(CancellationToken.None);
        if (_queue.TryHandOut(claimId, time.GetUtcNow()) is not { } handOut)
            return;
        telemetry.UnderWay(handOut.Route, handOut.Recipients.Length);
        if (await sender.TrySendAsync(Domain, handOut))
            telemetry.HandedOut(handOut.Route, handOut.Recipients.Length);
        else
            TakeBack(handOut);
    }

    private async Task TickAsync(CancellationToken cancellationToken)
    {
        try
        {
            await CheckOverdueAsync(cancellationToken);
            if (!_queue.IsIdle)
            {
                await PumpAsync();
                return;
            }
            _idleTicks++;
            if (_idleTicks == 1 && !_queue.Rests(time.GetUtcNow()) && HasWorkers && !_waitsForWorkers)
                await SettleAsync();
            else if (_idleTicks >= IdleTicksBeforeLeaving)
                DeactivateOnIdle();
        }
        catch (StorageUnavailableException exception)
        {
            NoteStorageAway(exception);
        }
    }

    /// <summary>Nothing to do: notes in storage when there will be, so that the warden leaves the domain alone until then.</summary>
    private async Task SettleAsync()
    {
        if (await store.SettleAsync(Domain) is { } next && next <= time.GetUtcNow())
        {
            _queue.NoteMoreInStore();
            await PumpAsync();
            _waitsForWorkers = _only is not null && _queue.IsIdle;
        }
    }

    /// <summary>
    /// A hand-out that nobody holds a claim for was lost on the bus, before or after it was worked on: what is still due
    /// of it is read from storage again. One that a worker held, or has tried somebody of, was not lost: it was taken back from a worker that
    /// died, which is said where that is done, or it is its report that is missing.
    /// </summary>
    private async Task CheckOverdueAsync(CancellationToken cancellationToken)
    {
        var overdue = _queue.Overdue(time.GetUtcNow());
        if (overdue.Count == 0)
            return;
        var held = await overdueClaims.FindHeldAsync(overdue.Select(handOut => handOut.ClaimId)).WaitAsync(cancellationToken);
        // What was reported meanwhile has ended.
        foreach (var handOut in overdue.Where(handOut => _queue.IsUnderWay(handOut.ClaimId)))
        {
            if (held.Contains(handOut.ClaimId))
            {
                _queue.NoteClaimed(handOut.ClaimId, time.GetUtcNow());
                continue;
            }
            var wasClaimed = _queue.WasClaimed(handOut.ClaimId);
            TakeBack(handOut);
            if (handOut.IsAdopted || wasClaimed || await store.IsTriedSinceAsync(handOut.Recipients, cancellationToken))
                continue;
            telemetry.HandOutLost(handOut.Route);
            LogHandOutLost(log, Domain, handOut.ClaimId, handOut.Recipients.Length);
        }
    }

    private void NoteStorageAway(StorageUnavailableException exception)
    {
        if (outages.MayWrite(2003, exception))
            LogStorageAway(log, Domain, exception);
    }

    private void TakeBack(HandOut handOut)
    {
        telemetry.UnderWay(handOut.Route, -_queue.TakeBack(handOut.ClaimId));
        _queue.SetBack(handOut.Endpoint, time.GetUtcNow());
    }

    [LoggerMessage(2001, LogLevel.Warning, "{Domain} cannot be reached and rests until {Until:u}: {Reason}")]
    private static partial void LogResting(ILogger log, string domain, DateTimeOffset until, string reason);

    [LoggerMessage(2002, LogLevel.Warning, "{Domain}: hand-out {ClaimId} of {Count} recipients was lost on its way; they are read again")]
    private static partial void LogHandOutLost(ILogger log, string domain, long claimId, int count);

    [LoggerMessage(2003, LogLevel.Warning, "{Domain}: the store is away; the queue goes on when it is back")]
    private static partial void LogStorageAway(ILogger log, string domain, Exception exception);

    [LoggerMessage(2004, LogLevel.Error, "{Domain}: what is due could not be handed out; it is read again")]
    private static partial void LogNotHandedOut(ILogger log, string domain, Exception exception);
}
