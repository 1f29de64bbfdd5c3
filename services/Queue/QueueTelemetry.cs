using System.Diagnostics;
using System.Diagnostics.Metrics;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Queue;

/// <summary>
/// Metrics of the queue: what waits, what was routed and dispatched, how attempts and recipients ended, what had to be
/// repaired. Activities continue the trace of the SMTP transaction that brought the message, however long ago that was.
/// </summary>
internal sealed class QueueTelemetry : IDisposable
{
    public const string MeterName = "MailPipeline.Queue";

    /// <summary>
    /// Older counts are another silo's business: the reconciler counts where it lives, and the others say 0, so that the
    /// largest value of all processes is the true one.
    /// </summary>
    private static readonly TimeSpan s_measureLasts = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan s_eventMeasureLasts = TimeSpan.FromMinutes(2);

    private static readonly QueueMeasure s_nothing = new(0, []);

    private static readonly KeyValuePair<string, object?>[] s_reportOutcomes = [new("outcome", "made"), new("outcome", "dropped")];

    private readonly ActivitySource _source = new(MeterName);
    private readonly TimeProvider _time;
    private (QueueMeasure Measure, DateTimeOffset Until) _measured = (s_nothing, DateTimeOffset.UnixEpoch);
    private DateTimeOffset _resumedAt = DateTimeOffset.UnixEpoch;
    private (IReadOnlyList<(string Receiver, EventBacklog Backlog)> Backlogs, DateTimeOffset Until) _eventsMeasured = ([], DateTimeOffset.UnixEpoch);
    private volatile bool _paused;

    // A silo that nobody else joins is the one member there is.
    private volatile bool _isMember = true;

    private readonly Counter<long> _measures;
    private readonly Histogram<double> _dutyDuration;
    private readonly UpDownCounter<long> _underWay;
    private readonly Counter<long> _routed;
    private readonly Counter<long> _rewritten;
    private readonly Counter<long> _suppressed;
    private readonly Counter<long> _forgotten;
    private readonly Counter<long> _dispatched;
    private readonly Counter<long> _lost;
    private readonly Counter<long> _attempts;
    private readonly Counter<long> _undelivered;
    private readonly Counter<long> _decided;
    private readonly Counter<long> _uncertain;
    private readonly Counter<long> _takenBack;
    private readonly Counter<long> _held;
    private readonly UpDownCounter<long> _sitePermits;
    private readonly UpDownCounter<long> _siteWaiting;
    private readonly UpDownCounter<long> _senderPermits;
    private readonly UpDownCounter<long> _senderWaiting;
    private readonly Counter<long> _siteRests;
    private readonly Counter<long> _siteSlowed;
    private readonly Counter<long> _handedBackForSite;
    private readonly Counter<long> _policyReads;
    private readonly Counter<long> _ownerless;
    private readonly Counter<long> _reports;
    private readonly Counter<long> _tlsReports;
    private readonly Counter<long> _dmarcReports;
    private readonly Counter<long> _dmarcReceived;
    private readonly Counter<long> _events;
    private readonly Counter<long> _feedback;

