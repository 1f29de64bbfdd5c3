using MailPipeline.Contracts;
using MailPipeline.Testing;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;

namespace MailPipeline.ServiceDefaults.Tests;

public sealed class EndpointConsumersTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_broker_tells_how_many_consume_and_one_that_is_away_tells_nothing()
    {
        var broker = await RabbitMqServer.StartAsync(Cancellation);
        await using var consumers = new EndpointConsumers(new Uri(broker.ConnectionString));
        Assert.True(consumers.AreKnown);
        await using (var connection = await new ConnectionFactory { Uri = new Uri(broker.ConnectionString) }.CreateConnectionAsync(Cancellation))
        await using (var channel = await connection.CreateChannelAsync(cancellationToken: Cancellation))
        {
            Assert.Equal(0, await consumers.CountAsync(BusEndpoints.Store, Cancellation));
            await channel.QueueDeclareAsync(
                BusEndpoints.Store, durable: true, exclusive: false, autoDelete: false, new Dictionary<string, object?> { ["x-queue-type"] = "quorum" },
                cancellationToken: Cancellation);
            Assert.Equal(0, await consumers.CountAsync(BusEndpoints.Store, Cancellation));
            foreach (var count in (int[])[1, 2])
            {
                await channel.BasicConsumeAsync(BusEndpoints.Store, autoAck: false, new AsyncEventingBasicConsumer(channel), Cancellation);
                await CountsAsync(count);
            }
        }
        // Whoever consumed has gone.
        await CountsAsync(0);
        await broker.DisposeAsync();
        Assert.Null(await consumers.CountAsync(BusEndpoints.Store, Cancellation));
        Assert.False(new EndpointConsumers(null).AreKnown);

        // The quorum queue tells what its leader knew a moment ago.
        Task CountsAsync(int count) => Eventually.TrueAsync(
            async () => await consumers.CountAsync(BusEndpoints.Store, Cancellation) == count, TimeSpan.FromSeconds(10), () => $"{count} consume", Cancellation);
    }
}
