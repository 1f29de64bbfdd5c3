using System.Data.Common;
using System.Runtime.InteropServices;
using Npgsql;

namespace MailPipeline.Storage.Postgres;

/// <summary>
/// Runs the works of one transaction in rounds: every work goes on until it waits for a statement, then all statements
/// that are waited for travel together in one batch, their results let the works go on, and so forth. Those that change rows which other
/// processes change as well wait until all works have come so far (see <see cref="RowOrder"/>). A transaction of fifty callers takes
/// as many round trips as its longest caller has steps, and one for each kind of shared rows.
/// </summary>
internal sealed class PostgresRounds(NpgsqlConnection connection, PostgresTexts texts) : IWriteTransaction
{
    private List<PendingStatement> _pending = [];

    public void Run(ReadOnlySpan<WriteWork> works)
    {
        var running = new List<Task>(works.Length);
        foreach (var work in works)
            running.Add(work.RunAsync(this).AsTask());
        while (_pending.Count > 0)
        {
            (var round, _pending) = RowOrder.Split(_pending, pending => pending.Statement, pending => pending.Key);
            Send(round);
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
        var merged = MergedStatement.TakeFrom(round);
        if (RowOrder.LockFor(round, pending => pending.Statement, pending => pending.Key, evenIfSingle: merged.Count > 0) is var (statement, ids))
            batch.BatchCommands.Add(Command(statement, [ids]));
        var isLocked = batch.BatchCommands.Count > 0;
        foreach (var many in merged)
            batch.BatchCommands.Add(many.ToCommand(texts));
        foreach (var pending in round)
        {
            if (!pending.IsMerged)
                batch.BatchCommands.Add(pending.Command = Command(pending.Statement, pending.Values));
        }
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
}
