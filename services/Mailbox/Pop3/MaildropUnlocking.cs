using MailPipeline.Mail;
using MailPipeline.Storage;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>
/// Unlocks all maildrops at start where this process is the only one on the data: the sessions that had locked them are dead, and
/// users need not wait for their leases to run out.
/// </summary>
internal sealed class MaildropUnlocking(MailDatabase database, MaildropStore maildrops) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken) =>
        database.SingleProcess ? maildrops.UnlockAllAsync() : Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
