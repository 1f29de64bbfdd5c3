using System.Diagnostics.Metrics;
using MailPipeline.Contracts;
using MailPipeline.Storage;

namespace MailPipeline.Queue;

/// <summary>Metrics of the queue: routed, handed out, how attempts and recipients ended, what had to be repaired.</summary>
internal sealed class QueueTelemetry
{
    public const string MeterName = "MailPipeline.Queue";

    private readonly Counter<long> _routed;
    private readonly Counter<long> _forgotten;
    private readonly Counter<long> _handedOut;
    private readonly Counter<long> _lost;
    private readonly Counter<long> _attempts;
    private readonly Counter<long> _decided;
    private readonly Counter<long> _uncertain;

    public QueueTelemetry(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _routed = meter.CreateCounter<long>("mailpipeline.queue.routed", "{recipient}", "Recipients made by the router");
        _forgotten = meter.CreateCounter<long>("mailpipeline.queue.forgotten", "{message}", "Messages whose hint was lost, routed by the warden");
        _handedOut = meter.CreateCounter<long>("mailpipeline.queue.handed_out", "{recipient}", "Recipients handed out, by route");
        _lost = meter.CreateCounter<long>("mailpipeline.queue.hand_outs_lost", "{hand_out}", "Hand-outs nobody claimed or reported, by route");
        _attempts = meter.CreateCounter<long>("mailpipeline.queue.attempts", "{recipient}", "Attempts reported, by outcome");
        _decided = meter.CreateCounter<long>("mailpipeline.queue.decisions", "{recipient}", "What followed an attempt that did not deliver, by state");
        _uncertain = meter.CreateCounter<long>("mailpipeline.queue.uncertain", "{recipient}", "Attempts that may have delivered a copy nobody recorded: possible duplicates");
    }

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
