using System.Collections.Frozen;
using MailPipeline.Mail;
using MailPipeline.Queue.Policies;
using MailPipeline.Queue.Sites;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// Hands out what is due for one domain: reads it from storage as far as there are workers for it, forms batches, and sends them, as many
/// as the <see cref="DomainQueue"/> allows. One for each activation of its grain, and on its scheduler alone.
/// </summary>
internal sealed class DomainDispatch(
    QueueStore store, FlowStore flows, OutcomeRecorder outcomes, BatchSender sender, DeliveryPause pause, EndpointGate gate, DomainSite site, QueuePolicyFile policy,
    RuleBook rules, HeldDomainStore heldDomains, ReplyStore replyStore, IOptions<QueueOptions> options, QueueTelemetry telemetry, TimeProvider time)
{
    private static readonly TimeSpan s_firstLook = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_longestLook = TimeSpan.FromSeconds(8);

    /// <summary>Pages that are read at once past what operators hold; the next ones are read a second later.</summary>
    private const int MostPages = 8;

    private static readonly IReadOnlySet<long> s_none = FrozenSet<long>.Empty;

    /// <summary>Between looks into storage, for the reconciler's sake, that find nothing while batches are under way.</summary>
    private readonly GrowingPause _looks = new(s_firstLook, s_longestLook);

    /// <summary>Recipients found in storage so far.</summary>
    private long _found;

    private int _openings = gate.Openings;

    /// <summary>The route that alone has workers, when storage was read last; null: all have.</summary>
    private RecipientRoute? _only;

    /// <summary>What is due in storage waits for workers that are not there: there is no use in looking often.</summary>
    private bool _waitsForWorkers;

    /// <summary>The site that storage knows the domain to wait for.</summary>
    private string _notedSite = "";

    private DestinationPolicy? _applied;
    private double? _appliedRate;
    private RuleSet? _ruleSet;
    private string _rulesSite = "";

    /// <summary>What operators say of the domain, with its mail going where it goes.</summary>
    private DomainRules _rules = DomainRules.None;
    private bool _isRunning;
    private bool _runAgain;

    /// <summary>Flows that are read by themselves in one go.</summary>
    private const int MostTails = 8;

    public DomainQueue Queue { get; } = new(options.Value, policy.Schedules, policy.Senders);

    public DomainSite Site => site;

    /// <summary>Nothing waits here, and storage may have something that workers would take now.</summary>
    public bool MayFindMore => Queue.IsIdle && !Queue.BacksOff(time.GetUtcNow()) && HasWorkers && !_waitsForWorkers;

    /// <summary>Nothing waits here but what operators hold; null where that is not so, or not known yet. The place up to which it is so.</summary>
    private DuePlace? HeldTo => !Queue.IsIdle || !rules.IsRead ? null : _rules.Whole is not null ? new DuePlace() : Queue.PassedHeldTo;

    /// <summary>There is more to read, past what operators hold.</summary>
    public bool IsPassingHeld => Queue.IsPassingHeld && HasWorkers && !Queue.BacksOff(time.GetUtcNow());

    /// <summary>Where only what operators hold is left, nobody need wake the domain for it. False: that is not so.</summary>
    public async Task<bool> TryDeferHeldAsync(string domain)
    {
        ApplyRules(domain);
        if (HeldTo is not { } passed)
            return false;
        var until = time.GetUtcNow() + HeldDomainStore.Pause;
        var version = _ruleSet!.Version;
        if (_rules.Whole is not null)
            await heldDomains.DeferAsync([domain], version, until);
        else
            await heldDomains.DeferBehindAsync(domain, passed, version, until);
        return true;
    }

    /// <summary>Takes recipients that have just become due, but for those that operators hold: they lie in storage.</summary>
    public void Offer(string domain, Recipient[] recipients)
    {
        ApplyRules(domain);
        var now = time.GetUtcNow();
        if (!_rules.IsOfParts)
        {
            Queue.Offer(recipients, now);
            return;
        }
        // Nobody has tried them.
        var (all, held) = Obey(domain, recipients, new Dictionary<long, string>(), now);
        Queue.Offer([.. all.Where(recipient => !held.Contains(recipient.RecipientId))], now);
    }

    /// <summary>Hands out all that can be, unless that is being done already: then it is done once more.</summary>
    public async Task RunAsync(string domain)
    {
        ApplyRules(domain);
        // However long the pause, memory does not fill with what waits; the reconciler wakes what is due afterwards.
        if (!HasWorkers)
        {
            Queue.LeaveToStore();
            site.StopWaiting();
            return;
        }
        ApplyLimits(domain);
        NoteOpenings();
        if (_isRunning)
        {
            _runAgain = true;
            return;
        }
        _isRunning = true;
        try
        {
            do
            {
                _runAgain = false;
                LeaveWhatHasNoWorkers();
                await LoadAsync(domain);
                while (CanSend && !WantsTails && await SendBatchAsync(domain))
                {
                }
            }
            while (_runAgain || (CanSend && (WantsTails || Queue.WantsMore(time.GetUtcNow()))));
            AskSenders(domain);
        }
        finally
        {
            _isRunning = false;
        }
    }

    /// <summary>Storage says that something is due. True: so it was, and it was not known here.</summary>
    public async Task<bool> LookAsync(string domain)
    {
        var now = time.GetUtcNow();
        // Workers that have come since are a reason to look at once.
        if ((!Queue.IsIdle || _waitsForWorkers) && gate.Openings == _openings && _looks.Lasts(now))
            return false;
        // What was deferred becomes due while others are under way, too.
        Queue.NoteDue();
        var before = _found;
        await RunAsync(domain);
        if (_found > before)
            _looks.Forget();
        else
            _looks.Begin(now);
        return _found > before;
    }

    /// <summary>Storage says that something is due, and nothing of the domain is in memory.</summary>
    public async Task ReadAgainAsync(string domain)
    {
        Queue.NoteMoreInStore();
        await RunAsync(domain);
        _waitsForWorkers = _only is not null && Queue.IsIdle;
    }

    /// <summary>The site calls: it is this domain's turn. Null: nobody waits here for it, or none may go; else a batch is on its way.</summary>
    public Task? TryUse(string domain, string ofSite, SitePermit permit)
    {
        if (!site.Take(ofSite, permit))
            return null;
        ApplyRules(domain);
        ApplyLimits(domain);
        if (!CanSend || TakeBatch(domain, permit.BatchId, permit) is not { } batch)
        {
            // The site has it back by the answer.
            site.Leave(permit.BatchId);
            return null;
        }
        return SendAsync(domain, batch);
    }

    /// <summary>Asks once more for what was asked for, of a site that may not know of it any more.</summary>
    public async Task AskAgainAsync(string domain, SiteAsk ask)
    {
        if (await AskAsync(domain, ask.BatchId) is not { } permit)
            return;
        ApplyRules(domain);
        if (CanSend && TakeBatch(domain, ask.BatchId, permit) is { } batch)
            await SendAsync(domain, batch);
        else
            site.GiveBack(domain, ask.BatchId);
        await RunAsync(domain);
    }

    /// <summary>The rate of a sender lets him go on. False: nobody waits here for it.</summary>
    public bool TryUseOfSender(string flow, SitePermit permit)
    {
        if (site.Senders.Take(flow, permit) is null)
            return false;
        Queue.Permit(flow, isPermitted: true);
        return true;
    }

    /// <summary>Permits of senders that are of no use here are others'; what got lost is asked for again.</summary>
    public void TickSenders(string domain)
    {
        var (gone, again) = site.Senders.Tick(domain, Queue.HasPaced);
        foreach (var flow in gone)
            Queue.Permit(flow, isPermitted: false);
        foreach (var (flow, ask) in again)
            _ = AskSenderAsync(domain, flow, ask);
    }

    /// <summary>The site rests, and the domain with it.</summary>
    public async Task FollowAsync(string domain, SiteRest rest)
    {
        site.StopWaiting();
        if (Queue.Follow(rest, time.GetUtcNow()))
            await store.FollowSiteAsync(domain, Queue.Backoff, site.Key);
    }

    /// <summary>The batch could not be sent, or was lost: its recipients wait in storage.</summary>
    /// <param name="isOver">Whoever had it has it no more, and nobody else will.</param>
    public void TakeBack(string domain, Batch batch, bool isOver = false)
    {
        if (isOver || batch is { SiteEpoch: 0, SenderEpoch: 0 })
            site.GiveBack(domain, batch.Id, ConnectionEnd.Unknown);
        else
            site.Leave(batch.Id);
        if (batch.IsPaced)
            Queue.NoteSent(batch.Messages, [.. Enumerable.Repeat(TimeSpan.Zero, batch.Messages)], time.GetUtcNow());
        CountUnderWay(batch.Route, -Queue.TakeBack(batch.Id));
        Queue.SetBack(batch.Endpoint, time.GetUtcNow());
    }

    /// <param name="change">How many recipients more are under way, or fewer when negative.</param>
    public void CountUnderWay(RecipientRoute route, int change)
    {
        if (change != 0)
            telemetry.UnderWay(route, change);
    }

    private bool CanSend => !pause.IsPaused && !IsHeld && Queue.NextEndpoint is { } endpoint && gate.IsOpen(endpoint) && Queue.CanSend(time.GetUtcNow())
        && !(site.IsWaiting && Queue.IsNextOfSite);

    /// <summary>What was given out by other rules, and comes back untried, is read again by those of now.</summary>
    public void NotePutBack(string domain)
    {
        ApplyRules(domain);
        if (!ReferenceEquals(_rules, DomainRules.None))
            Queue.LeaveToStore();
    }

    /// <summary>Operators keep back all of it, or what they say is not known yet.</summary>
    private bool IsHeld => !rules.IsRead || _rules.Whole is not null;

    /// <summary>Where what operators say of the domain has changed, what is in memory is read again by that.</summary>
    private void ApplyRules(string domain)
    {
        var current = rules.Current;
        if (ReferenceEquals(current, _ruleSet) && site.Key == _rulesSite)
            return;
        (_ruleSet, _rulesSite) = (current, site.Key);
        var found = current.OfDomain(domain, site.Key);
        if (ReferenceEquals(found, _rules))
            return;
        _rules = found;
        Queue.LeaveToStore();
        _looks.Forget();
    }

    /// <summary>A batch that says nothing of the domain: a rule leads a part of its mail elsewhere.</summary>
    public bool IsRedirectedInPart(Batch? batch) => batch?.RedirectTo is not null && !_rules.Redirects.Any(rule => rule.Conditions.IsOfDestinations);

    /// <summary>Recipients as rules want them: those that are held, and all of them, with where they go.</summary>
    private async ValueTask<(IReadOnlyList<Recipient> All, IReadOnlySet<long> Held)> ObeyAsync(
        string domain, IReadOnlyList<Recipient> recipients, DateTimeOffset now)
    {
        if (!_rules.IsOfParts || recipients.Count == 0)
            return (recipients, s_none);
        var replies = !_rules.NeedsReply ? new Dictionary<long, string>() : await replyStore.FindLastAsync(
            [.. recipients.Where(recipient => recipient.Attempts > 0).Select(recipient => recipient.RecipientId)], CancellationToken.None);
        return Obey(domain, recipients, replies, now);
    }

    private (IReadOnlyList<Recipient> All, IReadOnlySet<long> Held) Obey(
        string domain, IReadOnlyList<Recipient> recipients, IReadOnlyDictionary<long, string> replies, DateTimeOffset now)
    {
        var (all, held) = (new List<Recipient>(recipients.Count), new HashSet<long>());
        foreach (var recipient in recipients)
        {
            var subject = RuleSubject.Of(recipient, domain, site.Key, replies.GetValueOrDefault(recipient.RecipientId, ""));
            if (_rules.FindHold(subject, now) is not null)
                held.Add(recipient.RecipientId);
            all.Add(recipient.Route == RecipientRoute.Remote && _rules.FindRedirect(subject, now) is { Text: var hop } ? recipient with { RedirectTo = hop } : recipient);
        }
        return (all, held);
    }

    /// <summary>Somebody who has more in storage has next to nobody here.</summary>
    private bool WantsTails => _only is null && Queue.NextTail(time.GetUtcNow()) is not null;

    /// <summary>Of each sender with a rate who has somebody here, and could have him sent now.</summary>
    private void AskSenders(string domain)
    {
        if (pause.IsPaused || site.IsWaiting || !IsOpen(RecipientRoute.Remote) || !Queue.MayAskSenders(time.GetUtcNow()))
            return;
        foreach (var (flow, count) in Queue.Unpermitted)
        {
            if (!site.Senders.MayAsk(flow))
                continue;
            site.Senders.Begin(flow);
            _ = AskSenderAsync(domain, flow, new SiteAsk(domain, BatchId: 0, Math.Min(count, options.Value.BatchRecipients), Insists: false));
        }
    }

    /// <summary>Others go on meanwhile.</summary>
    private async Task AskSenderAsync(string domain, string flow, SiteAsk ask)
    {
        try
        {
            if (ask.BatchId == 0)
                ask = ask with { BatchId = await store.NextBatchIdAsync(CancellationToken.None) };
            if (await site.Senders.AskAsync(flow, ask) is null)
                return;
            Queue.Permit(flow, isPermitted: true);
            await RunAsync(domain);
        }
        catch (StorageUnavailableException)
        {
            // The next tick goes on, and says so if it is away still.
            site.Senders.StopAsking(flow);
        }
    }

    private void ApplyLimits(string domain)
    {
        var current = policy.Current;
        if (ReferenceEquals(current, _applied) && _rules.Rate == _appliedRate)
            return;
        (_applied, _appliedRate) = (current, _rules.Rate);
        Queue.SetLimits(current.OfDomain(domain).At(_rules.Rate), time.GetUtcNow());
        Queue.SetSchedules(policy.Schedules);
        Queue.SetSenders(policy.Senders);
    }

    /// <summary>This route has workers, for this domain as it stands.</summary>
    private bool IsOpen(RecipientRoute route) => gate.IsOpen(Queue.EndpointOf(route));

    /// <summary>Anything at all may be handed out now.</summary>
    private bool HasWorkers => !pause.IsPaused && !IsHeld && (IsOpen(RecipientRoute.Remote) || IsOpen(RecipientRoute.Local));

    /// <summary>Workers that have come back are given what waited for them, without a pause.</summary>
    private void NoteOpenings()
    {
        var openings = gate.Openings;
        if (openings == _openings)
            return;
        foreach (var endpoint in gate.OpenedAfter(_openings))
            Queue.ForgetSetbacks(endpoint);
        _openings = openings;
        ReadAnew();
    }

    /// <summary>Recipients without workers take no room in the window from those who have, and are not read.</summary>
    private void LeaveWhatHasNoWorkers()
    {
        RecipientRoute? only = !IsOpen(RecipientRoute.Local) ? RecipientRoute.Remote : !IsOpen(RecipientRoute.Remote) ? RecipientRoute.Local : null;
        if (only is { } open)
            Queue.LeaveToStore(open == RecipientRoute.Local ? RecipientRoute.Remote : RecipientRoute.Local);
        // The endpoint may be another one, too, because the domain can be reached again: what was passed over lies before the place that
        // was read to.
        if (only != _only)
            ReadAnew();
        _only = only;
    }

    private void ReadAnew()
    {
        Queue.NoteMoreInStore();
        _looks.Forget();
        _waitsForWorkers = false;
    }

    private async Task LoadAsync(string domain)
    {
        var now = time.GetUtcNow();
        var wantsMore = Queue.WantsMore(now);
        if (pause.IsPaused || !(wantsMore || WantsTails || Queue.WantsFlows(now)))
            return;
        var waiting = Queue.Waiting;
        var wanted = wantsMore;
        for (var pages = 0; wantsMore && pages < MostPages && !(Queue.ReadsFlowsOnly && _only is null); pages++)
        {
            var (room, asOf) = (Queue.RoomInOrder, _rules);
            var (due, held) = await ObeyAsync(
                domain, await store.ListDueAsync(domain, now, room, CancellationToken.None, Queue.NextPage(now), _only), now);
            // What was read by rules that count no more is read again.
            if (!ReferenceEquals(asOf, _rules))
            {
                _runAgain = true;
                return;
            }
            foreach (var (route, count) in Queue.Load(due, room, held, now))
                CountUnderWay(route, -count);
            wantsMore = held.Count > 0 && Queue.WantsMore(now);
        }
        if (Queue.MoreInStore && (wanted || Queue.WantsFlows(now)))
            await LoadFlowsAsync(domain, now);
        await LoadTailsAsync(domain, now);
        var found = Queue.Waiting - waiting;
        _found += found;
        _waitsForWorkers &= found == 0;
        var expired = Queue.TakeExpired(now);
        if (expired.Count > 0)
            await outcomes.ExpireAsync(domain, expired, Queue.Backoff.Reason);
    }

    /// <summary>
    /// More is due than there is room for: whoever comes late in that order is not to wait for it. While a route lacks workers the order alone
    /// decides, for a flow is not looked through for those who go the other way.
    /// </summary>
    private async Task LoadFlowsAsync(string domain, DateTimeOffset now)
    {
        var room = Queue.RoomForFlows;
        if (room == 0 || _only is not null)
            return;
        var (from, after, alone) = Queue.NextFlows;
        var asOf = _rules;
        var (ofFlows, next, ofEach) = await flows.ListDueAsync(domain, now, after, from, room, alone, CancellationToken.None);
        var (recipients, held) = await ObeyAsync(domain, ofFlows, now);
        if (!ReferenceEquals(asOf, _rules))
        {
            _runAgain = true;
            return;
        }
        foreach (var (route, count) in Queue.LoadFlows(recipients, next, now, ofEach, held))
            CountUnderWay(route, -count);
    }

    /// <summary>Whoever has more in storage does not lose his turns because others fill the window.</summary>
    private async Task LoadTailsAsync(string domain, DateTimeOffset now)
    {
        for (var read = 0; read < MostTails && _only is null && Queue.NextTail(now) is var (flow, after, most); read++)
        {
            var asOf = _rules;
            var (recipients, held) = await ObeyAsync(domain, await flows.ListDueOfAsync(domain, flow, now, after, most, CancellationToken.None), now);
            if (!ReferenceEquals(asOf, _rules))
            {
                _runAgain = true;
                return;
            }
            foreach (var (route, count) in Queue.LoadTail(flow, recipients, most, held))
                CountUnderWay(route, -count);
        }
    }

    /// <summary>False: nothing more can be sent now.</summary>
    private async Task<bool> SendBatchAsync(string domain)
    {
        ApplyRules(domain);
        if (!CanSend)
            return false;
        if (Queue.NextPermitted is not { } flow || site.Senders.FindOf(flow) is not { BatchId: var batchId })
            batchId = await store.NextBatchIdAsync(CancellationToken.None);
        if (!CanSend)
            return false;
        SitePermit? permit = null;
        if (Queue.IsNextOfSite && site.Key.Length > 0 && (permit = await AskAsync(domain, batchId)) is null)
            return false;
        if (TakeBatch(domain, batchId, permit) is not { } batch)
        {
            site.GiveBack(domain, batchId);
            return false;
        }
        await SendAsync(domain, batch);
        return true;
    }

    /// <summary>Null: the domain waits for its turn, or its site rests.</summary>
    private async Task<SitePermit?> AskAsync(string domain, long batchId)
    {
        var answer = await site.AskAsync(domain, batchId, Queue.MostMessages(time.GetUtcNow()));
        if (answer.Rest is { } rest)
            await FollowAsync(domain, rest);
        else if (answer.Permit is null)
            await NoteSiteAsync(domain);
        return answer.Permit;
    }

    /// <summary>Who asks why the domain's mail waits is told which site it waits for.</summary>
    private async Task NoteSiteAsync(string domain)
    {
        if (_notedSite == site.Key)
            return;
        try
        {
            await store.SetSiteAsync(domain, site.Key);
            _notedSite = site.Key;
        }
        catch (StorageUnavailableException)
        {
            // It is noted when the domain asks the next time.
        }
    }

    private Batch? TakeBatch(string domain, long batchId, SitePermit? permit)
    {
        var sender = site.Senders.Find(batchId);
        if (Queue.TryTakeBatch(batchId, time.GetUtcNow(), site.Bound, permit, sender) is not { } batch)
            return null;
        if (sender is not null)
            site.Senders.Use(sender);
        // It goes elsewhere than to the site: whatever connection came with the permit is there still.
        if (permit is not null && batch is not { Route: RecipientRoute.Remote, RedirectTo: null })
            site.GiveBackUnused(domain, batchId);
        CountUnderWay(batch.Route, batch.Recipients.Length);
        return batch;
    }

    private async Task SendAsync(string domain, Batch batch)
    {
        if (await sender.TrySendAsync(domain, batch))
            telemetry.Dispatched(batch.Route, batch.Recipients.Length);
        else
            TakeBack(domain, batch);
    }
}