    public QueueTelemetry(IMeterFactory meters, TimeProvider time)
    {
        _time = time;
        var meter = meters.Create(MeterName);
        meter.CreateObservableGauge("mailpipeline.queue.queued", () => Measure.Routes.Sum(route => route.Queued), "{recipient}", "Recipients without an outcome");
        meter.CreateObservableGauge("mailpipeline.queue.claimed", () => ByRoute(route => route.Claimed), "{recipient}", "Recipients that workers hold, by route");
        meter.CreateObservableGauge("mailpipeline.queue.due", Due, "{recipient}", "Due recipients nobody tries, by route and by what they wait for: a worker, the resume of delivery, the end of their domain's back-off, its limit, or, held by a worker, a connection");
        meter.CreateObservableGauge("mailpipeline.queue.waiting", Waiting, "{recipient}", "Recipients that wait, and messages that are not routed, by the reason that commands give for each");
        meter.CreateObservableGauge("mailpipeline.queue.unrouted", () => Measure.Unrouted, "{message}", "Accepted messages the router has not seen");
        meter.CreateObservableGauge(
            "mailpipeline.queue.oldest_due", () => ByRoute(OldestDueSeconds), "s",
            "How long the longest due recipient has been waiting for an attempt since no back-off, no limit and no pause holds it back, by route");
        meter.CreateObservableGauge("mailpipeline.queue.paused", () => _paused ? 1 : 0, null, "1 while delivery is paused and this process hands nothing out");
        meter.CreateObservableGauge("mailpipeline.queue.membership", () => _isMember ? 1 : 0, null, "1 while this silo finds itself where silos find each other");
        _measures = meter.CreateCounter<long>("mailpipeline.queue.measures", "{measure}", "Times what waits was counted, for the cluster as a whole");
        _dutyDuration = meter.CreateHistogram<double>(
            "mailpipeline.queue.duty.duration", "s", "Rounds of the reconciler, by duty and by how they ended: useful, vain, failed",
            advice: new() { HistogramBucketBoundaries = [0.01, 0.1, 1, 3, 10, 60] });
        _underWay = meter.CreateUpDownCounter<long>("mailpipeline.queue.under_way", "{recipient}", "Recipients dispatched by this process and not reported yet, by route");
        _routed = meter.CreateCounter<long>("mailpipeline.queue.routed", "{recipient}", "Recipients made by the router");
        _rewritten = meter.CreateCounter<long>(
            "mailpipeline.queue.senders_rewritten", "{recipient}", "Recipients elsewhere that an alias led a stranger's message to, by what became of its sender: rewritten, too_long, unfit");
        _suppressed = meter.CreateCounter<long>(
            "mailpipeline.queue.suppressed", "{recipient}", "Recipients that were not tried because they are on the suppression list of their sender, by cause: reply, complaint, operator");
        _forgotten = meter.CreateCounter<long>("mailpipeline.queue.forgotten", "{message}", "Messages whose hint was lost, routed by the reconciler");
        _dispatched = meter.CreateCounter<long>("mailpipeline.queue.dispatched", "{recipient}", "Recipients sent to workers, by route");
        _lost = meter.CreateCounter<long>("mailpipeline.queue.batches_lost", "{batch}", "Batches nobody claimed or reported, by route");
        _attempts = meter.CreateCounter<long>("mailpipeline.queue.attempts", "{recipient}", "Attempts reported, by outcome");
        _undelivered = meter.CreateCounter<long>(
            "mailpipeline.queue.undelivered", "{recipient}", "Attempts that did not deliver and were recorded, by outcome and by class: what the reply was about");
        _decided = meter.CreateCounter<long>("mailpipeline.queue.decisions", "{recipient}", "What followed an attempt that did not deliver, by state");
        _uncertain = meter.CreateCounter<long>("mailpipeline.queue.uncertain", "{recipient}", "Attempts that may have delivered a copy nobody recorded: possible duplicates");
        _takenBack = meter.CreateCounter<long>(
            "mailpipeline.queue.taken_back", "{recipient}", "Recipients taken back from workers that died, by how far these were: unbegun, interrupted, uncertain");
        _held = meter.CreateCounter<long>(
            "mailpipeline.queue.held", "{recipient}", "Recipients held for an operator, because workers died over them or far ends left without an answer");
        _sitePermits = meter.CreateUpDownCounter<long>("mailpipeline.queue.site_permits", "{connection}", "Connections that count for their sites: of batches under way, and kept for the next one; over all sites that this process has in memory");
        _siteWaiting = meter.CreateUpDownCounter<long>("mailpipeline.queue.site_waiting", "{domain}", "Domains that wait for a permit of their site, for a connection or for its rate");
        _senderPermits = meter.CreateUpDownCounter<long>("mailpipeline.queue.sender_permits", "{batch}", "Batches under way by a permit of their sender's rate, over all such senders that this process has in memory");
        _senderWaiting = meter.CreateUpDownCounter<long>("mailpipeline.queue.sender_waiting", "{domain}", "Domains that wait for a permit of a sender's rate; one that waits for several senders counts for each");
        _siteRests = meter.CreateCounter<long>("mailpipeline.queue.site_rests", "{rest}", "Rests begun because the hosts of a site took nothing");
        _siteSlowed = meter.CreateCounter<long>("mailpipeline.queue.site_slowdowns", "{batch}", "Batches whose far end asked for fewer connections or less mail");
        _handedBackForSite = meter.CreateCounter<long>(
            "mailpipeline.queue.handed_back_for_site", "{batch}", "Batches that a worker handed back untried, because their mail goes to another site than their permit says");
        _policyReads = meter.CreateCounter<long>("mailpipeline.queue.policy_reads", "{read}", "Changes of the policy's file that were looked at, by result: taken or refused");
        _ownerless = meter.CreateCounter<long>("mailpipeline.queue.ownerless", "{recipient}", "Recipients found under a claim that is not there, and freed");
        _tlsReports = meter.CreateCounter<long>(
            "mailpipeline.queue.tls_reports", "{report}", "Reports to domains about TLS with their hosts, by outcome: mailed, posted to a page, failed to be posted");
        _dmarcReports = meter.CreateCounter<long>(
            "mailpipeline.queue.dmarc_reports", "{report}", "Reports to domains how mail in their name was judged, by outcome: mailed, unwilling (the address is of who takes none), too_large");
        _dmarcReceived = meter.CreateCounter<long>(
            "mailpipeline.queue.dmarc_received", "{message}", "Messages to addresses for reports by DMARC, by outcome: kept, known, noroom, foreign (about a domain that nobody here is told of), unanswered (DNS does not say that), unreadable, gone");
        _events = meter.CreateCounter<long>(
            "mailpipeline.queue.events", "{event}", "Events by receiver and by outcome: taken, failed (sent, and not taken: it goes again), unwanted (of mail that he does not ask about), dropped, refused (by itself: it is given up)");
        meter.CreateObservableGauge(
            "mailpipeline.queue.events_waiting", () => ByReceiver(backlog => backlog.Waiting), "{event}", "Events that wait for their receiver, by receiver");
        meter.CreateObservableGauge(
            "mailpipeline.queue.events_oldest", () => ByReceiver(backlog => backlog.Oldest?.TotalSeconds ?? 0), "s", "How long the oldest of them has waited, by receiver");
        _feedback = meter.CreateCounter<long>(
            "mailpipeline.queue.feedback", "{message}", "Messages to addresses for complaints, by outcome: recorded, untrusted (recorded, of a reporter whom no setting names), known, unproven (DMARC does not say who it is from), unmatched (no message of ours to a domain of the reporter's), ambiguous (to several there), auth_failure, not_spam, unreadable, gone");
        _reports = meter.CreateCounter<long>(
            "mailpipeline.queue.reports", "{report}", "Reports to senders, by what they tell and by outcome: made, or dropped because their reader had too many");
    }

