using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using MailPipeline.Queue.Policies;
using MailPipeline.Queue.Reconciling;
using MailPipeline.Queue.Sites;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using MailPipeline.Storage;
using MailPipeline.Testing;
using MassTransit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Orleans.Core.Internal;

namespace MailPipeline.Queue.Tests;

/// <summary>
/// The whole Queue service on SQLite and the in-memory bus, with a worker in place of Delivery that does what the test
/// says. Schedules are shortened; nothing else is.
/// </summary>
internal sealed class QueueUnderTest : IAsyncDisposable
{
    private readonly DirectoryInfo _folder = System.IO.Directory.CreateTempSubdirectory("mailpipeline-queue-");
    private readonly StorageOptions _storage;
    private readonly WebApplication _app;

    /// <summary>Lines of the log with this event id, so far.</summary>
    public IReadOnlyList<string> Lines(int eventId) =>
        [.. _app.Services.GetFakeLogCollector().GetSnapshot().Where(record => record.Id.Id == eventId).Select(record => record.Message)];

    private QueueUnderTest(IEnumerable<KeyValuePair<string, string?>> settings, TimeSpan claimLease)
    {
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddFakeLogging();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Queue:HostName"] = "mail.example.org",
            ["Queue:SiloPort"] = $"{FreePorts.Next()}",
            ["Queue:RetrySteps:0"] = "00:00:00.100",
            ["Queue:Uncertain:Steps:0"] = "00:00:00.100",
            ["Queue:ReconcileInterval"] = "00:00:00.100",
            ["Queue:UnroutedGrace"] = "00:00:00.300",
            ["Queue:BatchTimeout"] = "00:00:01",
            ["Queue:ReportDelay"] = "00:00:00.300",
        });
        builder.Configuration.AddInMemoryCollection(settings);
        _storage = new StorageOptions
        {
            ConnectionString = Database,
        };
        builder.Services.AddMailStorage(_storage, new MailStoreOptions { DirectoryCacheTime = TimeSpan.Zero, ClaimLease = claimLease });
        builder.Services.AddSingleton(Worker);
        builder.Services.AddSingleton(provider => new BusKeySource(
            cancellation => provider.GetRequiredService<SecretStore>().GetKeyAsync("bus", cancellation)));
        // Where the test names a broker that is away.
        builder.Services.Configure<MassTransitHostOptions>(host => host.StopTimeout = TimeSpan.FromSeconds(5));
        builder.Services.AddSingleton<IOutcomes>(provider => new DoubtfulOutcomes(new StoredOutcomes(provider.GetRequiredService<OutcomeStore>()), Doubts, ClaimsRecorded));
        builder.AddQueue();
        builder.AddMailBus(bus =>
        {
            bus.AddQueueConsumers();
            bus.AddConsumer<WorkerConsumer>().Endpoint(endpoint => endpoint.Name = BusEndpoints.Deliver);
            bus.AddConsumer<RetryWorkerConsumer>().Endpoint(endpoint => endpoint.Name = BusEndpoints.DeliverRetry);
            bus.AddConsumer<MailboxConsumer>().Endpoint(endpoint => endpoint.Name = BusEndpoints.Store);
        });
        _app = builder.Build();
    }

    public Worker Worker { get; } = new();

    /// <summary>An endpoint of one worker alone.</summary>
    /// <param name="take">Is told of each command that comes there, before the worker does what it does with all.</param>
    public Task<string> ListenAsync(Action<BatchCommand> take) => _app.Services.GetRequiredService<BusAnswers>().ListenAsync<DeliverMessages>(message =>
    {
        var command = message.ToBatchCommand();
        take(command);
        _ = new WorkerConsumer(Worker, Claims, Bus).WorkAsync(command);
    });

    /// <summary>What goes wrong with the next outcomes that are recorded.</summary>
    public ConcurrentQueue<StorageFault> Doubts { get; } = [];

    /// <summary>Claims under which the queue itself recorded something.</summary>
    public ConcurrentQueue<long> ClaimsRecorded { get; } = [];

    public WaitingStore Waiting => _app.Services.GetRequiredService<WaitingStore>();

    /// <summary>What there is in all.</summary>
    public async Task<StoreCounts> CountAsync()
    {
        await using var connection = new SqliteConnection(Database);
        return await StoreCounts.ReadAsync(connection);
    }

    public MessageHistory History => _app.Services.GetRequiredService<MessageHistory>();

    public IDuty Duty(string name) => _app.Services.GetServices<IDuty>().Single(duty => duty.Name == name);

    public DmarcResultStore DmarcResults => _app.Services.GetRequiredService<DmarcResultStore>();

    public DmarcReportStore DmarcReports => _app.Services.GetRequiredService<DmarcReportStore>();

    public TlsResultStore TlsResults => _app.Services.GetRequiredService<TlsResultStore>();

    public MessageStore Messages => _app.Services.GetRequiredService<MessageStore>();

    public QueueStore Store => _app.Services.GetRequiredService<QueueStore>();

    public ClaimStore Claims => _app.Services.GetRequiredService<ClaimStore>();

    public TakeBackStore TakeBacks => _app.Services.GetRequiredService<TakeBackStore>();

    public OutcomeStore Outcomes => _app.Services.GetRequiredService<OutcomeStore>();

    public OperatorStore Operator => _app.Services.GetRequiredService<OperatorStore>();

    public RuleStore Rules => _app.Services.GetRequiredService<RuleStore>();

    /// <summary>The rules as the process obeys them.</summary>
    public RuleBook Book => _app.Services.GetRequiredService<RuleBook>();

    public SenderRewriting Rewriting => _app.Services.GetRequiredService<SenderRewriting>();

    public DsnStore Dsn => _app.Services.GetRequiredService<DsnStore>();

    public FlushStore Flushes => _app.Services.GetRequiredService<FlushStore>();

    public MailDirectory Directory => _app.Services.GetRequiredService<MailDirectory>();

    public QueueStateStore States => _app.Services.GetRequiredService<QueueStateStore>();

    public SampleStore Samples => _app.Services.GetRequiredService<SampleStore>();

    public EndpointGate Gate => _app.Services.GetRequiredService<EndpointGate>();

    public QueuePolicyFile Policy => _app.Services.GetRequiredService<QueuePolicyFile>();

    public SiteStore Sites => _app.Services.GetRequiredService<SiteStore>();

    public MaildropStore Maildrops => _app.Services.GetRequiredService<MaildropStore>();

    public MailBus Bus => _app.Services.GetRequiredService<MailBus>();

    private IGrainFactory Grains => _app.Services.GetRequiredService<IGrainFactory>();

    public IMeterFactory Meters => _app.Services.GetRequiredService<IMeterFactory>();

    /// <param name="before">What was there, or was done, before the process began.</param>
    public static async Task<QueueUnderTest> StartAsync(
        Dictionary<string, string?>? settings = null, TimeSpan? claimLease = null, Func<QueueUnderTest, Task>? before = null)
    {
        var queue = new QueueUnderTest(settings ?? [], claimLease ?? TimeSpan.FromSeconds(15));
        if (before is not null)
        {
            await queue._app.Services.GetRequiredService<MailDatabase>().OpenAsync(default);
            await before(queue);
        }
        await queue._app.StartAsync();
        return queue;
    }

    /// <summary>The domain's queue leaves memory, as when its silo ends.</summary>
    public async Task ForgetAsync(string domain) =>
        await Grains.GetGrain<IDomainQueueGrain>(domain).AsReference<IGrainManagementExtension>().DeactivateOnIdle();

    /// <summary>The same of a site.</summary>
    public async Task ForgetSiteAsync(string site) =>
        await Grains.GetGrain<ISiteGrain>(site).AsReference<IGrainManagementExtension>().DeactivateOnIdle();

    /// <summary>Domains that wait for a permit of the site, as storage has it.</summary>
    public async Task<long> CountWaitingAtAsync(string site)
    {
        await using var connection = new SqliteConnection(Database);
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT COALESCE(SUM(waiting), 0) FROM sites WHERE site = $site";
        command.Parameters.AddWithValue("$site", site);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Domains that nobody wakes, because rules keep back what is due of them.</summary>
    public Task<long> CountHeldDomainsAsync() => ReadNumberAsync("SELECT COUNT(*) FROM domain_queues WHERE held_version > 0");

    /// <summary>Each recipient as it waits: when it is tried next, and how often it was.</summary>
    public async Task<IReadOnlyList<(long Id, long NextAttemptAt, long Attempts, long State)>> ReadRecipientsAsync()
    {
        await using var connection = new SqliteConnection(Database);
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT id, next_attempt_at, attempts, state FROM recipients ORDER BY id";
        await using var rows = await command.ExecuteReaderAsync();
        var found = new List<(long, long, long, long)>();
        while (await rows.ReadAsync())
            found.Add((rows.GetInt64(0), rows.GetInt64(1), rows.GetInt64(2), rows.GetInt64(3)));
        return found;
    }

    private async Task<long> ReadNumberAsync(string sql)
    {
        await using var connection = new SqliteConnection(Database);
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Written by the test.
        command.CommandText = sql;
#pragma warning restore CA2100
        return (long)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>True: the queue found something to hand out.</summary>
    public Task<bool> WakeAsync(string domain) => Grains.GetGrain<IDomainQueueGrain>(domain).WakeAsync();

    /// <summary>Changes what no part of the product would.</summary>
    public async Task ExecuteAsync(string sql)
    {
        await using var connection = new SqliteConnection(Database);
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Written by the test.
        command.CommandText = sql;
#pragma warning restore CA2100
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Accepts a message as Ingress does; without the hint only the reconciler can find it.</summary>
    public async Task<long> AcceptAsync(bool hint, string sender, params string[] recipients)
    {
        var message = await StoreAsync(sender, recipients);
        if (hint)
            await Bus.SendAsync(BusEndpoints.MessageAccepted, new[] { message }.ToMessageAccepted(), default);
        return message.MessageId;
    }

    /// <summary>Accepts a message whose envelope says something about reports.</summary>
    public async Task<long> AcceptAsync(bool hint, string sender, EnvelopeDsn? dsn, string[] recipients, string content = Content)
    {
        var message = await StoreAsync(sender, recipients, dsn, content);
        if (hint)
            await Bus.SendAsync(BusEndpoints.MessageAccepted, new[] { message }.ToMessageAccepted(), default);
        return message.MessageId;
    }

    /// <summary>Accepts a message of an account, or of whoever sends without one for a domain.</summary>
    public async Task<long> AcceptOfAsync(string flow, string sender, params string[] recipients)
    {
        var message = await StoreAsync(sender, recipients, flow: flow);
        await Bus.SendAsync(BusEndpoints.MessageAccepted, new[] { message }.ToMessageAccepted(), default);
        return message.MessageId;
    }

    public SuppressionStore Suppressions => _app.Services.GetRequiredService<SuppressionStore>();

    /// <summary>Accepts a message that waits for an operator from the start.</summary>
    public async Task<long> AcceptHeldAsync(string recipient, string content)
    {
        var message = await StoreAsync("", [recipient], content: content, holdReason: "dmarc");
        await Bus.SendAsync(BusEndpoints.MessageAccepted, new[] { message }.ToMessageAccepted(), default);
        return message.MessageId;
    }

    /// <summary>Accepts a message whose envelope says something about time.</summary>
    public Task<long> AcceptTimedAsync(bool hint, MailTiming timing, params string[] recipients) => AcceptTimedAsync(hint, timing, null, recipients);

    public async Task<long> AcceptTimedAsync(bool hint, MailTiming timing, EnvelopeDsn? dsn, params string[] recipients)
    {
        var message = await StoreAsync("sender@example.org", recipients, dsn, timing: timing);
        if (hint)
            await Bus.SendAsync(BusEndpoints.MessageAccepted, new[] { message }.ToMessageAccepted(), default);
        return message.MessageId;
    }

    /// <summary>Accepts a message for recipients of one domain, and routes it that way whatever the directory says; only the reconciler can find it.</summary>
    public async Task<long> RouteAsync(RecipientRoute route, params string[] recipients)
    {
        var message = await StoreAsync("sender@example.org", recipients);
        await Store.RouteAsync([new RoutedMessage(message, [.. recipients.Select(address => new RoutedRecipient(address, "", address.Split('@')[1], route))])]);
        return message.MessageId;
    }

    private const string Content = "Subject: test\r\nMessage-ID: <1@example.org>\r\n\r\nbody\r\n";

    private async Task<Envelope> StoreAsync(string sender, string[] recipients, EnvelopeDsn? dsn = null, string content = Content, MailTiming? timing = null, string holdReason = "", string flow = "")
    {
        var messages = _app.Services.GetRequiredService<MessageStore>();
        var id = await messages.NextMessageIdAsync(default);
        var bytes = System.Text.Encoding.UTF8.GetBytes(content);
        var message = new Envelope(
            id, sender, recipients, bytes.Length, dsn is null ? BodyType.SevenBit : BodyType.Dsn, TimeProvider.System.GetUtcNow(), "",
            flow.Length > 0 ? flow : FlowKey.Of("", sender), HoldReason: holdReason, Dsn: dsn, Timing: timing);
        await using var writer = messages.CreateContent(id);
        await writer.AppendAsync(bytes, default);
        await messages.AcceptAsync(message, writer, default);
        return message;
    }

    /// <summary>Some message has a time by which it is to be delivered, and nobody has looked whether it was.</summary>
    public async Task<bool> HasDeadlinesAsync() =>
        (await _app.Services.GetRequiredService<DeadlineStore>().ListDueAsync(DateTimeOffset.MaxValue, DeliveryDeadline.Start, 1, default)).Count > 0;

    /// <summary>Waits until every recipient of the message has its outcome.</summary>
    public async Task<MessageTimeline> OutcomeOfAsync(long messageId)
    {
        MessageTimeline? timeline = null;
        await Until.TrueAsync(
            async () =>
            {
                timeline = await History.FindAsync(messageId, default);
                return timeline!.Recipients.Count > 0 && timeline.Recipients.All(r => r.State != RecipientState.Queued);
            },
            $"every recipient of {messageId} has its outcome");
        return timeline!;
    }

    /// <summary>Sends what a worker would.</summary>
    public Task ReportAsync(AttemptReport report) => Bus.SendAsync(BusEndpoints.AttemptsCompleted, report.ToContract(), default);

    public async Task<int> FailuresAsync(string domain) =>
        (await Waiting.SummarizeAsync(10, QueueState.Unknown, isPaused: false, default)).Domains.FirstOrDefault(d => d.Domain == domain)?.Failures ?? 0;

    /// <summary>The sum of what an observable gauge of the queue shows now.</summary>
    public long Gauge(string name, (string Name, string Value)? tag = null)
    {
        var sum = 0L;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, listening) =>
        {
            if (instrument.Meter.Scope == Meters && instrument.Name == $"mailpipeline.queue.{name}")
                listening.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<int>((_, value, _, _) => sum += value);
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) =>
        {
            if (tag is null || tags.Contains(new KeyValuePair<string, object?>(tag.Value.Name, tag.Value.Value)))
                sum += value;
        });
        listener.Start();
        listener.RecordObservableInstruments();
        return sum;
    }

    /// <summary>Waits until nothing is left to do: no unrouted message, no queued recipient, no claim, no report owed, no bytes without an owner.</summary>
    public Task DrainedAsync() => Until.TrueAsync(
        async () => await CountAsync() is { Unrouted: 0, Queued: 0, Claims: 0, ChunksWithoutOwner: 0, Unreported: 0 },
        "nothing is left to do");

    public Task ReportArrivesAsync() => Until.TrueAsync(
        async () => (await MaildropAsync("sender@example.org")).Count > 0, "the report is in the sender's maildrop");

    public async Task<IReadOnlyList<MaildropMessage>> MaildropAsync(string address) =>
        await Maildrops.ListAsync((await Directory.FindAccountAsync(address, default))!.Id, default);

    public async Task<string> ReadAsync(MaildropMessage message)
    {
        var text = new MemoryStream();
        await foreach (var chunk in Maildrops.ReadAsync(message, default))
            text.Write(chunk.Span);
        return System.Text.Encoding.UTF8.GetString(text.ToArray());
    }

    private string Database => $"Data Source={Path.Combine(_folder.FullName, "mail.db")}";

    public async ValueTask DisposeAsync()
    {
        // What a test that failed has not let go of would keep the bus from stopping.
        Worker.Leave();
        await _app.StopAsync();
        await _app.DisposeAsync();
        _folder.Delete(recursive: true);
    }
}
