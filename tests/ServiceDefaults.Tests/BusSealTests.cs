using System.Threading.Channels;
using MailPipeline.Contracts;
using MailPipeline.Testing;
using RabbitMQ.Client;

namespace MailPipeline.ServiceDefaults.Tests;

/// <summary>Through a broker a service takes only what another service of the same store has sent to this endpoint.</summary>
public sealed class BusSealTests
{
    private static readonly MessageAccepted s_message = new([1]);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_no_service_of_this_store_has_sent_is_dropped_unread_and_counted_and_leaves_nothing_on_the_broker()
    {
        await using var broker = await RabbitMqServer.StartAsync(Cancellation);
        var received = Channel.CreateUnbounded<MessageAccepted>();
        await using var app = await BusHost.StartAsync(broker.ConnectionString, store: 1, received);
        await using var stranger = await BusHost.StartAsync(broker.ConnectionString, store: 2);
        using var refused = app.Refused();
        await using var client = await BrokerClient.OpenAsync(broker.ConnectionString, Cancellation);
        var channel = client.Channel;

        // What is sent is seen on its way, whole, to be changed and repeated.
        await channel.QueueDeclareAsync("tap", exclusive: true, cancellationToken: Cancellation);
        await channel.QueueBindAsync("tap", BusEndpoints.MessageAccepted, "", cancellationToken: Cancellation);
        await app.Bus().SendAsync(BusEndpoints.MessageAccepted, s_message, Cancellation);
        Assert.Equal(1, (await received.Reader.ReadAsync(Cancellation)).MessageIds[0]);
        BasicGetResult? seen = null;
        await Eventually.TrueAsync(async () => (seen = await channel.BasicGetAsync("tap", autoAck: true, Cancellation)) is not null, TimeSpan.FromSeconds(10));
        await channel.QueueUnbindAsync("tap", BusEndpoints.MessageAccepted, "", cancellationToken: Cancellation);
        var sealedProperties = new BasicProperties(seen!.BasicProperties);
        var body = seen.Body.ToArray();
        var changed = System.Text.Encoding.UTF8.GetBytes(System.Text.Encoding.UTF8.GetString(body).Replace('1', '2'));
        Assert.NotEqual(body, changed);

        await PublishAsync(sealedProperties, changed);
        await PublishAsync(new BasicProperties { ContentType = sealedProperties.ContentType }, body);
        await PublishAsync(new BasicProperties { ContentType = sealedProperties.ContentType }, "nonsense"u8.ToArray());
        await PublishAsync(new BasicProperties { Headers = new Dictionary<string, object?> { ["Mail-Seal"] = "AAAA" } }, []);
        await stranger.Bus().SendAsync(BusEndpoints.MessageAccepted, s_message, Cancellation);
        // Sealed for another endpoint.
        await channel.ExchangeDeclareAsync("copies", ExchangeType.Fanout, durable: true, cancellationToken: Cancellation);
        await channel.ExchangeBindAsync(BusEndpoints.MessageAccepted, "copies", "", cancellationToken: Cancellation);
        await app.Bus().SendAsync("copies", s_message, Cancellation);
        // A repetition passes.
        await PublishAsync(sealedProperties, body);

        Assert.Equal(1, (await received.Reader.ReadAsync(Cancellation)).MessageIds[0]);
        await Eventually.TrueAsync(() => refused.GetMeasurementSnapshot().Sum(m => m.Value) == 6, TimeSpan.FromSeconds(10));
        Assert.False(received.Reader.TryRead(out _));
        var queues = await broker.ListQueuesAsync(cancellation: Cancellation);
        Assert.DoesNotContain(queues, queue => queue.Ready + queue.Unacknowledged > 0);
        Assert.DoesNotContain(queues, queue => queue.Name.EndsWith("_error", StringComparison.Ordinal) || queue.Name.EndsWith("_skipped", StringComparison.Ordinal));

        ValueTask PublishAsync(BasicProperties properties, byte[] bytes) =>
            channel.BasicPublishAsync("", BusEndpoints.MessageAccepted, mandatory: true, properties, bytes, Cancellation);
    }

    [Fact]
    public async Task A_seal_of_any_other_type_than_text_is_none_and_its_message_is_not_delivered_again()
    {
        await using var broker = await RabbitMqServer.StartAsync(Cancellation);
        var received = Channel.CreateUnbounded<MessageAccepted>();
        await using var app = await BusHost.StartAsync(broker.ConnectionString, store: 1, received);
        using var refused = app.Refused();
        await using var client = await BrokerClient.OpenAsync(broker.ConnectionString, Cancellation);
        var channel = client.Channel;

        foreach (var seal in s_oddValues)
        {
            var properties = new BasicProperties { Headers = new Dictionary<string, object?> { ["Mail-Seal"] = seal } };
            await channel.BasicPublishAsync("", BusEndpoints.MessageAccepted, mandatory: true, properties, "x"u8.ToArray(), Cancellation);
        }

        await Eventually.TrueAsync(() => refused.GetMeasurementSnapshot().Sum(m => m.Value) >= s_oddValues.Length, TimeSpan.FromSeconds(10));
        await Eventually.TrueAsync(
            async () => (await broker.ListQueuesAsync(cancellation: Cancellation)).All(queue => queue.Ready + queue.Unacknowledged == 0), TimeSpan.FromSeconds(10));
        // The next message finds the endpoint at work.
        await app.Bus().SendAsync(BusEndpoints.MessageAccepted, s_message, Cancellation);
        Assert.Equal(1, (await received.Reader.ReadAsync(Cancellation)).MessageIds[0]);
        Assert.False(received.Reader.TryRead(out _));
        Assert.Equal(s_oddValues.Length, refused.GetMeasurementSnapshot().Sum(m => m.Value));
    }

    private static readonly object?[] s_oddValues =
    [
        5, -1L, true, 1.5, 2.5m, null, "", "text", new byte[] { 0xff, 0xfe }, new AmqpTimestamp(long.MaxValue),
        new List<object?> { "a", 1 }, new Dictionary<string, object?> { ["a"] = new List<object?> { 1, null } }, new BinaryTableValue([1, 2, 3]),
    ];
}
