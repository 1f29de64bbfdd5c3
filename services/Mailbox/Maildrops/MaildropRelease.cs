using MailPipeline.Mail;
using MailPipeline.Storage;

namespace MailPipeline.Mailbox.Maildrops;

/// <summary>
/// Frees the maildrops at start where this process is the only one on the data: whoever held them is dead, and its users
/// need not wait for the leases to run out.
/// </summary>
internal sealed class MaildropRelease(MailDatabase database, MaildropStore maildrops) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken) =>
        database.SingleProcess ? maildrops.ReleaseAllAsync() : Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
