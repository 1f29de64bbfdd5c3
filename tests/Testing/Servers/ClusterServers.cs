namespace MailPipeline.Testing;

/// <summary>RabbitMQ, PostgreSQL and Redis for several clusters after one another; each cluster has its own part of them.</summary>
public sealed class ClusterServers : IAsyncDisposable
{
    private int _clusters;

    private ClusterServers(RabbitMqServer rabbit, PostgresServer postgres, RedisServer redis)
    {
        Rabbit = rabbit;
        Postgres = postgres;
        Redis = redis;
    }

    public RabbitMqServer Rabbit { get; }

    public PostgresServer Postgres { get; }

    public RedisServer Redis { get; }

    public static async Task<ClusterServers> StartAsync(CancellationToken cancellation = default)
    {
        var rabbit = RabbitMqServer.StartAsync(cancellation);
        var postgres = PostgresServer.StartAsync(durable: true, cancellation);
        var redis = RedisServer.StartAsync(cancellation);
        try
        {
            await Task.WhenAll(rabbit, postgres, redis);
        }
        catch
        {
            foreach (var started in new Task[] { rabbit, postgres, redis }.Where(task => task.IsCompletedSuccessfully))
                await (started switch { Task<RabbitMqServer> r => r.Result.DisposeAsync(), Task<PostgresServer> p => p.Result.DisposeAsync(), Task<RedisServer> r => r.Result.DisposeAsync(), _ => default });
            throw;
        }
        return new(await rabbit, await postgres, await redis);
    }

    /// <summary>A virtual host, a database and a key space that nobody has used.</summary>
    public async Task<ClusterConnections> CreateConnectionsAsync(CancellationToken cancellation = default)
    {
        var number = Interlocked.Increment(ref _clusters);
        var virtualHost = $"cluster{number}";
        var rabbit = Rabbit.CreateVirtualHostAsync(virtualHost, BrokerRights.OfServices, cancellation);
        var database = await Postgres.CreateDatabaseAsync(cancellation);
        // Redis has 16 databases.
        return new(database, await rabbit, $"{Redis.ConnectionString},defaultDatabase={number % 16}", virtualHost);
    }

    public async ValueTask DisposeAsync()
    {
        await Rabbit.DisposeAsync();
        await Postgres.DisposeAsync();
        await Redis.DisposeAsync();
    }
}

/// <summary>Connection strings of one cluster.</summary>
/// <param name="VirtualHost">The one of <paramref name="Rabbit"/>.</param>
public sealed record ClusterConnections(string Database, string Rabbit, string Redis, string VirtualHost);
