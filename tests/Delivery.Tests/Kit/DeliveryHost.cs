using System.Threading.Channels;
using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using MailPipeline.Testing;
using MassTransit;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Delivery.Tests;

/// <summary>The whole service as a host composes it: SQLite in a temporary folder, the bus in memory, real DNS and sockets.</summary>
internal sealed class DeliveryHost : IAsyncDisposable
{
    private readonly TempFolder _folder = new("delivery");
    private readonly Reports _reports = new();
    private readonly WebApplication _app;
    private Task? _stopping;

    private DeliveryHost(Dictionary<string, string?> settings)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Http:Port"] = "0",
            ["Tls:SelfSignedDirectory"] = _folder.CreateFolder("tls"),
            ["Delivery:HostName"] = "client.example.com",
        });
        builder.Configuration.AddInMemoryCollection(settings);
        builder.AddServiceDefaults("delivery-tests");
        builder.Logging.ClearProviders();
        builder.Services.AddMailStorage(new StorageOptions { ConnectionString = $"Data Source={_folder["mail.db"]}" });
        builder.Services.AddSingleton(_reports);
        builder.AddDelivery();
        builder.AddMailBus(bus =>
        {
            bus.AddDeliveryConsumers();
            bus.AddConsumer<ReportConsumer>().Endpoint(endpoint => endpoint.Name = BusEndpoints.AttemptsCompleted);
        });
        _app = builder.Build();
    }

    public QueueStore Queue => Get<QueueStore>();

    public static async Task<DeliveryHost> StartAsync(Dictionary<string, string?> settings)
    {
        var host = new DeliveryHost(settings);
        await host._app.StartAsync(TestContext.Current.CancellationToken);
        return host;
    }

    public T Get<T>()
        where T : notnull => _app.Services.GetRequiredService<T>();

    /// <summary>Accepts and routes a message.</summary>
    public async Task<Recipient[]> QueueAsync(byte[] content, params string[] recipients)
    {
        var messages = Get<MessageStore>();
        var id = await messages.NextMessageIdAsync(default);
        var message = new Envelope(
            id, "sender@example.com", recipients, content.Length, BodyType.EightBitMime, TimeProvider.System.GetUtcNow(), "");
        await using var writer = messages.CreateContent(id);
        await writer.AppendAsync(content, default);
        await messages.AcceptAsync(message, writer, default);
        var routed = new RoutedMessage(
            message, [.. recipients.Select(address => new RoutedRecipient(address, "", DomainOf(address), RecipientRoute.Remote))]);
        return [.. (await Queue.RouteAsync([routed])).Select(made => made.Recipient)];
    }

    /// <summary>Hands recipients of one domain out, as Queue does.</summary>
    public async Task SendAsync(Recipient[] recipients, string endpoint = BusEndpoints.Deliver) =>
        await SendAsync(
            new BatchCommand(await Queue.NextBatchIdAsync(default), DomainOf(recipients[0].Address), recipients), endpoint);

    public Task SendAsync(BatchCommand command, string endpoint = BusEndpoints.Deliver) =>
        Get<MailBus>().SendAsync(endpoint, command.ToDeliverMessages(), TestContext.Current.CancellationToken);

    public Task<AttemptReport> NextReportAsync() => _reports.NextAsync();

    /// <summary>What SIGTERM does.</summary>
    public void AskToStop() => Get<IHostApplicationLifetime>().StopApplication();

    /// <summary>Hands out and waits for the report.</summary>
    public async Task<AttemptReport> DeliverAsync(Recipient[] recipients, string endpoint = BusEndpoints.Deliver)
    {
        await SendAsync(recipients, endpoint);
        return await NextReportAsync();
    }

    public Task StopAsync() => _stopping ??= _app.StopAsync();

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await _app.DisposeAsync();
        _folder.Dispose();
    }

    private static string DomainOf(string address) => address[(address.LastIndexOf('@') + 1)..];

    internal sealed class Reports
    {
        private readonly Channel<AttemptReport> _reports = Channel.CreateUnbounded<AttemptReport>();

        public void Add(AttemptReport report) => _reports.Writer.TryWrite(report);

        public async Task<AttemptReport> NextAsync() => 
            await _reports.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(60));
    }

    /// <summary>In the place of Queue.</summary>
    internal sealed class ReportConsumer(Reports reports) : IConsumer<AttemptsCompleted>
    {
        public Task Consume(ConsumeContext<AttemptsCompleted> context)
        {
            reports.Add(context.Message.ToReport());
            return Task.CompletedTask;
        }
    }
}
