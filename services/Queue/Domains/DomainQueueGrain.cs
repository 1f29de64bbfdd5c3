using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.Storage;
using Orleans.Concurrency;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// Keeps a <see cref="DomainQueue"/> going: has what is due handed out, draws the conclusions of what workers report, looks for what got
/// lost on the bus, and leaves memory when nothing is due. Everything it knows can be read again from storage, so a second activation for
/// a while does no harm: claims are won in storage.
/// </summary>
[Reentrant]
internal sealed partial class DomainQueueGrain(
    QueueStore store, DomainDispatch dispatch, OutcomeRecorder outcomes, OverdueClaims overdueClaims, QueueTelemetry telemetry,
    OutageLog outages, TimeProvider time, ILogger<DomainQueueGrain> log) : Grain, IDomainQueueGrain
{
    /// <summary>Idle ticks after which the activation leaves memory.</summary>
    private const int IdleTicksBeforeLeaving = 5;

    private static readonly TimeSpan s_tick = TimeSpan.FromSeconds(1);

    private readonly DomainQueue _queue = dispatch.Queue;

    /// <summary>Claims that have been reported, and whose end storage may not have yet.</summary>
    private readonly HashSet<long> _concluding = [];

    /// <summary>Where mail of the domain goes, as far as that was written while this queue was in memory.</summary>
    private string _site = "";

    private int _idleTicks;

    private string Domain => this.GetPrimaryKeyString();

    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _queue.Remember(await store.FindBackoffAsync(Domain, cancellationToken));
        await AdoptAsync(cancellationToken);
        this.RegisterGrainTimer(TickAsync, new GrainTimerCreationOptions(s_tick, s_tick) { Interleave = true });
    }

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        foreach (var (route, recipients) in _queue.UnderWay)
            dispatch.CountUnderWay(route, -recipients);
        return Task.CompletedTask;
    }

    public Task OfferAsync(QueuedRecipient[] recipients)
    {
        _idleTicks = 0;
        _queue.Offer(Array.ConvertAll(recipients, ContractMapping.ToRecipient), time.GetUtcNow());
        // The router has more to do than to wait for the bus.
        _ = DispatchAsideAsync();
        return Task.CompletedTask;
    }

    public async Task<bool> WakeAsync()
    {
        _idleTicks = 0;
        // Storage says that it does not back off: somebody has ended that.
        if (_queue.BacksOff(time.GetUtcNow()))
            _queue.Shorten(await store.FindBackoffAsync(Domain, CancellationToken.None));
        return await dispatch.LookAsync(Domain);
    }

    public async Task CompleteAsync(AttemptsCompleted completed)
    {
        _idleTicks = 0;
        var report = completed.ToReport();
        if (report.GoesOn)
        {
            var (route, count) = _queue.HandBack(report.ClaimId, report.Results.Select(result => result.RecipientId));
            dispatch.CountUnderWay(route, -count);
            _queue.NoteMoreInStore();
            await outcomes.RecordAsync(report, [], _queue.Backoff.BackoffUntil);
            await dispatch.RunAsync(Domain);
            return;
        }
        // Another worker has what this one was to try: he was given it before this queue was in memory.
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
        var batch = _queue.Complete(report.ClaimId);
        if (batch is not null)
            dispatch.CountUnderWay(batch.Route, -batch.Recipients.Length);
        if (report.Results.Any(result => result.Outcome != AttemptOutcome.NotAttempted))
            ForgetSetbacks(batch);
        else if (batch is not null)
            _queue.SetBack(batch.Endpoint, time.GetUtcNow());
        if (DomainQueue.SaysSomething(report, isUnderWay: batch is not null) && (batch is not null || await IsHeldHereAsync(report.ClaimId)))
            await LearnAsync(report);
        // The next batch need not wait for the records of this one.
        var recording = outcomes.RecordAsync(report, batch?.Recipients ?? [], _queue.Backoff.BackoffUntil);
        await dispatch.RunAsync(Domain);
        if (await recording)
            _queue.NoteMoreInStore();
        // Behind what the report decides: without it nothing is lost.
        await RememberSiteAsync(report);
    }

    /// <summary>Somebody was tried; of a batch that is not known (any more), or was adopted, nobody knows by which endpoint.</summary>
    private void ForgetSetbacks(Batch? batch)
    {
        foreach (var endpoint in batch is { IsAdopted: false } ? [batch.Endpoint] : EndpointGate.Endpoints)
            _queue.ForgetSetbacks(endpoint);
    }

    /// <summary>The report of a batch from before this queue was in memory is believed as long as its claim is held; an old report is not.</summary>
    private async Task<bool> IsHeldHereAsync(long claimId) =>
        (await store.ListClaimsAsync(Domain, CancellationToken.None)).Contains(claimId);

    private async Task AdoptAsync(CancellationToken cancellationToken)
    {
        // What is ending, or ends while storage answers, is not adopted afterwards.
        var known = _queue.ClaimIds.Concat(_concluding).ToHashSet();
        _queue.Adopt((await store.ListClaimsAsync(Domain, cancellationToken)).Except(known), time.GetUtcNow());
    }

    private async Task LearnAsync(AttemptReport report)
    {
        var reason = report.Unreachable ? report.Results.FirstOrDefault(r => r.Outcome != AttemptOutcome.NotAttempted)?.Reply ?? "" : "";
        if (!_queue.Conclude(report.Unreachable, reason, time.GetUtcNow(), Random.Shared.NextDouble()))
            return;
        if (report.Unreachable)
            LogBacksOff(log, Domain, _queue.Backoff.BackoffUntil, reason);
        await store.SetBackoffAsync(Domain, _queue.Backoff);
    }

    /// <summary>For operators. Where nobody is left to wait there is nothing to remember it beside.</summary>
    private async Task RememberSiteAsync(AttemptReport report)
    {
        if (report.Site.Length == 0 || report.Site == _site || !report.Results.Any(result => result.Outcome is AttemptOutcome.Deferred or AttemptOutcome.Uncertain))
            return;
        try
        {
            await store.SetSiteAsync(Domain, report.Site);
            _site = report.Site;
        }
        catch (StorageUnavailableException exception)
        {
            NoteStorageAway(exception);
        }
    }

    private async Task DispatchAsideAsync()
    {
        try
        {
            await dispatch.RunAsync(Domain);
        }
        catch (StorageUnavailableException exception)
        {
            NoteStorageAway(exception);
        }
        catch (Exception exception)
        {
            LogNotDispatched(log, Domain, exception);
        }
    }

    private async Task TickAsync(CancellationToken cancellationToken)
    {
        try
        {
            await CheckOverdueAsync(cancellationToken);
            if (!_queue.IsIdle)
            {
                await dispatch.RunAsync(Domain);
                return;
            }
            _idleTicks++;
            if (_idleTicks == 1 && dispatch.MayFindMore)
                await SettleAsync();
            else if (_idleTicks >= IdleTicksBeforeLeaving)
                DeactivateOnIdle();
        }
        catch (StorageUnavailableException exception)
        {
            NoteStorageAway(exception);
        }
    }

    /// <summary>Nothing to do: notes in storage when there will be, so that the reconciler leaves the domain alone until then.</summary>
    private async Task SettleAsync()
    {
        if (await store.SettleAsync(Domain) is { } next && next <= time.GetUtcNow())
            await dispatch.ReadAgainAsync(Domain);
    }

    /// <summary>
    /// A batch that nobody holds a claim for was lost on the bus, before or after it was worked on: what is still due
    /// of it is read from storage again. One that a worker held, or has tried somebody of, was not lost: it was taken back from a worker that
    /// died, which is said where that is done, or it is its report that is missing. Where storage says that somebody was delivered the domain
    /// was reached, with or without a report.
    /// </summary>
    private async Task CheckOverdueAsync(CancellationToken cancellationToken)
    {
        var overdue = _queue.Overdue(time.GetUtcNow());
        if (overdue.Count == 0)
            return;
        var held = await overdueClaims.FindHeldAsync(overdue.Select(batch => batch.ClaimId)).WaitAsync(cancellationToken);
        // Batches that were reported meanwhile have ended.
        foreach (var batch in overdue.Where(batch => _queue.IsUnderWay(batch.ClaimId)))
        {
            if (held.Contains(batch.ClaimId))
            {
                _queue.NoteClaimed(batch.ClaimId, time.GetUtcNow());
                continue;
            }
            var wasClaimed = _queue.WasClaimed(batch.ClaimId);
            var end = batch.IsAdopted ? ClaimEnd.Tried : await store.FindEndAsync(batch.ClaimId, batch.Recipients, cancellationToken);
            // It was reported while storage answered.
            if (!_queue.IsUnderWay(batch.ClaimId))
                continue;
            if (end == ClaimEnd.Delivered)
            {
                await ConcludeDeliveredAsync(batch);
                continue;
            }
            dispatch.TakeBack(batch);
            if (wasClaimed || end == ClaimEnd.Tried)
                continue;
            telemetry.BatchLost(batch.Route);
            LogBatchLost(log, Domain, batch.ClaimId, batch.Recipients.Length);
        }
    }

    /// <summary>The claim ended with the record of its last delivery, and its report has not come. Whoever was not won waits in storage.</summary>
    private async Task ConcludeDeliveredAsync(Batch batch)
    {
        _queue.Complete(batch.ClaimId);
        dispatch.CountUnderWay(batch.Route, -batch.Recipients.Length);
        ForgetSetbacks(batch);
        _queue.NoteMoreInStore();
        await LearnAsync(new AttemptReport(Domain, batch.ClaimId, [], Unreachable: false));
    }

    private void NoteStorageAway(StorageUnavailableException exception)
    {
        if (outages.MayWrite(2003, exception))
            LogStorageAway(log, Domain, exception);
    }

    [LoggerMessage(2001, LogLevel.Warning, "{Domain} cannot be reached and backs off until {Until:u}: {Reason}")]
    private static partial void LogBacksOff(ILogger log, string domain, DateTimeOffset until, string reason);

    [LoggerMessage(2002, LogLevel.Warning, "{Domain}: batch {ClaimId} of {Count} recipients was lost on its way; they are read again")]
    private static partial void LogBatchLost(ILogger log, string domain, long claimId, int count);

    [LoggerMessage(2003, LogLevel.Warning, "{Domain}: the store is away; the queue goes on when it is back")]
    private static partial void LogStorageAway(ILogger log, string domain, Exception exception);

    [LoggerMessage(2004, LogLevel.Error, "{Domain}: what is due could not be dispatched; it is read again")]
    private static partial void LogNotDispatched(ILogger log, string domain, Exception exception);
}
