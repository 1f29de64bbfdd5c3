using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>Reads who submitted a message (<see cref="BodyType.Submitter"/>) for those who hand it on to a host that they trust.</summary>
public sealed class SubmitterStore(MailDatabase database)
{
    private static readonly Statement s_find = new("SELECT submitter FROM messages WHERE id = $1");

    /// <summary>Null: nothing was said.</summary>
    public async Task<MailSubmitter?> FindAsync(long messageId, CancellationToken cancellationToken) =>
        await database.QueryAsync(s_find, r => MailSubmitter.Parse(r.GetString(0)), cancellationToken, messageId) is [var submitter] ? submitter : null;
}