    /// <summary>A counter that is not there before its first event shows no increase by it.</summary>
    public void CountFromZero()
    {
        _forgotten.Add(0);
        _ownerless.Add(0);
        _siteRests.Add(0);
        _siteSlowed.Add(0);
        _handedBackForSite.Add(0);
        TakenBack(Mail.TakenBack.Nothing);
        foreach (var route in Enum.GetValues<RecipientRoute>())
        {
            _dispatched.Add(0, Tag("route", route));
            _lost.Add(0, Tag("route", route));
        }
        foreach (var outcome in Enum.GetValues<AttemptOutcome>())
            _attempts.Add(0, Tag("outcome", outcome));
        foreach (var about in Enum.GetValues<ReplyClass>().Where(about => about != ReplyClass.None))
        {
            foreach (var outcome in (AttemptOutcome[])[AttemptOutcome.Deferred, AttemptOutcome.Failed])
                _undelivered.Add(0, Tag("outcome", outcome), Tag("class", about));
        }
        foreach (var cause in Enum.GetValues<SuppressionCause>())
            _suppressed.Add(0, Tag("cause", cause));
        foreach (var state in Enum.GetValues<RecipientState>())
            _decided.Add(0, Tag("state", state));
        foreach (var kind in Enum.GetValues<ReportKind>())
        {
            foreach (var outcome in s_reportOutcomes)
                _reports.Add(0, Tag("kind", kind), outcome);
        }
    }

    /// <param name="outcome">mailed, posted or failed.</param>
    public void TlsReported(string outcome) => _tlsReports.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    /// <param name="outcome">mailed, unwilling or too_large.</param>
    public void DmarcReported(string outcome) => _dmarcReports.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    /// <param name="outcome">kept, known, noroom, foreign, unanswered, unreadable or gone.</param>
    public void DmarcReceived(string outcome) => _dmarcReceived.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    /// <param name="receiver">Out of the operator's settings.</param>
    public void EventsSent(string receiver, int taken, int failed, int unwanted)
    {
        Add("taken", taken);
        Add("failed", failed);
        Add("unwanted", unwanted);

        void Add(string outcome, int count)
        {
            if (count > 0)
                _events.Add(count, new("receiver", receiver), new("outcome", outcome));
        }
    }

