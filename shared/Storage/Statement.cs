using System.Text.RegularExpressions;

namespace MailPipeline.Storage;

/// <summary>
/// One parameterised SQL statement for both engines, prepared once per connection. Parameters are written $1, $2, ...;
/// the few words that differ between the engines are written in braces (see <see cref="SqlDialect"/>).
/// </summary>
internal sealed class Statement(string sql)
{
    public string Sql { get; } = sql;

    /// <summary>Changes rows of this kind that other processes change as well; its first value names them: an id, a set of ids, or a name.</summary>
    public SharedRows Locks { get; init; }

    /// <summary>
    /// Where each statement costs, those that the callers of one transaction send at the same time become one
    /// (<see cref="SqlDialect.TranslateForMany"/>). It reads "INSERT ... VALUES (...)", "UPDATE ... WHERE ..." or "DELETE ... WHERE ...". Where it
    /// locks nothing, nobody asks how many rows it changed.
    /// </summary>
    public bool IsMerged { get; init; }

    public override string ToString() => Sql;
}

/// <summary>
/// Rows that transactions of several processes change at the same time, in the order in which each transaction comes to them: so no two
/// lock each other out. A caller that needs several kinds begins with the first; what he needs of one kind he asks for at once.
/// </summary>
internal enum SharedRows
{
    /// <summary>Rows that nobody else waits for: new ones, and those that belong to a row that is locked already.</summary>
    None,
    Unrouted,
    UnroutedDsn,
    UnroutedTimed,
    MaildropLeases,
    Sites,
    Claims,
    Recipients,
    Unreported,
    Messages,
    Domains,
    LoginFailures,
    Greylist,
    GreylistNetworks,
    Bans,
    EventReceivers,
    StsPolicies,
    Suppressions,
    SourceDays,
    IdBlocks,
}

