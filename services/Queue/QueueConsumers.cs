using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using MassTransit;

namespace MailPipeline.Queue;

/// <summary>
/// Accepted messages to the router. What comes over a broker says which they are and no more: their envelopes are read from storage.
/// </summary>
internal sealed partial class MessageAcceptedConsumer(Router router, QueueStore store, ILogger<MessageAcceptedConsumer> log) : IConsumer<MessageAccepted>
{
    public async Task Consume(ConsumeContext<MessageAccepted> context)
    {
        try
        {
            IReadOnlyList<Envelope> messages = IsOfThisProcess(context)
                ? Array.ConvertAll(context.Message.Messages, ContractMapping.ToEnvelope)
                : await store.FindUnroutedAsync([.. context.Message.Messages.Select(message => message.MessageId)], context.CancellationToken);
            if (messages.Count > 0)
                await router.RouteAsync(messages, context.CancellationToken);
        }
        catch (StorageUnavailableException exception)
        {
            // Only a hint: the messages are in storage, and the warden routes them when storage is back, one by one if it refuses any.
            LogPostponed(log, context.Message.Messages.Length, exception);
        }
    }

    /// <summary>Without a broker the bus hands over what was sent, by reference.</summary>
    private static bool IsOfThisProcess(ConsumeContext context) => context.ReceiveContext.InputAddress.Scheme == "loopback";

    [LoggerMessage(2040, LogLevel.Warning, "{Count} messages are routed later: the store is away or refuses one of them")]
    private static partial void LogPostponed(ILogger log, int count, Exception exception);
}

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

internal sealed class MessageAcceptedConsumerDefinition : ConsumerDefinition<MessageAcceptedConsumer>
{
    public MessageAcceptedConsumerDefinition()
    {
        EndpointName = BusEndpoints.MessageAccepted;
        // Each waits for a commit that they share.
        ConcurrentMessageLimit = 16;
    }
}

internal sealed class AttemptsCompletedConsumerDefinition : ConsumerDefinition<AttemptsCompletedConsumer>
{
    public AttemptsCompletedConsumerDefinition()
    {
        EndpointName = BusEndpoints.AttemptsCompleted;
        ConcurrentMessageLimit = 256;
    }
}
