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
    public async Task A_question_its_answer_and_events_for_others_need_no_more_rights_than_the_services_have()
    {
        await using var broker = await RabbitMqServer.StartAsync(Cancellation);
        await broker.CreateVirtualHostAsync(VirtualHost, BrokerRights.OfServices, Cancellation);
        await using var delivery = await BusHost.StartAsync(
            broker.ConnectionStringOf("delivery", VirtualHost), others: bus => bus.AddConsumer<Oracle, OracleDefinition>());
        await using var ingress = await BusHost.StartAsync(broker.ConnectionStringOf("ingress", VirtualHost));
        var answers = Channel.CreateUnbounded<RecipientVerified>();
        var endpoint = await ingress.Services.GetRequiredService<BusAnswers>()
            .ListenAsync<RecipientVerified>(answer => answers.Writer.TryWrite(answer)).WaitAsync(Cancellation);
        Assert.Matches("^.+_bus_[a-z0-9]+$", endpoint);

        await AskAsync();
        // What nobody of this store has sealed is no answer.
        await using (var stranger = await BrokerClient.OpenAsync(broker.ConnectionString + VirtualHost, Cancellation))
            await stranger.Channel.BasicPublishAsync("", endpoint, mandatory: true, new BasicProperties(), "{}"u8.ToArray(), Cancellation);

        await AskAsync();
        Assert.False(answers.Reader.TryRead(out _));
        await TellAsync();
        // The broker forgets the connections, and the endpoint is there again with them.
        await broker.CloseConnectionsAsync(Cancellation);
        await Eventually.TrueAsync(
            async () =>
            {
                await SendAsync();
                return answers.Reader.TryRead(out _);
            },
            TimeSpan.FromSeconds(60));
        Assert.DoesNotContain(
            await broker.ListQueuesAsync(VirtualHost, Cancellation),
            queue => queue.Name.EndsWith("_error", StringComparison.Ordinal) || queue.Name.EndsWith("_skipped", StringComparison.Ordinal));

        // What nobody has bound a queue for is not taken, and what somebody has is in his queue when it is.
        async Task TellAsync()
        {
            await using var queue = await BusHost.StartAsync(broker.ConnectionStringOf("queue", VirtualHost));
            var told = new MailEventRecorded(
                "1E240-0-1", "delivered", DateTimeOffset.UnixEpoch, "1E240", "", "", "", "joe@example.net", "", "example.net", "", "2.0.0", "250 ok", "", 1, null, false, false, false, "");
            var bus = queue.Services.GetRequiredService<MailBus>();
            await Assert.ThrowsAsync<BusUnavailableException>(() => bus.SendAsync(BusEndpoints.MailEvents, told, Cancellation));
            await using var connection = await new ConnectionFactory { Uri = new Uri(broker.ConnectionString + VirtualHost) }.CreateConnectionAsync(Cancellation);
            await using var channel = await connection.CreateChannelAsync(cancellationToken: Cancellation);
            await channel.QueueDeclareAsync("others", durable: true, exclusive: false, autoDelete: false, cancellationToken: Cancellation);
            await channel.QueueBindAsync("others", BusEndpoints.MailEvents, "", cancellationToken: Cancellation);
            await bus.SendAsync(BusEndpoints.MailEvents, told, Cancellation);
            var message = await channel.BasicGetAsync("others", autoAck: true, Cancellation);
            using var json = System.Text.Json.JsonDocument.Parse(message!.Body);
            Assert.Equal("1E240-0-1", json.RootElement.GetProperty("message").GetProperty("id").GetString());
        }

        async Task AskAsync()
        {
            await SendAsync();
            Assert.Equal(RecipientAnswer.Taken, (await answers.Reader.ReadAsync(Cancellation)).Answer);
        }

        async Task SendAsync()
        {
            try
            {
                await ingress.Bus().SendAsync(
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
        await using var app = await BusHost.StartAsync(
            broker.ConnectionStringOf("old", VirtualHost), received: received, others: bus => bus.AddConsumer<Oracle, OracleDefinition>(), waits: false);
        await Eventually.TrueAsync(
            async () =>
            {
                try
                {
                    await app.Bus().SendAsync(BusEndpoints.MessageAccepted, new MessageAccepted([1]), Cancellation);
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

        await app.Bus().SendAsync(BusEndpoints.MessageAccepted, new MessageAccepted([2]), Cancellation);
        await received.Reader.ReadAsync(Cancellation);
    }

    private sealed class Oracle(MailBus bus) : IConsumer<VerifyRecipient>
    {
        public Task Consume(ConsumeContext<VerifyRecipient> context) =>
            bus.AnswerAsync(context.Message.AnswerTo, new RecipientVerified(context.Message.Address, RecipientAnswer.Taken), context.CancellationToken);
    }

    private sealed class OracleDefinition() : EndpointDefinition<Oracle>(BusEndpoints.VerifyRecipient);
}
