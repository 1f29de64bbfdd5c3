using MailPipeline.Contracts;
using MailPipeline.Delivery.Batches;
using MailPipeline.Delivery.Connections;
using MailPipeline.Delivery.Routing;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MassTransit;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Intake;

/// <summary>DeliverMessages for domains that can be reached.</summary>
internal sealed class DeliverMessagesConsumer(BatchIntake intake, ConnectionPools pools) : IConsumer<DeliverMessages>
{
    public Task Consume(ConsumeContext<DeliverMessages> context) => intake.DeliverAsync(context.Message.ToBatchCommand(), pools.Healthy);
}

/// <summary>DeliverMessages for failing domains: the same work with consumers and connections of its own.</summary>
internal sealed class DeliverRetryConsumer(BatchIntake intake, ConnectionPools pools) : IConsumer<DeliverMessages>
{
    public Task Consume(ConsumeContext<DeliverMessages> context) =>
        // What they keep would be looked for among the others.
        intake.DeliverAsync(context.Message.ToBatchCommand() with { MayKeep = false }, pools.Retry);
}

/// <summary>
/// Takes batches from the bus, delivers and reports. A report that is lost is repaired by the lease, so it is no reason to deliver again. A
/// batch that waits for long, for DNS or for a connection, is detached: it leaves its place among the consumers to others and goes on. So does
/// one that is spoken about for long, which the broker would take for stuck; should the process die meanwhile, the queue misses the claim
/// and hands out again. A stop waits for it.
/// </summary>
internal sealed class BatchIntake(
    DomainDelivery delivery, DetachedBatches detached, MxResolver resolver, MailBus bus, DeliveryTelemetry telemetry, TimeProvider time,
    ILogger<BatchIntake> log)
{
    /// <summary>Far below the half hour after which RabbitMQ closes the channel of a consumer that has not acknowledged a message.</summary>
    internal static readonly TimeSpan LongestUnacknowledged = TimeSpan.FromMinutes(10);

    public async Task DeliverAsync(BatchCommand wanted, ConnectionSlots slots)
    {
        var waits = new BatchWaits(telemetry, time);
        var delivering = DeliverAsync(wanted, slots, waits);
        if (await TryDetachAsync(delivering, waits))
            _ = GoOnDetachedAsync(delivering);
        else
            await delivering;
    }

    /// <summary>
    /// A batch of this worker alone (<see cref="OwnEndpoint"/>): no consumer of the bus has it, so it is detached from the start. Should the process
    /// stop it is handed back at once.
    /// </summary>
    public async Task DeliverOwnAsync(BatchCommand wanted, ConnectionSlots slots)
    {
        var isAdded = detached.TryAdd(isSpoken: true);
        try
        {
            await DeliverAsync(wanted, slots, new BatchWaits(telemetry, time));
        }
#pragma warning disable CA1031 // The boundary of a batch that nobody awaits: without a report the lease decides.
        catch (Exception error)
#pragma warning restore CA1031
        {
            log.OwnBatchFailed(error, wanted.BatchId, wanted.Domain);
        }
        finally
        {
            if (isAdded)
                detached.Remove();
        }
    }

    /// <summary>True: it is detached. False: it has ended, or has to stay to its end.</summary>
    private async Task<bool> TryDetachAsync(Task delivering, BatchWaits waits)
    {
        if (delivering.IsCompleted)
            return false;
        var tooLong = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var timer = time.CreateTimer(_ => tooLong.TrySetResult(), null, LongestUnacknowledged, Timeout.InfiniteTimeSpan);
        if (await Task.WhenAny(delivering, waits.Long, tooLong.Task) == delivering)
            return false;
        if (!tooLong.Task.IsCompleted && detached.TryAdd())
            return true;
        return await Task.WhenAny(delivering, tooLong.Task) != delivering && detached.TryAdd(isSpoken: true);
    }

    private async Task GoOnDetachedAsync(Task delivering)
    {
        telemetry.Detached();
        try
        {
            await delivering;
        }
        finally
        {
            telemetry.DetachedEnded();
            detached.Remove();
        }
    }

    private async Task DeliverAsync(BatchCommand wanted, ConnectionSlots slots, BatchWaits waits)
    {
        var started = time.GetTimestamp();
        var resolving = resolver.ResolveToAddressAsync(wanted);
        // A failure of the resolver itself is for the batch to settle.
        await waits.ForAsync(resolving, BatchWaitReason.Dns);
        var failure = resolving.IsCompletedSuccessfully ? (await resolving).Failure : null;
        telemetry.Resolved(failure is null ? "found" : failure.IsPermanent ? "permanent" : "temporary", time.GetElapsedTime(started));
        if (await delivery.RunAsync(wanted, resolving, slots, waits, ReportAsync) is not { } report)
            return;
        // The next batch for that connection may come as long as its site counts it, also when the process stops: it is handed back then.
        if (report.KeptBy.Length > 0 && detached.TryAdd(isSpoken: true))
            _ = EndWhenGoneAsync();
        await ReportAsync(report);
    }

    private async Task EndWhenGoneAsync()
    {
        await Task.Delay(KeptConnection.Gone, time);
        detached.Remove();
    }

    private async Task ReportAsync(AttemptReport report)
    {
        try
        {
            await bus.SendAsync(BusEndpoints.AttemptsCompleted, report.ToContract(), CancellationToken.None);
        }
        catch (BusUnavailableException error)
        {
            telemetry.ReportLost();
            log.ReportLost(error, report.ClaimId, report.Domain);
        }
    }
}

internal sealed class DeliverMessagesDefinition(IOptions<DeliveryOptions> options)
    : BatchEndpoint<DeliverMessagesConsumer>(BusEndpoints.Deliver, options.Value.Consumers);

internal sealed class DeliverRetryDefinition(IOptions<DeliveryOptions> options)
    : BatchEndpoint<DeliverRetryConsumer>(BusEndpoints.DeliverRetry, options.Value.RetryConsumers);

/// <summary>An endpoint of batches: as many are taken from the bus at once as it has consumers.</summary>
internal abstract class BatchEndpoint<TConsumer> : ConsumerDefinition<TConsumer>
    where TConsumer : class, IConsumer
{
    private readonly int _consumers;

    protected BatchEndpoint(string name, int consumers)
    {
        EndpointName = name;
        _consumers = consumers;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<TConsumer> consumerConfigurator, IRegistrationContext context)
    {
        // Commands are sent to the endpoint by name; a binding by type would hand each to both endpoints.
        endpointConfigurator.ConfigureConsumeTopology = false;
        endpointConfigurator.PrefetchCount = _consumers;
        endpointConfigurator.ConcurrentMessageLimit = _consumers;
    }
}
