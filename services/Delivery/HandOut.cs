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

/// <summary>
/// Delivers and reports. A report that is lost is repaired by the lease, so it is no reason to deliver again. A hand-out
/// whose domain DNS is slow about leaves its place among the consumers to others and goes on aside; should the process die
/// meanwhile, the queue misses the claim and hands out again. A stop waits for it.
/// </summary>
internal sealed class HandOut(
    DomainDelivery delivery, HandOutsAside aside, MxResolver resolver, MailBus bus, DeliveryTelemetry telemetry, TimeProvider time,
    ILogger<HandOut> log)
{
    /// <summary>A resolver that has to ask the world needs some hundred milliseconds; what takes longer is mostly dead.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(500);

    public async Task DeliverAsync(DeliverMessages command, ConnectionSlots slots)
    {
        var started = time.GetTimestamp();
        var resolving = resolver.ResolveAsync(command.Domain);
        if (await IsSlowAsync(resolving) && aside.TryAdd())
        {
            _ = DeliverAsideAsync(command, resolving, started, slots);
            return;
        }

        await DeliverAsync(command, resolving, started, slots);
    }

    private async Task<bool> IsSlowAsync(Task resolving)
    {
        if (resolving.IsCompleted)
            return false;
        using var patience = new CancellationTokenSource();
        var first = await Task.WhenAny(resolving, Task.Delay(s_patience, time, patience.Token));
        await patience.CancelAsync();
        return first != resolving;
    }

    private async Task DeliverAsideAsync(DeliverMessages command, Task<Resolution> resolving, long started, ConnectionSlots slots)
    {
        telemetry.WentAside();
        try
        {
            await DeliverAsync(command, resolving, started, slots);
        }
        finally
        {
            telemetry.CameBack();
            aside.Remove();
        }
    }

    private async Task DeliverAsync(DeliverMessages command, Task<Resolution> resolving, long started, ConnectionSlots slots)
    {
        // A failure of the resolver itself is for the batch to settle.
        await ((Task)resolving).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        telemetry.Resolved(resolving.IsCompletedSuccessfully ? (await resolving).Failure : null, time.GetElapsedTime(started));
        if (await delivery.RunAsync(command, resolving, slots, ReportAsync) is { } report)
            await ReportAsync(report);
    }

    private async Task ReportAsync(AttemptsCompleted report)
    {
        try
        {
            await bus.SendAsync(BusEndpoints.AttemptsCompleted, report, CancellationToken.None);
        }
        catch (BusUnavailableException error)
        {
            telemetry.ReportLost();
            log.ReportLost(error, report.ClaimId, report.Domain);
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
