using System.Security.Cryptography;
using System.Text;
using MailPipeline.Testing;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using RabbitMQ.Client.Exceptions;

namespace MailPipeline.Cluster.Tests;

/// <summary>A client of the broker beside the services: puts anything on their queues, and repeats what they say to each other.</summary>
internal sealed class BusTap : IAsyncDisposable
{
    private readonly IConnection _connection;
    private readonly IChannel _channel;
    private int _repeated;

    private BusTap(IConnection connection, IChannel channel) => (_connection, _channel) = (connection, channel);

    /// <summary>Messages put on a queue once more.</summary>
    public int Repeated => Volatile.Read(ref _repeated);

    public static async Task<BusTap> OpenAsync(string broker)
    {
        var connection = await new ConnectionFactory { Uri = new Uri(broker) }.CreateConnectionAsync(ClusterRun.Cancellation);
        var confirmed = new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true);
        return new(connection, await connection.CreateChannelAsync(confirmed, ClusterRun.Cancellation));
    }

    /// <summary>Puts bytes on the queue of an endpoint, as if MassTransit had sent them.</summary>
    public ValueTask PublishAsync(string endpoint, ReadOnlyMemory<byte> body, string contentType = "application/vnd.masstransit+json") =>
        PublishAsync(endpoint, body, new BasicProperties { ContentType = contentType, Persistent = true });

    /// <summary>Puts bytes with this seal on the queue of an endpoint.</summary>
    public ValueTask PublishAsync(string endpoint, ReadOnlyMemory<byte> body, string seal, string contentType) =>
        PublishAsync(endpoint, body, new BasicProperties
        {
            ContentType = contentType, Persistent = true, Headers = new Dictionary<string, object?> { ["Mail-Seal"] = seal },
        });

    /// <summary>The seal of a message to an endpoint, by the key that the store has.</summary>
    public static string Seal(string endpoint, byte[] body, byte[] key) =>
        Convert.ToBase64String(HMACSHA256.HashData(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(endpoint)), body));

    /// <summary>Puts bytes on the queue of an endpoint with the seal that only a service can make; see docs/operations.md.</summary>
    public ValueTask PublishSealedAsync(string endpoint, byte[] body, byte[] key, string contentType = "application/vnd.masstransit+json") =>
        PublishAsync(endpoint, body, Seal(endpoint, body, key), contentType);

    /// <summary>Throws away what lies on a queue.</summary>
    public Task PurgeAsync(string queue) => _channel.QueuePurgeAsync(queue, ClusterRun.Cancellation);

    /// <summary>Consumes the endpoint as a worker that hangs would: it takes one message, until the tap is closed, and no more.</summary>
    public async Task HangAsync(string endpoint)
    {
        await _channel.BasicQosAsync(0, prefetchCount: 1, global: false, ClusterRun.Cancellation);
        await _channel.BasicConsumeAsync(endpoint, autoAck: false, new AsyncEventingBasicConsumer(_channel), ClusterRun.Cancellation);
    }

    /// <summary>From now on everything sent to the endpoint comes twice, and one in three a third time, seconds later.</summary>
    public async Task RepeatAsync(string endpoint, Random random)
    {
        // A service is ready without its bus, and declares its endpoints when it has it.
        await Eventually.TrueAsync(
            () => ExistsAsync(endpoint), TimeSpan.FromSeconds(60), () => $"nobody has declared {endpoint}", ClusterRun.Cancellation);
        var copies = $"copies-of-{endpoint}";
        await _channel.QueueDeclareAsync(copies, durable: false, exclusive: true, autoDelete: true, cancellationToken: ClusterRun.Cancellation);
        // The endpoint's exchange has its name; what is put on the queue itself does not pass it.
        await _channel.QueueBindAsync(copies, endpoint, "", cancellationToken: ClusterRun.Cancellation);
        var consumer = new AsyncEventingBasicConsumer(_channel);
        consumer.ReceivedAsync += (_, sent) =>
        {
            var body = sent.Body.ToArray();
            var properties = new BasicProperties(sent.BasicProperties);
            _ = RepeatAsync(endpoint, body, properties, random.Next(3) == 0 ? TimeSpan.FromSeconds(1 + (random.NextDouble() * 4)) : null);
            return Task.CompletedTask;
        };
        await _channel.BasicConsumeAsync(copies, autoAck: true, consumer, ClusterRun.Cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await _channel.DisposeAsync();
        await _connection.DisposeAsync();
    }

    /// <summary>On a channel of its own, which the broker closes when there is no such exchange.</summary>
    private async Task<bool> ExistsAsync(string exchange)
    {
        await using var channel = await _connection.CreateChannelAsync(cancellationToken: ClusterRun.Cancellation);
        try
        {
            await channel.ExchangeDeclarePassiveAsync(exchange, ClusterRun.Cancellation);
            return true;
        }
        catch (OperationInterruptedException)
        {
            return false;
        }
    }

    private async Task RepeatAsync(string endpoint, byte[] body, BasicProperties properties, TimeSpan? againAfter)
    {
        try
        {
            await PublishAsync(endpoint, body, properties);
            Interlocked.Increment(ref _repeated);
            if (againAfter is not { } time)
                return;
            await ClusterRun.LetPassAsync(time);
            await PublishAsync(endpoint, body, properties);
            Interlocked.Increment(ref _repeated);
        }
        catch (Exception e) when (e is OperationCanceledException or AlreadyClosedException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private ValueTask PublishAsync(string endpoint, ReadOnlyMemory<byte> body, BasicProperties properties) =>
        _channel.BasicPublishAsync("", endpoint, mandatory: true, properties, body, ClusterRun.Cancellation);
}
