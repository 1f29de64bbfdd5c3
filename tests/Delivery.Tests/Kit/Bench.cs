using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Threading.Channels;
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
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>Delivery put together with fakes at its edges, and short ways to hand it messages.</summary>
internal sealed class Bench : IAsyncDisposable
{
    public const string Domain = "example.net";

    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly FakeLifetime _lifetime = new();
    private readonly StsFetch _fetch;
    private readonly LoginLog _logins;
    private readonly SourceLog _sourceLog;
    private long _nextMessage = 1;

    public Bench(Action<DeliveryOptions>? configure = null, TimeProvider? time = null, Random? random = null)
    {
        Time = time ?? TimeProvider.System;
        Log = new FakeLogger<DomainDelivery>(FakeLogCollector.Create(new FakeLogCollectorOptions
        {
            OutputFormatter = record => $"{Activity.Current?.TraceId.ToHexString()} {record.Message}",
            OutputSink = TracedLines.Enqueue,
        }));
        Options = new DeliveryOptions { HostName = "client.example.com", IdleTime = TimeSpan.Zero, LocalAddresses = AddressRule.Allow, MtaSts = false };
        configure?.Invoke(Options);
        var options = Microsoft.Extensions.Options.Options.Create(Options);
        Telemetry = new DeliveryTelemetry(_services.GetRequiredService<IMeterFactory>());
        ClearText = new ClearTextLog(Time, ClearTextLines);
        _logins = new LoginLog(Time, LoginLines);
        Roots = new TrustedRoots(Options.TrustedRoots);
        Results = new TlsResults(
            options, (_, counts) =>
            {
                Counted.AddRange(counts);
                return Task.CompletedTask;
            },
            Time, new FakeLogger<TlsResults>());
        _fetch = new StsFetch(PolicyHosts, Roots, Options.StsTimeout, Time);
        Renewal = new ClaimRenewal(Claims, Telemetry, Time, new FakeLogger<ClaimRenewal>());
        var failures = new HostFailures(options, Time);
        Unanswered = new UnansweredQuestions(Microsoft.Extensions.Options.Options.Create(DnsOptions), Time);
        Resolver = ResolverFor(Dns, failures, random);
        SourcesFile = new SourcesFile(options, Time, new FakeLogger<SourcesFile>());
        Plans = new SourcePlans(SourceDays, Time, new FakeLogger<SourcePlans>());
        _sourceLog = new SourceLog(Time, SourceLines);
        Sources = new SourceSlots(SourcesFile, new HostSources(options, Time), Plans, Telemetry, random ?? new Random(1), Time, _sourceLog);
        Connector = new SmtpConnector(options, new Dialer(options, Time), Telemetry, ClearText, Roots, Results, new BrokenTls(options, Time), new TlsExporter(NullLogger<TlsExporter>.Instance), _logins, Time);
        Slots = new ConnectionPools(options, Telemetry, Time).Healthy;
        Detached = new DetachedBatches(_lifetime);
        Delivery = new DomainDelivery(
            Claims, Content, Renewal, Resolver, failures, Connector, new OwnEndpoint(() => Task.FromResult(OwnName), new FakeLogger<OwnEndpoint>()),
            Sources, new SourcePutOffs(Sources, Telemetry, Time, new Random(1)), options,
            Microsoft.Extensions.Options.Options.Create(new HostOptions { ShutdownTimeout = TimeSpan.FromSeconds(630) }), Telemetry, Time,
            _lifetime, Log);
    }

    public TimeProvider Time { get; }

    public FakeTimeProvider Clock => (FakeTimeProvider)Time;

    public DeliveryOptions Options { get; }

    /// <summary>The endpoint of this worker.</summary>
    public string OwnName { get; set; } = "pod_delivery_bus_1";

    public DnsOptions DnsOptions { get; } = new();

    public UnansweredQuestions Unanswered { get; }

    public FakeClaims Claims { get; } = new();

    public FakeContent Content { get; } = new();

    public FakeDns Dns { get; } = new();

    public FakeRelays Relays { get; } = new();

    public FakeLogger<DomainDelivery> Log { get; }

    public ClearTextLog ClearText { get; }

    public FakeLogger<ClearTextLog> ClearTextLines { get; } = new();

    /// <summary>What the operator reads of smarthosts that do not take our login.</summary>
    public FakeLogger<LoginLog> LoginLines { get; } = new();

    /// <summary>Each line of the log behind the trace id that it carries.</summary>
    public ConcurrentQueue<string> TracedLines { get; } = [];

    public DeliveryTelemetry Telemetry { get; }

    public TrustedRoots Roots { get; }

    public TlsResults Results { get; }

    /// <summary>What was handed to storage of what became of TLS.</summary>
    public List<TlsResultCount> Counted { get; } = [];

