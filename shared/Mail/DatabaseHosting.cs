using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mail;

/// <summary>The durable store, from the connection string named <c>maildb</c> and the sections <c>Storage</c>, <c>MailStore</c> and <c>Logins</c>.</summary>
public static class DatabaseHosting
{
    private const string BusKeyName = "bus";

    private const string CheckName = "store";

    // Whoever asks for health waits a few seconds, and a store that does not answer at all must not keep him.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    /// <summary>The settings of the store, of the mail and of the passwords in it, alone.</summary>
    public static void AddMailDatabaseSettings(this IServiceCollection services)
    {
        services.AddSettingsSection(StorageOptions.SectionName, configuration => configuration.ReadStorageOptions());
        services.AddSettingsSection(MailStoreOptions.SectionName, configuration => configuration.ReadMailStoreOptions());
        services.AddSettingsSection(LoginOptions.SectionName, configuration => configuration.ReadLoginOptions());
    }

    /// <summary>Registers the store of a process beside others; it is opened before any other hosted service starts.</summary>
    /// <exception cref="StartupException">The store is a file, which belongs to one process.</exception>
    public static WebApplicationBuilder AddSharedMailDatabase(this WebApplicationBuilder builder)
    {
        if (MailDatabase.FileOf(builder.Configuration.ReadStorageOptions()) is not null)
        {
            throw new StartupException(
                $"ConnectionStrings:{ServiceHost.StoreConnection} names a SQLite file, which belongs to one process (services/Standalone); a service of its own needs PostgreSQL, 'Host=...'");
        }
        return builder.AddMailDatabase();
    }

    /// <summary>Registers the store; it is opened before any other hosted service starts.</summary>
    public static WebApplicationBuilder AddMailDatabase(this WebApplicationBuilder builder)
    {
        builder.Services.AddMailStorage(
            builder.Configuration.ReadStorageOptions(), builder.Configuration.ReadMailStoreOptions(), builder.Configuration.ReadLoginOptions());
        builder.Services.AddSingleton(provider => new RememberedAnswers(provider.GetRequiredService<MailDirectory>().Forget));
        builder.Services.AddSingleton(provider => new BusKeySource(
            cancellation => provider.GetRequiredService<SecretStore>().GetKeyAsync(BusKeyName, cancellation)));
        builder.Services.AddSingleton(provider => DependencyOn(provider.GetRequiredService<MailDatabase>()));
        builder.Services.AddHealthChecks().AddCheck<StoreCheck>(CheckName, failureStatus: null, [ServiceDefaultsHosting.ReadyTag], s_patience);
        return builder;
    }

    /// <summary>
    /// Once started the service stays ready without its store: all pods share it, so none could take over, and a door that says
    /// "later" is better than none. Comes after <see cref="AddMailDatabase"/>.
    /// </summary>
    public static WebApplicationBuilder StayReadyWithoutStore(this WebApplicationBuilder builder)
    {
        builder.Services.Configure<HealthCheckServiceOptions>(
            health => health.Registrations.Single(check => check.Name == CheckName).FailureStatus = HealthStatus.Degraded);
        return builder;
    }

    /// <exception cref="StartupException">No store is named.</exception>
    public static StorageOptions ReadStorageOptions(this IConfiguration configuration)
    {
        var options = configuration.ReadSettings<StorageOptions>(StorageOptions.SectionName);
        if (configuration.GetConnectionString(ServiceHost.StoreConnection) is { Length: > 0 } connection)
            options.ConnectionString = connection;
        return options.ConnectionString.Length > 0
            ? options
            : throw new StartupException(
                $"ConnectionStrings:{ServiceHost.StoreConnection} is not set; it must be 'Data Source=FILE' (SQLite, one process) or 'Host=...' (PostgreSQL)");
    }

    /// <exception cref="OptionsValidationException">A setting is out of its range.</exception>
    public static MailStoreOptions ReadMailStoreOptions(this IConfiguration configuration)
    {
        var options = configuration.ReadSettings<MailStoreOptions>(MailStoreOptions.SectionName);
        MailHosting.Check(options);
        return options;
    }

    /// <exception cref="OptionsValidationException">A setting is out of its range.</exception>
    public static LoginOptions ReadLoginOptions(this IConfiguration configuration)
    {
        var options = configuration.ReadSettings<LoginOptions>(LoginOptions.SectionName);
        MailHosting.Check(options);
        return options;
    }

    /// <summary>Opens the store for a process that starts.</summary>
    /// <exception cref="StartupException">It is none that this program can work on.</exception>
    /// <exception cref="StorageUnavailableException">It cannot be reached or written.</exception>
    public static async Task OpenForStartAsync(this MailDatabase database, CancellationToken cancellationToken)
    {
        try
        {
            await database.OpenAsync(cancellationToken);
        }
        catch (Exception unfit) when (unfit is UnknownSchemaException or StoreEncodingException)
        {
            throw new StartupException(unfit.Message, unfit);
        }
    }

    private static Dependency DependencyOn(MailDatabase database) => new($"the store (ConnectionStrings:{ServiceHost.StoreConnection})", async cancellation =>
    {
        try
        {
            await database.OpenForStartAsync(cancellation);
            return null;
        }
        catch (StorageUnavailableException away)
        {
            return away.Message;
        }
    },
    // It may bring the schema up to date, or wait for another process that does; broken off, that would begin again for ever.
    MayTakeLong: true);

    private sealed class StoreCheck(MessageHistory history) : IHealthCheck
    {
        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            try
            {
                // No message has this number; asking for it reads one page of an index.
                await history.FindAsync(messageId: 0, cancellationToken).WaitAsync(cancellationToken);
                return HealthCheckResult.Healthy();
            }
            catch (StorageUnavailableException away)
            {
                return new HealthCheckResult(context.Registration.FailureStatus, exception: away);
            }
        }
    }
}
