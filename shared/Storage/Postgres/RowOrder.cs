namespace MailPipeline.Storage.Postgres;

/// <summary>
/// The same statement for several rows touches them in the order of their keys, whoever asked for it first. Otherwise two processes
/// that write the same rows, each for callers of its own, would lock each other out.
/// </summary>
internal static class RowOrder
{
    /// <summary>Different statements keep their places; so do those for the same row, among themselves.</summary>
    public static IReadOnlyList<T> Of<T>(IReadOnlyList<T> statements, Func<T, Statement> statement, Func<T, SqlValue> key)
    {
        if (statements.Count < 2)
            return statements;
        var ordered = new T[statements.Count];
        foreach (var same in Enumerable.Range(0, statements.Count).GroupBy(place => statement(statements[place])))
        {
            var places = same.ToArray();
            var byKey = places.Select(place => statements[place])
                .OrderBy(item => key(item).Number).ThenBy(item => key(item).Reference as string, StringComparer.Ordinal);
            var next = 0;
            foreach (var item in byKey)
                ordered[places[next++]] = item;
        }
        return ordered;
    }
}
