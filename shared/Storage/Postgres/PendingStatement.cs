using System.Data.Common;
using Npgsql;

namespace MailPipeline.Storage.Postgres;

/// <summary>A statement that one caller of a transaction waits for.</summary>
internal abstract class PendingStatement
{
    public required Statement Statement { get; init; }

    public required SqlValue[] Values { get; init; }

    public SqlValue Key => Values.Length == 0 ? default : Values[0];

    /// <summary>It goes to the server as part of a <see cref="MergedStatement"/>.</summary>
    public bool IsMerged { get; set; }

    /// <summary>As it was sent; null where it was not sent by itself.</summary>
    public NpgsqlBatchCommand? Command { get; set; }

    public abstract bool ReturnsRows { get; }

    /// <summary>A row that was changed, or is returned, for this caller.</summary>
    public abstract void Take(DbDataReader row);

    /// <summary>Lets the caller go on.</summary>
    public abstract void Resume();
}

internal sealed class PendingCount : PendingStatement
{
    private int _taken;

    public TaskCompletionSource<int> Done { get; } = new();

    public override bool ReturnsRows => false;

    public override void Take(DbDataReader row) => _taken++;

    public override void Resume() => Done.SetResult(Command?.RecordsAffected ?? _taken);
}

internal sealed class PendingRows<T>(Func<DbDataReader, T> map) : PendingStatement
{
    private readonly List<T> _rows = [];

    public TaskCompletionSource<List<T>> Done { get; } = new();

    public override bool ReturnsRows => true;

    public override void Take(DbDataReader row) => _rows.Add(map(row));

    public override void Resume() => Done.SetResult(_rows);
}
