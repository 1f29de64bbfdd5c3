using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>Reads what senders said about time and priority (<see cref="BodyType.Timing"/>) for those who hand it on.</summary>
public sealed class TimingStore(MailDatabase database)
{
    private static readonly Statement s_find = new("SELECT timing FROM messages WHERE id = $1");

    public async Task<MailTiming> FindAsync(long messageId, CancellationToken cancellationToken) =>
        await database.QueryAsync(s_find, r => MailTiming.Parse(r.GetString(0)), cancellationToken, messageId) is [var timing] ? timing : MailTiming.None;
}
