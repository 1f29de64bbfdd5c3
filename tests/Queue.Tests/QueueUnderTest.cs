using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using MailPipeline.Contracts;
using MailPipeline.ServiceDefaults;
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

    private QueueUnderTest(IEnumerable<KeyValuePair<string, string?>> settings, TimeSpan claimLease)
    {
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Queue:Hostname"] = "mail.example.org",
            ["Queue:SiloPort"] = $"{FreePorts.Next()}",
            ["Queue:RetrySteps:0"] = "00:00:00.100",
            ["Queue:WardenInterval"] = "00:00:00.100",
            ["Queue:UnroutedGrace"] = "00:00:00.300",
            ["Queue:HandOutTimeout"] = "00:00:01",
        });
        builder.Configuration.AddInMemoryCollection(settings);
        _storage = new StorageOptions
        {
            ConnectionString = Database,
            DirectoryCacheTime = TimeSpan.Zero,
            ClaimLease = claimLease,
        };
        builder.Services.AddMailStorage(_storage);
        builder.Services.AddSingleton(Worker);
        // Where the test names a broker that is away.
        builder.Services.Configure<MassTransitHostOptions>(host => host.StopTimeout = TimeSpan.FromSeconds(5));
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

    public MessageHistory History => _app.Services.GetRequiredService<MessageHistory>();

    public ClaimStore Claims => _app.Services.GetRequiredService<ClaimStore>();

    public OperatorStore Operator => _app.Services.GetRequiredService<OperatorStore>();

    public MailDirectory Directory => _app.Services.GetRequiredService<MailDirectory>();

    public MaildropStore Maildrops => _app.Services.GetRequiredService<MaildropStore>();

    public MailBus Bus => _app.Services.GetRequiredService<MailBus>();

    private IGrainFactory Grains => _app.Services.GetRequiredService<IGrainFactory>();

    public IMeterFactory Meters => _app.Services.GetRequiredService<IMeterFactory>();

    /// <param name="before">What an operator did before the process began.</param>
    public static async Task<QueueUnderTest> StartAsync(
        Dictionary<string, string?>? settings = null, TimeSpan? claimLease = null, Func<OperatorStore, Task>? before = null)
    {
        var queue = new QueueUnderTest(settings ?? [], claimLease ?? TimeSpan.FromSeconds(15));
        if (before is not null)
        {
            await using var services = new ServiceCollection().AddLogging().AddMetrics().AddMailStorage(queue._storage).BuildServiceProvider();
            await services.GetRequiredService<MailDatabase>().OpenAsync(default);
            await before(services.GetRequiredService<OperatorStore>());
        }
        await queue._app.StartAsync();
        return queue;
    }

    /// <summary>The domain's queue leaves memory, as when its silo ends.</summary>
    public async Task ForgetAsync(string domain) =>
        await Grains.GetGrain<IDomainQueueGrain>(domain).AsReference<IGrainManagementExtension>().DeactivateOnIdle();

    public Task WakeAsync(string domain) => Grains.GetGrain<IDomainQueueGrain>(domain).WakeAsync();

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

    /// <summary>Accepts a message as Ingress does; without the hint only the warden can find it.</summary>
    public async Task<long> AcceptAsync(bool hint, string sender, params string[] recipients)
    {
        var messages = _app.Services.GetRequiredService<MessageStore>();
        var content = "Subject: test\r\nMessage-ID: <1@example.org>\r\n\r\nbody\r\n"u8.ToArray();
        var id = await messages.NextMessageIdAsync(default);
        var message = new AcceptedMessage(id, sender, recipients, content.Length, BodyType.SevenBit, TimeProvider.System.GetUtcNow(), "");
        await using var writer = messages.CreateContent(id);
        await writer.AppendAsync(content, default);
        await messages.AcceptAsync(message, writer, default);
        if (hint)
            await Bus.SendAsync(BusEndpoints.MessageAccepted, new MessageAccepted([message]), default);
        return id;
    }

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

/// <summary>What the worker does with each command, and all it was given.</summary>
internal sealed class Worker
{
    private readonly TaskCompletionSource _leaving = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ConcurrentQueue<DeliverMessages> Commands { get; } = new();

