using MailPipeline.Storage;
using Microsoft.Extensions.Hosting;

namespace MailPipeline.Mail;

/// <summary>Opens storage before any other hosted service starts. It is closed after all of them have stopped, with the container.</summary>
internal sealed class StorageLifetime(MailDatabase database) : IHostedLifecycleService
{
    public Task StartingAsync(CancellationToken cancellationToken) => database.OpenForStartAsync(cancellationToken);

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken)
    {
        database.CountFromZero();
        return Task.CompletedTask;
    }

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