    /// <summary>Counts from zero for a receiver of the settings (<see cref="CountFromZero"/>).</summary>
    public void EventsBegin(string receiver)
    {
        foreach (var outcome in (string[])["taken", "failed", "unwanted", "dropped", "refused"])
            _events.Add(0, new("receiver", receiver), new("outcome", outcome));
    }

    public void EventRefused(string receiver) => _events.Add(1, new("receiver", receiver), new("outcome", "refused"));

    public void EventsDropped(string receiver, long count) => _events.Add(count, new("receiver", receiver), new("outcome", "dropped"));

    public void EventsMeasured(IReadOnlyList<(string Receiver, EventBacklog Backlog)> backlogs) =>
        _eventsMeasured = (backlogs, _time.GetUtcNow() + s_eventMeasureLasts);

    /// <param name="outcome">recorded, untrusted, known, unproven, unmatched, ambiguous, auth_failure, not_spam, unreadable or gone.</param>
    public void FeedbackRead(string outcome) => _feedback.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    public static string Word(DmarcReportKept kept) => Names<DmarcReportKept>.Of(kept);

    /// <summary>Null unless somebody listens and the message is traced.</summary>
    public Activity? StartActivity(string name, string traceParent) =>
        _source.HasListeners() && ActivityContext.TryParse(traceParent, null, isRemote: true, out var parent)
            ? _source.StartActivity(name, ActivityKind.Internal, parent)
            : null;

    /// <summary>Until it is disposed, log lines carry the trace of the message.</summary>
    public MessageTrace TraceOf(string traceParent) => MessageTrace.Enter(_source, traceParent);

    /// <param name="next">When it is counted again.</param>
    public void Measured(QueueMeasure measure, TimeSpan next)
    {
        _measured = (measure, _time.GetUtcNow() + next + s_measureLasts);
        _measures.Add(1);
    }

    /// <param name="duty">Out of the list of duties, which is closed.</param>
    public void DutyRan(string duty, RoundResult result, TimeSpan took) =>
        _dutyDuration.Record(took.TotalSeconds, new KeyValuePair<string, object?>("duty", duty), Tag("result", result));

    public void Paused(bool paused)
    {
        if (_paused && !paused)
            _resumedAt = _time.GetUtcNow();
        _paused = paused;
    }

    public void Member(bool isMember) => _isMember = isMember;

    public void Dispose() => _source.Dispose();

    public void Routed(int recipients) => _routed.Add(recipients);

    public void SenderRewritten(SenderRewritingOutcome outcome) => _rewritten.Add(1, new KeyValuePair<string, object?>("outcome", outcome switch
    {
        SenderRewritingOutcome.Rewritten => "rewritten",
        SenderRewritingOutcome.TooLong => "too_long",
        _ => "unfit",
    }));

    public void Suppressed(SuppressionCause cause) => _suppressed.Add(1, Tag("cause", cause));

    public void Forgotten(int messages) => _forgotten.Add(messages);

    public void Dispatched(RecipientRoute route, int recipients) => _dispatched.Add(recipients, Tag("route", route));

    /// <param name="change">How many more, or fewer when negative.</param>
    public void UnderWay(RecipientRoute route, int change) => _underWay.Add(change, Tag("route", route));

    public void BatchLost(RecipientRoute route) => _lost.Add(1, Tag("route", route));

    public void Completed(AttemptOutcome outcome) => _attempts.Add(1, Tag("outcome", outcome));

    public void Undelivered(AttemptOutcome outcome, ReplyClass about) => _undelivered.Add(1, Tag("outcome", outcome), Tag("class", about));

    public static string Word(ReplyClass about) => Names<ReplyClass>.Of(about);

    public void Decided(RecipientState state) => _decided.Add(1, Tag("state", state));

    public void Uncertain(int recipients) => _uncertain.Add(recipients);

    public void Held(int recipients) => _held.Add(recipients);

    /// <param name="permits">So many more, or fewer when negative.</param>
    /// <param name="isOfSender">It is the rate of a sender, and no site.</param>
    public void SiteChanged(int permits, int waiting, bool isOfSender)
    {
        if (permits != 0)
            (isOfSender ? _senderPermits : _sitePermits).Add(permits);
        if (waiting != 0)
            (isOfSender ? _senderWaiting : _siteWaiting).Add(waiting);
    }

    public void SiteRests() => _siteRests.Add(1);

    public void SiteSlowed() => _siteSlowed.Add(1);

