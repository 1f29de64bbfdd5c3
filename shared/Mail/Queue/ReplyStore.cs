using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What far ends said last, for rules that ask for it.</summary>
public sealed class ReplyStore(MailDatabase database)
{
    private static readonly Statement s_last = new(
        """
        SELECT a.recipient_id, a.reply FROM attempts a
        WHERE a.recipient_id {in_1} AND a.number = (SELECT MAX(n.number) FROM attempts n WHERE n.recipient_id = a.recipient_id)
        """);

    /// <summary>What was last replied to each of these that was tried.</summary>
    public async Task<IReadOnlyDictionary<long, string>> FindLastAsync(IReadOnlyCollection<long> recipientIds, CancellationToken cancellationToken) =>
        recipientIds.Count == 0 ? new Dictionary<long, string>()
            : (await database.QueryAsync(s_last, r => (Id: r.GetInt64(0), Reply: r.GetString(1)), cancellationToken, SqlValue.FromIds(recipientIds)))
                .ToDictionary(row => row.Id, row => row.Reply);
}
