using System.Collections.Concurrent;
using System.Data.Common;
using System.Globalization;
using Microsoft.Data.Sqlite;

namespace MailPipeline.Storage.Sqlite;

/// <summary>
/// SQLite in WAL mode with synchronous=FULL: every commit reaches the disk. One connection writes, a few read. Content
/// above a threshold lies in segment files next to the database.
/// </summary>
internal sealed class SqliteEngine : StorageEngine
{
    // The error codes that say "no room" and "not now" (https://www.sqlite.org/rescode.html).
    private const int SqliteFull = 13;
    private static readonly int[] s_notNow = [5, 6, 8, 10, 14, 26];

    // About what was asked: SQLITE_ERROR, TOOBIG, CONSTRAINT, MISMATCH, RANGE.
    private static readonly int[] s_notThis = [1, 18, 19, 20, 25];

    // Busy, locked, full, constraint: no whole commit frame was written. A sync that failed for want of room is an I/O error.
    private static readonly int[] s_notCommitted = [5, 6, SqliteFull, 19];

    // A reader is a connection with a cache and prepared statements of its own, some hundred kilobytes, and a query runs on
    // its caller's thread: more of them than processors and a slow disk keep busy only cost memory.
    private static readonly int MaxReaders = Math.Max(4, Environment.ProcessorCount);
    private const int ReaderCacheKilobytes = 200;
    private const int WriterCacheKilobytes = 1000;

    private readonly StorageOptions _options;
    private readonly string _connectionString;
    private readonly string _folder;
    private readonly ContentLog _content;
    private readonly ConcurrentBag<SqliteStatements> _readers = [];
    private readonly SemaphoreSlim _turns = new(MaxReaders);
    private SqliteStatements? _writer;
    private SqliteTransactionScope? _scope;
    private long _freeAskedAt = long.MinValue / 2;
    private long _freeBytes;
    private bool _disposed;

    public SqliteEngine(StorageOptions options)
    {
        _options = options;
        var builder = new SqliteConnectionStringBuilder(options.ConnectionString)
        {
            Pooling = false,
            DefaultTimeout = 5,
        };
        var file = FileOf(options);
        builder.DataSource = file;
        _connectionString = builder.ToString();
        _folder = Path.GetDirectoryName(file)!;
        _content = new ContentLog(Path.Combine(_folder, "content"), options.SegmentBytes);
    }

    public override SqlDialect Dialect => SqlDialect.Sqlite;

    public override bool SingleProcess => true;

    public override int MaxInlineBytes => _options.InlineContentBytes;

    public static string FileOf(StorageOptions options) =>
        Path.GetFullPath(new SqliteConnectionStringBuilder(options.ConnectionString).DataSource);

    public override Task OpenAsync(Migrations migrations, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(_folder);
        KeepPrivate(new SqliteConnectionStringBuilder(_connectionString).DataSource);
        var writer = Connect(WriterCacheKilobytes);
        try
        {
            // What is found in the log may never have been synced by the process that wrote it: it reaches the disk before anything
            // is committed behind it.
            writer.Number("PRAGMA wal_checkpoint(PASSIVE)");
            Migrate(writer, migrations);
        }
        catch
        {
            writer.Dispose();
            throw;
        }
        _writer = writer;
        _scope = new SqliteTransactionScope(writer, _content);
        return Task.CompletedTask;
    }

    public override void RunTransaction(ReadOnlySpan<WriteWork> works)
    {
        var writer = _writer ?? throw new StorageUnavailableException(StorageFault.Unavailable, "The database is not open.");
        writer.Begin();
        try
        {
            _scope!.Begin();
            foreach (var work in works)
            {
                var running = work.RunAsync(_scope);
                if (!running.IsCompleted)
                    throw new InvalidOperationException("A transaction's work awaited something that is not the transaction.");
                running.GetAwaiter().GetResult();
            }
            _scope.SyncContent();
        }
        catch
        {
            writer.Rollback();
            throw;
        }
        Commit(writer);
    }

    public override async Task<List<T>> QueryAsync<T>(
        Statement statement, Func<DbDataReader, T> map, SqlValue[] values, CancellationToken cancellationToken)
    {
        await _turns.WaitAsync(cancellationToken);
        SqliteStatements? reader = null;
        try
        {
            if (!_readers.TryTake(out reader))
                reader = Connect(ReaderCacheKilobytes);
            return reader.Query(statement, map, values);
        }
        catch (Exception exception) when (Classify(exception) is { } fault)
        {
            throw fault;
        }
        finally
        {
            if (_disposed)
                reader?.Dispose();
            else if (reader is not null)
                _readers.Add(reader);
            _turns.Release();
        }
    }

    public override long BeginSpill()
    {
        try
        {
            return _content.Pin();
        }
        catch (IOException exception)
        {
            throw Classify(exception)!;
        }
    }

    public override void EndSpill(long spill) => _content.Unpin(spill);

    public override ValueTask<ContentChunk> SpillAsync(
        long chunkId, byte[] bytes, int length, CancellationToken cancellationToken)
    {
        try
        {
            EnsureRoom();
            var (segment, position) = _content.Append(bytes.AsSpan(0, length));
            return ValueTask.FromResult(new ContentChunk(chunkId, length, null, segment, position));
        }
        catch (IOException exception)
        {
            return ValueTask.FromException<ContentChunk>(Classify(exception)!);
        }
    }