    public FakePolicyHosts PolicyHosts { get; } = new();

    public FakeShelf Shelf { get; } = new();

    public SmtpConnector Connector { get; }

    public SourcesFile SourcesFile { get; }

    /// <summary>What storage has of the plans of source addresses.</summary>
    public FakeSourceDays SourceDays { get; } = new();

    public SourcePlans Plans { get; }

    public SourceSlots Sources { get; }

    /// <summary>What the operator reads of source addresses that cannot be used.</summary>
    public FakeLogger<SourceLog> SourceLines { get; } = new();

    public ClaimRenewal Renewal { get; }

    public MxResolver Resolver { get; }

    public ConnectionSlots Slots { get; }

    public DomainDelivery Delivery { get; }

    /// <summary>What was reported while a batch was still under way.</summary>
    public Channel<AttemptReport> Early { get; } = Channel.CreateUnbounded<AttemptReport>();

    public DetachedBatches Detached { get; }

    /// <summary>What the queue says besides of a batch.</summary>
    public Func<BatchCommand, BatchCommand> Commanded { get; set; } = command => command;

    /// <summary>Finds hosts by the settings of this bench, and asks elsewhere than it does.</summary>
    public MxResolver ResolverFor(IDnsLookup dns, HostFailures? failures = null, Random? random = null)
    {
        var options = Microsoft.Extensions.Options.Options.Create(Options);
        var dnsOptions = Microsoft.Extensions.Options.Options.Create(DnsOptions);
        random ??= new Random(1);
        var cache = new DnsCache(dns, Unanswered, dnsOptions, Time);
        return new MxResolver(
            cache, new AddressLookUp(dns, Unanswered, options, dnsOptions, Time, random),
            failures ?? new HostFailures(options, Time), new LocalAddresses(options, Time), Relays,
            new TlsDemands(PoliciesFor(cache), Results, Telemetry, options, dnsOptions), options, Time, random);
    }

    /// <summary>Policies of domains, as another process of the cluster would find them.</summary>
    public StsPolicies PoliciesFor(DnsCache? cache = null) => new(
        cache ?? new DnsCache(Dns, Unanswered, Microsoft.Extensions.Options.Options.Create(DnsOptions), Time), Shelf, _fetch, Results, Telemetry, Time,
        new FakeLogger<StsPolicies>());

    public void StopHost() => _lifetime.StopApplication();

    /// <summary>Everything of every domain goes to this server.</summary>
    public void RouteTo(ScriptedServer server) => RouteTo($"127.0.0.1:{server.Port}");

    public void RouteTo(string host) => Options.Routes["*"] = host;

    public Recipient[] Message(
        string content, string[]? recipients = null, string sender = "sender@example.com", BodyType body = BodyType.SevenBit)
    {
        var id = _nextMessage++;
        var size = Content.Add(id, content);
        recipients ??= [string.Create(CultureInfo.InvariantCulture, $"user{id}@{Domain}")];
        return [.. recipients.Select((address, number) => new Recipient(
            RecipientIds.Of(id, number), address, sender, size, body, 0, Time.GetUtcNow(), Time.GetUtcNow(), RecipientRoute.Remote, ""))];
    }

    public async Task<AttemptReport> RunAsync(params Recipient[][] messages) =>
        await TryRunAsync(messages) ?? throw new InvalidOperationException("Nothing was reported");

    /// <summary>Null: nothing is reported.</summary>
    public async Task<AttemptReport?> TryRunAsync(params Recipient[][] messages)
    {
        var wanted = Commanded(new BatchCommand(77, Domain, [.. messages.SelectMany(message => message)]));
        var resolving = Resolver.ResolveToAddressAsync(wanted);
        await ((Task)resolving).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return await Delivery.RunAsync(
            wanted, resolving, Slots, new BatchWaits(Telemetry, Time),
            report => Early.Writer.WriteAsync(report).AsTask());
    }

    public MetricCollector<long> Collect(string instrument) =>
        new(_services.GetRequiredService<IMeterFactory>(), DeliveryTelemetry.SourceName, instrument);

    public async ValueTask DisposeAsync()
    {
        await Slots.DisposeAsync();
        ClearText.Dispose();
        _logins.Dispose();
        _sourceLog.Dispose();
        SourcesFile.Dispose();
        Results.Dispose();
        _fetch.Dispose();
        Telemetry.Dispose();
        Renewal.Dispose();
        _lifetime.Dispose();
        await _services.DisposeAsync();
    }

    /// <summary>The outcomes in the order of the command, as "Delivered 2.0.0" lines.</summary>
    public static string[] Outcomes(AttemptReport report) => [.. report.Results.Select(result => $"{result.Outcome} {result.Status}")];
}
