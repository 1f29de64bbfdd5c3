using MailPipeline.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mail;

public static class MailHosting
{
    /// <summary>
    /// Registers storage and its views, one for each part of a message's way. It is opened before any other hosted service starts, and
    /// closed after all of them have stopped.
    /// </summary>
    /// <exception cref="OptionsValidationException">A setting is out of its range.</exception>
    public static IServiceCollection AddMailStorage(this IServiceCollection services, StorageOptions options)
    {
        services.AddStorageEngine(options);
        services.AddSingleton<MessageStore>();
        services.AddSingleton<QueueStore>();
        services.AddSingleton<FlowStore>();
        services.AddSingleton<MeasureStore>();
        services.AddSingleton<WaitingStore>();
        services.AddSingleton<ClaimStore>();
        services.AddSingleton<TakeBackStore>();
        services.AddSingleton<OwnerlessStore>();
        services.AddSingleton<OutcomeStore>();
        services.AddSingleton<MaildropStore>();
        services.AddSingleton<MailDirectory>();
        services.AddSingleton<AddressResolver>();
        services.AddSingleton<HostPostmaster>();
        services.AddSingleton<UnreportedStore>();
        services.AddSingleton<ReportStore>();
        services.AddSingleton<DsnStore>();
        services.AddSingleton<CredentialVerifier>();
        services.AddSingleton<MessageHistory>();
        services.AddSingleton<OperatorStore>();
        services.AddSingleton<FlushStore>();
        services.AddSingleton<AuditLog>();
        services.AddSingleton<SecretStore>();
        services.AddHostedService<StorageLifetime>();
        return services;
    }
}
