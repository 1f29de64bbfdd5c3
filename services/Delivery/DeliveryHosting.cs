using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using MassTransit;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery;

/// <summary>Puts delivery together. Needs AddServiceDefaults, AddMailStorage and AddMailBus in the same host.</summary>
public static class DeliveryHosting
{
    public static WebApplicationBuilder AddDelivery(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSettings<DeliveryOptions, DeliveryOptionsValidator>(DeliveryOptions.Section);
        services.AddSingleton<IValidateOptions<DeliveryOptions>, DeliveryListsValidator>();
        services.AddSingleton(provider => provider.GetRequiredService<IOptions<DeliveryOptions>>().Value);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(Random.Shared);

        services.AddSingleton<DeliveryTelemetry>();
        services.AddSingleton<IDnsLookup, DnsLookup>();
        services.AddSingleton<MxResolver>();
        services.AddSingleton<SmtpConnector>();
        services.AddSingleton<IClaims, StoredClaims>();
        services.AddSingleton<IMessageContent, StoredContent>();
        services.AddSingleton<ClaimRenewal>();
        services.AddHostedService(provider => provider.GetRequiredService<ClaimRenewal>());
        services.AddSingleton<DeliveryLanes>();
        services.AddSingleton<DomainDelivery>();
        services.AddSingleton<HandOutsAside>();
        services.AddHostedService(provider => provider.GetRequiredService<HandOutsAside>());
        services.AddSingleton<HandOut>();
        return builder;
    }

    /// <summary>The two lanes, on the endpoints "deliver" and "deliver-retry".</summary>
    public static void AddDeliveryConsumers(this IBusRegistrationConfigurator bus)
    {
        bus.AddConsumer<DeliverMessagesConsumer, DeliverMessagesDefinition>();
        bus.AddConsumer<DeliverRetryConsumer, DeliverRetryDefinition>();
    }
}
