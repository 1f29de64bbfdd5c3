using System.Data.Common;
using System.Globalization;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace MailPipeline.Storage.Sqlite;

/// <summary>A connection and the statements prepared on it. Used by one thread at a time.</summary>
internal sealed class SqliteStatements(SqliteConnection connection) : IDisposable
{
    private static readonly Statement s_begin = new("BEGIN IMMEDIATE");
    private static readonly Statement s_commit = new("COMMIT");

    private readonly Prepared<SqliteCommand> _queries = new();
    private readonly Prepared<Change> _changes = new();

    public void Begin() => Execute(s_begin, []);

    public void Commit() => Execute(s_commit, []);

    /// <summary>
    /// Runs a statement that returns no rows, by SQLite's own calls: the provider looks up every parameter by its name each time,
    /// which for the small statements of a message costs more than the statement.
    /// </summary>
    /// <returns>The number of rows changed.</returns>
    /// <exception cref="SqliteException">The same as the provider would throw.</exception>
    public int Execute(Statement statement, ReadOnlySpan<SqlValue> values)
    {
        var database = connection.Handle!;
        var set = values is [{ IsSet: true }, ..];
        if (!_changes.For(set).TryGetValue(statement, out var change))
        {
            SqliteException.ThrowExceptionForRC(
                raw.sqlite3_prepare_v3(database, SqlDialect.Sqlite.Translate(statement.Sql, set), raw.SQLITE_PREPARE_PERSISTENT, out var prepared), database);
            change = new Change(prepared, values.Length);
            _changes.For(set).Add(statement, change);
        }
        try
        {
            for (var i = 0; i < values.Length; i++)
                SqliteException.ThrowExceptionForRC(change.Bind(i, values[i]), database);
            SqliteException.ThrowExceptionForRC(raw.sqlite3_step(change.Prepared), database);
            return raw.sqlite3_changes(database);
        }
        finally
        {
            // It repeats the error of the step, if there was one.
            _ = raw.sqlite3_reset(change.Prepared);
        }
    }

    public List<T> Query<T>(Statement statement, Func<DbDataReader, T> map, ReadOnlySpan<SqlValue> values)
    {
        using var reader = Bind(statement, values).ExecuteReader();
        var rows = new List<T>();
        while (reader.Read())
            rows.Add(map(reader));
        return rows;
    }

    /// <summary>A statement of ours without parameters: transaction control, pragmas, migrations.</summary>
    public void Run(string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    public long Number(string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return Convert.ToInt64(command.ExecuteScalar(), CultureInfo.InvariantCulture);
    }

    /// <summary>SQLite itself rolls back on some errors; a second rollback is then an error that says nothing.</summary>
    public void Rollback()
    {
        try
        {
            Run("ROLLBACK");
        }
        catch (SqliteException)
        {
            // No transaction is active any more.
        }
    }

    public void Dispose()
    {
        foreach (var command in _queries.All)
            command.Dispose();
        foreach (var change in _changes.All)
            change.Prepared.Dispose();
        connection.Dispose();
    }

    private SqliteCommand Bind(Statement statement, ReadOnlySpan<SqlValue> values)
    {
        var set = values is [{ IsSet: true }, ..];
        if (!_queries.For(set).TryGetValue(statement, out var command))
        {
            command = connection.CreateCommand();
            command.CommandText = SqlDialect.Sqlite.Translate(statement.Sql, set);
            for (var i = 1; i <= values.Length; i++)
                command.Parameters.Add(new SqliteParameter { ParameterName = string.Create(CultureInfo.InvariantCulture, $"${i}") });
            command.Prepare();
            _queries.For(set).Add(statement, command);
        }
        for (var i = 0; i < values.Length; i++)
        {
            command.Parameters[i].Value = values[i].Reference is long[] ids ? Json(ids) : values[i].Reference ?? values[i].Number;
            command.Parameters[i].Size = values[i].Reference is byte[] ? values[i].Length : -1;
        }
        return command;
    }

    private static string Json(long[] ids) => string.Concat("[", string.Join(',', ids), "]");

    /// <summary>What was prepared of a statement, for one id and for a set of them.</summary>
    private sealed class Prepared<T>
    {
        private readonly Dictionary<Statement, T> _one = [];
        private readonly Dictionary<Statement, T> _set = [];

        public IEnumerable<T> All => _one.Values.Concat(_set.Values);

        public Dictionary<Statement, T> For(bool set) => set ? _set : _one;
    }

    /// <summary>A prepared statement. To SQLite $1 and $2 are names, numbered in the order in which the text first has them.</summary>
    private sealed class Change(sqlite3_stmt prepared, int parameters)
    {
        private readonly int[] _indexes =
            [.. Enumerable.Range(1, parameters).Select(number => raw.sqlite3_bind_parameter_index(prepared, string.Create(CultureInfo.InvariantCulture, $"${number}")))];

        public sqlite3_stmt Prepared => prepared;

        public int Bind(int parameter, SqlValue value) => value.Reference switch
        {
            null => raw.sqlite3_bind_int64(prepared, _indexes[parameter], value.Number),
            long[] ids => raw.sqlite3_bind_text(prepared, _indexes[parameter], Json(ids)),
            string text => raw.sqlite3_bind_text(prepared, _indexes[parameter], text),
            byte[] bytes => raw.sqlite3_bind_blob(prepared, _indexes[parameter], bytes.AsSpan(0, value.Length)),
            _ => throw new InvalidOperationException("Unknown parameter type."),
        };
    }
}

/// <summary>The transaction of the writing connection: statements run at once; segments are synced before the commit.</summary>
internal sealed class SqliteTransactionScope(SqliteStatements statements, ContentLog content) : IWriteTransaction
{
    private readonly HashSet<long> _segments = [];

    public void Begin() => _segments.Clear();

    public ValueTask<int> ExecuteAsync(Statement statement, params ReadOnlySpan<SqlValue> values) =>
        ValueTask.FromResult(statements.Execute(statement, values));

    public ValueTask<List<T>> QueryAsync<T>(
        Statement statement, Func<DbDataReader, T> map, params ReadOnlySpan<SqlValue> values) =>
        ValueTask.FromResult(statements.Query(statement, map, values));

    public void ExecuteLast(Statement statement, params ReadOnlySpan<SqlValue> values) => statements.Execute(statement, values);

    public void RequireDurable(ContentChunk chunk)
    {
        if (chunk.Segment > 0)
            _segments.Add(chunk.Segment);
    }

    public void SyncContent()
    {
        foreach (var segment in _segments)
            content.Sync(segment);
    }
}
