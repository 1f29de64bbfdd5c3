using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.Mailbox.Maildrops;
using MailPipeline.Mailbox.Pop3;
using MailPipeline.ServiceDefaults;
using MassTransit;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mailbox;

/// <summary>Composition of Mailbox. The host adds service defaults, storage and the bus.</summary>
public static class MailboxHosting
{
    /// <summary>Adds POP3 on the listeners of section <c>Mailbox</c>, and what <see cref="AddMailboxConsumers"/> needs.</summary>
    public static WebApplicationBuilder AddMailbox(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddMailboxSettings();
        services.AddSingleton<MailboxTelemetry>();
        services.AddOutcomeEvents();
        services.AddSingleton<ILocalStore, StoredLocally>();
        services.AddSingleton<LocalDelivery>();
        services.AddSingleton<IMaildrops, StoredMaildrops>();
        services.AddSingleton<Pop3Server>();
        services.AddHostedService<MaildropUnlocking>();
        services.AddLineServer();
        services.AddOptions<KestrelServerOptions>().Configure<IOptions<MailboxOptions>>((kestrel, mailbox) =>
        {
            foreach (var listener in mailbox.Value.Listeners)
            {
                kestrel.ListenLines(listener.EndPoint, provider =>
                {
                    var server = provider.GetRequiredService<Pop3Server>();
                    return new Pop3Listener(server, listener, mailbox.Value, provider.GetRequiredService<LoginOptions>(), server.Time);
                });
            }
        });
        return builder;
    }

    /// <summary>The settings alone, for who only wants to check them.</summary>
    public static void AddMailboxSettings(this IServiceCollection services)
    {
        services.AddSettings<MailboxOptions, MailboxOptionsValidator>(MailboxOptions.Section);
        services.AddSingleton<IValidateOptions<MailboxOptions>, MailboxTokenRule>();
        services.AddListeningPorts(provider => provider.GetRequiredService<IOptions<MailboxOptions>>().Value.Listeners.Select((listener, i) =>
            new ListeningPort(
                $"{MailboxOptions.Section}:Listeners:{i}:Port", $"{MailboxOptions.Section}:Listeners:{i}:Address", listener.Address, listener.Port)));
    }

    /// <summary>A service of its own that listens nowhere would keep mail that nobody can fetch, and be ready.</summary>
    public static void RequireMailboxListener(this IServiceCollection services) =>
        services.AddSingleton<IValidateOptions<MailboxOptions>, MailboxListenerRule>();

    /// <summary>Adds the consumer of local deliveries.</summary>
    public static IBusRegistrationConfigurator AddMailboxConsumers(this IBusRegistrationConfigurator bus)
    {
        bus.AddConsumer<StoreMessagesConsumer, StoreMessagesConsumerDefinition>();
        return bus;
    }
}
