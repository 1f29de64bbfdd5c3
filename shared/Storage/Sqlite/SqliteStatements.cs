using System.Data.Common;
using System.Globalization;
using Microsoft.Data.Sqlite;

namespace MailPipeline.Storage.Sqlite;

/// <summary>A connection and the statements prepared on it. Used by one thread at a time.</summary>
internal sealed class SqliteStatements(SqliteConnection connection) : IDisposable
{
    private readonly Dictionary<Statement, SqliteCommand> _prepared = [];

    public int Execute(Statement statement, ReadOnlySpan<SqlValue> values) => Bind(statement, values).ExecuteNonQuery();

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
        foreach (var command in _prepared.Values)
            command.Dispose();
        connection.Dispose();
    }

    private SqliteCommand Bind(Statement statement, ReadOnlySpan<SqlValue> values)
    {
        if (!_prepared.TryGetValue(statement, out var command))
        {
            command = connection.CreateCommand();
            command.CommandText = SqlDialect.Sqlite.Translate(statement.Sql);
            for (var i = 1; i <= values.Length; i++)
                command.Parameters.Add(new SqliteParameter { ParameterName = string.Create(CultureInfo.InvariantCulture, $"${i}") });
            command.Prepare();
            _prepared.Add(statement, command);
        }
        for (var i = 0; i < values.Length; i++)
        {
            command.Parameters[i].Value = values[i].Reference ?? values[i].Number;
            command.Parameters[i].Size = values[i].Reference is byte[] ? values[i].Length : -1;
        }
        return command;
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
