using MailPipeline.Administration;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Commands;

/// <summary>The store as a command sees it: opened beside the running servers, which notice changes within a second.</summary>
internal sealed class OpenStore : IAsyncDisposable
{
    private readonly ServiceProvider _services;

    private OpenStore(ServiceProvider services) => _services = services;

    public Domains Domains => _services.GetRequiredService<Domains>();

    public Accounts Accounts => _services.GetRequiredService<Accounts>();

    public Aliases Aliases => _services.GetRequiredService<Aliases>();

    public Messages Messages => _services.GetRequiredService<Messages>();

    public AuditTrail Audit => _services.GetRequiredService<AuditTrail>();

    public AuditLog AuditLog => _services.GetRequiredService<AuditLog>();

    public Rules Rules => _services.GetRequiredService<Rules>();

    public Bans Bans => _services.GetRequiredService<Bans>();

    public ApiTokens Tokens => _services.GetRequiredService<ApiTokens>();

    public Suppressions Suppressions => _services.GetRequiredService<Suppressions>();

    public TimeProvider Time => _services.GetRequiredService<TimeProvider>();

    public TlsPolicies Tls => _services.GetRequiredService<TlsPolicies>();

    public DmarcOverview Dmarc => _services.GetRequiredService<DmarcOverview>();

    public EventOverview Events => _services.GetRequiredService<EventOverview>();

    public DeliveryQueue Queue => _services.GetRequiredService<DeliveryQueue>();

    /// <param name="dataFolder">Its database is meant unless a setting names another.</param>
    /// <param name="makes">
    /// Makes folder and database where there are none. Otherwise they have to be there: who mistypes the folder hears of it, and no new one
    /// is made.
    /// </param>
    /// <exception cref="StartupException">There is none, it cannot be opened, or a setting is wrong.</exception>
    public static async Task<OpenStore> OpenAsync(
        string dataFolder, IReadOnlyDictionary<string, string?> settings, bool makes, CancellationToken cancellation)
    {
        var folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(dataFolder));
        var configuration = CommandSettings.Read(folder, settings);
        ServiceProvider? services = null;
        try
        {
            var options = configuration.ReadStorageOptions();
            services = new ServiceCollection().AddLogging().AddMetrics()
                .AddMailStorage(options, configuration.ReadMailStoreOptions(), configuration.ReadLoginOptions()).AddAdministration().BuildServiceProvider();
            if (MailDatabase.FileOf(options) is { } file)
                CheckFile(dataFolder, folder, file, makes);
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

    /// <summary>The store of the folder, or the one that a setting names; null where none is named and the folder has none, and none is made.</summary>
    /// <exception cref="StartupException">It cannot be opened, or a setting is wrong.</exception>
    public static async Task<OpenStore?> OpenIfThereAsync(string dataFolder, IReadOnlyDictionary<string, string?> settings, CancellationToken cancellation)
    {
        var folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(dataFolder));
        var file = MailDatabase.FileOf(CommandSettings.Read(folder, settings).ReadStorageOptions());
        return file is not null && Path.GetDirectoryName(file) == folder && !File.Exists(file) ? null : await OpenAsync(dataFolder, settings, makes: false, cancellation);
    }

    private static void CheckFile(string dataFolder, string folder, string file, bool makes)
    {
        // The default: the others are the operator's, who named them.
        var isInFolder = Path.GetDirectoryName(file) == folder;
        if (isInFolder && (makes || Directory.Exists(folder)))
            DataFolder.Ensure(dataFolder);
        if (!makes && !File.Exists(file))
        {
            throw new StartupException(
                $"{(isInFolder ? $"--data is '{dataFolder}'" : "ConnectionStrings:maildb names a file")}, but there is no database {file}; the server makes it when it starts, and so does 'domain add'");
        }
    }

    public ValueTask DisposeAsync() => _services.DisposeAsync();
}
