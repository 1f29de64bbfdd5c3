using System.Data.Common;
using System.Diagnostics.Metrics;
using MailPipeline.Storage;
using MailPipeline.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Npgsql;

namespace MailPipeline.Mail.Tests;

/// <summary>A store of its own with all its views, on one of the engines.</summary>
public sealed class StoreFixture : IAsyncDisposable
{
    private readonly Meters _meters = new();
    private readonly Func<ValueTask> _remove;

    private StoreFixture(StorageOptions options, Func<ValueTask> remove)
    {
        _remove = remove;
        Options = options;
        Database = new MailDatabase(options, _meters, Time, NullLogger<MailDatabase>.Instance);
        Messages = new MessageStore(Database);
        Queue = new QueueStore(Database);
        Flows = new FlowStore(Database);
        Measures = new MeasureStore(Database);
        Subscriptions = new EventSubscriptions(Database);
        Events = new EventStore(Database);
        Complaints = new ComplaintStore(Database, Subscriptions);
        Claims = new ClaimStore(Database, MailStoreOptions, Subscriptions);
        Outcomes = new OutcomeStore(Database, Subscriptions);
        Unreported = new UnreportedStore(Database);
        DeadClaims = new TakeBackStore(Database, Subscriptions);
        Ownerless = new OwnerlessStore(Database);
        Maildrops = new MaildropStore(Database, Messages, Claims, MailStoreOptions, Subscriptions);
        Directory = new MailDirectory(Database, MailStoreOptions);
        Removal = new AccountRemoval(Database, Directory);
        Secrets = new SecretStore(Database);
        Failures = new LoginFailureStore(Database, Secrets);
        History = new MessageHistory(Database);
        Samples = new SampleStore(Database);
        States = new QueueStateStore(Database);
        WaitingList = new WaitingListStore(Database);
        Waiting = new WaitingStore(Database, Measures, Samples);
        Operator = new OperatorStore(Database);
        Flushes = new FlushStore(Database, Operator, new SiteStore(Database));
    }

    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 1, 1, 12, 0, 0, TimeSpan.Zero));

    public StorageOptions Options { get; }

    public MailStoreOptions MailStoreOptions { get; } = new();

    public MailDatabase Database { get; }

    public MessageStore Messages { get; }

    public QueueStore Queue { get; }

    public FlowStore Flows { get; }

    public MeasureStore Measures { get; }

    public EventSubscriptions Subscriptions { get; }

    public EventStore Events { get; }

    public ComplaintStore Complaints { get; }

    public ClaimStore Claims { get; }

    public OutcomeStore Outcomes { get; }

    public UnreportedStore Unreported { get; }

    public TakeBackStore DeadClaims { get; }

    public OwnerlessStore Ownerless { get; }

    public MaildropStore Maildrops { get; }

    public SecretStore Secrets { get; }

    public LoginFailureStore Failures { get; }

    public MailDirectory Directory { get; }

    public AccountRemoval Removal { get; }

    public MessageHistory History { get; }

    public WaitingStore Waiting { get; }

    public SampleStore Samples { get; }

    public QueueStateStore States { get; }

    public WaitingListStore WaitingList { get; }

    public OperatorStore Operator { get; }

    public FlushStore Flushes { get; }

    public static async Task<StoreFixture> SqliteAsync(Action<StorageOptions>? configure = null)
    {
        var folder = new TempFolder("store", inMemory: true);
        var options = new StorageOptions { ConnectionString = $"Data Source={folder["mail.db"]}" };
        configure?.Invoke(options);
        var store = new StoreFixture(options, () =>
        {
            folder.Dispose();
            return ValueTask.CompletedTask;
        });
        await store.Database.OpenAsync(default);
        return store;
    }

    public static async Task<StoreFixture> PostgresAsync(string connectionString, Action<StorageOptions>? configure, Func<ValueTask> remove)
    {
        var options = new StorageOptions { ConnectionString = connectionString };
        configure?.Invoke(options);
        var store = new StoreFixture(options, remove);
        await store.Database.OpenAsync(default);
        return store;
    }

    /// <summary>Tells how many callers shared each commit from now on, until the listener is disposed of.</summary>
    public MeterListener ListenToCommits(Action<int> callers)
    {
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listening) =>
            {
                if (_meters.HasMade(instrument.Meter) && instrument.Name == "mailpipeline.storage.commit.batch")
                    listening.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<int>((_, count, _, _) => callers(count));
        listener.Start();
        return listener;
    }

    /// <summary>Keeps the writer busy until the returned is disposed of: what is written meanwhile waits, and shares a transaction where it may.</summary>
    public IDisposable KeepWriterBusy() => new BusyWriter(Database);

    /// <summary>Runs statements past the store, e.g. what a program that is not written yet would have done.</summary>
    public async Task RunAsync(string sql)
    {
        await using var connection = Connect();
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>What there is in all.</summary>
    public async Task<StoreCounts> CountAsync()
    {
        await using var connection = Connect();
        return await StoreCounts.ReadAsync(connection);
    }

    public async Task<long> CountRowsAsync(string table)
    {
        await using var connection = Connect();
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = $"SELECT COUNT(*) FROM {table}";
        return (long)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Past the store.</summary>
    public DbConnection Connect() => Database.SingleProcess
        ? new SqliteConnection(Options.ConnectionString + ";Pooling=False") : new NpgsqlConnection(Options.ConnectionString);

    /// <summary>Accepts one message and gives back what was accepted.</summary>
    public async Task<Envelope> AcceptAsync(byte[] content, params string[] recipients)
    {
        var id = await Messages.NextMessageIdAsync(default);
        var message = new Envelope(id, "sender@example.org", recipients, content.Length, BodyType.SevenBit, Time.GetUtcNow(), "");
        await using var writer = Messages.CreateContent(id);
        await writer.AppendAsync(content, default);
        await Messages.AcceptAsync(message, writer, default);
        return message;
    }

    /// <summary>Takes a claim of this number for a batch of the same.</summary>
    public Task<IReadOnlySet<long>> TakeAsync(
        long claimId, string domain, IReadOnlyList<Recipient> recipients, bool begun, CancellationToken cancellationToken) =>
        Claims.TakeAsync(claimId, claimId, domain, recipients, begun, cancellationToken);

    /// <summary>Takes claims back; what counts as an attempt is due after five minutes for each one made, and held after three that may have delivered.</summary>
    public Task<TakenBack> TakeBackAsync(bool evenIfLeased, Func<bool>? mayTake = null) =>
        TakeBackAsync(
            evenIfLeased,
            left => left is { MayHaveArrived: true, Uncertain: >= 3 }
                ? new(RecipientState.Held, Time.GetUtcNow(), HoldRule.Uncertain(left.Uncertain)) : new(RecipientState.Queued, Time.GetUtcNow().AddMinutes(5 * left.Attempts)),
            mayTake);

    public Task<TakenBack> TakeBackAsync(bool evenIfLeased, Func<LeftRecipient, TakeBackDecision> decide, Func<bool>? mayTake = null) =>
        DeadClaims.TakeBackAsync(evenIfLeased, decide, TimeSpan.Zero, default, mayTake);

    /// <summary>Accepts and routes one message for remote or local recipients.</summary>
    public async Task<IReadOnlyList<Recipient>> QueueAsync(byte[] content, RecipientRoute route, params string[] recipients)
    {
        var message = await AcceptAsync(content, recipients);
        var made = await Queue.RouteAsync([Route(message, route)]);
        return [.. made.Select(row => row.Recipient)];
    }

    public static RoutedMessage Route(Envelope message, RecipientRoute route) =>
        new(message, [.. message.Recipients.Select(r => new RoutedRecipient(r, "", r[(r.LastIndexOf('@') + 1)..], route))]);

    public async Task<byte[]> ReadAsync(long messageId)
    {
        var all = new MemoryStream();
        await foreach (var chunk in Messages.ReadContentAsync(messageId, default))
            all.Write(chunk.Span);
        return all.ToArray();
    }

    public AttemptResult Result(Recipient recipient, AttemptOutcome outcome, string status, string reply) =>
        new(recipient.RecipientId, outcome, status, reply, "mx.example.net[192.0.2.1]:25", Time.GetUtcNow(), Time.GetUtcNow());

    public async ValueTask DisposeAsync()
    {
        await Database.DisposeAsync();
        _meters.Dispose();
        await _remove();
    }

    internal sealed class Meters : IMeterFactory
    {
        private readonly List<Meter> _made = [];

        public Meter Create(MeterOptions options)
        {
            var meter = new Meter(options);
            _made.Add(meter);
            return meter;
        }

        public bool HasMade(Meter meter) => _made.Contains(meter);

        public void Dispose() => _made.ForEach(meter => meter.Dispose());
    }

    private sealed class BusyWriter : IDisposable
    {
        private readonly ManualResetEventSlim _goOn = new();
        private readonly Task<int> _writing;

        public BusyWriter(MailDatabase database)
        {
            var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _writing = database.WriteAsync(_ =>
            {
                begun.SetResult();
                _goOn.Wait();
                return ValueTask.FromResult(0);
            });
            begun.Task.Wait();
        }

        public void Dispose()
        {
            _goOn.Set();
            _writing.Wait();
            _goOn.Dispose();
        }
    }
}
