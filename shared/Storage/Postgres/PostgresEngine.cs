using System.Data.Common;
using Npgsql;

namespace MailPipeline.Storage.Postgres;

/// <summary>PostgreSQL, shared by all processes of a cluster. Content lies in chunk rows.</summary>
internal sealed class PostgresEngine : StorageEngine
{
    /// <summary>Any number that no other program of the database takes.</summary>
    internal const long MigrationLock = 0x4D61696C50697065;

    /// <summary>
    /// Connections of one process, unless the connection string says "Maximum Pool Size". Npgsql's own default is 100, which is
    /// all that a PostgreSQL server takes by default, from all processes together; reads are short, and all writes share one.
    /// </summary>
    private const int DefaultPoolSize = 8;

    /// <summary>
    /// What one step of a migration may take, an index over all rows for one, and what another process may wait for it. Npgsql's own
    /// bound on a command is 30 s.
    /// </summary>
    private static readonly TimeSpan s_migrationTime = TimeSpan.FromHours(2);

    /// <summary>Times that one thing is tried before its caller hears of it.</summary>
    private const int MaxAttempts = 4;

    // Its commit need not wait for the disk: the one that accepts the message comes later in the same log, and makes both durable;
    // should the server die in between, that one finds the chunk missing.
    private static readonly Statement s_insertChunk = new(
        """
        INSERT INTO chunks (id, size_bytes, bytes, segment, position)
        SELECT $1::bigint, $2::bigint, $3::bytea, 0, 0 FROM set_config('synchronous_commit', 'off', true)
        """);

    private static readonly Statement s_databaseSize = new("SELECT pg_database_size(current_database())");

    private static readonly Statement s_deleteChunk = new("DELETE FROM chunks WHERE id = $1");

    // Whatever is asked for goes by an index. A plan that was made while a table was empty is kept, and must not read it through when it is
    // full; what is written is found by its key. A small table without an index that helps is read through all the same, at a price in the
    // plan that would have PostgreSQL compile it each time, for longer than any question takes.
    private const string IndexedPlans = "SET enable_seqscan = off; SET enable_mergejoin = off; SET jit = off";
    private const string KeyedPlans = "SET enable_hashjoin = off";

    // A small message stays in its row, where PostgreSQL by itself would cut what is above two kilobytes into rows of another table. Its own
    // compression (pglz) takes longer over a base64 text, which it cannot make smaller, than all else that is done for the message; where
    // the server has no LZ4 nothing is compressed.
    private const string KeepContentCheaply =
        """
        DO $$ BEGIN
            EXECUTE 'ALTER TABLE IF EXISTS chunks ALTER COLUMN bytes SET STORAGE MAIN, ALTER COLUMN bytes SET COMPRESSION lz4';
        EXCEPTION WHEN feature_not_supported OR syntax_error OR invalid_parameter_value THEN
            EXECUTE 'ALTER TABLE IF EXISTS chunks ALTER COLUMN bytes SET STORAGE EXTERNAL, SET (toast_tuple_target = 8160)';
        END $$
        """;

    private const string GssMode = "GSS Encryption Mode";

    private readonly NpgsqlDataSource _source;
    private readonly NpgsqlDataSource _writers;
    private readonly OwnerlessContent _ownerless;
    private readonly PostgresTexts _texts = new();
    private readonly int _chunkBytes;
    private NpgsqlConnection? _writer;
    private bool _warned;
    private readonly long _maxBytes;
    private long _bytes;

