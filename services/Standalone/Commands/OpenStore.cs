using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;

namespace MailPipeline.Standalone.Commands;

/// <summary>The store as a command sees it: opened beside the running server, which notices changes within a second.</summary>
internal sealed class OpenStore : IAsyncDisposable
{
    private readonly ServiceProvider _services;

    private OpenStore(ServiceProvider services) => _services = services;

    public MailDirectory Directory => _services.GetRequiredService<MailDirectory>();

    public MessageHistory History => _services.GetRequiredService<MessageHistory>();

    public OperatorStore Operator => _services.GetRequiredService<OperatorStore>();

    /// <exception cref="StartupException">It cannot be opened.</exception>
    public static async Task<OpenStore> OpenAsync(Arguments arguments, CancellationToken cancellation)
    {
        var folder = DataFolder.Ensure(arguments.DataFolder);
        var configuration = StandaloneHost.CreateBuilder(arguments, folder).Configuration;
        ServiceProvider? services = null;
        try
        {
            services = new ServiceCollection().AddLogging().AddMetrics()
                .AddMailStorage(configuration.ReadStorageOptions())
                .BuildServiceProvider();
            await services.GetRequiredService<MailDatabase>().OpenAsync(cancellation);
            return new OpenStore(services);
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            if (services is not null)
                await services.DisposeAsync();
            if (StartupFailure.Explain(failure, configuration) is not { } explained)
                throw;
            throw new StartupException(explained, failure);
        }
    }

    public ValueTask DisposeAsync() => _services.DisposeAsync();
}
