using System.Diagnostics;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Until it is disposed, log lines carry the trace of one message, whatever else the batch it travels in is about. Costs nothing while
/// nobody collects traces.
/// </summary>
public readonly struct MessageTrace : IDisposable
{
    private readonly Activity? _before;
    private readonly bool _isEntered;

    private MessageTrace(Activity activity)
    {
        _before = Activity.Current;
        _isEntered = true;
        Activity.Current = activity;
    }

    /// <param name="traceParent">What the message's envelope says (W3C traceparent); empty or malformed where it is not traced.</param>
    /// <param name="source">Whose listeners decide whether anybody wants to know.</param>
    /// <param name="activity">What is being done with the message, where that is traced itself.</param>
    public static MessageTrace Enter(ActivitySource source, string traceParent, Activity? activity = null)
    {
        if (activity is not null)
            return new MessageTrace(activity);
        if (!source.HasListeners() || !ActivityContext.TryParse(traceParent, null, isRemote: true, out var message))
            return default;
        // Started apart from any source: it names the trace to the log, and is no span of its own.
        var before = Activity.Current;
        var named = new Activity("log").SetParentId(message.TraceId, message.SpanId, message.TraceFlags).Start();
        Activity.Current = before;
        return new MessageTrace(named);
    }

    public void Dispose()
    {
        if (_isEntered)
            Activity.Current = _before;
    }
}
