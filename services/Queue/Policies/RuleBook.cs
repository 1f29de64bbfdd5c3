using MailPipeline.Mail;
using MailPipeline.Storage;

namespace MailPipeline.Queue.Policies;

/// <summary>
/// What operators have said by rules, as this process obeys it: their version is read twice a second, and they are where it has changed. Until they have been read for the first time
/// nothing is handed out, so that what is held stays held whoever dies; when storage does not answer all stays as it was.
/// </summary>
internal sealed partial class RuleBook(RuleStore store, OutageLog outages, TimeProvider time, ILogger<RuleBook> log) : BackgroundService
{
    /// <summary>What is said counts within a second in all processes.</summary>
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(500);

    private volatile RuleSet? _current;

    public bool IsRead => _current is not null;

    /// <summary>What stands now; the same object until that changes.</summary>
    public RuleSet Current => _current ?? RuleSet.Empty;

    /// <summary>Reads what has changed.</summary>
    public async Task ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            var before = _current;
            if (before is not null && !(before.NextEnd <= time.GetUtcNow()) && await store.FindVersionAsync(cancellationToken) == before.Version)
                return;
            var read = await store.ReadStandingAsync(cancellationToken);
            _current = read;
            if (read.Count > 0 || before is { Count: > 0 })
                LogRead(log, read.Count);
        }
        catch (StorageUnavailableException exception)
        {
            if (outages.MayWrite(2130, exception))
                LogNotRead(log, exception);
        }
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => new TickLoop(s_interval, time).RunFromNowAsync(
        ReadAsync,
        failure =>
        {
            if (outages.MayWrite(2130, failure))
                LogNotRead(log, failure);
        },
        stoppingToken);

    [LoggerMessage(2130, LogLevel.Warning, "The rules of operators could not be read; those that were read before stay in force")]
    private static partial void LogNotRead(ILogger log, Exception exception);

    [LoggerMessage(2131, LogLevel.Information, "Rules of operators have changed: {Count} stand now")]
    private static partial void LogRead(ILogger log, int count);
}
