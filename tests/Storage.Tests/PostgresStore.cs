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

    [Theory]
    [InlineData(1, true)]
    [InlineData(1L << 40, false)]
    public async Task A_database_over_its_bound_takes_no_new_mail_from_when_it_was_measured(long bound, bool full)
    {
        await using var store = await postgres.OpenAsync(options => options.MaxDatabaseBytes = bound);
        await store.AcceptAsync("x"u8.ToArray(), "a@example.net");

        var load = await store.Messages.MeasureLoadAsync(10, 10, default);

        Assert.Equal(full, load.SpaceUsed >= 1);
        Assert.True(load.SpaceUsed > 0);
        if (full)
            Assert.Equal(StorageFault.Full, (await Assert.ThrowsAsync<StorageUnavailableException>(() => store.AcceptAsync("x"u8.ToArray(), "a@example.net"))).Fault);
        else
            await store.AcceptAsync("x"u8.ToArray(), "a@example.net");
    }

    [Fact]
    public async Task Without_a_bound_the_size_of_the_database_is_not_asked_for() =>
        Assert.Equal(0, (await Store.Messages.MeasureLoadAsync(10, 10, default)).SpaceUsed);
}
