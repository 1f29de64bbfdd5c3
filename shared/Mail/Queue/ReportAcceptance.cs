using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>
/// Accepts a report, as a part of the transaction that takes away what it tells: the report as a message, and beside the message it is
/// about the note that it was made. Where its reader has been sent as many in the last hour as he may be, the note alone: it was dropped.
/// </summary>
/// <param name="about">The message that it is about.</param>
/// <param name="recipients">How many of that it tells of.</param>
internal sealed class ReportAcceptance(MailDatabase database, long about, ReportKind kind, ComposedMessage report, int recipients, int mostAnHour)
{
    // Counted no further than the bound.
    private static readonly Statement s_lately = new(
        "SELECT COUNT(*) FROM (SELECT 1 FROM reports WHERE told = $1 AND made_at > (SELECT {now}) - 3600000 AND is_dropped = 0 LIMIT $2) r");

    private static readonly Statement s_note = new(
        "INSERT INTO reports (id, message_id, told, kind, recipients, made_at, is_dropped) VALUES ($1, $2, $3, $4, $5, {now}, $6)");

    private readonly List<ContentChunk> _chunks = ChunksOf(database, report);

    public static List<ContentChunk> ChunksOf(MailDatabase database, ComposedMessage report) =>
    [
        .. report.Content.Chunk(database.Options.ChunkBytes)
            .Select((bytes, i) => new ContentChunk(ChunkIds.Of(report.Message.MessageId, i), bytes.Length, bytes, 0, 0)),
    ];

    public async ValueTask<ReportEnd> AcceptAsync(IWriteTransaction transaction)
    {
        var message = report.Message;
        var told = MailName.Key(message.Recipients[0]);
        var isDropped = mostAnHour < int.MaxValue
            && (await transaction.QueryAsync(s_lately, r => r.GetInt64(0), told, mostAnHour))[0] >= mostAnHour;
        await transaction.ExecuteAsync(s_note, message.MessageId, about, told, (long)kind, recipients, isDropped ? 1 : 0);
        if (!isDropped)
            await MessageStore.InsertAsync(transaction, message, _chunks);
        return new ReportEnd(isDropped ? null : message, recipients, isDropped);
    }
}