/// <summary>The words of SQL that differ between the engines.</summary>
internal sealed partial record SqlDialect(
    string Id, string Bytes, string WithoutRowId, string Now, string KeyShare, string ForUpdate, string OwnCommit, string InSet, string Set)
{
    /// <summary>
    /// Times are milliseconds since 1970 UTC; {now} is the store's own clock, read anew by each statement. {key_share} keeps the
    /// rows read from being deleted before the transaction ends, {for_update} locks them; SQLite has one writer, and nobody to keep off.
    /// {own_commit} is a value that makes a transaction one with a commit to wait for, though it changes nothing; SQLite's has none, its
    /// one process has the writer. "id {in_1}" asks for the set of ids in $1, {set_1} is the same set as a table, whose ids are set_1.value.
    /// Where such a statement asks for a state as well, it says "state + 0 = 0": PostgreSQL would read through the index of what is due,
    /// which is small when its plan is made, instead of looking the ids up.
    /// </summary>
    public static readonly SqlDialect Sqlite = new(
        "INTEGER PRIMARY KEY", "BLOB", "WITHOUT ROWID", "CAST(unixepoch('subsec') * 1000 AS INTEGER)", "", "", "0",
        "IN (SELECT value FROM json_each($1))", "json_each($1) AS set_1");

    public static readonly SqlDialect Postgres = new(
        "BIGINT PRIMARY KEY", "BYTEA", "", "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)", "FOR KEY SHARE", "FOR UPDATE",
        // A transaction that has written nothing to the log is not waited for, even with an id of its own.
        "CAST(length(CAST(pg_logical_emit_message(true, 'mailpipeline', '') AS TEXT)) AS BIGINT)",
        "= ANY(CAST($1 AS BIGINT[]))", "unnest(CAST($1 AS BIGINT[])) AS set_1(value)");

    /// <summary>The statement for a set of ids; or for one id, which is a number and by far the most frequent.</summary>
    public string Translate(string sql, bool set = false) => sql
        .Replace("{id}", Id, StringComparison.Ordinal)
        .Replace("{bytes}", Bytes, StringComparison.Ordinal)
        .Replace("{without_rowid}", WithoutRowId, StringComparison.Ordinal)
        .Replace("{now}", Now, StringComparison.Ordinal)
        .Replace("{key_share}", KeyShare, StringComparison.Ordinal)
        .Replace("{own_commit}", OwnCommit, StringComparison.Ordinal)
        .Replace("{for_update}", ForUpdate, StringComparison.Ordinal)
        .Replace("{in_1}", set ? InSet : "= $1", StringComparison.Ordinal)
        .Replace("{set_1}", set ? Set : "(SELECT CAST($1 AS BIGINT) AS value) AS set_1", StringComparison.Ordinal);

    /// <summary>
    /// One statement of PostgreSQL that does what many of this one do: each of its values is an array, with an element for each row. Of rows
    /// that others change as well (<see cref="Statement.Locks"/>) the first array says for which of the many, and it stands behind what is
    /// returned of the row.
    /// </summary>
    /// <param name="types">Of the arrays' elements.</param>
    public string TranslateForMany(Statement statement, IReadOnlyList<string> types)
    {
        var shared = statement.Locks != SharedRows.None;
        var arrays = string.Join(", ", types.Select((type, i) => $"CAST(${i + 1} AS {type}[])"));
        var names = string.Join(", ", types.Select((_, i) => !shared ? $"p{i + 1}" : i == 0 ? "caller" : $"p{i}"));
        var given = $"unnest({arrays}) AS given ({names})";
        var text = ParameterNumber().Replace(Translate(statement.Sql), "given.p$1");
        if (Values().Match(text) is { Success: true } values)
            return $"{text[..values.Index]}SELECT {values.Groups[1].Value} FROM {given}{text[(values.Index + values.Length)..]}";
        var where = text.IndexOf("WHERE", StringComparison.Ordinal);
        var (joins, returns) = (text.StartsWith("DELETE", StringComparison.Ordinal) ? "USING" : "FROM", "");
        if (shared)
            returns = text.Contains("RETURNING", StringComparison.Ordinal) ? ", given.caller" : " RETURNING given.caller";
        return $"{text[..where]}{joins} {given} {text[where..]}{returns}";
    }

    [GeneratedRegex(@"\$(\d+)")]
    private static partial Regex ParameterNumber();

    // Up to the parenthesis that closes it.
    [GeneratedRegex(@"VALUES \(((?>[^()]+|(?<open>\()|(?<-open>\)))*(?(open)(?!)))\)")]
    private static partial Regex Values();
}

/// <summary>A parameter value: a 64-bit number, text, bytes or a set of ids. There is no null: absent is 0 or empty in every column.</summary>
internal readonly struct SqlValue
{
    private SqlValue(long number, object? reference, int length)
    {
        Number = number;
        Reference = reference;
        Length = length;
    }

    public long Number { get; }

    /// <summary>Null for a number, a string, the ids of a set, ascending, or a byte array of which the first <see cref="Length"/> bytes count.</summary>
    public object? Reference { get; }

    public int Length { get; }

    /// <summary>A set of ids; of one id that number.</summary>
    public static SqlValue FromIds(IEnumerable<long> ids)
    {
        var sorted = ids.ToArray();
        if (sorted is [var one])
            return one;
        Array.Sort(sorted);
        return new(0, sorted, 0);
    }

    public bool IsSet => Reference is long[];

    public static SqlValue FromBytes(byte[] bytes, int length) => new(0, bytes, length);

    public static implicit operator SqlValue(long number) => new(number, null, 0);

    /// <summary>The one way by which text enters storage, in statements that write and in those that ask.</summary>
    /// <exception cref="StorageUnavailableException">It cannot be stored (<see cref="StoredText.Require"/>).</exception>
    public static implicit operator SqlValue(string text) => new(0, StoredText.Require(text), text.Length);

    public static implicit operator SqlValue(DateTimeOffset time) => new(time.ToUnixTimeMilliseconds(), null, 0);
}
