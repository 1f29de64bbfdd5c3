using System.Text.Json.Serialization;

namespace MailPipeline.Contracts;

/// <summary>
/// Event, Ingress to Queue: these messages are committed and have no recipient rows yet. A hint: losing it delays
/// routing until the reconciler looks, repeating it changes nothing.
/// </summary>
/// <param name="Messages">Their envelopes, where the hint does not leave the process; a broker is told the ids alone.</param>
public sealed record MessageAccepted(long[] MessageIds, [property: JsonIgnore] AcceptedMessage[]? Messages = null);

/// <summary>One accepted message and its envelope; the bytes stay in storage (claim check).</summary>
/// <param name="Body">As storage numbers what a content needs.</param>
/// <param name="HoldReason">Why its recipients are held, or empty.</param>
/// <param name="Dsn">What its envelope said about reports, as storage writes it, or empty.</param>
/// <param name="Timing">What it said about time, as storage writes it, or empty.</param>
/// <param name="HeaderId">Its field Message-ID, without brackets, or empty.</param>
public sealed record AcceptedMessage(
    long MessageId,
    string Sender,
    string[] Recipients,
    long SizeBytes,
    int Body,
    DateTimeOffset AcceptedAt,
    string TraceParent,
    string Flow,
    string HoldReason = "",
    string Dsn = "",
    string Timing = "",
    string HeaderId = "");
