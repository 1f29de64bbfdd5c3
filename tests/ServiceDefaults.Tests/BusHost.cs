using System.Threading.Channels;
using MailPipeline.Contracts;
using MassTransit;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using RabbitMQ.Client;

namespace MailPipeline.ServiceDefaults.Tests;

/// <summary>A service with nothing but the bus of a real broker.</summary>
internal static class BusHost
{
    /// <param name="store">Of which store it is: services of another have another key.</param>
    /// <param name="received">What its endpoint for accepted messages gets; null: it has none.</param>
    /// <param name="others">Further endpoints.</param>
    /// <param name="waits">The start waits for the broker to have taken all endpoints.</param>
    public static async Task<WebApplication> StartAsync(
        string broker, byte store = 0, Channel<MessageAccepted>? received = null, Action<IBusRegistrationConfigurator>? others = null, bool waits = true)
    {
        var builder = DefaultsHost.CreateBuilder(("ConnectionStrings:rabbitmq", broker));
        builder.Services.AddSingleton(new BusKeySource(_ => Task.FromResult(Enumerable.Repeat(store, 32).ToArray())));
        if (received is not null)
            builder.Services.AddSingleton(received);
        builder.AddMailBus(bus =>
        {
            if (received is not null)
                bus.AddConsumer<Collector, CollectorDefinition>();
            others?.Invoke(bus);
        });
        builder.Services.Configure<MassTransitHostOptions>(host => host.WaitUntilStarted = waits);
        var (app, client) = await DefaultsHost.StartAsync(builder);
        client.Dispose();
        return app;
    }

    public static MailBus Bus(this WebApplication app) => app.Services.GetRequiredService<MailBus>();

    /// <summary>Messages that the service has refused.</summary>
    public static MetricCollector<long> Refused(this WebApplication app) =>
        new(app.Services.GetRequiredService<System.Diagnostics.Metrics.IMeterFactory>(), "MailPipeline.Bus", "mailpipeline.bus.refused");

    private sealed class Collector(Channel<MessageAccepted> received) : IConsumer<MessageAccepted>
    {
        public async Task Consume(ConsumeContext<MessageAccepted> context) => await received.Writer.WriteAsync(context.Message, context.CancellationToken);
    }

    private sealed class CollectorDefinition() : EndpointDefinition<Collector>(BusEndpoints.MessageAccepted);
}

/// <summary>A client of the broker that is none of our services.</summary>
internal sealed class BrokerClient : IAsyncDisposable
{
    private readonly IConnection _connection;

    private BrokerClient(IConnection connection, IChannel channel) => (_connection, Channel) = (connection, channel);

    public IChannel Channel { get; }

    public static async Task<BrokerClient> OpenAsync(string broker, CancellationToken cancellation)
    {
        var connection = await new ConnectionFactory { Uri = new Uri(broker) }.CreateConnectionAsync(cancellation);
        return new BrokerClient(connection, await connection.CreateChannelAsync(cancellationToken: cancellation));
    }

    public async ValueTask DisposeAsync()
    {
        await Channel.DisposeAsync();
        await _connection.DisposeAsync();
    }
}

/// <summary>An endpoint and nothing beside it, as those of the services are.</summary>
internal abstract class EndpointDefinition<T> : ConsumerDefinition<T>
    where T : class, IConsumer
{
    protected EndpointDefinition(string endpoint) => EndpointName = endpoint;

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<T> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.ConfigureConsumeTopology = false;
}
