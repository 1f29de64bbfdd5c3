namespace MailPipeline.Storage.Postgres;

/// <summary>
/// Statements that meet others at the same rows come last in their round, in the order of their keys. Otherwise two processes that
/// write the same rows, each for callers of its own, would lock each other out.
/// </summary>
internal static class RowOrder
{
    /// <summary>All others keep their order: what a caller sends first may be read by the next.</summary>
    public static IReadOnlyList<T> Of<T>(IReadOnlyList<T> statements, Func<T, Statement> statement, Func<T, SqlValue> key) =>
    [
        .. statements.Where(item => !statement(item).ComesLast),
        .. statements.Where(item => statement(item).ComesLast).OrderBy(item => key(item).Reference as string, StringComparer.Ordinal),
    ];
}
