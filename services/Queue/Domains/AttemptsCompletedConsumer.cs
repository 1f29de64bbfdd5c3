using MailPipeline.Contracts;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using MassTransit;

namespace MailPipeline.Queue.Domains;

/// <summary>Reports to the queue of their domain.</summary>
internal sealed partial class AttemptsCompletedConsumer(IGrainFactory grains, ILogger<AttemptsCompletedConsumer> log)
    : IConsumer<AttemptsCompleted>
{
    public async Task Consume(ConsumeContext<AttemptsCompleted> context)
    {
        try
        {
            await grains.GetGrain<IDomainQueueGrain>(context.Message.Domain).CompleteAsync(context.Message);
        }
        catch (Exception exception) when (exception is StorageUnavailableException or OrleansException or TimeoutException)
        {
            // The claim's lease runs out and the recipients become due again.
            LogLost(log, context.Message.Domain, context.Message.ClaimId, exception);
        }
    }

    [LoggerMessage(2041, LogLevel.Warning, "{Domain}: the report of claim {ClaimId} could not be recorded; its lease decides")]
    private static partial void LogLost(ILogger log, string domain, long claimId, Exception exception);
}

internal sealed class AttemptsCompletedConsumerDefinition : ConsumerDefinition<AttemptsCompletedConsumer>
{
    public AttemptsCompletedConsumerDefinition()
    {
        EndpointName = BusEndpoints.AttemptsCompleted;
        ConcurrentMessageLimit = 256;
    }
}
