namespace MailPipeline.Storage;

/// <summary>
/// One parameterised SQL statement for both engines, prepared once per connection. Parameters are written $1, $2, ...;
/// the few words that differ between the engines are written in braces (see <see cref="SqlDialect"/>).
/// </summary>
internal sealed class Statement(string sql)
{
    public string Sql { get; } = sql;

    /// <summary>
    /// Sent when all others that wait at the same time have been, in the order of its first value, a text. Only for what is right
    /// behind any of them.
    /// </summary>
    public bool ComesLast { get; init; }

    public override string ToString() => Sql;
}

/// <summary>The words of SQL that differ between the engines.</summary>
internal sealed record SqlDialect(string Id, string Bytes, string WithoutRowId, string Now, string KeyShare, string OwnCommit, string NumbersIn1)
{
    /// <summary>
    /// Times are milliseconds since 1970 UTC; {now} is the store's own clock, read anew by each statement. {key_share} keeps the
    /// rows read from being deleted before the transaction ends; SQLite has one writer, and nobody to keep off. {own_commit} is a value
    /// that makes a transaction one with a commit to wait for, though it changes nothing; SQLite's has none, its one process has the
    /// writer. {numbers_in_1} are the rows of numbers that $1 names, separated by commas.
    /// </summary>
    public static readonly SqlDialect Sqlite = new(
        "INTEGER PRIMARY KEY", "BLOB", "WITHOUT ROWID", "CAST(unixepoch('subsec') * 1000 AS INTEGER)", "", "0",
        "(SELECT value FROM json_each('[' || $1 || ']'))");

    public static readonly SqlDialect Postgres = new(
        "BIGINT PRIMARY KEY", "BYTEA", "", "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)", "FOR KEY SHARE",
        // A transaction that has written nothing to the log is not waited for, even with an id of its own.
        "CAST(length(CAST(pg_logical_emit_message(true, 'mailpipeline', '') AS TEXT)) AS BIGINT)",
        "(SELECT unnest(CAST(string_to_array($1, ',') AS BIGINT[])))");

    public string Translate(string sql) => sql
        .Replace("{id}", Id, StringComparison.Ordinal)
        .Replace("{bytes}", Bytes, StringComparison.Ordinal)
        .Replace("{without_rowid}", WithoutRowId, StringComparison.Ordinal)
        .Replace("{now}", Now, StringComparison.Ordinal)
        .Replace("{key_share}", KeyShare, StringComparison.Ordinal)
        .Replace("{own_commit}", OwnCommit, StringComparison.Ordinal)
        .Replace("{numbers_in_1}", NumbersIn1, StringComparison.Ordinal);
}

/// <summary>A parameter value: a 64-bit number, text or bytes. There is no null: absent is 0 or empty in every column.</summary>
internal readonly struct SqlValue
{
    private SqlValue(long number, object? reference, int length)
    {
        Number = number;
        Reference = reference;
        Length = length;
    }

    public long Number { get; }

    /// <summary>Null for a number, a string, or a byte array of which the first <see cref="Length"/> bytes count.</summary>
    public object? Reference { get; }

    public int Length { get; }

    public static SqlValue FromBytes(byte[] bytes, int length) => new(0, bytes, length);

    public static implicit operator SqlValue(long number) => new(number, null, 0);

    public static implicit operator SqlValue(string text) => new(0, text, text.Length);

    public static implicit operator SqlValue(DateTimeOffset time) => new(time.ToUnixTimeMilliseconds(), null, 0);
}
