namespace MailPipeline.Storage.Postgres;

/// <summary>
/// The order in which a transaction comes to rows that others change as well: kind after kind, and within a kind in the order of their
/// keys, whoever of its callers asks for them. Otherwise two processes that write the same rows, each for callers of its own, would lock
/// each other out.
/// </summary>
internal static class RowOrder
{
    private static readonly Dictionary<SharedRows, Statement> s_locks = new()
    {
        [SharedRows.Unrouted] = new("SELECT COUNT(*) FROM (SELECT 1 FROM unrouted WHERE message_id {in_1} ORDER BY message_id FOR UPDATE) locked"),
        [SharedRows.UnroutedDsn] = new("SELECT COUNT(*) FROM (SELECT 1 FROM unrouted_dsn WHERE message_id {in_1} ORDER BY message_id FOR UPDATE) locked"),
        [SharedRows.UnroutedTimed] = new("SELECT COUNT(*) FROM (SELECT 1 FROM unrouted_timed WHERE message_id {in_1} ORDER BY message_id FOR UPDATE) locked"),
        [SharedRows.Claims] = new("SELECT COUNT(*) FROM (SELECT 1 FROM claims WHERE id {in_1} ORDER BY id FOR UPDATE) locked"),
        [SharedRows.Recipients] = new("SELECT COUNT(*) FROM (SELECT 1 FROM recipients WHERE id {in_1} ORDER BY id FOR UPDATE) locked"),
        [SharedRows.Messages] = new("SELECT COUNT(*) FROM (SELECT 1 FROM messages WHERE id {in_1} ORDER BY id FOR UPDATE) locked"),
    };

    /// <summary>
    /// What goes next, and what waits until nobody asks for anything that comes before it. Statements that share no rows go first and keep
    /// their order: what a caller sends first may be read by the next.
    /// </summary>
    public static (List<T> Next, List<T> Later) Split<T>(List<T> waiting, Func<T, Statement> statement, Func<T, SqlValue> key)
    {
        var first = SharedRows.IdBlocks;
        var all = true;
        foreach (var item in waiting)
        {
            var kind = statement(item).Locks;
            all &= kind == SharedRows.None;
            if (kind < first)
                first = kind;
        }
        if (all)
            return (waiting, []);
        var later = waiting.FindAll(item => statement(item).Locks != first);
        var next = later.Count == 0 ? waiting : waiting.FindAll(item => statement(item).Locks == first);
        return (first == SharedRows.None ? next : [.. next.OrderBy(key, s_byKey)], later);
    }

    /// <summary>The rows of all statements in order, where a statement that names many would come to them in an order of its own; else null.</summary>
    /// <param name="evenIfSingle">Statements that name one row each are sent as one.</param>
    public static (Statement Statement, SqlValue Ids)? LockFor<T>(
        List<T> next, Func<T, Statement> statement, Func<T, SqlValue> key, bool evenIfSingle = false)
    {
        if (!s_locks.TryGetValue(statement(next[0]).Locks, out var locking) || !(evenIfSingle || next.Exists(item => key(item).IsSet)))
            return null;
        return (locking, SqlValue.FromIds(next.SelectMany(item => key(item).Reference as long[] ?? [key(item).Number])));
    }

    private static readonly Comparer<SqlValue> s_byKey = Comparer<SqlValue>.Create((one, other) =>
        (one.Reference, other.Reference) switch
        {
            (string name, string otherName) => string.CompareOrdinal(name, otherName),
            _ => First(one).CompareTo(First(other)),
        });

    private static long First(SqlValue key) => key.Reference is long[] ids ? ids is [var first, ..] ? first : 0 : key.Number;
}
