using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>
/// Writes events beside the outcome that they tell of, in its transaction: so each outcome that is recorded is told of, and none that is not. One row for each
/// receiver, which is his until he has taken it. Where nobody is to be told there is no statement at all.
/// </summary>
internal static class EventOutbox
{
    // The same outcome recorded again changes nothing.
    private static readonly Statement s_insert = new(
        """
        INSERT INTO event_outbox (recipient_id, number, receiver, kind, details, written_at, at, next_at, status, reply, host, reply_class)
        VALUES ($1, $2, $3, $4, $5, {now}, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING
        """) { IsMerged = true };

    /// <param name="subscriptions">Null: nobody is told of anything.</param>
    public static bool IsWanted(EventSubscriptions? subscriptions, EventKind kind) => subscriptions is not null && subscriptions.Of(kind).Length > 0;

    public static void Write(IWriteTransaction transaction, EventSubscriptions? subscriptions, in OutcomeEvent happened)
    {
        if (subscriptions is null)
            return;
        var result = happened.Result;
        foreach (var receiver in subscriptions.Of(happened.Kind))
        {
            transaction.ExecuteLast(
                s_insert, result.RecipientId, happened.Number, receiver, (long)happened.Kind, (long)happened.Details, result.FinishedAt,
                happened.NextAttemptAt?.ToUnixTimeMilliseconds() ?? 0, StoredText.Note(result.Status), StoredText.Note(result.Reply),
                StoredText.Note(result.RemoteHost), (long)result.Class);
        }
    }
}
