using System.Diagnostics.Metrics;
using MassTransit;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Counts the messages that were dead-lettered, to the queues <c>*_error</c> and <c>*_skipped</c>: nobody handles them any more, so
/// somebody has to look. And those that were refused, as nobody here has sent them.
/// </summary>
internal sealed class BusTelemetry(IMeterFactory meters) : IReceiveObserver, IReceiveEndpointObserver
{
    private const string MeterName = "MailPipeline.Bus";

    private readonly Counter<long> _deadLettered = meters.Create(MeterName).CreateCounter<long>(
        "mailpipeline.bus.dead_lettered", "{message}", "Messages that could not be handled and were dead-lettered, by endpoint");

    private readonly Counter<long> _refused = meters.Create(MeterName).CreateCounter<long>(
        "mailpipeline.bus.refused", "{message}", "Messages that no service of this store has sent and that were dropped unread, by endpoint");

    /// <summary>A counter that is not there before its first event shows no increase by it.</summary>
    public Task Ready(ReceiveEndpointReady ready)
    {
        // The bus itself listens on a queue of its own, for answers that nobody asks for here.
        if (!ready.InputAddress.Query.Contains("temporary", StringComparison.Ordinal))
        {
            _deadLettered.Add(0, Endpoint(ready.InputAddress));
            _refused.Add(0, Endpoint(ready.InputAddress));
        }
        return Task.CompletedTask;
    }

    public void Refused(string endpoint) => _refused.Add(1, new KeyValuePair<string, object?>("endpoint", endpoint));

    public Task PostReceive(ReceiveContext context)
    {
        if (context.TryGetPayload<SealFilter.Refused>(out _))
            return Task.CompletedTask;
        if (context.IsFaulted || !context.IsDelivered)
            _deadLettered.Add(1, Endpoint(context.InputAddress));
        return Task.CompletedTask;
    }

    public Task PreReceive(ReceiveContext context) => Task.CompletedTask;

    public Task PostConsume<T>(ConsumeContext<T> context, TimeSpan duration, string consumerType)
        where T : class => Task.CompletedTask;

    public Task ConsumeFault<T>(ConsumeContext<T> context, TimeSpan duration, string consumerType, Exception exception)
        where T : class => Task.CompletedTask;

    /// <summary>Not even dead-lettered: the broker delivers it again.</summary>
    public Task ReceiveFault(ReceiveContext context, Exception exception) => Task.CompletedTask;

    public Task Stopping(ReceiveEndpointStopping stopping) => Task.CompletedTask;

    public Task Completed(ReceiveEndpointCompleted completed) => Task.CompletedTask;

    public Task Faulted(ReceiveEndpointFaulted faulted) => Task.CompletedTask;

    private static KeyValuePair<string, object?> Endpoint(Uri address) => new("endpoint", BusSeal.EndpointOf(address));
}
