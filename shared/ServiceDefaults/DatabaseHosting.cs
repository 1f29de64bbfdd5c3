using MailPipeline.Mail;
using MailPipeline.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace MailPipeline.ServiceDefaults;

/// <summary>The durable store, from the connection string named <c>maildb</c> and the section <c>Storage</c>.</summary>
public static class DatabaseHosting
{
    public const string ConnectionName = "maildb";

    private const string BusKeyName = "bus";

    private const string CheckName = "store";

    // Whoever asks for health waits a few seconds, and a store that does not answer at all must not keep him.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    /// <summary>Registers the store; it is opened before any other hosted service starts.</summary>
    public static WebApplicationBuilder AddMailDatabase(this WebApplicationBuilder builder)
    {
        builder.Services.AddMailStorage(builder.Configuration.ReadStorageOptions());
        builder.Services.AddSingleton(provider => new BusKeySource(
            cancellation => provider.GetRequiredService<SecretStore>().GetKeyAsync(BusKeyName, cancellation)));
        builder.Services.AddSingleton(provider => NeedFor(provider.GetRequiredService<MailDatabase>()));
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
        if (configuration.GetConnectionString(ConnectionName) is { Length: > 0 } connection)
            options.ConnectionString = connection;
        return options.ConnectionString.Length > 0
            ? options
            : throw new StartupException(
                $"ConnectionStrings:{ConnectionName} is not set; it must be 'Data Source=FILE' (SQLite, one process) or 'Host=...' (PostgreSQL)");
    }

    private static Need NeedFor(MailDatabase database) => new($"the store (ConnectionStrings:{ConnectionName})", async cancellation =>
    {
        try
        {
            await database.OpenAsync(cancellation);
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
