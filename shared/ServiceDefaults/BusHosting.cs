using MassTransit;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// The bus: MassTransit's in-memory transport without a connection string named <c>rabbitmq</c>, RabbitMQ with durable
/// quorum queues and publisher confirms with one. Called once per process; each service adds its consumers in the callback.
/// </summary>
public static class BusHosting
{
    public const string ConnectionName = "rabbitmq";

    /// <summary>Queues are replicated to this many brokers, or to all there are when they are fewer.</summary>
    private const int QuorumReplicas = 3;

    /// <param name="consumers">
    /// Adds consumers with their definitions. A definition names the endpoint and decides prefetch
    /// and concurrency; nothing is retried by the bus, because storage repeats what failed.
    /// </param>
    public static WebApplicationBuilder AddMailBus(
        this WebApplicationBuilder builder, Action<IBusRegistrationConfigurator> consumers)
    {
        var broker = builder.Configuration.GetConnectionString(ConnectionName);
        var services = builder.Services;
        services.AddSingleton<MailBus>();
        services.AddSingleton<BusAnswers>();
        services.AddSingleton<BusTelemetry>();
        services.AddSingleton(_ => new EndpointConsumers(string.IsNullOrWhiteSpace(broker) ? null : ParseBroker(broker)));
        services.AddReceiveObserver(provider => provider.GetRequiredService<BusTelemetry>());
        services.AddReceiveEndpointObserver(provider => provider.GetRequiredService<BusTelemetry>());
        services.AddMassTransit(bus =>
        {
            bus.DisableUsageTelemetry();
            // Degraded, not unhealthy, and so still ready: mail is accepted and kept while the broker is away.
            bus.ConfigureHealthCheckOptions(check =>
            {
                check.Name = "bus";
                check.MinimalFailureStatus = HealthStatus.Degraded;
            });
            consumers(bus);
            if (string.IsNullOrWhiteSpace(broker))
                UseInMemory(bus);
            else
                UseRabbitMq(bus, ParseBroker(broker));
        });
        if (!string.IsNullOrWhiteSpace(broker))
        {
            services.AddSingleton<SealFilter>();
            services.AddSingleton<BusSeal>();
            services.AddHostedService(provider => provider.GetRequiredService<BusSeal>());
        }
        // In memory, a service that starts before the endpoints would speak to nobody. A broker may be away at start: wait for none.
        services.Configure<MassTransitHostOptions>(host => host.WaitUntilStarted = string.IsNullOrWhiteSpace(broker));
        return builder;
    }

    private static void UseInMemory(IBusRegistrationConfigurator bus)
    {
        bus.AddConfigureEndpointsCallback((_, _, endpoint) =>
        {
            endpoint.PublishFaults = false;
            // Nobody empties an error queue in memory; the failure is logged and storage hands the work out again.
            endpoint.DiscardFaultedMessages();
            endpoint.DiscardSkippedMessages();
        });
        bus.UsingInMemory((context, transport) =>
        {
            var serializer = new ReferenceSerializer();
            transport.ClearSerialization();
            transport.AddSerializer(serializer);
            transport.AddDeserializer(serializer, isDefault: true);
            transport.ConfigureEndpoints(context);
        });
    }

    private static void UseRabbitMq(IBusRegistrationConfigurator bus, Uri broker)
    {
        bus.AddConfigureEndpointsCallback((context, _, endpoint) =>
        {
            endpoint.PublishFaults = false;
            endpoint.ConfigureReceive(receive => receive.UseFilter(context.GetRequiredService<SealFilter>()));
            if (endpoint is IRabbitMqReceiveEndpointConfigurator queue)
                queue.SetQuorumQueue(QuorumReplicas);
        });
        bus.UsingRabbitMq((context, transport) =>
        {
            transport.Host(broker, host => host.PublisherConfirmation = true);
            var serializer = new SealingSerializer(context.GetRequiredService<BusSeal>());
            transport.ClearSerialization();
            transport.AddSerializer(serializer);
            transport.AddDeserializer(serializer, isDefault: true);
            // A message for which no queue stands comes back as an error instead of vanishing.
            transport.ConfigureSend(send => send.UseExecute(sent =>
            {
                if (sent.TryGetPayload<RabbitMqSendContext>(out var rabbit))
                    rabbit.Mandatory = true;
            }));
            transport.ConfigureEndpoints(context);
        });
    }

    private static Uri ParseBroker(string connection) =>
        Uri.TryCreate(connection, UriKind.Absolute, out var broker) && broker.Scheme is ("amqp" or "amqps")
            ? broker
            : throw new StartupException(
                $"ConnectionStrings:{ConnectionName} must be a URI like amqp://user:password@host:5672/vhost, or be left out for a bus in memory");
}
