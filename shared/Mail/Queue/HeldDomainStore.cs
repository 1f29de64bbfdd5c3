using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>
/// Domains whose due mail rules keep back: they are not woken again and again. Nothing of a recipient is written, so that what is let go is as it was; where a rule has
/// ended, its domains are woken. Each of them is noted with the version of the rules under which it was found so: nobody notes one under rules that count no more, and
/// whatever dies, and whoever was late, is found by that.
/// </summary>
public sealed class HeldDomainStore(MailDatabase database)
{
    /// <summary>Nobody looks at such a domain for so long, unless something comes for it or a rule ends.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromMinutes(10);

    public const int Piece = 1000;

    private const string IsCurrent = "EXISTS (SELECT 1 FROM queue_rules_version v WHERE v.version = $3)";

    private static readonly Statement s_defer = new(
        $"UPDATE domain_queues SET due_at = $2, held_version = $3 WHERE domain = $1 AND due_at < $2 AND {IsCurrent}") { Locks = SharedRows.Domains };

    // As it is settled, but for what was passed over: behind that is what nobody has looked at.
    private static readonly Statement s_deferBehind = new(
        $"""
        UPDATE domain_queues SET held_version = $3, due_at = (
            SELECT CASE WHEN n.next_at < $2 THEN n.next_at ELSE $2 END FROM (
                SELECT COALESCE(MIN(r.next_attempt_at), $2) AS next_at FROM recipients r
                WHERE r.domain = $1 AND r.state = 0 AND (r.next_attempt_at, r.id) > ($4, $5)) n)
        WHERE domain = $1 AND {IsCurrent}
        """) { Locks = SharedRows.Domains };

    internal static readonly Statement s_released = new(
        """
        SELECT domain FROM domain_queues
        WHERE held_version > 0 AND held_version < (SELECT released FROM queue_rules_version WHERE id = 1) ORDER BY held_version LIMIT $1
        """);

    private static readonly Statement s_restore = new(
        "UPDATE domain_queues SET due_at = CASE WHEN due_at > $2 THEN $2 ELSE due_at END, held_version = 0 WHERE domain = $1 AND held_version > 0")
    {
        Locks = SharedRows.Domains, IsMerged = true,
    };

    /// <summary>All mail of these is kept back.</summary>
    /// <param name="version">Of the rules that say so.</param>
    /// <param name="until">Nobody looks before then.</param>
    public async Task DeferAsync(IEnumerable<string> domains, long version, DateTimeOffset until)
    {
        foreach (var piece in domains.Chunk(Piece))
        {
            await database.WriteAsync(async transaction =>
            {
                foreach (var deferring in piece.Select(domain => transaction.ExecuteAsync(s_defer, domain, until, version)).ToList())
                    await deferring;
                return true;
            });
        }
    }

    /// <summary>All that is due of the domain up to a place is kept back.</summary>
    /// <inheritdoc cref="DeferAsync"/>
    public Task DeferBehindAsync(string domain, DuePlace passed, long version, DateTimeOffset until) => database.WriteAsync(async transaction =>
    {
        // As when it is settled: whoever makes recipients of the domain comes wholly before or after.
        await QueueStore.LockQueueAsync(transaction, domain);
        return await transaction.ExecuteAsync(s_deferBehind, domain, until, version, passed.NextAttemptAt, passed.RecipientId);
    });

    /// <summary>Domains that were found so under rules of which some have ended since are due; a bounded number of them. Returns how many.</summary>
    public async Task<int> RestoreAsync(CancellationToken cancellationToken)
    {
        var released = await database.QueryAsync(s_released, r => r.GetString(0), cancellationToken, Piece);
        if (released.Count == 0)
            return 0;
        var now = database.Time.GetUtcNow();
        await database.WriteAsync(async transaction =>
        {
            foreach (var restoring in released.ConvertAll(domain => transaction.ExecuteAsync(s_restore, domain, now)))
                await restoring;
            return true;
        });
        return released.Count;
    }
}
