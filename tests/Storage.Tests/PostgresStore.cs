using MailPipeline.Testing;

namespace MailPipeline.Storage.Tests;

/// <summary>One PostgreSQL server for all tests of the class; each test has a database of its own.</summary>
public sealed class PostgresFixture : IAsyncLifetime
{
    private PostgresServer? _server;

    public async ValueTask InitializeAsync() => _server = await PostgresServer.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
            await _server.DisposeAsync();
    }

    public async Task<StoreFixture> OpenAsync(Action<StorageOptions>? configure = null) => await StoreFixture.PostgresAsync(
        await _server!.CreateDatabaseAsync() + ";Maximum Pool Size=10", configure, () => ValueTask.CompletedTask);
}

public sealed class Postgres_store(PostgresFixture postgres) : StoreTests, IClassFixture<PostgresFixture>
{
    protected override Task<StoreFixture> OpenAsync() => postgres.OpenAsync();

    protected override IReadOnlyList<string> BackToVersion1 => ["DELETE FROM schema_version WHERE version > 1"];
}
