using System.Threading.Channels;
using MailPipeline.Contracts;
using MailPipeline.Testing;
using MassTransit;
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

    private static async Task<WebApplication> StartAsync(RabbitMqServer broker, string user, Action<IBusRegistrationConfigurator> consumers)
    {
        var builder = DefaultsHost.CreateBuilder(("ConnectionStrings:rabbitmq", broker.ConnectionStringOf(user, VirtualHost)));
        builder.Services.AddSingleton(new BusKeySource(_ => Task.FromResult(new byte[32])));
        builder.AddMailBus(consumers);
        builder.Services.Configure<MassTransitHostOptions>(host => host.WaitUntilStarted = true);
        var (app, client) = await DefaultsHost.StartAsync(builder);
        client.Dispose();
        return app;
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
