using MailPipeline.Mail;
using MailPipeline.Queue.Routing;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reconciling;

/// <summary>Routes accepted messages whose hint was lost, and those that their senders have held until now. A message that cannot be routed stays, and holds up none of the others.</summary>
internal sealed partial class ForgottenMessages(
    QueueStore store, Router router, IOptions<QueueOptions> options, QueueTelemetry telemetry, TimeProvider time, ILogger<ForgottenMessages> log) : IDuty
{
    /// <summary>Messages that are read, and routed in one transaction.</summary>
    private const int Page = 500;

    public string Name => "route";

    public DutyPace Pace => new(options.Value.ReconcileInterval);

    public async Task<bool> RoundAsync()
    {
        var before = time.GetUtcNow() - options.Value.UnroutedGrace;
        var routed = false;
        for (var after = 0L; ;)
        {
            var messages = await store.ListUnroutedAsync(after, before, Page, CancellationToken.None);
            if (messages.Count == 0)
                return routed;
            telemetry.Forgotten(messages.Count(message => message.Timing?.Release is null));
            routed |= await RouteAsync(messages);
            after = messages[^1].MessageId;
        }
    }

    /// <returns>False: none of them could be routed.</returns>
    private async Task<bool> RouteAsync(IReadOnlyList<Envelope> messages)
    {
        try
        {
            await router.RouteAsync(messages, CancellationToken.None);
            return true;
        }
        // A store that refuses what it was given is there: it is the message's own fault, like any other.
        catch (Exception exception) when (exception is not StorageUnavailableException { Fault: not StorageFault.Refused })
        {
            if (messages is [var alone])
            {
                using var trace = telemetry.TraceOf(alone.TraceParent);
                LogNotRouted(log, MessageIds.ToText(alone.MessageId), exception);
                return false;
            }
            var routed = false;
            foreach (var message in messages)
                routed |= await RouteAsync([message]);
            return routed;
        }
    }

    [LoggerMessage(2053, LogLevel.Error, "message={MessageId} cannot be routed and stays; the others go on")]
    private static partial void LogNotRouted(ILogger log, string messageId, Exception exception);
}
