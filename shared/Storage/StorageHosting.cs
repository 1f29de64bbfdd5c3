using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace MailPipeline.Storage;

public static class StorageHosting
{
    /// <summary>
    /// Registers the engine that the options name. It is opened before any other hosted service starts, and closed after all of
    /// them have stopped.
    /// </summary>
    /// <exception cref="OptionsValidationException">A setting is out of its range.</exception>
    public static IServiceCollection AddStorageEngine(this IServiceCollection services, StorageOptions options)
    {
        var checkedOptions = new StorageOptionsValidator().Validate(StorageOptions.SectionName, options);
        if (checkedOptions.Failed)
            throw new OptionsValidationException(StorageOptions.SectionName, typeof(StorageOptions), checkedOptions.Failures);
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(options);
        services.AddSingleton<MailDatabase>();
        services.AddHostedService<StorageLifetime>();
        return services;
    }

    private sealed class StorageLifetime(MailDatabase database) : IHostedLifecycleService
    {
        public Task StartingAsync(CancellationToken cancellationToken) => database.OpenAsync(cancellationToken);

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
}
