using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// How many consume an endpoint, as the broker knows it, which MassTransit does not tell. Over a connection of its own that only asks: a
/// broker that blocks whoever publishes still answers, and asking takes no rights beyond the virtual host.
/// </summary>
/// <param name="broker">Null: the bus is in memory, and whoever consumes lives in this process.</param>
public sealed class EndpointConsumers(Uri? broker) : IAsyncDisposable
{
    private const int NotFound = 404;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    private IConnection? _connection;
    private IChannel? _channel;

    /// <summary>False: there is nobody to ask.</summary>
    public bool AreKnown => broker is not null;

    /// <summary>By one caller at a time.</summary>
    /// <param name="endpoint">Its name, which is that of a queue.</param>
    /// <returns>0 where the endpoint is not there yet; null when the broker does not say.</returns>
    public async Task<int?> CountAsync(string endpoint, CancellationToken cancellation)
    {
        try
        {
            var channel = await OpenAsync(cancellation);
            return (int)(await channel.QueueDeclarePassiveAsync(endpoint, cancellation)).ConsumerCount;
        }
        catch (OperationInterruptedException closed) when (closed.ShutdownReason?.ReplyCode == NotFound)
        {
            // The broker closes the channel with this answer.
            await CloseChannelAsync();
            return 0;
        }
#pragma warning disable CA1031 // Whatever went wrong, nothing is known, and it is asked again over a new connection.
        catch (Exception)
#pragma warning restore CA1031
        {
            await DisposeAsync();
            return null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await CloseChannelAsync();
        if (_connection is { } connection)
        {
            _connection = null;
            await CloseAsync(connection);
        }
    }

    private async Task<IChannel> OpenAsync(CancellationToken cancellation)
    {
        if (_channel is { IsOpen: true } channel)
            return channel;
        await CloseChannelAsync();
        if (_connection is not { IsOpen: true })
        {
            await DisposeAsync();
            _connection = await new ConnectionFactory
            {
                Uri = broker!,
                AutomaticRecoveryEnabled = false,
                RequestedConnectionTimeout = s_patience,
                ContinuationTimeout = s_patience,
            }.CreateConnectionAsync("consumers", cancellation);
        }
        return _channel = await _connection.CreateChannelAsync(cancellationToken: cancellation);
    }

    private async Task CloseChannelAsync()
    {
        if (_channel is not { } channel)
            return;
        _channel = null;
        await CloseAsync(channel);
    }

    /// <summary>What the broker has closed already, or no longer answers, is given up.</summary>
    private static async Task CloseAsync(IAsyncDisposable what)
    {
        try
        {
            await what.DisposeAsync();
        }
#pragma warning disable CA1031 // Nobody asks over it any more.
        catch (Exception)
#pragma warning restore CA1031
        {
        }
    }
}
