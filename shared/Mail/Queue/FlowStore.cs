using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>
/// Reads a few recipients of each flow of a domain, however long the queue of one of them is: what a queue in order of time would come to
/// last. Reads nothing of a flow but those few, and of the flows between them nothing at all.
/// </summary>
public sealed class FlowStore(MailDatabase database)
{
    /// <summary>Flows that are looked at by one reading; the next one goes on behind them.</summary>
    public const int MostFlows = 500;

    /// <summary>Most recipients of one flow, where there are few flows.</summary>
    private const int MostOfOne = 64;

    /// <summary>Where more flows wait than these, a reading takes one recipient of each.</summary>
    private const int FewFlows = 100;

    private const string NextFlow = "(SELECT r.flow FROM recipients r WHERE r.domain = $1 AND r.state = 0 AND r.flow {0} ORDER BY r.flow LIMIT 1)";

    // The first one due of each flow, from one flow to the next along the index. Of one flow: compared whole, so that no other index will do.
    internal static readonly Statement s_heads = new(
        $"""
        WITH RECURSIVE f(flow, n) AS (
            SELECT {Of(NextFlow, ">= $5")}, 1
            UNION ALL
            SELECT {Of(NextFlow, "> f.flow")}, n + 1 FROM f WHERE f.flow IS NOT NULL AND n < $6)
        SELECT f.flow, COALESCE((
            SELECT r.id FROM recipients r
            WHERE r.domain = $1 AND r.state = 0 AND r.claim = 0
                AND (r.flow, r.next_attempt_at, r.id) > (f.flow, $3, $4) AND (r.flow, r.next_attempt_at) <= (f.flow, $2)
            ORDER BY r.flow, r.next_attempt_at, r.id LIMIT 1), 0)
        FROM f WHERE f.flow IS NOT NULL
        """);

    // Those behind each of them, one at a time: n counts them.
    internal static readonly Statement s_following = new(
        """
        WITH RECURSIVE w(flow, id, n) AS (
            SELECT r.flow, r.id, 1 FROM recipients r WHERE r.id {in_1}
            UNION ALL
            SELECT w.flow, (
                SELECT r.id FROM recipients r
                WHERE r.domain = $2 AND r.state = 0 AND r.claim = 0
                    AND (r.flow, r.next_attempt_at, r.id) > (w.flow, t.next_attempt_at, t.id)
                    AND (r.flow, r.next_attempt_at) <= (w.flow, $3)
                ORDER BY r.flow, r.next_attempt_at, r.id LIMIT 1), n + 1
            FROM w JOIN recipients t ON t.id = w.id WHERE n < $4)
        SELECT id FROM w WHERE id IS NOT NULL ORDER BY n
        """);

    internal static readonly Statement s_ofFlow = new(
        $"""
        SELECT {QueueStore.Columns}
        WHERE r.domain = $1 AND r.state = 0 AND r.claim = 0
            AND (r.flow, r.next_attempt_at, r.id) > ($2, $3, $4) AND (r.flow, r.next_attempt_at) <= ($2, $5)
        ORDER BY r.flow, r.next_attempt_at, r.id LIMIT $6
        """);

    internal static readonly Statement s_rows = new(
        $"SELECT {QueueStore.Columns} WHERE r.id {{in_1}} AND r.state + 0 = 0 AND r.claim = 0 ORDER BY r.next_attempt_at, r.id");

    /// <summary>
    /// Unclaimed recipients of the domain that are due behind the given place: of each flow as many as there is room for, those due for longest.
    /// </summary>
    /// <param name="fromFlow">Flows are read in the order of their names, from this one on; empty: from the first.</param>
    /// <param name="alone">Where this is the only flow that has any, nothing is read: its turn comes anyhow.</param>
    /// <returns>Those, longest due first, the flow to go on from, and how many were looked for of each.</returns>
    public async Task<(IReadOnlyList<Recipient> Recipients, string NextFlow, int OfEach)> ListDueAsync(
        string domain, DateTimeOffset dueBefore, DuePlace after, string fromFlow, int most, string? alone, CancellationToken cancellationToken)
    {
        var flows = await database.QueryAsync(
            s_heads, r => (Flow: r.GetString(0), Head: r.GetInt64(1)), cancellationToken, domain, dueBefore, after.NextAttemptAt, after.RecipientId, fromFlow,
            MostFlows);
        var next = flows.Count == MostFlows ? flows[^1].Flow : "";
        var heads = flows.Where(flow => flow.Head != 0).ToList();
        if (heads.Count == 0 || most == 0 || (heads is [var one] && one.Flow == alone))
            return ([], next, 1);
        if (heads.Count > most)
        {
            // Those for whom there is no room are the first ones of the next reading.
            next = heads[most].Flow;
            heads.RemoveRange(most, heads.Count - most);
        }
        var ids = heads.ConvertAll(flow => flow.Head);
        var ofEach = heads.Count > FewFlows ? 1 : Math.Clamp(most / heads.Count, 1, MostOfOne);
        if (ofEach > 1)
            ids = await database.QueryAsync(s_following, r => r.GetInt64(0), cancellationToken, SqlValue.FromIds(ids), domain, dueBefore, ofEach);
        return (await database.QueryAsync(s_rows, QueueStore.ReadQueued, cancellationToken, SqlValue.FromIds(ids)), next, ofEach);
    }

    /// <summary>The same of one flow, in the order in which it is due.</summary>
    public async Task<IReadOnlyList<Recipient>> ListDueOfAsync(
        string domain, string flow, DateTimeOffset dueBefore, DuePlace after, int most, CancellationToken cancellationToken) =>
        await database.QueryAsync(s_ofFlow, QueueStore.ReadQueued, cancellationToken, domain, flow, after.NextAttemptAt, after.RecipientId, dueBefore, most);

    private static string Of(string sql, string condition) => sql.Replace("{0}", condition, StringComparison.Ordinal);
}
