using System.Data.Common;

namespace MailPipeline.Testing;

/// <summary>Counts over a whole store, read past the program: it takes as long as reading all of it does.</summary>
/// <param name="Unreported">Recipients that have ended and of whom their senders have not been told yet.</param>
/// <param name="Uncertain">Attempts that may have delivered a copy nobody recorded, as far as the history reaches.</param>
public sealed record StoreCounts(
    long Messages, long Unrouted, long Queued, long Claims, long Uncertain, long ChunksWithoutOwner, long Held, long Unreported)
{
    private const string Sql =
        """
        SELECT (SELECT COUNT(*) FROM messages), (SELECT COUNT(*) FROM unrouted) + (SELECT COUNT(*) FROM unrouted_dsn)
                   + (SELECT COUNT(*) FROM unrouted_timed),
               (SELECT COUNT(*) FROM recipients WHERE state = 0), (SELECT COUNT(*) FROM claims),
               (SELECT COUNT(*) FROM attempts WHERE outcome = 4),
               (SELECT COUNT(*) FROM chunks c WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = (c.id >> 16) AND m.content_refs > 0)),
               (SELECT COUNT(*) FROM recipients WHERE state = 5),
               (SELECT COUNT(*) FROM unreported) + (SELECT COUNT(*) FROM recipients WHERE (notify & 16) <> 0 AND state <> 0 AND state <> 5)
        """;

    /// <param name="connection">To the store; it is opened here, and the caller's to dispose of.</param>
    public static async Task<StoreCounts> ReadAsync(DbConnection connection, CancellationToken cancellation = default)
    {
        await connection.OpenAsync(cancellation);
        await using var command = connection.CreateCommand();
        command.CommandText = Sql;
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        var counts = Enumerable.Range(0, reader.FieldCount).Select(reader.GetInt64).ToArray();
        return new(counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], counts[6], counts[7]);
    }
}
