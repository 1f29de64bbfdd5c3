using Npgsql;

namespace MailPipeline.Storage.Postgres;

/// <summary>
/// Many statements of one kind that go to the server as one, with an array for each of their values: most of what a small statement costs,
/// here and there, is the statement and not its row. Where the rows are shared with others it says for whom each was changed.
/// </summary>
internal sealed class MergedStatement
{
    // The server copies what is in an array several times before it is in a row.
    private const int MostBytes = 4096;

    private readonly Statement _statement;
    private readonly List<PendingStatement> _callers;

    private MergedStatement(Statement statement, List<PendingStatement> callers)
    {
        _statement = statement;
        _callers = callers;
        foreach (var caller in callers)
            caller.IsMerged = true;
    }

    /// <summary>It names a caller behind each row that it returns.</summary>
    public bool ReturnsRows => _statement.Locks != SharedRows.None;

    /// <summary>Marks whatever of the round goes together with others.</summary>
    public static List<MergedStatement> TakeFrom(List<PendingStatement> round)
    {
        var merged = new List<MergedStatement>();
        if (round.Count == 1)
            return merged;
        var common = CommonRows(round);
        foreach (var alike in round.Where(pending => pending.Statement.IsMerged && IsSmall(pending)).GroupBy(pending => pending.Statement))
        {
            var callers = alike.Where(pending => !SharesRows(pending, common)).ToList();
            if (callers.Count > 1)
                merged.Add(new MergedStatement(alike.Key, callers));
        }

        return merged;
    }

    public NpgsqlBatchCommand ToCommand(PostgresTexts texts)
    {
        var rows = Rows();
        var command = new NpgsqlBatchCommand(texts.OfMerged(_statement, Array.ConvertAll(rows[0], TypeOf)));
        for (var column = 0; column < rows[0].Length; column++)
            command.Parameters.Add(Parameter(rows, column));
        return command;
    }

    public void Read(NpgsqlDataReader reader)
    {
        while (reader.Read())
            _callers[(int)reader.GetInt64(reader.FieldCount - 1)].Take(reader);
    }

    /// <summary>
    /// One statement changes a row once, and what is said of a row first is done first: whoever names a row that another of the round names
    /// as well, whatever he wants of it, goes alone and in his turn.
    /// </summary>
    private static bool SharesRows(PendingStatement pending, HashSet<(SharedRows, long)> common) =>
        pending.Statement.Locks != SharedRows.None && Array.Exists(Ids(pending), id => common.Contains((pending.Statement.Locks, id)));

    private static HashSet<(SharedRows, long)> CommonRows(List<PendingStatement> round)
    {
        var named = new HashSet<(SharedRows, long)>();
        var common = new HashSet<(SharedRows, long)>();
        foreach (var pending in round.Where(pending => pending.Statement.Locks != SharedRows.None))
        {
            foreach (var id in Ids(pending))
            {
                if (!named.Add((pending.Statement.Locks, id)))
                    common.Add((pending.Statement.Locks, id));
            }
        }

        return common;
    }

    private static long[] Ids(PendingStatement pending) => pending.Key.Reference as long[] ?? [pending.Key.Number];

    private List<SqlValue[]> Rows()
    {
        if (!ReturnsRows)
            return _callers.ConvertAll(caller => caller.Values);
        var rows = new List<SqlValue[]>(_callers.Count);
        for (var i = 0; i < _callers.Count; i++)
        {
            foreach (var id in Ids(_callers[i]))
                rows.Add([i, id, .. _callers[i].Values.AsSpan(1)]);
        }

        return rows;
    }

    private static NpgsqlParameter Parameter(List<SqlValue[]> rows, int column) => rows[0][column].Reference switch
    {
        null => new NpgsqlParameter<long[]> { TypedValue = Column(rows, column, value => value.Number) },
        string => new NpgsqlParameter<string[]> { TypedValue = Column(rows, column, value => (string)value.Reference!) },
        _ => new NpgsqlParameter<ReadOnlyMemory<byte>[]>
        {
            TypedValue = Column(rows, column, value => new ReadOnlyMemory<byte>((byte[])value.Reference!, 0, value.Length)),
        },
    };

    private static T[] Column<T>(List<SqlValue[]> rows, int column, Func<SqlValue, T> read)
    {
        var values = new T[rows.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = read(rows[i][column]);
        return values;
    }

    private static string TypeOf(SqlValue value) => value.Reference switch
    {
        null => "BIGINT",
        string => "TEXT",
        byte[] => "BYTEA",
        _ => throw new InvalidOperationException("A set of ids stands for rows in the first value only."),
    };

    private static bool IsSmall(PendingStatement pending) => Array.TrueForAll(pending.Values, value => value.Reference is not byte[] || value.Length <= MostBytes);
}
