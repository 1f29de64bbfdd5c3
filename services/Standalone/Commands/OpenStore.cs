using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;

namespace MailPipeline.Standalone.Commands;

/// <summary>The store as a command sees it: opened beside the running server, which notices changes within a second.</summary>
internal sealed class OpenStore : IAsyncDisposable
{
    private readonly ServiceProvider _services;

    private OpenStore(ServiceProvider services) => _services = services;

    public MailDirectory Directory => _services.GetRequiredService<MailDirectory>();

    public AddressResolver Addresses => _services.GetRequiredService<AddressResolver>();

    public MessageHistory History => _services.GetRequiredService<MessageHistory>();

    public QueueStore Queue => _services.GetRequiredService<QueueStore>();

    public OperatorStore Operator => _services.GetRequiredService<OperatorStore>();

    /// <summary>Opens a store that is there: who mistypes the folder hears of it, and no new one is made.</summary>
    /// <exception cref="StartupException">There is none, it cannot be opened, or a setting is wrong.</exception>
    public static Task<OpenStore> OpenAsync(Arguments arguments, CancellationToken cancellation) =>
        OpenAsync(arguments, makes: false, cancellation);

    /// <summary>Opens the store, and makes folder and database where there are none.</summary>
    /// <exception cref="StartupException">It cannot be opened, or a setting is wrong.</exception>
    public static Task<OpenStore> OpenOrMakeAsync(Arguments arguments, CancellationToken cancellation) =>
        OpenAsync(arguments, makes: true, cancellation);

    private static async Task<OpenStore> OpenAsync(Arguments arguments, bool makes, CancellationToken cancellation)
    {
        var folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(arguments.DataFolder));
        var configuration = StandaloneHost.CreateBuilder(arguments, folder).Configuration;
        ServiceProvider? services = null;
        try
        {
            StandaloneHost.CheckSettings(configuration);
            var options = configuration.ReadStorageOptions();
            services = new ServiceCollection().AddLogging().AddMetrics().AddMailStorage(options).BuildServiceProvider();
            if (MailDatabase.FileOf(options) is { } file)
                CheckFile(arguments, folder, file, makes);
            await services.GetRequiredService<MailDatabase>().OpenForStartAsync(cancellation);
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

    private static void CheckFile(Arguments arguments, string folder, string file, bool makes)
    {
        // The default: the others are the operator's, who named them.
        var isInFolder = Path.GetDirectoryName(file) == folder;
        if (isInFolder && (makes || System.IO.Directory.Exists(folder)))
            DataFolder.Ensure(arguments.DataFolder);
        if (!makes && !File.Exists(file))
        {
            throw new StartupException(
                $"{(isInFolder ? $"--data is '{arguments.DataFolder}'" : "ConnectionStrings:maildb names a file")}, but there is no database {file}; the server makes it when it starts, and so does 'domain add'");
        }
    }

    public ValueTask DisposeAsync() => _services.DisposeAsync();
}