    public void HandedBackForSite() => _handedBackForSite.Add(1);

    public void PolicyRead(bool isTaken) => _policyReads.Add(1, new KeyValuePair<string, object?>("result", isTaken ? "taken" : "refused"));

    public void Ownerless(int recipients) => _ownerless.Add(recipients);

    public void Reported(ReportKind kind, bool isDropped) => _reports.Add(1, Tag("kind", kind), s_reportOutcomes[isDropped ? 1 : 0]);

    public static string Word(ReportKind kind) => Names<ReportKind>.Of(kind);

    public void TakenBack(TakenBack taken)
    {
        _takenBack.Add(taken.Unbegun, new KeyValuePair<string, object?>("progress", "unbegun"));
        _takenBack.Add(taken.Interrupted, new KeyValuePair<string, object?>("progress", "interrupted"));
        _takenBack.Add(taken.Uncertain, new KeyValuePair<string, object?>("progress", "uncertain"));
        _uncertain.Add(taken.Uncertain);
        _held.Add(taken.Held.Count);
    }

    private QueueMeasure Measure => _time.GetUtcNow() < _measured.Until ? _measured.Measure : s_nothing;

    /// <summary>Every route has a value at all times: what has gone would otherwise be remembered as it was.</summary>
    private IEnumerable<Measurement<T>> ByRoute<T>(Func<RouteMeasure, T> value)
        where T : struct
    {
        foreach (var route in Enum.GetValues<RecipientRoute>())
            yield return new Measurement<T>(value(Of(route)), Tag("route", route));
    }

    private IEnumerable<Measurement<long>> Due()
    {
        foreach (var route in Enum.GetValues<RecipientRoute>())
        {
            var measure = Of(route);
            yield return new Measurement<long>(_paused ? 0 : measure.Ready, Tag("route", route), WaitsFor("worker"));
            yield return new Measurement<long>(_paused ? measure.Ready : 0, Tag("route", route), WaitsFor("resume"));
            yield return new Measurement<long>(measure.BackingOff, Tag("route", route), WaitsFor("backoff"));
            yield return new Measurement<long>(measure.Limited, Tag("route", route), WaitsFor("limit"));
            yield return new Measurement<long>(measure.Unbegun, Tag("route", route), WaitsFor("connection"));
        }
    }

    /// <summary>Every reason has a value at all times.</summary>
    private IEnumerable<Measurement<long>> Waiting()
    {
        var groups = Measure.Groups.FirstOrDefault(groups => groups.By == WaitingBy.Reason)?.Groups ?? [];
        foreach (var word in WaitWords.All)
            yield return new Measurement<long>(groups.FirstOrDefault(group => group.Key == word)?.Waiting ?? 0, new KeyValuePair<string, object?>("reason", word));
    }

    private IEnumerable<Measurement<T>> ByReceiver<T>(Func<EventBacklog, T> value)
        where T : struct =>
        _time.GetUtcNow() < _eventsMeasured.Until
            ? _eventsMeasured.Backlogs.Select(one => new Measurement<T>(value(one.Backlog), new KeyValuePair<string, object?>("receiver", one.Receiver))) : [];

    private RouteMeasure Of(RecipientRoute route) =>
        Measure.Routes.FirstOrDefault(measure => measure.Route == route) ?? new RouteMeasure(route, 0, 0, 0, 0, 0, 0, null);

    /// <summary>What a pause kept back has waited since its end.</summary>
    private double OldestDueSeconds(RouteMeasure route) =>
        !_paused && route.OldestReadyAt is { } at ? Math.Max(0, (_time.GetUtcNow() - (at > _resumedAt ? at : _resumedAt)).TotalSeconds) : 0;

    private static KeyValuePair<string, object?> WaitsFor(string what) => new("waits_for", what);

    private static KeyValuePair<string, object?> Tag<T>(string name, T value)
        where T : struct, Enum => new(name, Names<T>.Of(value));

    private static class Names<T>
        where T : struct, Enum
    {
        private static readonly Dictionary<T, string> s_names =
            Enum.GetValues<T>().ToDictionary(value => value, value => value.ToString().ToLowerInvariant());

        public static string Of(T value) => s_names.GetValueOrDefault(value, "unknown");
    }
}

/// <summary>How a round of the reconciler ended.</summary>
internal enum RoundResult
{
    /// <summary>Something was found, and done.</summary>
    Useful,

    /// <summary>There was nothing to do.</summary>
    Vain,

    Failed,
}