    /// <summary>Bytes that no row names are collected with their segment.</summary>
    public override ValueTask DiscardAsync(IReadOnlyList<ContentChunk> chunks) => ValueTask.CompletedTask;

    public override ValueTask ReadSegmentAsync(ContentChunk chunk, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        _content.Read(chunk, buffer.Span);
        return ValueTask.CompletedTask;
    }

    public override void EnsureRoom()
    {
        if (_options.ReservedFreeBytes <= 0)
            return;
        // Asking the file system for every message would cost more than the answer is worth.
        var now = Environment.TickCount64;
        if (now - Volatile.Read(ref _freeAskedAt) > 200)
        {
            Volatile.Write(ref _freeBytes, new DriveInfo(_folder).AvailableFreeSpace);
            Volatile.Write(ref _freeAskedAt, now);
        }
        if (Volatile.Read(ref _freeBytes) < _options.ReservedFreeBytes)
        {
            throw new StorageUnavailableException(
                StorageFault.Full, $"Less than {_options.ReservedFreeBytes} bytes are free on the disk of {_folder}.");
        }
    }

    public override Task<long> ReclaimAsync(GroupCommitWriter writer, CancellationToken cancellationToken) =>
        _content.ReclaimAsync(this, writer, cancellationToken);

    public override StorageUnavailableException? Classify(Exception exception) => exception switch
    {
        StorageUnavailableException fault => fault,
        SqliteException { SqliteErrorCode: SqliteFull } => new(StorageFault.Full, "The disk is full.", exception),
        SqliteException sqlite when s_notNow.Contains(sqlite.SqliteErrorCode) =>
            new(StorageFault.Unavailable, "The database cannot be used now: " + sqlite.Message, exception),
        SqliteException refused when s_notThis.Contains(refused.SqliteErrorCode) => new(StorageFault.Refused, "The database refused what it was asked: " + refused.Message, exception),
        SqliteException other => new(StorageFault.Unavailable, "The database cannot be used: " + other.Message, exception),
        // ENOSPC and EDQUOT surface as "disk full" HResults of IOException on Unix.
        IOException { HResult: 28 or 122 } => new(StorageFault.Full, "The disk is full.", exception),
        IOException => new(StorageFault.Unavailable, "The content cannot be written now: " + exception.Message, exception),
        _ => null,
    };

    public override ValueTask DisposeAsync()
    {
        _disposed = true;
        while (_readers.TryTake(out var reader))
            reader.Dispose();
        _writer?.Dispose();
        _content.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Passwords and mail are nobody else's; SQLite gives its other files the mode of the database.</summary>
    private static void KeepPrivate(string file)
    {
        if (OperatingSystem.IsWindows() || File.Exists(file))
            return;
        try
        {
            using var made = new FileStream(file, new FileStreamOptions
            {
                Mode = FileMode.OpenOrCreate,
                Access = FileAccess.ReadWrite,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
        }
        catch (Exception unusable) when (unusable is IOException or UnauthorizedAccessException)
        {
            // SQLite says it in its own words.
        }
    }

    /// <summary>
    /// A commit that fails at the disk may have left its frames whole in the write-ahead log. The next commit writes over them; a
    /// process that is killed before reads them at its start, and the transaction stands. So nobody knows until another commit has
    /// succeeded. The process does not end itself: a start would take those frames for synced and put later commits behind them,
    /// while the next commit here writes the same places again, and syncs them.
    /// </summary>
    private static void Commit(SqliteStatements writer)
    {
        try
        {
            writer.Commit();
        }
        catch (Exception exception)
        {
            writer.Rollback();
            if (exception is SqliteException refused && s_notCommitted.Contains(refused.SqliteErrorCode))
                throw;
            throw new StorageUnavailableException(StorageFault.OutcomeUnknown, "The commit failed at the disk: " + exception.Message, exception);
        }
    }

    private SqliteStatements Connect(int cacheKilobytes)
    {
        var connection = new SqliteConnection(_connectionString);
        connection.Open();
        var statements = new SqliteStatements(connection);
        statements.Run("PRAGMA journal_mode = WAL");
        statements.Run("PRAGMA synchronous = FULL");
        statements.Run("PRAGMA busy_timeout = 5000");
        statements.Run("PRAGMA temp_store = MEMORY");
        statements.Run(string.Create(CultureInfo.InvariantCulture, $"PRAGMA cache_size = -{cacheKilobytes}"));
        statements.Run("PRAGMA wal_autocheckpoint = 4000");
        return statements;
    }

    private static void Migrate(SqliteStatements writer, Migrations migrations)
    {
        writer.Run("BEGIN IMMEDIATE");
        try
        {
            writer.Run(Migrations.CreateOldestProgram);
            var version = writer.Number("PRAGMA user_version");
            migrations.EnsureKnown(version, writer.Number(Migrations.ReadOldestProgram));
            foreach (var (next, statements) in migrations.From(version))
            {
                foreach (var sql in statements)
                    writer.Run(SqlDialect.Sqlite.Translate(sql));
                writer.Run(string.Create(CultureInfo.InvariantCulture, $"PRAGMA user_version = {next}"));
            }
            if (version < migrations.Newest)
                writer.Run(migrations.WriteOldestProgram);
            writer.Run("COMMIT");
        }
        catch
        {
            writer.Rollback();
            throw;
        }
    }
}