    /// <summary>The outcome of each recipient; the number counts the attempts made for it before.</summary>
    public Func<QueuedRecipient, (AttemptOutcome Outcome, string Status, string Reply)> Answer { get; set; } =
        _ => (AttemptOutcome.Delivered, "2.0.0", "250 2.0.0 Ok");

    /// <summary>False: no host of the domain can be reached.</summary>
    public Func<string, bool> Reachable { get; set; } = _ => true;

    /// <summary>What becomes of a command before it is worked on.</summary>
    public Func<DeliverMessages, Fate> FateOf { get; set; } = _ => Fate.Done;

    /// <summary>What a command waits for after its claim is won: a slow far end.</summary>
    public Func<DeliverMessages, Task> Until { get; set; } = _ => Task.CompletedTask;

    /// <summary>Every command that is under way ends without a word.</summary>
    public Task Leaving => _leaving.Task;

    public void Leave() => _leaving.TrySetResult();

    public int AttemptsAt(string domain) => Commands.Where(command => command.Domain == domain).Sum(command => command.Recipients.Length);

    public enum Fate
    {
        Done,

        /// <summary>Lost on the bus.</summary>
        Lost,

        /// <summary>The worker dies after it has won the claim.</summary>
        DiesWithClaim,

        /// <summary>The report is sent twice, and the command is worked on twice.</summary>
        Twice,
    }
}

internal class WorkerConsumer(Worker worker, ClaimStore claims, MailBus bus) : IConsumer<DeliverMessages>
{
    public async Task Consume(ConsumeContext<DeliverMessages> context)
    {
        var command = context.Message;
        worker.Commands.Enqueue(command);
        var fate = worker.FateOf(command);
        if (fate == Worker.Fate.Lost)
            return;
        for (var times = fate == Worker.Fate.Twice ? 2 : 1; times > 0; times--)
        {
            var won = await claims.TakeAsync(command.ClaimId, command.Domain, command.Recipients, default);
            if (fate == Worker.Fate.DiesWithClaim)
                return;
            if (await Task.WhenAny(worker.Until(command), worker.Leaving) == worker.Leaving)
                return;
            var results = command.Recipients.Select(recipient => Result(command, recipient, won.Contains(recipient.RecipientId))).ToArray();
            await claims.RecordDeliveredAsync(command.ClaimId, [.. results.Where(r => r.Outcome == AttemptOutcome.Delivered)], default);
            await bus.SendAsync(
                BusEndpoints.AttemptsCompleted,
                new AttemptsCompleted(command.Domain, command.ClaimId, results, !worker.Reachable(command.Domain)), default);
        }
    }

    private AttemptResult Result(DeliverMessages command, QueuedRecipient recipient, bool won)
    {
        var (outcome, status, reply) = !won ? (AttemptOutcome.NotAttempted, "4.0.0", "claim not won")
            : worker.Reachable(command.Domain) ? worker.Answer(recipient)
            : (AttemptOutcome.Deferred, "4.4.1", "connection refused");
        var now = TimeProvider.System.GetUtcNow();
        return new AttemptResult(recipient.RecipientId, outcome, status, reply, "mx.example.net[192.0.2.1]:25", now, now);
    }
}

internal sealed class RetryWorkerConsumer(Worker worker, ClaimStore claims, MailBus bus) : WorkerConsumer(worker, claims, bus);

internal sealed class MailboxConsumer(MaildropStore maildrops, MailBus bus) : IConsumer<StoreMessages>
{
    public async Task Consume(ConsumeContext<StoreMessages> context)
    {
        var results = await maildrops.StoreAsync(context.Message, _ => "", default);
        await bus.SendAsync(
            BusEndpoints.AttemptsCompleted,
            new AttemptsCompleted(context.Message.Domain, context.Message.ClaimId, [.. results], false), default);
    }
}

internal static class Until
{
    public static Task TrueAsync(Func<Task<bool>> condition, string what) =>
        Eventually.TrueAsync(condition, TimeSpan.FromSeconds(30), () => "Waited for: " + what);
}
