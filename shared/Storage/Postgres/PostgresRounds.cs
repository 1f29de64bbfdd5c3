using System.Data.Common;
using System.Runtime.InteropServices;
using Npgsql;

namespace MailPipeline.Storage.Postgres;

/// <summary>
/// Runs the works of one transaction in rounds: every work goes on until it waits for a statement, then all statements
/// that are waited for travel together in one batch, their results let the works go on, and so forth. Those that change rows which other
/// processes change as well wait until all works have come so far (see <see cref="RowOrder"/>). A transaction of fifty callers takes
/// as many round trips as its longest caller has steps, one for each kind of shared rows, and one for the commit, which takes along
/// the statements whose answers nobody needs.
/// </summary>
internal sealed class PostgresRounds(NpgsqlConnection connection, PostgresTexts texts) : IWriteTransaction, IDisposable
{
    private List<PendingStatement> _pending = [];
    private List<PendingStatement> _last = [];
    private NpgsqlTransaction? _transaction;

    /// <summary>Runs all that somebody waits for; what is asked for last is not sent yet.</summary>
    public void Run(ReadOnlySpan<WriteWork> works)
    {
        var running = new List<Task>(works.Length);
        foreach (var work in works)
            running.Add(work.RunAsync(this).AsTask());
        while (_pending.Count > 0)
        {
            (var round, _pending) = RowOrder.Split(_pending, pending => pending.Statement, pending => pending.Key);
            _transaction ??= connection.BeginTransaction();
            var kind = round[0].Statement.Locks;
            SendLastBefore(kind);
            Send(WithLastOf(kind, round));
            // Continuations run here, on this thread, and put the statements of the next round into _pending.
            foreach (var pending in CollectionsMarshal.AsSpan(round))
                pending.Resume();
        }
        foreach (var task in running)
        {
            if (!task.IsCompleted)
                throw new InvalidOperationException("A transaction's work awaited something that is not the transaction.");
            task.GetAwaiter().GetResult();
        }
    }

    /// <summary>Returns when the server has committed. What was asked for last is a transaction by itself where nothing came before it.</summary>
    public void Commit()
    {
        if (_last.Count == 0)
        {
            _transaction?.Commit();
            return;
        }
        using var batch = InOrder(_last);
        // What is sent in one batch is one transaction, if it is in none.
        if (_transaction is not null)
            batch.BatchCommands.Add(new NpgsqlBatchCommand("COMMIT"));
        batch.ExecuteNonQuery();
    }

    /// <summary>Rolls back what was not committed.</summary>
    public void Dispose() => _transaction?.Dispose();

    public void ExecuteLast(Statement statement, params ReadOnlySpan<SqlValue> values) =>
        _last.Add(new PendingCount { Statement = statement, Values = values.ToArray() });

    public ValueTask<int> ExecuteAsync(Statement statement, params ReadOnlySpan<SqlValue> values)
    {
        var pending = new PendingCount { Statement = statement, Values = values.ToArray() };
        _pending.Add(pending);
        return new ValueTask<int>(pending.Done.Task);
    }

    public ValueTask<List<T>> QueryAsync<T>(
        Statement statement, Func<DbDataReader, T> map, params ReadOnlySpan<SqlValue> values)
    {
        var pending = new PendingRows<T>(map) { Statement = statement, Values = values.ToArray() };
        _pending.Add(pending);
        return new ValueTask<List<T>>(pending.Done.Task);
    }

    public void RequireDurable(ContentChunk chunk)
    {
        // Rows are made durable by the commit.
    }

    public static NpgsqlParameter Parameter(SqlValue value) => value.Reference switch
    {
        null => new NpgsqlParameter<long> { TypedValue = value.Number },
        string text => new NpgsqlParameter<string> { TypedValue = text },
        long[] ids => new NpgsqlParameter<long[]> { TypedValue = ids },
        byte[] bytes => new NpgsqlParameter<ReadOnlyMemory<byte>> { TypedValue = bytes.AsMemory(0, value.Length) },
        _ => throw new InvalidOperationException("Unknown parameter type."),
    };

    private NpgsqlBatchCommand Command(Statement statement, ReadOnlySpan<SqlValue> values)
    {
        var command = new NpgsqlBatchCommand(texts.Of(statement, values is [{ IsSet: true }, ..]));
        foreach (var value in values)
            command.Parameters.Add(Parameter(value));
        return command;
    }

    private void Send(List<PendingStatement> round)
    {
        using var batch = new NpgsqlBatch(connection);
        var (isLocked, merged) = Add(batch, round);
        using var reader = batch.ExecuteReader();
        if (isLocked)
            reader.NextResult();
        foreach (var many in merged)
        {
            if (!many.ReturnsRows)
                continue;
            many.Read(reader);
            reader.NextResult();
        }
        foreach (var pending in round)
        {
            if (pending.IsMerged || !pending.ReturnsRows)
                continue;
            while (reader.Read())
                pending.Take(reader);
            reader.NextResult();
        }
        while (reader.NextResult())
        {
        }
    }

    /// <summary>
    /// Shared rows of a kind that comes before the next one's do not wait for the commit; nor does what those of the same kind may
    /// follow from (a row that is due is there when its domain is).
    /// </summary>
    private void SendLastBefore(SharedRows kind)
    {
        var isJoined = kind != SharedRows.None && _last.Exists(pending => pending.Statement.Locks == kind);
        if (!_last.Exists(IsBefore))
            return;
        using var batch = InOrder(_last.FindAll(IsBefore));
        batch.ExecuteNonQuery();
        _last = _last.FindAll(pending => !IsBefore(pending));

        bool IsBefore(PendingStatement pending) => pending.Statement.Locks == SharedRows.None ? isJoined : pending.Statement.Locks < kind;
    }

    /// <summary>Rows of one kind are come to once, in the order of their keys, whoever waits for an answer and whoever does not.</summary>
    private List<PendingStatement> WithLastOf(SharedRows kind, List<PendingStatement> round)
    {
        if (kind == SharedRows.None || !_last.Exists(IsOfKind))
            return round;
        var (all, _) = RowOrder.Split([.. round, .. _last.FindAll(IsOfKind)], pending => pending.Statement, pending => pending.Key);
        _last = _last.FindAll(pending => !IsOfKind(pending));
        return all;

        bool IsOfKind(PendingStatement pending) => pending.Statement.Locks == kind;
    }

    private NpgsqlBatch InOrder(List<PendingStatement> waiting)
    {
        var batch = new NpgsqlBatch(connection);
        while (waiting.Count > 0)
        {
            (var round, waiting) = RowOrder.Split(waiting, pending => pending.Statement, pending => pending.Key);
            Add(batch, round);
        }
        return batch;
    }

    /// <summary>Statements of one kind of rows: those that lock them, those of many callers, those of one.</summary>
    private (bool IsLocked, List<MergedStatement> Merged) Add(NpgsqlBatch batch, List<PendingStatement> round)
    {
        var merged = MergedStatement.TakeFrom(round);
        var locking = RowOrder.LockFor(round, pending => pending.Statement, pending => pending.Key, evenIfSingle: merged.Count > 0);
        if (locking is var (statement, ids))
            batch.BatchCommands.Add(Command(statement, [ids]));
        foreach (var many in merged)
            batch.BatchCommands.Add(many.ToCommand(texts));
        foreach (var pending in round)
        {
            if (!pending.IsMerged)
                batch.BatchCommands.Add(pending.Command = Command(pending.Statement, pending.Values));
        }
        return (locking is not null, merged);
    }
}
