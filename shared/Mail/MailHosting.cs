using MailPipeline.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mail;

public static class MailHosting
{
    /// <summary>
    /// Registers storage and its views, one for each part of a message's way. It is opened before any other hosted service starts, and
    /// closed after all of them have stopped.
    /// </summary>
    /// <param name="logins">How passwords are kept and looked at; null: by the defaults.</param>
    /// <exception cref="OptionsValidationException">A setting is out of its range.</exception>
    public static IServiceCollection AddMailStorage(this IServiceCollection services, StorageOptions options, LoginOptions? logins = null)
    {
        logins ??= new LoginOptions();
        Check(logins);
        services.AddSingleton(logins);
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
        services.AddSingleton<TimingStore>();
        services.AddSingleton<SubmitterStore>();
        services.AddSingleton<DeadlineStore>();
        if (logins.TokenIssuer is not null)
        {
            services.AddSingleton(provider => new TokenVerifier(
                logins.OpenId, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<TokenVerifier>>()));
        }

        services.AddSingleton(provider => new CredentialVerifier(
            provider.GetRequiredService<MailDirectory>(), provider.GetRequiredService<SecretStore>(), logins, provider.GetRequiredService<TimeProvider>(),
            provider.GetService<TokenVerifier>(),
            provider.GetRequiredService<MailDatabase>().SingleProcess ? null : provider.GetRequiredService<LoginFailureStore>()));
        services.AddSingleton<MessageHistory>();
        services.AddSingleton<OperatorStore>();
        services.AddSingleton<FlushStore>();
        services.AddSingleton<GreylistStore>();
        services.AddSingleton<BanStore>();
        services.AddSingleton<AuditLog>();
        services.AddSingleton<SecretStore>();
        services.AddSingleton<LoginFailureStore>();
        services.AddSingleton<StsPolicyStore>();
        services.AddSingleton<TlsResultStore>();
        services.AddHostedService<StorageLifetime>();
        return services;
    }

    internal static void Check(LoginOptions logins)
    {
        var checkedLogins = new LoginOptionsValidator().Validate(LoginOptions.SectionName, logins);
        if (checkedLogins.Failed)
            throw new OptionsValidationException(LoginOptions.SectionName, typeof(LoginOptions), checkedLogins.Failures);
    }
}
