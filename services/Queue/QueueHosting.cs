using System.Net;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Dns;
using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using MailPipeline.Queue.Events;
using MailPipeline.Queue.Policies;
using MailPipeline.Queue.Reconciling;
using MailPipeline.Queue.Reports;
using MailPipeline.Queue.Routing;
using MailPipeline.Queue.Sites;
using MailPipeline.ServiceDefaults;
using MassTransit;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.Serialization;
using StackExchange.Redis;

namespace MailPipeline.Queue;

/// <summary>Composition of the queue: options, grains, router, consumers, and the silo they live in.</summary>
public static class QueueHosting
{
    private const string ClusterName = "mailpipeline";
    private const string RedisName = "redis";
    private const string PodAddress = "POD_IP";

    public static WebApplicationBuilder AddQueue(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddQueueSettings();
        services.AddSingleton<QueueTelemetry>();
        // Named before anybody reads who is told of outcomes.
        services.AddSingleton<EventReceivers>();
        services.AddHostedService(provider => provider.GetRequiredService<EventReceivers>());
        services.AddOutcomeEvents();
        services.AddSingleton<FeedbackInbox>();
        services.AddSingleton(provider =>
        {
            var options = provider.GetRequiredService<IOptions<QueueOptions>>();
            return new SteadyStorage(
                provider.GetRequiredService<MailStoreOptions>().ClaimLease, () => options.Value.ReconcileInterval, provider.GetRequiredService<TimeProvider>());
        });
        services.AddSingleton<OutageLog>();
        services.AddSingleton<DeliveryPause>();
        services.AddSenderRewriting();
        services.AddSingleton<ForwardedSender>();
        services.AddSingleton<SuppressedRecipients>();
        services.AddSingleton<Router>();
        services.AddSingleton<AcceptedReports>();
        services.AddSingleton<EndpointGate>();
        services.AddSingleton<BatchSender>();
        // One for each activation of a domain's grain.
        services.AddTransient<DomainDispatch>();
        services.AddTransient<DomainSite>();
        services.AddSingleton(_ => new SiteMemory());
        services.AddSingleton<QueuePolicyFile>();
        services.AddHostedService(provider => provider.GetRequiredService<QueuePolicyFile>());
        services.AddSingleton<RuleBook>();
        services.AddSingleton<OperatorHolds>();
        services.AddHostedService(provider => provider.GetRequiredService<RuleBook>());
        services.AddSingleton(provider => new OverdueBatches(
            batchIds => provider.GetRequiredService<QueueStore>().FindHeldAsync(batchIds, CancellationToken.None), provider.GetRequiredService<TimeProvider>()));
        services.TryAddSingleton<IOutcomes, StoredOutcomes>();
        services.AddSingleton<SuppressedFailures>();
        services.AddSingleton<OutcomeRecorder>();
        services.AddSingleton<DeadWorkers>();
        services.AddHostedService(provider => provider.GetRequiredService<DeadWorkers>());
        services.AddDkimKeys();
        services.AddSingleton<OwnSignature>();
        services.AddSingleton<DeliveryStatusNotification>();
        services.AddSingleton<ReportMaker>();
        services.AddSingleton<UnmadeReports>();
        services.AddSingleton<FailureReports>();
        services.AddSingleton<SuccessReports>();
        services.AddSingleton<DelayReports>();
        services.AddDns();
        services.AddSingleton<ReportCalendar>();
        services.AddSingleton<DomainReportMail>();
        services.AddSingleton<TlsReportMessage>();
        services.AddSingleton<TlsReportPost>();
        services.AddSingleton<TlsReports>();
        services.AddSingleton<DmarcReportTargets>();
        services.AddSingleton<DmarcReports>();
        services.AddSingleton<DmarcReportConcerns>();
        services.AddSingleton<DmarcInbox>();
        builder.Host.UseOrleans(silo => ConfigureSilo(silo, builder.Configuration));
        services.AddHostedService<ProcessWatch>();
        services.AddHostedService<WorkerWatch>();
        services.AddDuties(builder.Configuration.ReadSettings<EventOptions>(EventOptions.SectionName));
        services.AddHostedService<ReconcilerTicks>();
        if (builder.Configuration.GetConnectionString(RedisName) is { Length: > 0 } redis)
        {
            services.AddSingleton(new Dependency($"Redis (ConnectionStrings:{RedisName})", cancellation => ProbeRedisAsync(redis, cancellation)));
            services.AddHostedService<MembershipWatch>();
        }
        return builder;
    }

