using System.Threading.Channels;
using MailPipeline.Contracts;
using MailPipeline.Testing;
using MassTransit;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using RabbitMQ.Client;

namespace MailPipeline.ServiceDefaults.Tests;

/// <summary>Answers to one process over a real broker, with the rights that the operations guide gives the users.</summary>
public sealed class BusAnswersTests
{
    private const string VirtualHost = "answers";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_question_and_its_answer_need_no_more_rights_than_the_services_have()
    {
        await using var broker = await RabbitMqServer.StartAsync(Cancellation);
        await broker.CreateVirtualHostAsync(VirtualHost, BrokerRights.OfServices, Cancellation);
        await using var delivery = await StartAsync(broker, "delivery", bus => bus.AddConsumer<Oracle, OracleDefinition>());
        await using var ingress = await StartAsync(broker, "ingress", _ => { });
        var answers = Channel.CreateUnbounded<RecipientVerified>();
        var endpoint = await ingress.Services.GetRequiredService<BusAnswers>()
            .ListenAsync<RecipientVerified>(answer => answers.Writer.TryWrite(answer)).WaitAsync(Cancellation);
        Assert.Matches("^.+_bus_[a-z0-9]+$", endpoint);

        await AskAsync();
        // What nobody of this store has sealed is no answer.
        await using (var connection = await new ConnectionFactory { Uri = new Uri(broker.ConnectionString + VirtualHost) }.CreateConnectionAsync(Cancellation))
        {
            await using var channel = await connection.CreateChannelAsync(cancellationToken: Cancellation);
            await channel.BasicPublishAsync("", endpoint, mandatory: true, new BasicProperties(), "{}"u8.ToArray(), Cancellation);
        }

        await AskAsync();
        Assert.False(answers.Reader.TryRead(out _));
        // The broker forgets the connections, and the endpoint is there again with them.
        await broker.CloseConnectionsAsync(Cancellation);
        await Eventually.TrueAsync(
            async () =>
            {
                await SendAsync();
                await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, Cancellation);
                return answers.Reader.TryRead(out var answer);
            },
            TimeSpan.FromSeconds(60));
        Assert.DoesNotContain(
            await broker.ListQueuesAsync(VirtualHost, Cancellation),
            queue => queue.Name.EndsWith("_error", StringComparison.Ordinal) || queue.Name.EndsWith("_skipped", StringComparison.Ordinal));

        async Task AskAsync()
        {
            await SendAsync();
            Assert.Equal(RecipientAnswer.Taken, (await answers.Reader.ReadAsync(Cancellation)).Answer);
        }

        async Task SendAsync()
        {
            try
            {
                await ingress.Services.GetRequiredService<MailBus>().SendAsync(
                    BusEndpoints.VerifyRecipient, new VerifyRecipient("ann@example.org", endpoint), TimeSpan.FromSeconds(30), Cancellation);
            }
            catch (BusUnavailableException)
            {
                // Until the broker is back for it.
            }
        }
    }

    /// <summary>As in an upgrade that comes before the rights.</summary>
    [Fact]
    public async Task An_endpoint_that_the_broker_refuses_leaves_the_others_at_work_and_is_told_of()
    {
        await using var broker = await RabbitMqServer.StartAsync(Cancellation);
        const string Rights = "^(message-accepted(_error|_skipped)?|.+_bus_[a-z0-9]+)$";
        await broker.CreateVirtualHostAsync(VirtualHost, [new BrokerRights("old", Rights, Rights, Rights)], Cancellation);
        var received = Channel.CreateUnbounded<MessageAccepted>();
        await using var app = await StartAsync(
            broker, "old",
            bus =>
            {
                bus.AddSingleton(received);
                bus.AddConsumer<Collector, CollectorDefinition>();
                bus.AddConsumer<Oracle, OracleDefinition>();
            },
            waits: false);
        await Eventually.TrueAsync(
            async () =>
            {
                try
                {
                    await app.Services.GetRequiredService<MailBus>().SendAsync(BusEndpoints.MessageAccepted, new MessageAccepted([1]), Cancellation);
                }
                catch (BusUnavailableException)
                {
                    return false;
                }

                return received.Reader.TryRead(out _);
            },
            TimeSpan.FromSeconds(30));
        await Eventually.TrueAsync(
            async () => (await app.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(check => check.Name == "bus", Cancellation)).Status == HealthStatus.Degraded,
            TimeSpan.FromSeconds(30));
        while (received.Reader.TryRead(out _))
        {
        }

        await app.Services.GetRequiredService<MailBus>().SendAsync(BusEndpoints.MessageAccepted, new MessageAccepted([2]), Cancellation);
        await received.Reader.ReadAsync(Cancellation);
    }

    private static async Task<WebApplication> StartAsync(RabbitMqServer broker, string user, Action<IBusRegistrationConfigurator> consumers, bool waits = true)
    {
        var builder = DefaultsHost.CreateBuilder(("ConnectionStrings:rabbitmq", broker.ConnectionStringOf(user, VirtualHost)));
        builder.Services.AddSingleton(new BusKeySource(_ => Task.FromResult(new byte[32])));
        builder.AddMailBus(consumers);
        builder.Services.Configure<MassTransitHostOptions>(host => host.WaitUntilStarted = waits);
        var (app, client) = await DefaultsHost.StartAsync(builder);
        client.Dispose();
        return app;
    }

    private sealed class Collector(Channel<MessageAccepted> received) : IConsumer<MessageAccepted>
    {
        public async Task Consume(ConsumeContext<MessageAccepted> context) => await received.Writer.WriteAsync(context.Message, context.CancellationToken);
    }

    private sealed class CollectorDefinition : ConsumerDefinition<Collector>
    {
        public CollectorDefinition() => EndpointName = BusEndpoints.MessageAccepted;

        protected override void ConfigureConsumer(
            IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<Collector> consumerConfigurator, IRegistrationContext context) =>
            endpointConfigurator.ConfigureConsumeTopology = false;
    }

    private sealed class Oracle(MailBus bus) : IConsumer<VerifyRecipient>
    {
        public Task Consume(ConsumeContext<VerifyRecipient> context) =>
            bus.AnswerAsync(context.Message.AnswerTo, new RecipientVerified(context.Message.Address, RecipientAnswer.Taken), context.CancellationToken);
    }

    private sealed class OracleDefinition : ConsumerDefinition<Oracle>
    {
        public OracleDefinition() => EndpointName = BusEndpoints.VerifyRecipient;

        protected override void ConfigureConsumer(
            IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<Oracle> consumerConfigurator, IRegistrationContext context) =>
            endpointConfigurator.ConfigureConsumeTopology = false;
    }
}