    public PostgresEngine(StorageOptions options)
    {
        var builder = new NpgsqlConnectionStringBuilder(options.ConnectionString)
        {
            MaxAutoPrepare = 200,
            AutoPrepareMinUsages = 2,
            // A session's settings are made once and stay: there is nothing to set back after each question.
            NoResetOnClose = true,
        };
        if (!builder.ShouldSerialize("Maximum Pool Size"))
            builder.MaxPoolSize = DefaultPoolSize;
        // One of them is the writer's.
        builder.MaxPoolSize = Math.Max(builder.MaxPoolSize - 1, Math.Max(builder.MinPoolSize, 1));
        // Npgsql asks for encryption by Kerberos first, with a library that the image lacks: two lines of errors at each start.
        if (!builder.ShouldSerialize(GssMode))
            builder.GssEncryptionMode = GssEncryptionMode.Disable;
        _maxBytes = options.MaxDatabaseBytes;
        _source = new NpgsqlDataSourceBuilder(builder.ToString())
            .UsePhysicalConnectionInitializer(connection => Run(connection, IndexedPlans), PlanByIndexAsync).Build();
        // Its settings are the writer's alone: it is closed where another would go back to those that ask.
        builder.Pooling = false;
        _writers = new NpgsqlDataSourceBuilder(builder.ToString())
            .UsePhysicalConnectionInitializer(connection => Run(connection, IndexedPlans), PlanByIndexAsync).Build();
        _chunkBytes = options.ChunkBytes;
        _ownerless = new OwnerlessContent(options.AbandonedContentAge);
    }

    public override SqlDialect Dialect => SqlDialect.Postgres;

    public override bool SingleProcess => false;

    // One chunk: a transaction of its own would cost more than the memory that is held for it anyway.
    public override int MaxInlineBytes => _chunkBytes;

