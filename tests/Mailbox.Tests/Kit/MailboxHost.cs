using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.Sasl;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Mailbox.Tests.Kit;

/// <summary>The whole service as a host composes it: Kestrel on free loopback ports, SQLite in a temporary folder, the bus in memory.</summary>
internal sealed class MailboxHost : IAsyncDisposable
{
    private const string PasswordOfAll = "secret";

    private readonly string _folder = Directory.CreateTempSubdirectory("mailbox-host-").FullName;
    private readonly Reports _reports = new();
    private WebApplication _app;
    private Task? _stopped;

    /// <summary>Each line of the log behind the trace id that it carries.</summary>
    public ConcurrentQueue<string> TracedLines { get; } = [];

    private MailboxHost(Dictionary<string, string?>? settings, int logins) => _app = Build(settings, logins);

    public MailDirectory Accounts => Get<MailDirectory>();

    public MaildropStore Maildrops => Get<MaildropStore>();

    /// <summary>One end point for each of the listeners of <see cref="Build"/>: starttls, implicit.</summary>
    public IPEndPoint[] EndPoints { get; private set; } = [];

    /// <param name="logins">That may wait for their passwords to be looked at.</param>
    public static async Task<MailboxHost> StartAsync(Dictionary<string, string?>? settings = null, int logins = 100)
    {
        var host = new MailboxHost(settings, logins);
        await host._app.StartAsync(TestContext.Current.CancellationToken);
        host.EndPoints = [.. host.Get<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses
            .Select(address => IPEndPoint.Parse(new Uri(address).Authority)).TakeLast(2)];
        await host.Accounts.AddDomainAsync("example.org");
        return host;
    }

    public T Get<T>()
        where T : notnull => _app.Services.GetRequiredService<T>();

    public async Task<Account> AddAccountAsync(string address)
    {
        Assert.True(await Accounts.AddAccountAsync(address, StoredPassword.Create(PasswordOfAll, ScramKeys.LeastIterations)));
        return (await Accounts.ListAccountsAsync(default)).Single(account => account.Address == address);
    }

    /// <summary>Accepts and routes a message for local recipients.</summary>
    public async Task<Recipient[]> QueueAsync(byte[] content, string sender, params string[] recipients)
    {
        var messages = Get<MessageStore>();
        var id = await messages.NextMessageIdAsync(default);
        var message = new Envelope(id, sender, recipients, content.Length, BodyType.EightBitMime, DateTimeOffset.UnixEpoch, "");
        await using var writer = messages.CreateContent(id);
        await writer.AppendAsync(content, default);
        await messages.AcceptAsync(message, writer, default);
        var routed = new RoutedMessage(
            message, [.. recipients.Select(address => new RoutedRecipient(address, "", "example.org", RecipientRoute.Local))]);
        return [.. (await Get<QueueStore>().RouteAsync([routed])).Select(made => made.Recipient)];
    }

    /// <summary>Sends a command over the bus, as Queue does, and waits for the report.</summary>
    public async Task<AttemptReport> StoreAsync(params Recipient[] recipients)
    {
        var batch = await Get<QueueStore>().NextBatchIdAsync(default);
        return await SendAsync(new BatchCommand(batch, "example.org", recipients));
    }

    public async Task<AttemptReport> SendAsync(BatchCommand command)
    {
        await Get<MailBus>().SendAsync(BusEndpoints.Store, command.ToStoreMessages(), TestContext.Current.CancellationToken);
        return await _reports.NextAsync();
    }

    /// <summary>As on SIGTERM; ends when the last session has.</summary>
    public Task StopAsync() => _stopped ??= _app.StopAsync();

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await _app.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private WebApplication Build(Dictionary<string, string?>? settings, int logins)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Http:Port"] = "0",
            ["Tls:SelfSignedDirectory"] = Path.Combine(_folder, "tls"),
            ["Mailbox:LoginFailureDelay"] = "0:00:00",
            ["Mailbox:Listeners:0:Name"] = "pop3",
            ["Mailbox:Listeners:0:Port"] = "0",
            ["Mailbox:Listeners:1:Name"] = "pop3s",
            ["Mailbox:Listeners:1:Port"] = "0",
            ["Mailbox:Listeners:1:Tls"] = "Implicit",
        });
        builder.Configuration.AddInMemoryCollection(settings ?? []);
        builder.AddServiceDefaults("mailbox-tests");
        builder.Logging.ClearProviders();
        builder.Services.AddFakeLogging(log =>
        {
            log.OutputFormatter = record => $"{Activity.Current?.TraceId.ToHexString()} {record.Message}";
            log.OutputSink = TracedLines.Enqueue;
        });
        var options = builder.Configuration.ReadLoginOptions();
        options.MaxWaiting = logins;
        builder.Services.AddMailStorage(new StorageOptions { ConnectionString = $"Data Source={Path.Combine(_folder, "mail.db")}" }, logins: options);
        builder.Services.AddSingleton(_reports);
        builder.AddMailbox();
        builder.AddMailBus(bus =>
        {
            bus.AddMailboxConsumers();
            bus.AddConsumer<ReportConsumer>().Endpoint(endpoint => endpoint.Name = BusEndpoints.AttemptsCompleted);
        });
        return builder.Build();
    }
}
