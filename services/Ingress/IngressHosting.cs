using System.Net;
using System.Net.Sockets;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Dns;
using MailPipeline.Ingress.Checks;
using MailPipeline.Ingress.Filters;
using MailPipeline.Ingress.Limits;
using MailPipeline.Ingress.NextHops;
using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress;

/// <summary>Composition of the door: options, sessions, and Kestrel listeners that lead to them.</summary>
public static class IngressHosting
{
    // Not that of the silos: what strangers do is counted in it.
    internal const string LimitsName = "limits";

    /// <summary>Needs the store (AddMailDatabase), the bus (AddMailBus) and the service defaults in the same host.</summary>
    public static WebApplicationBuilder AddIngress(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddIngressSettings();
        services.AddSingleton<IngressTelemetry>();
        services.AddDns();
        services.AddChecks();
        services.AddSingleton<AcceptedMessagePublisher>();
        services.AddHostedService(provider => provider.GetRequiredService<AcceptedMessagePublisher>());
        services.AddSingleton<RefusalLog>();
        services.AddSingleton<QueueStart>();
        services.AddSingleton<MessageSigning>();
        services.AddSingleton<DmarcResults>();
        services.AddHostedService(provider => provider.GetRequiredService<DmarcResults>());
        services.AddSingleton<SmtpServer>();
        services.AddDkimKeys();
        services.AddLineServer();
        services.AddSingleton<IStartupFilter, OwnPolicy>();
        services.AddOptions<KestrelServerOptions>().Configure<IOptions<IngressOptions>>(Listen);
        services.AddOptions<SocketTransportOptions>().Configure<IOptions<IngressOptions>>(
            (transport, options) => transport.BindSockets([.. SocketsOf(options.Value)]));
        return builder;
    }

    /// <summary>The settings alone, for who only wants to check them.</summary>
    public static void AddIngressSettings(this IServiceCollection services)
    {
        services.AddSettings<IngressOptions, IngressOptionsValidator>(IngressOptions.SectionName);
        services.AddDnsSettings();
        services.AddDkimSettings();
        services.AddSenderRewritingSettings();
        services.AddHostNameSetting($"{IngressOptions.SectionName}:{nameof(IngressOptions.HostName)}");
        services.AddListeningPorts(provider => provider.GetRequiredService<IOptions<IngressOptions>>().Value.Listeners.Index()
            .Where(listener => !listener.Item.IsSocket)
            .Select(listener => new ListeningPort(
                $"{IngressOptions.SectionName}:Listeners:{listener.Index}:Port", $"{IngressOptions.SectionName}:Listeners:{listener.Index}:Address",
                listener.Item.Address, listener.Item.PortOrDefault)));
        services.AddSingleton<IValidateOptions<IngressOptions>, IngressOptionsRules>();
        services.AddSingleton<IValidateOptions<IngressOptions>, IngressTokenRule>();
        services.AddSingleton<IValidateOptions<IngressOptions>, IngressRedisRule>();
    }

    /// <summary>A service of its own that listens nowhere would do nothing, and be ready.</summary>
    public static void RequireIngressListener(this IServiceCollection services) =>
        services.AddSingleton<IValidateOptions<IngressOptions>, IngressListenerRule>();

    /// <summary>What is asked at the door; in which order, <see cref="CheckTable"/> says.</summary>
    private static void AddChecks(this IServiceCollection services)
    {
        services.AddSingleton<CheckTable>();
        services.AddSingleton<Backpressure>();
        services.AddHostedService(provider => provider.GetRequiredService<Backpressure>());
        services.AddSingleton<ClientNetworkCheck>();
        services.AddSingleton<LmtpClientCheck>();
        services.AddSingleton<BanList>();
        services.AddHostedService(provider => provider.GetRequiredService<BanList>());
        services.AddSingleton<BanCheck>();
        services.AddSingleton<ITokenBuckets>(provider =>
            provider.GetRequiredService<IConfiguration>().GetConnectionString(LimitsName) is { Length: > 0 } redis
                ? new RedisBuckets(redis, provider.GetRequiredService<TimeProvider>()) : new MemoryBuckets(provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<DoorLimits>();
        services.AddSingleton<ConnectionLimitCheck>();
        services.AddSingleton<MessageLimitCheck>();
        services.AddSingleton<RecipientLimitCheck>();
        services.AddSingleton<SenderQueues>();
        services.AddHostedService(provider => provider.GetRequiredService<SenderQueues>());
        services.AddSingleton<SenderQueueCheck>();
        services.AddSingleton(provider => new FilterSet(
            [.. provider.GetRequiredService<IOptions<IngressOptions>>().Value.Filters], provider.GetRequiredService<IngressTelemetry>(),
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<FilterSet>>()));
        services.AddSingleton<FilterCheck>();
        services.AddSingleton<PolicyFile>();
        services.AddHostedService(provider => provider.GetRequiredService<PolicyFile>());
        services.AddSingleton<DnsLists>();
        services.AddSingleton<ClientNames>();
        services.AddSingleton<ClientInquiryCheck>();
        services.AddSingleton<EarlyTalkerCheck>();
        services.AddSingleton<DnsListCheck>();
        services.AddSingleton<ClientHostCheck>();
        services.AddSingleton<GreylistRoom>();
        services.AddSingleton<GreylistCheck>();
        services.AddSingleton<ClientNameCheck>();
        services.AddSingleton<LocalSenderCheck>();
        services.AddSingleton<OwnAddresses>();
        services.AddSingleton<OwnSenderCheck>();
        services.AddSingleton<HostPostmasterCheck>();
        services.AddSenderRewriting();
        services.AddSingleton<ReturnPathCheck>();
        services.AddSingleton<RelayCheck>();
        services.AddSingleton<LocalRecipientCheck>();
        services.AddSingleton<RecipientQuestions>();
        services.AddSingleton<RelayRecipientCheck>();
        services.AddSingleton<MaildropSpaceCheck>();
        services.AddSingleton<HopCheck>();
        services.AddSingleton<OwnAuthorCheck>();
        services.AddSingleton<HeaderRuleCheck>();
        services.AddSingleton<SignatureCheck>();
        services.AddSingleton<PublicSuffixes>();
        services.AddSingleton<SenderAuthenticationCheck>();
        services.AddSingleton<MessageAuthenticationCheck>();
    }

    private static void Listen(KestrelServerOptions kestrel, IOptions<IngressOptions> options)
    {
        foreach (var listener in options.Value.Listeners)
        {
            EndPoint endPoint = listener.IsSocket ? new UnixDomainSocketEndPoint(listener.Socket) : listener.EndPoint;
            kestrel.ListenLines(endPoint, services =>
            {
                var server = services.GetRequiredService<SmtpServer>();
                return new SmtpListener(server, listener, options.Value, server.Time);
            });
        }
    }

    private static IEnumerable<ListeningSocket> SocketsOf(IngressOptions options) => options.Listeners.Index()
        .Where(listener => listener.Item.IsSocket)
        .Select(listener => new ListeningSocket(
            $"{IngressOptions.SectionName}:Listeners:{listener.Index}:Socket", listener.Item.Socket, ListeningSocket.ParseMode(listener.Item.SocketMode)!.Value));
}
