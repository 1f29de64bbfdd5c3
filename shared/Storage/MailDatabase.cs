using System.Data.Common;
using System.Diagnostics.Metrics;
using MailPipeline.Storage.Postgres;
using MailPipeline.Storage.Sqlite;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Storage;

/// <summary>
/// The durable truth of the pipeline on one of two engines, chosen by the connection string. The stores are views of it,
/// one for each part of a message's way.
/// </summary>
public sealed class MailDatabase : IAsyncDisposable
{
    private readonly StorageEngine _engine;
    private readonly GroupCommitWriter _writer;
    private readonly StorageTelemetry _telemetry;
    private int _disposed;

    public MailDatabase(StorageOptions options, IMeterFactory meters, TimeProvider time, ILogger<MailDatabase> log)
    {
        Options = options;
        Time = time;
        _engine = EngineFor(options);
        _telemetry = new StorageTelemetry(meters);
        _writer = new GroupCommitWriter(_engine, options.MaxCommitBatch, _telemetry, time, log);
        MessageIds = new IdBlocks(_writer, "message", 1000);
        ClaimIds = new IdBlocks(_writer, "claim", 1000);
        AuditIds = new IdBlocks(_writer, "audit", 10);
        Fences = new IdBlocks(_writer, "fence", 100);
    }

    /// <summary>True when only this process works on the data: claims found at start belong to a process that died.</summary>
    public bool SingleProcess => _engine.SingleProcess;

    /// <summary>The file of the database, whole path; null where the store is a server.</summary>
    /// <exception cref="ArgumentException">The connection string is none.</exception>
    public static string? FileOf(StorageOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return IsFile(options) ? SqliteEngine.FileOf(options) : null;
    }

    internal StorageOptions Options { get; }

    internal TimeProvider Time { get; }

    internal StorageEngine Engine => _engine;

    internal IdBlocks MessageIds { get; }

    internal IdBlocks ClaimIds { get; }

    internal IdBlocks AuditIds { get; }

    internal IdBlocks Fences { get; }

    /// <summary>Opens the store and brings its schema up to date, under a lock that all processes share.</summary>
    /// <exception cref="UnknownSchemaException">A program that this one does not know has written it.</exception>
    /// <exception cref="StoreEncodingException">Its encoding does not have every character.</exception>
    /// <exception cref="StorageUnavailableException">It cannot be reached or written.</exception>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _engine.OpenAsync(Migrations.OfThisProgram, cancellationToken);
        }
        catch (Exception exception) when (exception is not StorageUnavailableException && _engine.Classify(exception) is { } fault)
        {
            throw fault;
        }
    }

    /// <summary>To be called when whoever collects metrics listens.</summary>
    internal void CountFromZero() => _telemetry.CountFromZero();

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        _writer.Dispose();
        await _engine.DisposeAsync();
    }

    internal Task<T> WriteAsync<T>(Func<IWriteTransaction, ValueTask<T>> run) => _writer.WriteAsync(run);

    internal Task<List<T>> QueryAsync<T>(
        Statement statement, Func<DbDataReader, T> map, CancellationToken cancellationToken, params SqlValue[] values) =>
        _engine.QueryAsync(statement, map, values, cancellationToken);

    internal Task<long> ReclaimAsync(CancellationToken cancellationToken) => _engine.ReclaimAsync(_writer, cancellationToken);

    private static StorageEngine EngineFor(StorageOptions options) =>
        IsFile(options) ? new SqliteEngine(options) : new PostgresEngine(options);

    private static bool IsFile(StorageOptions options)
    {
        var keys = new DbConnectionStringBuilder();
        try
        {
            keys.ConnectionString = options.ConnectionString;
        }
        catch (ArgumentException exception)
        {
            throw new ArgumentException(
                "ConnectionStrings:maildb is not a connection string (key=value pairs separated by semicolons).", exception);
        }
        if (keys.ContainsKey("Data Source"))
            return true;
        if (keys.ContainsKey("Host"))
            return false;
        throw new ArgumentException(
            "ConnectionStrings:maildb must begin with 'Data Source=' (SQLite, one process) or 'Host=' (PostgreSQL).");
    }
}
