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

    /// <summary>Registers the store; it is opened before any other hosted service starts.</summary>
    public static WebApplicationBuilder AddMailDatabase(this WebApplicationBuilder builder)
    {
        builder.Services.AddMailStorage(builder.Configuration.ReadStorageOptions());
        builder.Services.AddSingleton(provider => NeedFor(provider.GetRequiredService<MailDatabase>()));
        builder.Services.AddHealthChecks().AddCheck<StoreCheck>("store", tags: [ServiceDefaultsHosting.ReadyTag]);
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
    });

    /// <summary>Without its store a service can only say "later": then others should be asked.</summary>
    private sealed class StoreCheck(MessageHistory history) : IHealthCheck
    {
        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            try
            {
                // No message has this number; asking for it reads one page of an index.
                await history.FindAsync(messageId: 0, cancellationToken);
                return HealthCheckResult.Healthy();
            }
            catch (StorageUnavailableException away)
            {
                return HealthCheckResult.Unhealthy(exception: away);
            }
        }
    }
}
