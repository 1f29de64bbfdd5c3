using System.Data.Common;
using System.Diagnostics.Metrics;
using System.Globalization;
using CsCheck;
using MailPipeline.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace MailPipeline.Storage.Tests;

/// <summary>What a store promises whatever is kept in it, the same on both engines.</summary>
public abstract partial class EngineTests : IAsyncLifetime
{
    private static readonly Statement s_echo = new("SELECT CAST($1 AS TEXT)");

    /// <summary>The name is taken.</summary>
    private static readonly Statement s_wrong = new("INSERT INTO id_blocks (name, next) SELECT 'message', $1 + $2");

    private static readonly Statement s_insertDomain = new("INSERT INTO domains (name, created_at) VALUES ($1, $2)");

    private static readonly Statement s_countDomains = new("SELECT COUNT(*) FROM domains");

    /// <summary>Of rows that come before those of <see cref="s_addToBlock"/>.</summary>
    private static readonly Statement s_addToDomain =
        new("UPDATE domains SET created_at = created_at + $2 WHERE name = $1") { Locks = SharedRows.Domains };

    private static readonly Statement s_addToBlock = new("UPDATE id_blocks SET next = next + $2 WHERE name = $1") { Locks = SharedRows.IdBlocks };

    private readonly Meters _meters = new();
    private StorageOptions? _options;
    private MailDatabase? _database;

    protected StorageOptions Options => _options!;

    protected MailDatabase Database => _database!;

    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>An empty place for a store.</summary>
    protected abstract Task<StorageOptions> CreateAsync();

    public async ValueTask InitializeAsync()
    {
        _options = await CreateAsync();
        _database = await OpenAsync();
    }

