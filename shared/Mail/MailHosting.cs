using MailPipeline.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mail;

public static class MailHosting
{
    /// <summary>
    /// Registers storage and its views, one for each part of a message's way. It is opened before any other hosted service starts, and
    /// closed after all of them have stopped.
    /// </summary>
    /// <param name="mail">How long claims are held, and so on; null: the defaults.</param>
    /// <param name="logins">How passwords are kept and looked at; null: by the defaults.</param>
    /// <exception cref="OptionsValidationException">A setting is out of its range.</exception>
    public static IServiceCollection AddMailStorage(
        this IServiceCollection services, StorageOptions options, MailStoreOptions? mail = null, LoginOptions? logins = null)
    {
        mail ??= new MailStoreOptions();
        Check(mail);
        services.AddSingleton(mail);
        logins ??= new LoginOptions();
        Check(logins);
        services.AddSingleton(logins);
        services.AddStorageEngine(options);
        services.AddSingleton<EventSubscriptions>();
        services.AddSingleton<EventStore>();
        services.AddSingleton<ComplaintStore>();
        services.AddSingleton<MessageStore>();
        services.AddSingleton<QueueStore>();
        services.AddSingleton<SiteStore>();
        services.AddSingleton<FlowStore>();
        services.AddSingleton<MeasureStore>();
        services.AddSingleton<SampleStore>();
        services.AddSingleton<QueueStateStore>();
        services.AddSingleton<WaitingStore>();
        services.AddSingleton<WaitingListStore>();
        services.AddSingleton<ClaimStore>();
        services.AddSingleton<SourceDayStore>();
        services.AddSingleton<TakeBackStore>();
        services.AddSingleton<OwnerlessStore>();
        services.AddSingleton<OutcomeStore>();
        services.AddSingleton<MaildropStore>();
        services.AddSingleton<AccountRemoval>();
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
        services.AddSingleton<SearchStore>();
        services.AddSingleton<OperatorStore>();
        services.AddSingleton<FlushStore>();
        services.AddSingleton<RuleStore>();
        services.AddSingleton<RuleTargets>();
        services.AddSingleton<ReplyStore>();
        services.AddSingleton<RuleCounter>();
        services.AddSingleton<HeldDomainStore>();
        services.AddSingleton<GreylistStore>();
        services.AddSingleton<BanStore>();
        services.AddSingleton<SuppressionStore>();
        services.AddSingleton<AuditLog>();
        services.AddSingleton<ApiTokenStore>();
        services.AddSingleton<ApiAnswerStore>();
        services.AddSingleton<SecretStore>();
        services.AddSingleton<LoginFailureStore>();
        services.AddSingleton<StsPolicyStore>();
        services.AddSingleton<TlsResultStore>();
        services.AddSingleton<DmarcResultStore>();
        services.AddSingleton<DmarcReportStore>();
        services.AddHostedService<StorageLifetime>();
        return services;
    }

    /// <summary>For who records outcomes: events of them are written for whom storage names. Services of one process that each add it share it.</summary>
    public static IServiceCollection AddOutcomeEvents(this IServiceCollection services)
    {
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, EventSubscriptionReading>());
        return services;
    }

    internal static void Check(LoginOptions logins) => Check(new LoginOptionsValidator(), LoginOptions.SectionName, logins);

    internal static void Check(MailStoreOptions mail) => Check(new MailStoreOptionsValidator(), MailStoreOptions.SectionName, mail);

    private static void Check<T>(IValidateOptions<T> validator, string section, T options)
        where T : class
    {
        if (validator.Validate(section, options) is { Failed: true } refused)
            throw new OptionsValidationException(section, typeof(T), refused.Failures);
    }
}
