using MailPipeline.Testing;

[assembly: AssemblyFixture(typeof(MailPipeline.Console.Tests.ConsolePostgres))]

namespace MailPipeline.Console.Tests;

/// <summary>One PostgreSQL for all tests of the API; each has a database of its own.</summary>
public sealed class ConsolePostgres : IAsyncLifetime
{
    private PostgresServer? _server;

    public PostgresServer Server => _server!;

    public async ValueTask InitializeAsync() => _server = await PostgresServer.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
            await _server.DisposeAsync();
    }
}
