using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using MassTransit;

namespace MailPipeline.Queue.Routing;

/// <summary>
/// Accepted messages to the router. What comes over a broker says which they are and no more: their envelopes are read from storage.
/// </summary>
internal sealed partial class MessageAcceptedConsumer(Router router, QueueStore store, ILogger<MessageAcceptedConsumer> log) : IConsumer<MessageAccepted>
{
    public async Task Consume(ConsumeContext<MessageAccepted> context)
    {
        try
        {
            var (ids, known) = context.Message;
            IReadOnlyList<Envelope> messages = known is not null
                ? Array.ConvertAll(known, ContractMapping.ToEnvelope)
                : await store.FindUnroutedAsync(ids, context.CancellationToken);
            if (messages.Count > 0)
                await router.RouteAsync(messages, context.CancellationToken);
        }
        catch (StorageUnavailableException exception)
        {
            // Only a hint: the messages are in storage, and the reconciler routes them when storage is back, one by one if it refuses any.
            LogPostponed(log, context.Message.MessageIds.Length, exception);
        }
    }

    [LoggerMessage(2040, LogLevel.Warning, "{Count} messages are routed later: the store is away or refuses one of them")]
    private static partial void LogPostponed(ILogger log, int count, Exception exception);
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
