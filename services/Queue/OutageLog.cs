using MailPipeline.ServiceDefaults;

namespace MailPipeline.Queue;

/// <summary>
/// What fails again and again while storage, or another silo, is away: the first of each kind is written whole, and then one line a
/// minute says how often it came since. When storage commits again, which it says itself, every kind is written anew.
/// </summary>
internal sealed partial class OutageLog(TimeProvider time, ILogger<OutageLog> log) : IDisposable
{
    internal static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    // One event of two causes is two kinds: the first of each has its trace.
    private readonly LogCap<(int EventId, string Failure)> _kinds =
        new(time, lines: 1, Window, (kind, count) => LogMore(log, kind.EventId, kind.Failure, count)) { CountsOn = true };

    /// <summary>False: it is counted instead.</summary>
    public bool MayWrite(int eventId, Exception failure) => _kinds.MayWrite((eventId, failure.GetType().Name));

    /// <summary>Storage commits again: says how often each kind came since its last line.</summary>
    public void End() => _kinds.Forget();

    public void Dispose() => _kinds.Dispose();

    [LoggerMessage(2065, LogLevel.Warning, "The failure of event {FailureId} ({Failure}) came {Count} times more, not shown one by one")]
    private static partial void LogMore(ILogger log, int failureId, string failure, long count);
}
