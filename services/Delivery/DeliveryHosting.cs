using System.Globalization;
using MailPipeline.Delivery.Batches;
using MailPipeline.Delivery.Claims;
using MailPipeline.Delivery.Connections;
using MailPipeline.Delivery.Intake;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Smtp;
using MailPipeline.Delivery.Sources;
using MailPipeline.Delivery.Tls;
using MailPipeline.Dns;
using MailPipeline.Mail;
using MailPipeline.MtaSts;
using MailPipeline.ServiceDefaults;
using MassTransit;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery;

/// <summary>Puts delivery together. Needs AddServiceDefaults, AddMailStorage and AddMailBus in the same host.</summary>
public static class DeliveryHosting
{
    public static WebApplicationBuilder AddDelivery(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddDeliverySettings();
        services.AddSingleton(provider => provider.GetRequiredService<IOptions<DeliveryOptions>>().Value);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(Random.Shared);

        services.AddSingleton<DeliveryTelemetry>();
        services.AddDns();
        services.AddSingleton<HostFailures>();
        services.AddSingleton<LocalAddresses>();
        services.AddSingleton<AddressLookUp>();
        services.AddSingleton<IRelays, StoredRelays>();
        services.AddSingleton<MxResolver>();
        services.AddSingleton(provider => new TrustedRoots(provider.GetRequiredService<IOptions<DeliveryOptions>>().Value.TrustedRoots));
        services.AddSingleton<IPolicyHosts, PolicyHosts>();
        services.AddSingleton(provider => new StsFetch(
            provider.GetRequiredService<IPolicyHosts>(), provider.GetRequiredService<TrustedRoots>(), provider.GetRequiredService<IOptions<DeliveryOptions>>().Value.StsTimeout,
            provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<IStsPolicyShelf, StoredStsPolicies>();
        services.AddSingleton<StsPolicies>();
        services.AddHostedService<StsRefresh>();
        services.AddSingleton<TlsDemands>();
        services.AddSingleton(provider => new TlsResults(
            provider.GetRequiredService<IOptions<DeliveryOptions>>(), provider.GetRequiredService<TlsResultStore>().AddAsync,
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<TlsResults>>()));
        services.AddHostedService(provider => provider.GetRequiredService<TlsResults>());
        services.AddSingleton<BrokenTls>();
        services.AddSingleton<ClearTextLog>();
        services.AddSingleton<LoginLog>();
        services.AddSingleton<SourcesFile>();
        services.AddHostedService(provider => provider.GetRequiredService<SourcesFile>());
        services.AddSingleton<ISourceDays, StoredSourceDays>();
        services.AddSingleton<SourcePlans>();
        services.AddHostedService(provider => provider.GetRequiredService<SourcePlans>());
        services.AddSingleton<HostSources>();
        services.AddSingleton<SourceLog>();
        services.AddSingleton<SourceSlots>();
        services.AddSingleton<Dialer>();
        services.AddSingleton<SmtpConnector>();
        services.AddSingleton<RecipientProbe>();
        services.AddOutcomeEvents();
        services.AddSingleton<IClaims, StoredClaims>();
        services.AddSingleton<IMessageContent, StoredContent>();
        services.AddSingleton<ClaimRenewal>();
        services.AddHostedService(provider => provider.GetRequiredService<ClaimRenewal>());
        services.AddSingleton<ConnectionPools>();
        services.AddSingleton(OwnEndpoint.Of);
        services.AddSingleton<SourcePutOffs>();
        services.AddSingleton<DomainDelivery>();
        services.AddSingleton<DetachedBatches>();
        services.AddSingleton<BatchIntake>();
        services.AddSingleton<DeliveryEndpoints>();
        services.AddHostedService(provider => provider.GetRequiredService<DeliveryEndpoints>());
        services.AddReceiveEndpointObserver(provider => provider.GetRequiredService<DeliveryEndpoints>());
        services.AddBusObserver(provider => provider.GetRequiredService<DeliveryEndpoints>());
        return builder;
    }

    /// <summary>The settings alone, for who only wants to check them.</summary>
    public static void AddDeliverySettings(this IServiceCollection services)
    {
        services.AddDnsSettings();
        services.AddSettings<DeliveryOptions, DeliveryOptionsValidator>(DeliveryOptions.Section);
        services.AddHostNameSetting($"{DeliveryOptions.Section}:{nameof(DeliveryOptions.HostName)}");
        services.AddSingleton<IValidateOptions<DeliveryOptions>, DeliveryListsValidator>();
    }

    /// <summary>
    /// Settings of a process that shares the work with others. A connection that it keeps for its next batch is one that the others,
    /// who get that batch as well, do not know of, and then the domain's cap would not hold for all together. And a batch that it
    /// takes without a connection to spare is one that another might have had, and that nobody sees waiting for a worker.
    /// </summary>
    internal static Dictionary<string, string?> DefaultsBesideOthers(IConfiguration configuration) => new()
    {
        ["Delivery:IdleTime"] = "00:00:00",
        ["Delivery:Consumers"] = configuration["Delivery:Connections"] ?? new DeliveryOptions().Connections.ToString(CultureInfo.InvariantCulture),
    };

    /// <summary>
    /// The consumers of domains that can be reached and of failing ones, on the endpoints "deliver" and "deliver-retry", and of questions about
    /// recipients, on "verify-recipient".
    /// </summary>
    public static void AddDeliveryConsumers(this IBusRegistrationConfigurator bus)
    {
        bus.AddConsumer<DeliverMessagesConsumer, DeliverMessagesDefinition>();
        bus.AddConsumer<DeliverRetryConsumer, DeliverRetryDefinition>();
        bus.AddConsumer<VerifyRecipientConsumer, VerifyRecipientDefinition>();
    }
}