    public override async Task OpenAsync(Migrations migrations, CancellationToken cancellationToken)
    {
        await using var connection = await _source.OpenConnectionAsync(cancellationToken);
        // Of the database; what a client speaks is its own affair.
        if (connection.PostgresParameters.TryGetValue("server_encoding", out var encoding) && encoding != "UTF8")
            throw new StoreEncodingException(connection.Database, encoding);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await RunAsync(connection, $"SELECT pg_advisory_xact_lock({MigrationLock})", cancellationToken);
        await RunAsync(connection, "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)", cancellationToken);
        await RunAsync(connection, Migrations.CreateOldestProgram, cancellationToken);
        var version = await ReadAsync(connection, "SELECT COALESCE(MAX(version), 0) FROM schema_version", cancellationToken);
        migrations.EnsureKnown(version, await ReadAsync(connection, Migrations.ReadOldestProgram, cancellationToken));
        foreach (var (next, statements) in migrations.From(version))
        {
            foreach (var sql in statements)
                await RunAsync(connection, Dialect.Translate(sql), cancellationToken);
            await RunAsync(connection, $"INSERT INTO schema_version (version) VALUES ({next})", cancellationToken);
        }
        if (version < migrations.Newest)
            await RunAsync(connection, migrations.WriteOldestProgram, cancellationToken);
        if (version == 0)
            await RunAsync(connection, KeepContentCheaply, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    public override void RunTransaction(ReadOnlySpan<WriteWork> works)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                RunOnce(works);
                return;
            }
            catch (PostgresException conflict) when (attempt < MaxAttempts
                && conflict.SqlState is PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure)
            {
                // Another process touched the same rows in another order; the server has rolled this one back.
            }
        }
    }

    private void RunOnce(ReadOnlySpan<WriteWork> works)
    {
        var committing = false;
        try
        {
            _writer ??= OpenWriter();
            using var rounds = new PostgresRounds(_writer, _texts);
            rounds.Run(works);
            _warned = false;
            committing = true;
            rounds.Commit();
        }
        catch (Exception exception)
        {
            // Whatever went wrong with a connection that may be broken, the next transaction begins with a new one.
            if (exception is not PostgresException || _writer is { FullState: not System.Data.ConnectionState.Open } || IsRefused(exception))
            {
                _writer?.Dispose();
                _writer = null;
                if (IsRefused(exception))
                    _source.Clear();
            }
            // The server answered: it did not commit. It did not answer: nobody knows.
            if (committing && (exception is not PostgresException answered || EndsSession(answered)))
                throw new StorageUnavailableException(StorageFault.OutcomeUnknown, "Contact with PostgreSQL was lost while committing.", exception);
            throw;
        }
        // The wait for a standby was given up, by our own time-out or an administrator: the transaction stands here, and will be gone
        // if a standby takes over.
        if (_warned)
            throw new StorageUnavailableException(StorageFault.OutcomeUnknown, "PostgreSQL committed, but no standby has confirmed it.");
    }

    private bool IsRefused(Exception exception) => exception is PostgresException && Classify(exception) is { Fault: StorageFault.Refused };

    private NpgsqlConnection OpenWriter()
    {
        var connection = _writers.OpenConnection();
        try
        {
            Run(connection, KeyedPlans);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
        connection.Notice += (_, told) => _warned |= told.Notice.SqlState == PostgresErrorCodes.Warning;
        return connection;
    }

    // Class 57P is "operator intervention": the session ends, and a commit that was asked for may have happened.
    private static bool EndsSession(PostgresException answer) => answer.SqlState.StartsWith("57P", StringComparison.Ordinal);

    public override async Task<List<T>> QueryAsync<T>(
        Statement statement, Func<DbDataReader, T> map, SqlValue[] values, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await using var command = _source.CreateCommand(_texts.Of(statement, values is [{ IsSet: true }, ..]));
                foreach (var value in values)
                    command.Parameters.Add(PostgresRounds.Parameter(value));
                await using var reader = await command.ExecuteReaderAsync(cancellationToken);
                var rows = new List<T>();
                while (await reader.ReadAsync(cancellationToken))
                    rows.Add(map(reader));
                return rows;
            }
            catch (Exception exception) when (attempt < MaxAttempts && (IsStale(exception) || IsConfused(exception)))
            {
                // A pooled connection that died while nobody used it, or that is out of step; reading again harms nobody.
                _source.Clear();
            }
            catch (Exception exception) when (Classify(exception) is { } fault)
            {
                if (fault.Fault == StorageFault.Refused)
                    _source.Clear();
                throw fault;
            }
        }
    }

    // A statement that is refused while Npgsql prepares it leaves the connection out of step: the next good run of the same statement fails
    // with an exception that is none of the driver's. So a connection that something was refused on is not used again.
    private static bool IsConfused(Exception exception) => exception.GetType() == typeof(Exception);

    private static bool IsStale(Exception exception) => exception switch
    {
        PostgresException answer => EndsSession(answer) && answer.SqlState != PostgresErrorCodes.CannotConnectNow,
        NpgsqlException lost => lost.InnerException is IOException,
        _ => false,
    };

    public override async ValueTask<ContentChunk> SpillAsync(
        long chunkId, byte[] bytes, int length, CancellationToken cancellationToken)
    {
        try
        {
            await using var command = _source.CreateCommand(s_insertChunk.Sql);
            command.Parameters.Add(PostgresRounds.Parameter(chunkId));
            command.Parameters.Add(PostgresRounds.Parameter(length));
            command.Parameters.Add(new NpgsqlParameter<ReadOnlyMemory<byte>> { TypedValue = bytes.AsMemory(0, length) });
            await command.ExecuteNonQueryAsync(cancellationToken);
            return new ContentChunk(chunkId, length, null, 0, 0);
        }
        catch (Exception exception) when (Classify(exception) is { } fault)
        {
            throw fault;
        }
    }

    public override async ValueTask DiscardAsync(IReadOnlyList<ContentChunk> chunks)
    {
        try
        {
            foreach (var chunk in chunks)
            {
                await using var command = _source.CreateCommand(s_deleteChunk.Sql);
                command.Parameters.Add(PostgresRounds.Parameter(chunk.Id));
                await command.ExecuteNonQueryAsync();
            }
        }
        catch (NpgsqlException)
        {
            // What is left belongs to no message, as what a process leaves that dies: OwnerlessContent.
        }
    }

    public override ValueTask ReadSegmentAsync(ContentChunk chunk, Memory<byte> buffer, CancellationToken cancellationToken) =>
        throw new InvalidOperationException($"Chunk {chunk.Id} names segment {chunk.Segment}, but PostgreSQL keeps content in rows.");

    public override async Task<double> MeasureRoomAsync(CancellationToken cancellationToken)
    {
        if (_maxBytes == 0)
            return 0;
        var bytes = (await QueryAsync(s_databaseSize, r => r.GetInt64(0), [], cancellationToken))[0];
        Volatile.Write(ref _bytes, bytes);
        return (double)bytes / _maxBytes;
    }

    public override void EnsureRoom()
    {
        if (_maxBytes > 0 && Volatile.Read(ref _bytes) >= _maxBytes)
            throw new StorageUnavailableException(StorageFault.Full, $"The database has grown to {_maxBytes} bytes (Storage:MaxDatabaseBytes).");
    }

    public override Task<long> ReclaimAsync(GroupCommitWriter writer, CancellationToken cancellationToken) =>
        _ownerless.ReclaimAsync(this, writer, cancellationToken);

    // Class 53 is "insufficient resources", 53100 is disk_full (PostgreSQL, Appendix A).
    public override StorageUnavailableException? Classify(Exception exception) => exception switch
    {
        StorageUnavailableException fault => fault,
        PostgresException { SqlState: PostgresErrorCodes.DiskFull } => new(StorageFault.Full, "The disk of PostgreSQL is full.", exception),
        PostgresException postgres when postgres.IsTransient || postgres.SqlState.StartsWith("53", StringComparison.Ordinal)
            || postgres.SqlState.StartsWith("57", StringComparison.Ordinal) || postgres.SqlState.StartsWith("58", StringComparison.Ordinal)
            || postgres.SqlState.StartsWith("08", StringComparison.Ordinal) || postgres.SqlState.StartsWith("25006", StringComparison.Ordinal)
            // A password that was changed, a database or rights that are not there yet: about us, not about what was asked.
            || postgres.SqlState.StartsWith("28", StringComparison.Ordinal) || postgres.SqlState.StartsWith("3D", StringComparison.Ordinal)
            || postgres.SqlState == PostgresErrorCodes.InsufficientPrivilege =>
            new(StorageFault.Unavailable, "PostgreSQL cannot be used now: " + postgres.MessageText, exception),
        // Whatever else it answers is about what it was asked.
        PostgresException refused => new(StorageFault.Refused, "PostgreSQL refused what it was asked: " + refused.MessageText, exception),
        _ when IsConfused(exception) => new(StorageFault.Unavailable, "PostgreSQL's connection is out of step: " + exception.Message, exception),
        NpgsqlException or TimeoutException or System.Net.Sockets.SocketException or IOException =>
            new(StorageFault.Unavailable, "PostgreSQL cannot be reached: " + exception.Message, exception),
        _ => null,
    };

    // Classes 22, 23 and 42 are about the data and the statement, 40 and 55 about other transactions on the same rows; 57014 is a statement
    // that took too long (PostgreSQL, Appendix A).
    public override bool IsOfOneCaller(Exception exception) => base.IsOfOneCaller(exception) || exception is PostgresException
    {
        SqlState: ['2', '2' or '3', ..] or ['4', '0' or '2', ..] or ['5', '5', ..] or PostgresErrorCodes.QueryCanceled,
    };

    public override async ValueTask DisposeAsync()
    {
        if (_writer is not null)
            await _writer.DisposeAsync();
        await _writers.DisposeAsync();
        await _source.DisposeAsync();
    }

    private static async Task<long> ReadAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private static async Task PlanByIndexAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand(IndexedPlans, connection);
        await command.ExecuteNonQueryAsync();
    }

    private static void Run(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection);
        command.ExecuteNonQuery();
    }

    private static async Task RunAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        command.CommandTimeout = (int)s_migrationTime.TotalSeconds;
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
