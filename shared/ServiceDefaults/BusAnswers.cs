using MassTransit;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// An endpoint of this process alone, for answers to what it asks over the bus. It goes with the process; what is sent there afterwards is lost,
/// and so is the question.
/// </summary>
public sealed class BusAnswers(IBus bus, IServiceProvider services)
{
    /// <summary>By it the broker's rights know the endpoints of a process: "HOST_PROGRAM_bus_ID".</summary>
    private const string Tag = "bus";

    /// <summary>Begins to listen.</summary>
    /// <param name="take">Is given each answer, from many threads at once.</param>
    /// <returns>The name that an answer is sent to (<see cref="MailBus.AnswerAsync"/>), once the broker has the endpoint.</returns>
    public async Task<string> ListenAsync<T>(Action<T> take)
        where T : class
    {
        var endpoint = bus.ConnectReceiveEndpoint(new TemporaryEndpointDefinition(Tag), null, configurator =>
        {
            configurator.ConfigureConsumeTopology = false;
            configurator.PublishFaults = false;
            // Nobody empties a queue of errors that belongs to a process.
            configurator.DiscardFaultedMessages();
            configurator.DiscardSkippedMessages();
            if (services.GetService<SealFilter>() is { } seal)
                configurator.ConfigureReceive(receive => receive.UseFilter(seal));
            configurator.Handler<T>(context =>
            {
                take(context.Message);
                return Task.CompletedTask;
            });
        });
        return BusSeal.EndpointOf((await endpoint.Ready).InputAddress);
    }
}