    public virtual async ValueTask DisposeAsync()
    {
        if (_database is not null)
            await _database.DisposeAsync();
        _meters.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task Ids_are_unique_over_processes()
    {
        await using var other = await OpenAsync();
        var ids = new List<long>();
        for (var i = 0; i < 2500; i++)
        {
            ids.Add(await Database.MessageIds.NextAsync(Cancellation));
            ids.Add(await other.MessageIds.NextAsync(Cancellation));
        }
        Assert.Equal(ids.Count, ids.Distinct().Count());
    }

    [Fact]
    public async Task What_the_store_refuses_for_its_data_fails_nobody_else()
    {
        for (var round = 0; round < 20; round++)
        {
            var bad = Enumerable.Range(0, 5).Select(_ => Assert.ThrowsAsync<StorageUnavailableException>(
                () => Database.WriteAsync(transaction => transaction.ExecuteAsync(s_wrong, 1, 1)))).ToList();
            var good = Enumerable.Range(0, 40).Select(number =>
                Database.WriteAsync(transaction => transaction.QueryAsync(s_echo, r => r.GetString(0), $"{number}"))).ToList();
            foreach (var (number, answer) in good.Index())
                Assert.Equal([$"{number}"], await answer);
            Assert.All(await Task.WhenAll(bad), refused => Assert.Equal(StorageFault.Refused, refused.Fault));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_asked_for_last_is_committed_with_all_that_came_before_it_or_not_at_all(bool isFirst)
    {
        for (var round = 0; round < 20; round++)
        {
            var writes = Enumerable.Range(0, 20).Select(number => Database.WriteAsync(async transaction =>
            {
                if (!isFirst)
                    Assert.Equal(1, await transaction.ExecuteAsync(s_insertDomain, $"first.{round}.{number}", 1));
                transaction.ExecuteLast(s_insertDomain, $"{round}.{number}", 1);
                if (number % 5 == 1)
                    transaction.ExecuteLast(s_wrong, 1, 1);
                return number % 5 != 2 ? true : throw new InvalidOperationException("The caller has thought better of it.");
            })).ToList();
            foreach (var (number, write) in writes.Index())
            {
                if (number % 5 == 1)
                    Assert.Equal(StorageFault.Refused, (await Assert.ThrowsAsync<StorageUnavailableException>(() => write)).Fault);
                else if (number % 5 == 2)
                    await Assert.ThrowsAsync<InvalidOperationException>(() => write);
                else
                    Assert.True(await write);
            }
        }
        Assert.Equal([isFirst ? 240 : 480], await Database.QueryAsync(s_countDomains, r => r.GetInt32(0), default));
    }

    [Fact]
    public async Task What_is_asked_for_last_is_done_whatever_its_neighbours_wait_for()
    {
        await Database.WriteAsync(transaction => transaction.ExecuteAsync(s_insertDomain, "example.com", 0));
        for (var round = 0; round < 20; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 20).Select(number => Database.WriteAsync(async transaction =>
            {
                if (number % 2 == 0)
                    transaction.ExecuteLast(s_addToDomain, "example.com", 1);
                else
                    Assert.Equal(1, await transaction.ExecuteAsync(s_addToBlock, "fence", 1));
                if (number % 3 == 0)
                    transaction.ExecuteLast(s_addToBlock, "fence", 1000);
                return true;
            })));
        }
        Assert.Equal(200L, Convert.ToInt64(await RunAsync("SELECT created_at FROM domains"), CultureInfo.InvariantCulture));
        Assert.Equal(140_201L, Convert.ToInt64(await RunAsync("SELECT next FROM id_blocks WHERE name = 'fence'"), CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task Any_text_comes_back_as_it_was_or_is_refused()
    {
        var text = Gen.OneOf(
            Gen.String[Gen.Char['\0', '\uFFFF'], 0, 40], Gen.String[Gen.OneOf(Gen.Char['\uD800', '\uDFFF'], Gen.Char['\0', '\u00FF']), 0, 40]);
        await text.SampleAsync(async sample =>
        {
            try
            {
                Assert.Equal([sample], await Database.QueryAsync(s_echo, r => r.GetString(0), default, sample));
                Assert.Equal([sample], await Database.WriteAsync(transaction => transaction.QueryAsync(s_echo, r => r.GetString(0), sample)));
                Assert.True(StoredText.IsStorable(sample));
            }
            catch (StorageUnavailableException refused) when (refused.Fault == StorageFault.Refused)
            {
                Assert.False(StoredText.IsStorable(sample));
            }
        }, iter: 300, threads: 1);
    }

    /// <summary>The store, opened by another program.</summary>
    private Task<MailDatabase> OpenAsync() => OpenAsync(Options.ConnectionString);

    private protected async Task<MailDatabase> OpenAsync(string connectionString)
    {
        var database = new MailDatabase(
            new StorageOptions { ConnectionString = connectionString }, _meters, TimeProvider.System, NullLogger<MailDatabase>.Instance);
        try
        {
            await database.OpenAsync(Cancellation);
            return database;
        }
        catch
        {
            await database.DisposeAsync();
            throw;
        }
    }

    private protected DbConnection Connect() => Database.SingleProcess
        ? new SqliteConnection(Options.ConnectionString + ";Pooling=False") : new NpgsqlConnection(Options.ConnectionString);

    /// <summary>Runs a statement past the store, and returns what it reads first.</summary>
    private protected async Task<object?> RunAsync(string sql)
    {
        await using var connection = Connect();
        await connection.OpenAsync(Cancellation);
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        return await command.ExecuteScalarAsync(Cancellation);
    }

    private sealed class Meters : IMeterFactory
    {
        private readonly List<Meter> _made = [];

        public Meter Create(MeterOptions options)
        {
            var meter = new Meter(options);
            _made.Add(meter);
            return meter;
        }

        public void Dispose() => _made.ForEach(meter => meter.Dispose());
    }
}

public sealed class Sqlite_engine : EngineTests
{
    private readonly TempFolder _folder = new("store");

    protected override Task<StorageOptions> CreateAsync() =>
        Task.FromResult(new StorageOptions { ConnectionString = $"Data Source={Path.Combine(_folder.FullPath, "mail.db")}" });

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _folder.Dispose();
    }
}
