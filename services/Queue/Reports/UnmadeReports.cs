using MailPipeline.Mail;
using MailPipeline.Storage;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// Messages of which no report can be made for their own sake: each is left alone for a while, and the others go on. It is forgotten with
/// the process, which is no worse than another try.
/// </summary>
internal sealed partial class UnmadeReports(TimeProvider time, ILogger<UnmadeReports> log)
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMinutes(10);

    private readonly Dictionary<(ReportKind, long), long> _since = [];

    /// <summary>Makes the report; false where it could not, or could not a short while ago. Asked by one duty at a time for each kind.</summary>
    /// <exception cref="StorageUnavailableException">The store is away.</exception>
    public async Task<bool> TryAsync(ReportKind kind, long messageId, Func<Task> makeAsync)
    {
        if (IsLeftAlone(kind, messageId))
            return false;
        try
        {
            await makeAsync();
            return true;
        }
        catch (Exception exception) when (exception is not (OperationCanceledException or StorageUnavailableException { Fault: not StorageFault.Refused }))
        {
            lock (_since)
                _since[(kind, messageId)] = time.GetTimestamp();
            LogNotMade(log, MessageIds.ToText(messageId), QueueTelemetry.Word(kind), exception);
            return false;
        }
    }

    private bool IsLeftAlone(ReportKind kind, long messageId)
    {
        lock (_since)
        {
            if (!_since.TryGetValue((kind, messageId), out var since))
                return false;
            if (time.GetElapsedTime(since) < s_pause)
                return true;
            _since.Remove((kind, messageId));
            return false;
        }
    }

    [LoggerMessage(2095, LogLevel.Error, "message={MessageId} its report kind={Kind} cannot be made now, and is tried again in ten minutes; the others go on")]
    private static partial void LogNotMade(ILogger log, string messageId, string kind, Exception exception);
}
