using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.Queue.Sites;
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
    QueueStore store, DomainDispatch dispatch, OutcomeRecorder outcomes, OverdueBatches overdueBatches, QueueTelemetry telemetry,
    OutageLog outages, TimeProvider time, ILogger<DomainQueueGrain> log) : Grain, IDomainQueueGrain
{
    /// <summary>Idle ticks after which the activation leaves memory.</summary>
    private const int IdleTicksBeforeLeaving = 5;

    private static readonly TimeSpan s_tick = TimeSpan.FromSeconds(1);

    private readonly DomainQueue _queue = dispatch.Queue;

    /// <summary>Batches that have been reported, and whose end storage may not have yet.</summary>
    private readonly HashSet<long> _concluding = [];

    /// <summary>Where mail of the domain goes, as far as that was written while this queue was in memory.</summary>
    private string _site = "";

    private int _idleTicks;
    private IGrainTimer? _rateTimer;

    private string Domain => this.GetPrimaryKeyString();

    public override async Task OnActivateAsync(CancellationToken cancellationToken)
    {
        var (backoff, site) = await store.FindDomainAsync(Domain, cancellationToken);
        _queue.Remember(backoff);
        dispatch.Site.Begin(Domain, site, insists: backoff.Failures > 0);
        await AdoptAsync(cancellationToken);
        this.RegisterGrainTimer(TickAsync, new GrainTimerCreationOptions(s_tick, s_tick) { Interleave = true });
    }

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        dispatch.Site.TellEnds();
        foreach (var (route, recipients) in _queue.UnderWay)
            dispatch.CountUnderWay(route, -recipients);
        return Task.CompletedTask;
    }

    public Task OfferAsync(QueuedRecipient[] recipients)
    {
        _idleTicks = 0;
        dispatch.Offer(Domain, Array.ConvertAll(recipients, ContractMapping.ToRecipient));
        // The router has more to do than to wait for the bus.
        _ = DispatchUnawaitedAsync();
        return Task.CompletedTask;
    }

    public async Task<bool> WakeAsync()
    {
        _idleTicks = 0;
        // Storage says that it does not back off: somebody has ended that.
        if (_queue.BacksOff(time.GetUtcNow()))
        {
            _queue.Shorten(await store.FindBackoffAsync(Domain, CancellationToken.None));
            if (!_queue.BacksOff(time.GetUtcNow()))
                dispatch.Site.Insist();
        }
        return await dispatch.LookAsync(Domain);
    }

    public Task<bool> TakePermitAsync(string site, SitePermit permit)
    {
        _idleTicks = 0;
        if (SenderRate.FlowOf(site) is { } flow)
        {
            var isUsed = dispatch.TryUseOfSender(flow, permit);
            if (isUsed)
                _ = DispatchUnawaitedAsync();
            return Task.FromResult(isUsed);
        }
        if (dispatch.TryUse(Domain, site, permit) is not { } sending)
            return Task.FromResult(false);
        _ = DispatchUnawaitedAsync(sending);
        return Task.FromResult(true);
    }

    public Task TellEndsAsync(string site)
    {
        dispatch.Site.TellEndsFromNow(site);
        return Task.CompletedTask;
    }

    public async Task FollowRestAsync(string site, SiteRest rest)
    {
        if (site != dispatch.Site.Key || !dispatch.Site.IsWaiting)
            return;
        try
        {
            await dispatch.FollowAsync(Domain, rest);
        }
        catch (StorageUnavailableException exception)
        {
            NoteStorageAway(exception);
        }
    }

    public async Task CompleteAsync(AttemptsCompleted completed)
    {
        _idleTicks = 0;
        var report = completed.ToReport();
        if (report.GoesOn)
        {
            var (route, count) = _queue.HandBack(report.BatchId, report.Results.Select(result => result.RecipientId));
            dispatch.CountUnderWay(route, -count);
            _queue.NoteMoreInStore();
            await outcomes.RecordAsync(report, [], _queue.Backoff.BackoffUntil);
            await dispatch.RunAsync(Domain);
            return;
        }
        if (report.IsElsewhere)
        {
            await SendElsewhereAsync(report);
            return;
        }
        // Another worker has what this one was to try: he was given it before this queue was in memory.
        if (report.NothingWon)
            await AdoptAsync(CancellationToken.None);
        _concluding.Add(report.BatchId);
        try
        {
            await ConcludeAsync(report);
        }
        finally
        {
            _concluding.Remove(report.BatchId);
        }
    }

    /// <summary>Nobody of the batch was claimed: it goes out again with a permit of the site that its mail goes to, or with one that counts.</summary>
    private async Task SendElsewhereAsync(AttemptReport report)
    {
        dispatch.Site.GiveBack(Domain, report.BatchId, ConnectionEnd.Unknown);
        if (_queue.PutBack(report.BatchId) is not { } batch)
            return;
        dispatch.CountUnderWay(batch.Route, -batch.Recipients.Length);
        if (batch.IsPaced)
            _queue.NoteSent(batch.Messages, [], time.GetUtcNow());
        // What has no permit that counts gets one from whoever gives them out now; that may take a moment. What a rule leads elsewhere says nothing of where the
        // domain's mail goes.
        if (batch.RedirectTo is not null || (!dispatch.Site.Correct(Domain, report.Site) && batch.Site == report.Site))
            _queue.SetBack(batch.Endpoint, time.GetUtcNow());
        dispatch.NotePutBack(Domain);
        await dispatch.RunAsync(Domain);
        SetRateTimer();
    }

    /// <summary>Before anything else is given out: what the batch had is others' now.</summary>
    private void EndPermit(AttemptReport report, Batch? batch)
    {
        var sent = batch is { IsPaced: true } ? SentIn(report) : [];
        var messages = batch is { IsPaced: true } ? batch.Messages : 0;
        if (messages > 0)
            _queue.NoteSent(messages, sent, time.GetUtcNow());
        var hasTried = report.Results.Any(result => result.IsOfHosts);
        // An old report may come when much has happened since.
        var state = hasTried && batch is not null ? report.SiteState : SiteState.Unsaid;
        var reply = state is SiteState.SlowDown or SiteState.Unreachable
            ? report.Results.FirstOrDefault(result => result.Outcome is AttemptOutcome.Deferred or AttemptOutcome.Failed)?.Reply ?? "" : "";
        // Who has won nothing knows nothing of the one who has.
        var connection = report.ClaimId == 0 || report.NothingWon ? ConnectionEnd.Unknown : report.KeptBy.Length > 0 ? ConnectionEnd.Kept : ConnectionEnd.Closed;
        dispatch.Site.End(
            new SiteReport(Domain, report.BatchId, messages, sent, state, hasTried && !report.Unreachable, reply) { Connection = connection, Worker = report.KeptBy },
            report.Site);
        if (hasTried)
            dispatch.Site.Learn(Domain, report.Site);
    }

    /// <summary>How long before the end of its batch each message was sent, by the worker's own clock.</summary>
    private static TimeSpan[] SentIn(AttemptReport report)
    {
        var sent = report.Results.Where(result => result.IsOfHosts)
            .GroupBy(result => RecipientIds.MessageId(result.RecipientId), result => result.FinishedAt, (_, at) => at.Max()).ToArray();
        return sent.Length == 0 ? [] : Array.ConvertAll(sent, at => sent.Max() - at);
    }

    private async Task ConcludeAsync(AttemptReport report)
    {
        var batch = _queue.Complete(report.BatchId);
        if (batch is not null)
            dispatch.CountUnderWay(batch.Route, -batch.Recipients.Length);
        EndPermit(report, batch);
        if (report.Results.Any(result => result.Outcome != AttemptOutcome.NotAttempted))
            ForgetSetbacks(batch);
        // Those who were put off wait each for himself, and nobody else with them.
        else if (batch is not null && !Array.TrueForAll(report.Results, result => result.NotBefore is not null))
            _queue.SetBack(batch.Endpoint, time.GetUtcNow());
        if (!dispatch.IsRedirectedInPart(batch) && DomainQueue.SaysSomething(report, isUnderWay: batch is not null) && (batch is not null || await IsHeldHereAsync(report.ClaimId)))
            await LearnAsync(report);
        // What this queue has given out itself it knows best: a worker of an earlier version says nothing of it.
        if (batch is { IsAdopted: false })
            report = report with { IsRedirected = batch.RedirectTo is not null };
        // The next batch need not wait for the records of this one.
        var recording = outcomes.RecordAsync(report, batch?.Recipients ?? [], _queue.Backoff.BackoffUntil);
        await dispatch.RunAsync(Domain);
        SetRateTimer();
        if (await recording)
            _queue.NoteMoreInStore();
        // Behind what the report decides: without it nothing is lost.
        if (report.Results.Any(result => result.Outcome is AttemptOutcome.Deferred or AttemptOutcome.Uncertain))
            await RememberSiteAsync(report.Site);
    }

    /// <summary>For the moment when the rate of the domain lets the next one go.</summary>
    private void SetRateTimer()
    {
        var now = time.GetUtcNow();
        if (_queue.NextByRateAt(now) is not { } at)
            return;
        var due = at > now ? at - now : TimeSpan.FromMilliseconds(1);
        if (_rateTimer is null)
            _rateTimer = this.RegisterGrainTimer(_ => DispatchUnawaitedAsync(), new GrainTimerCreationOptions(due, Timeout.InfiniteTimeSpan) { Interleave = true });
        else
            _rateTimer.Change(due, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Somebody was tried; of a batch that is not known (any more), or was adopted, nobody knows by which endpoint.</summary>
    private void ForgetSetbacks(Batch? batch)
    {
        foreach (var endpoint in batch is { IsAdopted: false } ? [batch.Endpoint] : EndpointGate.Endpoints)
            _queue.ForgetSetbacks(endpoint);
    }

    /// <summary>The report of a batch from before this queue was in memory is believed as long as its claim is held; an old report is not.</summary>
    private Task<bool> IsHeldHereAsync(long claimId) => store.IsClaimHeldAsync(claimId, Domain, CancellationToken.None);

    private async Task AdoptAsync(CancellationToken cancellationToken)
    {
        // What is ending, or ends while storage answers, is not adopted afterwards.
        var known = _queue.BatchIds.Concat(_concluding).ToHashSet();
        long[] held = [.. (await store.ListHeldAsync(Domain, cancellationToken)).Except(known)];
        _queue.Adopt(held, time.GetUtcNow());
        dispatch.Site.Adopt(held);
    }

    private async Task LearnAsync(AttemptReport report)
    {
        var reason = report.Unreachable ? report.Results.FirstOrDefault(r => r.IsOfHosts)?.Reply ?? "" : "";
        if (!_queue.Conclude(Domain, report.Unreachable, reason, time.GetUtcNow(), Random.Shared.NextDouble()))
            return;
        if (report.Unreachable)
            LogBacksOff(log, Domain, _queue.Backoff.BackoffUntil, reason);
        await store.SetBackoffAsync(Domain, _queue.Backoff);
    }

    /// <summary>For operators. Where nobody is left to wait there is nothing to remember it beside.</summary>
    private async Task RememberSiteAsync(string site)
    {
        if (site.Length == 0 || site == _site)
            return;
        try
        {
            await store.SetSiteAsync(Domain, site);
            _site = site;
        }
        catch (StorageUnavailableException exception)
        {
            NoteStorageAway(exception);
        }
    }

    /// <param name="before">What is under way already.</param>
    private async Task DispatchUnawaitedAsync(Task? before = null)
    {
        try
        {
            await (before ?? Task.CompletedTask);
            await dispatch.RunAsync(Domain);
            SetRateTimer();
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
            if (dispatch.Site.IsHeldUp)
                await RememberSiteAsync(dispatch.Site.Key);
            dispatch.TickSenders(Domain);
            if (dispatch.Site.Tick(Domain) is { } ask)
                await dispatch.AskAgainAsync(Domain, ask);
            if (!_queue.IsIdle || dispatch.IsPassingHeld)
            {
                await dispatch.RunAsync(Domain);
                SetRateTimer();
                return;
            }
            _idleTicks++;
            if (_idleTicks == 1 && !await dispatch.TryDeferHeldAsync(Domain) && dispatch.MayFindMore)
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
        var held = await overdueBatches.FindHeldAsync(overdue.Select(batch => batch.Id)).WaitAsync(cancellationToken);
        // Batches that were reported meanwhile have ended.
        foreach (var batch in overdue.Where(batch => _queue.IsUnderWay(batch.Id)))
        {
            if (held.Contains(batch.Id))
            {
                _queue.NoteClaimed(batch.Id, time.GetUtcNow());
                continue;
            }
            var wasClaimed = _queue.WasClaimed(batch.Id);
            var end = batch.IsAdopted ? BatchEnd.Tried : await store.FindEndAsync(batch.Recipients, cancellationToken);
            // It was reported while storage answered.
            if (!_queue.IsUnderWay(batch.Id))
                continue;
            if (end == BatchEnd.Delivered)
            {
                await ConcludeDeliveredAsync(batch);
                continue;
            }
            dispatch.TakeBack(Domain, batch, isOver: wasClaimed || end == BatchEnd.Tried);
            if (wasClaimed || end == BatchEnd.Tried)
                continue;
            telemetry.BatchLost(batch.Route);
            LogBatchLost(log, Domain, batch.Id, batch.Recipients.Length);
        }
    }

    /// <summary>The claim ended with the record of its last delivery, and its report has not come. Whoever was not won waits in storage.</summary>
    private async Task ConcludeDeliveredAsync(Batch batch)
    {
        _queue.Complete(batch.Id);
        dispatch.CountUnderWay(batch.Route, -batch.Recipients.Length);
        ForgetSetbacks(batch);
        if (batch.IsPaced)
            _queue.NoteSent(batch.Messages, [.. Enumerable.Repeat(TimeSpan.Zero, batch.Messages)], time.GetUtcNow());
        dispatch.Site.End(new SiteReport(
            Domain, batch.Id, batch.Messages, [.. Enumerable.Repeat(TimeSpan.Zero, batch.Messages)], SiteState.Answered, HasProgressed: true, "")
        {
            Connection = ConnectionEnd.Unknown,
        });
        _queue.NoteMoreInStore();
        if (!dispatch.IsRedirectedInPart(batch))
            await LearnAsync(new AttemptReport(Domain, batch.Id, ClaimId: 0, [], Unreachable: false));
    }

    private void NoteStorageAway(StorageUnavailableException exception)
    {
        if (outages.MayWrite(2003, exception))
            LogStorageAway(log, Domain, exception);
    }

    [LoggerMessage(2001, LogLevel.Warning, "{Domain} cannot be reached and backs off until {Until:u}: {Reason}")]
    private static partial void LogBacksOff(ILogger log, string domain, DateTimeOffset until, string reason);

    [LoggerMessage(2002, LogLevel.Warning, "{Domain}: batch {BatchId} of {Count} recipients was lost on its way; they are read again")]
    private static partial void LogBatchLost(ILogger log, string domain, long batchId, int count);

    [LoggerMessage(2003, LogLevel.Warning, "{Domain}: the store is away; the queue goes on when it is back")]
    private static partial void LogStorageAway(ILogger log, string domain, Exception exception);

    [LoggerMessage(2004, LogLevel.Error, "{Domain}: what is due could not be dispatched; it is read again")]
    private static partial void LogNotDispatched(ILogger log, string domain, Exception exception);
}
