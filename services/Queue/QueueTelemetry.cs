using System.Diagnostics;
using System.Diagnostics.Metrics;
using MailPipeline.Contracts;
using MailPipeline.Storage;

namespace MailPipeline.Queue;

/// <summary>
/// Metrics of the queue: what waits, what was routed and handed out, how attempts and recipients ended, what had to be
/// repaired. Activities continue the trace of the SMTP transaction that brought the message, however long ago that was.
/// </summary>
internal sealed class QueueTelemetry : IDisposable
{
    public const string MeterName = "MailPipeline.Queue";

    private readonly ActivitySource _source = new(MeterName);
    private QueueMeasure _measure = new(0, 0, null, 0);

    private readonly Counter<long> _routed;
    private readonly Counter<long> _forgotten;
    private readonly Counter<long> _handedOut;
    private readonly Counter<long> _lost;
    private readonly Counter<long> _attempts;
    private readonly Counter<long> _decided;
    private readonly Counter<long> _uncertain;

    public QueueTelemetry(IMeterFactory meters, TimeProvider time)
    {
        var meter = meters.Create(MeterName);
        meter.CreateObservableGauge("mailpipeline.queue.queued", () => _measure.Queued, "{recipient}", "Recipients without an outcome");
        meter.CreateObservableGauge("mailpipeline.queue.claimed", () => _measure.Claimed, "{recipient}", "Recipients being tried");
        meter.CreateObservableGauge("mailpipeline.queue.unrouted", () => _measure.Unrouted, "{message}", "Accepted messages the router has not seen");
        meter.CreateObservableGauge(
            "mailpipeline.queue.oldest_due", () => Math.Max(0, (time.GetUtcNow() - (_measure.OldestDueAt ?? time.GetUtcNow())).TotalSeconds), "s",
            "How long the longest due recipient has been waiting for its attempt");
        _routed = meter.CreateCounter<long>("mailpipeline.queue.routed", "{recipient}", "Recipients made by the router");
        _forgotten = meter.CreateCounter<long>("mailpipeline.queue.forgotten", "{message}", "Messages whose hint was lost, routed by the warden");
        _handedOut = meter.CreateCounter<long>("mailpipeline.queue.handed_out", "{recipient}", "Recipients handed out, by route");
        _lost = meter.CreateCounter<long>("mailpipeline.queue.hand_outs_lost", "{hand_out}", "Hand-outs nobody claimed or reported, by route");
        _attempts = meter.CreateCounter<long>("mailpipeline.queue.attempts", "{recipient}", "Attempts reported, by outcome");
        _decided = meter.CreateCounter<long>("mailpipeline.queue.decisions", "{recipient}", "What followed an attempt that did not deliver, by state");
        _uncertain = meter.CreateCounter<long>("mailpipeline.queue.uncertain", "{recipient}", "Attempts that may have delivered a copy nobody recorded: possible duplicates");
    }

    /// <summary>Null unless somebody listens and the message is traced.</summary>
    public Activity? StartActivity(string name, string traceParent) =>
        _source.HasListeners() && ActivityContext.TryParse(traceParent, null, isRemote: true, out var parent)
            ? _source.StartActivity(name, ActivityKind.Internal, parent)
            : null;

    public void Measured(QueueMeasure measure) => _measure = measure;

    public void Dispose() => _source.Dispose();

    public void Routed(int recipients) => _routed.Add(recipients);

    public void Forgotten(int messages) => _forgotten.Add(messages);

    public void HandedOut(RecipientRoute route, int recipients) => _handedOut.Add(recipients, Tag("route", route));

    public void HandOutLost(RecipientRoute route) => _lost.Add(1, Tag("route", route));

    public void Completed(AttemptOutcome outcome) => _attempts.Add(1, Tag("outcome", outcome));

    public void Decided(RecipientState state) => _decided.Add(1, Tag("state", state));

    public void Uncertain(int recipients) => _uncertain.Add(recipients);

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
