using System.Net;

namespace MailPipeline.Testing;

/// <summary>A Redis server from Debian's programs. Its data survives a stop and a kill, as in a cluster.</summary>
public sealed class RedisServer : IAsyncDisposable
{
    private readonly TempFolder _folder;
    private ServerProcess _process;

    private RedisServer(TempFolder folder, int port)
    {
        _folder = folder;
        Port = port;
        _process = Launch();
    }

    public int Port { get; }

    public string Output => _process.Output;

    /// <summary>For StackExchange.Redis.</summary>
    public string ConnectionString => $"127.0.0.1:{Port}";

    public static async Task<RedisServer> StartAsync(CancellationToken cancellation = default)
    {
        var folder = new TempFolder("redis");
        try
        {
            var server = new RedisServer(folder, FreePorts.Next());
            await server.WaitAsync(cancellation);
            return server;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>Everything in it is gone, as after the loss of its volume.</summary>
    public Task EmptyAsync(CancellationToken cancellation = default) => ServerProcess.RunAsync(
        DebianProgram.Find("redis-cli", "redis-tools"), ["-p", $"{Port}", "FLUSHALL"], cancellation: cancellation);

    public Task KillAsync() => _process.KillAsync();

    public Task StopAsync() => _process.StopAsync(TimeSpan.FromSeconds(10));

    /// <summary>Starts it again on the same port and data after a stop or a kill.</summary>
    public async Task RestartAsync(CancellationToken cancellation = default)
    {
        await _process.DisposeAsync();
        _process = Launch();
        await WaitAsync(cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _folder.Dispose();
    }

    private ServerProcess Launch() => ServerProcess.Start(
        DebianProgram.Find("redis-server", "redis-server"),
        ["--port", $"{Port}", "--bind", "127.0.0.1", "--dir", _folder.FullPath, "--save", "", "--appendonly", "yes", "--daemonize", "no"],
        _folder.FullPath);

    private Task WaitAsync(CancellationToken cancellation) => _process.WaitUntilAsync(
        ct => FreePorts.AcceptsAsync(new IPEndPoint(IPAddress.Loopback, Port), ct), TimeSpan.FromSeconds(20), "redis-server", cancellation);
}
