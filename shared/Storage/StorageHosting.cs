using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace MailPipeline.Storage;

public static class StorageHosting
{
    /// <summary>
    /// Registers the store and its views. It is opened before any other hosted service starts, and closed after all of
    /// them have stopped.
    /// </summary>
    public static IServiceCollection AddMailStorage(this IServiceCollection services, StorageOptions options)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(options);
        services.AddSingleton<MailDatabase>();
        services.AddSingleton<MessageStore>();
        services.AddSingleton<QueueStore>();
        services.AddSingleton<ClaimStore>();
        services.AddSingleton<OutcomeStore>();
        services.AddSingleton<MaildropStore>();
        services.AddSingleton<MailDirectory>();
        services.AddSingleton<CredentialVerifier>();
        services.AddSingleton<MessageHistory>();
        services.AddHostedService<StorageLifetime>();
        return services;
    }

    private sealed class StorageLifetime(MailDatabase database) : IHostedLifecycleService
    {
        public Task StartingAsync(CancellationToken cancellationToken) => database.OpenAsync(cancellationToken);

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
