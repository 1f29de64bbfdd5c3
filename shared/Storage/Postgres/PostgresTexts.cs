using System.Collections.Concurrent;

namespace MailPipeline.Storage.Postgres;

/// <summary>Statements as PostgreSQL reads them; each is translated once.</summary>
internal sealed class PostgresTexts
{
    private readonly ConcurrentDictionary<(Statement Statement, bool Set), string> _single = [];
    private readonly ConcurrentDictionary<Statement, string> _merged = [];

    /// <param name="set">Its first value is a set of ids.</param>
    public string Of(Statement statement, bool set) => _single.GetOrAdd(
        (statement, set), static form => SqlDialect.Postgres.Translate(form.Statement.Sql, form.Set));

    /// <summary>The one that does what many of it do.</summary>
    /// <param name="types">Of its columns, always the same.</param>
    public string OfMerged(Statement statement, IReadOnlyList<string> types) => _merged.GetOrAdd(
        statement, static (one, types) => SqlDialect.Postgres.TranslateForMany(one, types), types);
}
