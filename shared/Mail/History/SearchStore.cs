using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What a message is looked for by: all that is said of it has to fit. Nothing said finds all that can be found, the latest first.</summary>
/// <param name="Sender">Address without brackets, empty for the null sender; null: any.</param>
/// <param name="Recipient">Where it goes, or what its sender wrote; null: any.</param>
/// <param name="HeaderId">Its field Message-ID, without brackets; null: any.</param>
public sealed record MessageSearch(string? Sender, string? Recipient, string? HeaderId);

/// <summary>A message that was looked for.</summary>
/// <param name="Recipients">How many there are of each state, in the order of the states; none before it is routed.</param>
public sealed record MessageSummary(
    long MessageId, DateTimeOffset AcceptedAt, string Sender, string HeaderId, long SizeBytes, IReadOnlyList<KeyValuePair<RecipientState, int>> Recipients);

/// <summary>A page of those that were looked for, the latest first.</summary>
/// <param name="Next">The next page has those before this id; null: there is none.</param>
public sealed record MessagePage(IReadOnlyList<MessageSummary> Messages, long? Next);

/// <summary>
/// Finds messages by whom they are from, whom they are to, and their Message-ID. They can be found from when they are routed, by which time their senders have
/// long had their 250, until they are forgotten.
/// </summary>
public sealed class SearchStore(MailDatabase database)
{
    // The rarest of several is not known: the first is read backwards, and the others are looked up. What says nothing is given as the first.
    internal static readonly Statement s_find = new(
        """
        SELECT a.message_id FROM search_terms a
        WHERE a.term = $1 AND a.message_id < $4
            AND ($2 = $1 OR EXISTS (SELECT 1 FROM search_terms b WHERE b.term = $2 AND b.message_id = a.message_id))
            AND ($3 = $1 OR EXISTS (SELECT 1 FROM search_terms c WHERE c.term = $3 AND c.message_id = a.message_id))
        ORDER BY a.message_id DESC LIMIT $5
        """);

    internal static readonly Statement s_latest = new("SELECT id FROM messages WHERE id < $1 AND size_bytes >= 0 ORDER BY id DESC LIMIT $2");

    private static readonly Statement s_summaries = new(
        "SELECT id, accepted_at, sender, header_id, size_bytes FROM messages WHERE id {in_1} AND size_bytes >= 0 ORDER BY id DESC");

    private static readonly Statement s_states = new(
        """
        SELECT set_1.value, r.state, COUNT(*) FROM {set_1} CROSS JOIN recipients r
        WHERE r.id BETWEEN (set_1.value << 16) AND (set_1.value << 16) + 65535 GROUP BY set_1.value, r.state ORDER BY set_1.value, r.state
        """);

    /// <summary>Ids that are looked up at once, at least.</summary>
    private const int Piece = 100;

    /// <summary>Pieces of a page.</summary>
    private const int MostPieces = 50;

    /// <param name="before">Only messages with lower ids: what a page before said to go on with. Null: from the latest.</param>
    public async Task<MessagePage> FindAsync(MessageSearch search, long? before, int limit, CancellationToken cancellationToken)
    {
        // Of a Message-ID there is as a rule one, of a recipient fewer than of a sender.
        var terms = new List<long>(3);
        if (search.HeaderId is { } headerId)
            terms.Add(SearchTerm.OfHeaderId(headerId));
        if (search.Recipient is { } recipient)
            terms.Add(SearchTerm.OfRecipient(recipient));
        if (search.Sender is { } sender)
            terms.Add(SearchTerm.OfSender(sender));
        var messages = new List<MessageSummary>();
        var next = before;
        // A program that knows nothing of terms leaves them when it forgets a message: what is found may be gone, and those behind it are not.
        for (var pieces = 1; ; pieces++)
        {
            var ids = await FindAsync(terms, next ?? long.MaxValue, Math.Max(limit - messages.Count, Piece) + 1, cancellationToken);
            var hasMore = ids.Count > Math.Max(limit - messages.Count, Piece);
            if (hasMore)
                ids.RemoveAt(ids.Count - 1);
            var found = ids.Count == 0 ? [] : await SummarizeAsync(ids, cancellationToken);
            var room = limit - messages.Count;
            messages.AddRange(found.Take(room));
            if (found.Count > room)
                return new(messages, messages[^1].MessageId);
            if (!hasMore)
                return new(messages, null);
            next = ids[^1];
            if (messages.Count == limit || pieces == MostPieces)
                return new(messages, next);
        }
    }

    private Task<List<long>> FindAsync(List<long> terms, long before, int limit, CancellationToken cancellationToken) => terms.Count == 0
        ? database.QueryAsync(s_latest, r => r.GetInt64(0), cancellationToken, before, limit)
        : database.QueryAsync(
            s_find, r => r.GetInt64(0), cancellationToken, terms[0], terms[terms.Count > 1 ? 1 : 0], terms[terms.Count > 2 ? 2 : 0], before, limit);

    /// <summary>Of those that are there.</summary>
    private async Task<List<MessageSummary>> SummarizeAsync(List<long> messageIds, CancellationToken cancellationToken)
    {
        var ids = SqlValue.FromIds(messageIds);
        var states = (await database.QueryAsync(
            s_states, r => (Id: r.GetInt64(0), State: (RecipientState)r.GetInt32(1), Count: r.GetInt32(2)), cancellationToken, ids))
            .ToLookup(row => row.Id, row => KeyValuePair.Create(row.State, row.Count));
        return await database.QueryAsync(
            s_summaries,
            r => new MessageSummary(r.GetInt64(0), StoredTime.Read(r, 1), r.GetString(2), r.GetString(3), r.GetInt64(4), [.. states[r.GetInt64(0)]]),
            cancellationToken, ids);
    }
}
