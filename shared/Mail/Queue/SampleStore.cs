using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>
/// What waits as it was counted last, for those who ask while there is too much to count for each of them. Each kind of groups is written whole, in one
/// transaction, and bounded.
/// </summary>
public sealed class SampleStore(MailDatabase database)
{
    /// <summary>Up to so many are counted for each question, and no sample is kept of them.</summary>
    public const int Few = 50_000;

    internal static readonly Statement s_few = new(
        """
        SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM recipients WHERE state = 0 LIMIT $1) q)
               + (SELECT COUNT(*) FROM (SELECT 1 FROM recipients WHERE state = 5 LIMIT $1) h)
        """);

    private static readonly Statement s_setCounted = new(
        """
        INSERT INTO queue_counted (kind, counted_at, waiting, being_tried, group_count) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (kind) DO UPDATE SET counted_at = excluded.counted_at, waiting = excluded.waiting, being_tried = excluded.being_tried,
            group_count = excluded.group_count
        """);

    private static readonly Statement s_forgetCounted = new("DELETE FROM queue_counted WHERE kind = $1");
    private static readonly Statement s_forgetGroups = new("DELETE FROM queue_counts WHERE kind = $1");

    private static readonly Statement s_insertGroup = new(
        """
        INSERT INTO queue_counts (kind, group_key, waiting, being_tried, due, next_at, reason, oldest, example)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """) { IsMerged = true };

    private static readonly Statement s_counted = new("SELECT counted_at, waiting, being_tried, group_count FROM queue_counted WHERE kind = $1");

    internal static readonly Statement s_groups = new(
        """
        SELECT group_key, waiting, being_tried, due, next_at, reason, oldest, example FROM queue_counts
        WHERE kind = $1 ORDER BY waiting DESC, group_key LIMIT $2
        """);

    /// <summary>No more waits than is counted for each question.</summary>
    public async Task<bool> IsLittleAsync(CancellationToken cancellationToken) =>
        (await database.QueryAsync(s_few, r => r.GetInt64(0), cancellationToken, Few + 1))[0] <= Few;

    /// <summary>Takes the place of what was kept of these kinds.</summary>
    public Task SaveAsync(IReadOnlyList<WaitingGroups> kinds) => database.WriteAsync(async transaction =>
    {
        foreach (var groups in kinds.OrderBy(groups => groups.By))
        {
            var kind = (long)groups.By;
            // Whoever writes the same kind waits here for the end of this transaction.
            await transaction.ExecuteAsync(s_setCounted, kind, groups.CountedAt, groups.Waiting, groups.BeingTried, groups.GroupCount);
            await transaction.ExecuteAsync(s_forgetGroups, kind);
            foreach (var group in groups.Groups)
            {
                transaction.ExecuteLast(
                    s_insertGroup, kind, group.Key, group.Waiting, group.BeingTried, group.Due, group.NextAt?.ToUnixTimeMilliseconds() ?? 0,
                    (long)(group.Kind ?? 0), group.Oldest, group.Example);
            }
        }
        return true;
    });

    /// <summary>Nobody needs them any more; nothing is written where there are none.</summary>
    public async Task ForgetAsync(IReadOnlyList<WaitingBy> kinds, CancellationToken cancellationToken)
    {
        foreach (var kind in kinds)
        {
            if ((await database.QueryAsync(s_counted, r => r.GetInt64(1), cancellationToken, (long)kind)).Count == 0)
                continue;
            await database.WriteAsync(async transaction =>
            {
                await transaction.ExecuteAsync(s_forgetCounted, (long)kind);
                return await transaction.ExecuteAsync(s_forgetGroups, (long)kind);
            });
        }
    }

    /// <summary>Null: nothing is kept.</summary>
    /// <param name="most">So many groups.</param>
    public async Task<WaitingGroups?> FindAsync(WaitingBy by, int most, CancellationToken cancellationToken)
    {
        // First the groups: a sample that takes their place meanwhile is of about the same.
        var groups = await database.QueryAsync(
            s_groups,
            r => new WaitingGroup(
                r.GetString(0), r.GetInt64(1), r.GetInt64(2), r.GetInt64(3), r.GetInt64(4) == 0 ? null : StoredTime.Read(r, 4),
                r.GetInt64(5) == 0 ? null : (WaitKind)r.GetInt32(5), r.GetInt64(6), r.GetInt64(7)),
            cancellationToken, (long)by, most);
        var counted = await database.QueryAsync(
            s_counted, r => new WaitingGroups(by, StoredTime.Read(r, 0), r.GetInt64(1), r.GetInt64(2), r.GetInt64(3), groups), cancellationToken, (long)by);
        return counted.FirstOrDefault();
    }
}
