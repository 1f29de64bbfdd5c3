using MailPipeline.Contracts;
using MailPipeline.ServiceDefaults;
using MassTransit;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery;

/// <summary>DeliverMessages for domains in good standing.</summary>
internal sealed class DeliverMessagesConsumer(HandOut handOut, DeliveryLanes lanes) : IConsumer<DeliverMessages>
{
    public Task Consume(ConsumeContext<DeliverMessages> context) => handOut.DeliverAsync(context.Message, lanes.Healthy);
}

/// <summary>DeliverMessages for failing domains: the same work in a lane of its own.</summary>
internal sealed class DeliverRetryConsumer(HandOut handOut, DeliveryLanes lanes) : IConsumer<DeliverMessages>
{
    public Task Consume(ConsumeContext<DeliverMessages> context) => handOut.DeliverAsync(context.Message, lanes.Retry);
}

/// <summary>Delivers and reports. A report that is lost is repaired by the lease, so it is no reason to deliver again.</summary>
internal sealed class HandOut(DomainDelivery delivery, MailBus bus, DeliveryTelemetry telemetry, ILogger<HandOut> log)
{
    public async Task DeliverAsync(DeliverMessages command, ConnectionSlots slots)
    {
        var report = await delivery.RunAsync(command, slots);
        try
        {
            await bus.SendAsync(BusEndpoints.AttemptsCompleted, report, CancellationToken.None);
        }
        catch (BusUnavailableException error)
        {
            telemetry.ReportLost();
            log.ReportLost(error, command.ClaimId, command.Domain);
        }
    }
}

internal sealed class DeliverMessagesDefinition : ConsumerDefinition<DeliverMessagesConsumer>
{
    private readonly int _consumers;

    public DeliverMessagesDefinition(IOptions<DeliveryOptions> options)
    {
        EndpointName = BusEndpoints.Deliver;
        _consumers = options.Value.Consumers;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<DeliverMessagesConsumer> consumerConfigurator,
        IRegistrationContext context) => Lane.Configure(endpointConfigurator, _consumers);
}

internal sealed class DeliverRetryDefinition : ConsumerDefinition<DeliverRetryConsumer>
{
    private readonly int _consumers;

    public DeliverRetryDefinition(IOptions<DeliveryOptions> options)
    {
        EndpointName = BusEndpoints.DeliverRetry;
        _consumers = options.Value.RetryConsumers;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<DeliverRetryConsumer> consumerConfigurator,
        IRegistrationContext context) => Lane.Configure(endpointConfigurator, _consumers);
}

file static class Lane
{
    public static void Configure(IReceiveEndpointConfigurator endpoint, int consumers)
    {
        // Commands are sent to the endpoint by name; a binding by type would hand each to both lanes.
        endpoint.ConfigureConsumeTopology = false;
        endpoint.PrefetchCount = consumers;
        endpoint.ConcurrentMessageLimit = consumers;
    }
}
