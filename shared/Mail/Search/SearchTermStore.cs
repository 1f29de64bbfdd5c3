using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>Under which terms messages stand, from when they are routed until they are forgotten.</summary>
internal static class SearchTermStore
{
    private static readonly Statement s_insert = new("INSERT INTO search_terms (term, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING") { IsMerged = true };

    private static readonly Statement s_forget = new("DELETE FROM search_terms WHERE term = $1 AND message_id = $2") { IsMerged = true };

    public static void Insert(IWriteTransaction transaction, long messageId, IEnumerable<long> terms)
    {
        foreach (var term in terms)
            transaction.ExecuteLast(s_insert, term, messageId);
    }

    /// <summary>Takes the message away, which is not there any more, from the terms that it stands under.</summary>
    public static void Forget(IWriteTransaction transaction, long messageId, IEnumerable<long> terms)
    {
        foreach (var term in terms)
            transaction.ExecuteLast(s_forget, term, messageId);
    }
}
