using MailPipeline.Mail;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// Whether this process keeps everything queued: its setting says so, or an operator has paused delivery for all processes. The
/// operator's switch lies in storage and is read at the reconciler's interval; before it has been read nothing is handed out.
/// </summary>
internal sealed partial class DeliveryPause(
    OperatorStore store, IOptions<QueueOptions> options, QueueTelemetry telemetry, OutageLog outages, ILogger<DeliveryPause> log)
{
    private volatile bool _isRead;
    private volatile bool _isSwitchedOn;

    public bool IsPaused => options.Value.DeliveryPaused || !_isRead || _isSwitchedOn;

    /// <summary>When storage does not answer, all stays as it was.</summary>
    public async Task ReadAsync(CancellationToken cancellationToken)
    {
        DeliveryPaused? paused;
        try
        {
            paused = await store.FindPauseAsync(cancellationToken);
        }
        catch (StorageUnavailableException exception)
        {
            if (outages.MayWrite(2062, exception))
                LogNotRead(log, exception);
            return;
        }
        if (paused is not null && !_isSwitchedOn)
            LogPaused(log, paused.Since, paused.Operator);
        else if (paused is null && _isSwitchedOn)
            LogResumed(log);
        _isSwitchedOn = paused is not null;
        _isRead = true;
        telemetry.Paused(IsPaused);
    }

    [LoggerMessage(2060, LogLevel.Warning, "Delivery is paused since {Since:u} by {Operator}: nothing is handed out")]
    private static partial void LogPaused(ILogger log, DateTimeOffset since, string @operator);

    [LoggerMessage(2061, LogLevel.Information, "Delivery goes on")]
    private static partial void LogResumed(ILogger log);

    [LoggerMessage(2062, LogLevel.Warning, "Whether delivery is paused could not be read; next time")]
    private static partial void LogNotRead(ILogger log, Exception exception);
}