    /// <summary>The settings alone, for who only wants to check them.</summary>
    public static void AddQueueSettings(this IServiceCollection services)
    {
        services.AddSettings<QueueOptions, QueueOptionsValidator>(QueueOptions.SectionName);
        services.AddDkimSettings();
        services.AddSenderRewritingSettings();
        services.AddDnsSettings();
        services.AddHostNameSetting($"{QueueOptions.SectionName}:{nameof(QueueOptions.HostName)}");
        services.AddListeningPorts(provider =>
        {
            const string setting = $"{QueueOptions.SectionName}:{nameof(QueueOptions.SiloPort)}";
            var address = Address(provider.GetRequiredService<IConfiguration>()).ToString();
            return [new ListeningPort(setting, PodAddress, address, provider.GetRequiredService<IOptions<QueueOptions>>().Value.SiloPort)];
        });
        services.AddSingleton<IPostConfigureOptions<QueueOptions>, QueueOptionsRules>();
        services.AddSingleton<IValidateOptions<QueueOptions>, QueueOptionsRules>();
        services.AddSettings<EventOptions, EventOptionsValidator>(EventOptions.SectionName);
        services.AddSingleton<IValidateOptions<EventOptions>, EventOptionsRules>();
    }

    public static void AddQueueConsumers(this IBusRegistrationConfigurator bus)
    {
        bus.AddConsumer<MessageAcceptedConsumer, MessageAcceptedConsumerDefinition>();
        bus.AddConsumer<AttemptsCompletedConsumer, AttemptsCompletedConsumerDefinition>();
    }

    // Domains that are awake at once; those beyond are asked for once more.
    private const int DirectoryCacheSize = 20_000;

    private static void ConfigureSilo(ISiloBuilder silo, ConfigurationManager configuration)
    {
        var port = configuration.ReadSettings<QueueOptions>(QueueOptions.SectionName).SiloPort;
        var redis = configuration.GetConnectionString(RedisName);
        silo.Services.AddSingleton(new FurtherListener("Orleans", $"{Address(configuration)}:{port}"));
        silo.Configure<ClusterOptions>(cluster => cluster.ClusterId = cluster.ServiceId = ClusterName);
        // An idle queue leaves by itself; this only bounds what does not.
        silo.Configure<GrainCollectionOptions>(collection => collection.CollectionAge = TimeSpan.FromMinutes(5));
        silo.Services.AddSerializer(ConfigureSerializer);
        // Its memory is taken at once; the default of 1,000,000 grains costs 19 MB.
        silo.Configure<GrainDirectoryOptions>(directory => directory.CacheSize = DirectoryCacheSize);
        if (string.IsNullOrWhiteSpace(redis))
        {
            // One process: a silo that nobody else joins. No gateway: its clients live in the same process.
            silo.UseLocalhostClustering(siloPort: port, gatewayPort: 0, serviceId: ClusterName, clusterId: ClusterName);
            return;
        }
        silo.UseRedisClustering(redis);
        silo.Configure<ClusterMembershipOptions>(Watchful);
        silo.ConfigureEndpoints(Address(configuration), port, gatewayPort: 0, listenOnAnyHostAddress: false);
    }

    /// <summary>
    /// A cluster of few silos that may die at any moment: a dead one is out after three missed probes, well within 20 s,
    /// and a new one does not wait long for those that died together with the whole cluster.
    /// </summary>
    private static void Watchful(ClusterMembershipOptions membership)
    {
        membership.ProbeTimeout = TimeSpan.FromSeconds(2);
        membership.NumMissedProbesLimit = 3;
        membership.NumVotesForDeathDeclaration = 2;
        membership.TableRefreshTimeout = TimeSpan.FromSeconds(10);
        membership.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(5);
        membership.NumMissedTableIAmAliveLimit = 3;
    }

    private static async Task<string?> ProbeRedisAsync(string connection, CancellationToken cancellation)
    {
        ConfigurationOptions options;
        try
        {
            options = ConfigurationOptions.Parse(connection);
        }
        catch (ArgumentException unreadable)
        {
            throw new StartupException($"ConnectionStrings:{RedisName} must be like 'host:6379,password=...': {unreadable.Message}", unreadable);
        }
        try
        {
            await using var redis = await ConnectionMultiplexer.ConnectAsync(options).WaitAsync(cancellation);
            return null;
        }
        catch (RedisException away)
        {
            return away.Message;
        }
    }

    /// <summary>
    /// A failed call between silos brings the failure back, whatever its type: without a codec for it the caller would learn
    /// of the missing codec and not that the store is away.
    /// </summary>
    internal static void ConfigureSerializer(ISerializerBuilder serializer) =>
        serializer.Services.Configure<ExceptionSerializationOptions>(exceptions => exceptions.SupportedExceptionTypeFilter = _ => true);

    /// <summary>The pod's own address, from the downward API; loopback elsewhere.</summary>
    private static IPAddress Address(IConfiguration configuration) =>
        HostAddress.TryParse(configuration[PodAddress], out var address) ? address : IPAddress.Loopback;
}
