using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What is handed on about reports with a message, to a host that offers DSN.</summary>
/// <param name="Recipients">By the recipient's id.</param>
public sealed record MessageDsn(MailDsn Mail, IReadOnlyDictionary<long, RcptDsn> Recipients);

/// <summary>Reads what senders said about reports (<see cref="BodyType.Dsn"/>) for those who hand it on.</summary>
public sealed class DsnStore(MailDatabase database)
{
    private static readonly Statement s_find = new(
        """
        SELECT r.id, r.notify, r.orcpt, r.original, m.dsn FROM recipients r JOIN messages m ON m.id = (r.id >> 16) WHERE r.id {in_1}
        """);

    /// <param name="recipientIds">Of one message.</param>
    public async Task<MessageDsn> FindAsync(IEnumerable<long> recipientIds, CancellationToken cancellationToken)
    {
        var mail = MailDsn.None;
        var recipients = new Dictionary<long, RcptDsn>();
        foreach (var (id, dsn, ofMail) in await database.QueryAsync(
            s_find, r => (r.GetInt64(0), Of(r.GetInt64(1), r.GetString(2), r.GetString(3)), r.GetString(4)), cancellationToken,
            SqlValue.FromIds(recipientIds)))
        {
            mail = MailDsn.Parse(ofMail);
            recipients.Add(id, dsn);
        }
        return new MessageDsn(mail, recipients);
    }

    // RFC 3461 §4.2: reports name what the sender wrote, though an alias led on.
    private static RcptDsn Of(long notify, string originalRecipient, string original) => new(
        RecipientNotify.Asked(notify),
        originalRecipient.Length > 0 || original.Length == 0 || !original.Contains('@', StringComparison.Ordinal)
            ? originalRecipient : RcptDsn.OriginalRecipientOf(original));
}
