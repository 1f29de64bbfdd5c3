using System.Diagnostics.Metrics;
using System.Net;
using System.Text;
using System.Threading.Channels;
using MailPipeline.Contracts;
using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using MassTransit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>
/// A real Ingress on free loopback ports with a SQLite store in a temporary folder. Domains example.com and example.org are
/// local; ann@example.com (password "secret") has an account, sales@example.com is her alias, @example.org catches all for her.
/// </summary>
internal sealed class IngressHost : IAsyncDisposable
{
    public const string Password = "secret";

    private readonly WebApplication _app;
    private readonly string _folder;
    private readonly Channel<Envelope> _hints;

    private IngressHost(WebApplication app, string folder, FakeTimeProvider? time, Channel<Envelope> hints)
    {
        _app = app;
        _folder = folder;
        _hints = hints;
        FakeTime = time;
        // The HTTP listener of the service defaults comes first.
        var ports = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses
            .Where(address => !address.Contains("unix:", StringComparison.Ordinal)).Select(address => new Uri(address).Port).ToArray();
        Mx = new IPEndPoint(IPAddress.Loopback, ports[1]);
        Submission = new IPEndPoint(IPAddress.Loopback, ports[2]);
        Submissions = new IPEndPoint(IPAddress.Loopback, ports[3]);
        Lmtp = new IPEndPoint(IPAddress.Loopback, ports.Length > 4 ? ports[4] : 0);
    }

    public IPEndPoint Mx { get; }

    public IPEndPoint Submission { get; }

    /// <summary>Submission with implicit TLS.</summary>
    public IPEndPoint Submissions { get; }

    /// <summary>Where settings open a further listener, of LMTP.</summary>
    public IPEndPoint Lmtp { get; }

    public FakeTimeProvider? FakeTime { get; }

    public IServiceProvider Services => _app.Services;

    public MailDirectory Directory => Services.GetRequiredService<MailDirectory>();

    public StorageOptions Storage => Services.GetRequiredService<StorageOptions>();

    public int Sessions => Services.GetRequiredService<SessionRegistry>().Count;

    public string DatabasePath => Path.Combine(_folder, "mail.db");

    public static async Task<IngressHost> StartAsync(
        IReadOnlyDictionary<string, string>? settings = null, FakeTimeProvider? time = null, Action<IServiceCollection>? services = null,
        Action<IBusRegistrationConfigurator>? consumers = null)
    {
        var folder = System.IO.Directory.CreateTempSubdirectory("mailpipeline-ingress-").FullName;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration.AddInMemoryCollection(Defaults(folder));
        builder.Configuration.AddInMemoryCollection((settings ?? new Dictionary<string, string>()).Select(pair => KeyValuePair.Create(pair.Key, (string?)pair.Value)));
        if (time is not null)
            builder.Services.AddSingleton<TimeProvider>(time);

        var hints = Channel.CreateUnbounded<Envelope>();
        builder.Services.AddSingleton(hints);
        builder.AddServiceDefaults("ingress");
        builder.Logging.ClearProviders();
        builder.AddMailDatabase();
        builder.AddMailBus(bus =>
        {
            bus.AddConsumer<HintConsumer, HintConsumerDefinition>();
            consumers?.Invoke(bus);
        });
        builder.AddIngress();
        services?.Invoke(builder.Services);
        var app = builder.Build();
        try
        {
            await app.StartAsync();
        }
        catch
        {
            await app.DisposeAsync();
            System.IO.Directory.Delete(folder, recursive: true);
            throw;
        }

        var host = new IngressHost(app, folder, time, hints);
        await host.Directory.AddDomainAsync("example.com");
        await host.Directory.AddDomainAsync("example.org");
        await host.Directory.AddAccountAsync("ann@example.com", StoredPassword.Create(Password, MailPipeline.Sasl.ScramKeys.LeastIterations));
        await host.Directory.AddAliasAsync("sales@example.com", "ann@example.com");
        await host.Directory.AddAliasAsync("@example.org", "ann@example.com");
        return host;
    }

    /// <summary>The next message the queue is told of.</summary>
    public async Task<Envelope> NextHintAsync() => await _hints.Reader.ReadAsync(Deadline.Token);

    public bool HasHint => _hints.Reader.TryPeek(out _);

    /// <summary>What storage holds of a message.</summary>
    public async Task<byte[]> ContentAsync(long messageId)
    {
        var content = new MemoryStream();
        await foreach (var chunk in Services.GetRequiredService<MessageStore>().ReadContentAsync(messageId, Deadline.Token))
            content.Write(chunk.Span);
        return content.ToArray();
    }

    /// <summary>The content without the trace field we put before it; checks that it is there.</summary>
    public async Task<byte[]> ReceivedContentAsync(long messageId)
    {
        var content = await ContentAsync(messageId);
        var text = Encoding.Latin1.GetString(content);
        Assert.StartsWith("Received: from ", text, StringComparison.Ordinal);
        var end = 0;
        do
            end = text.IndexOf("\r\n", end, StringComparison.Ordinal) + 2;
        while (text[end] == '\t');
        return content[end..];
    }

    public MetricCollector<T> Metric<T>(string name)
        where T : struct => new(Services.GetRequiredService<IMeterFactory>(), IngressTelemetry.SourceName, name);

    public Task StopAsync() => _app.StopAsync(Deadline.Token);

    /// <summary>Waits for the sessions to end, which happens a moment after the client has seen its end.</summary>
    public Task NoSessionsAsync() => MailPipeline.Testing.Eventually.TrueAsync(() => Sessions == 0, TimeSpan.FromSeconds(20));

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(Deadline.Token);
        await _app.DisposeAsync();
        System.IO.Directory.Delete(_folder, recursive: true);
    }

    private static Dictionary<string, string?> Defaults(string folder) => new()
    {
        ["ConnectionStrings:maildb"] = $"Data Source={Path.Combine(folder, "mail.db")}",
        ["MailStore:DirectoryCacheTime"] = "00:00:00",
        ["Storage:ReservedFreeBytes"] = "0",
        ["Tls:SelfSignedDirectory"] = Path.Combine(folder, "tls"),
        ["Http:Address"] = "127.0.0.1",
        ["Http:Port"] = "0",
        ["Ingress:HostName"] = "mx.example.com",
        ["Ingress:Listeners:0:Kind"] = "Mx",
        ["Ingress:Listeners:0:Port"] = "0",
        ["Ingress:Listeners:1:Kind"] = "Submission",
        ["Ingress:Listeners:1:Port"] = "0",
        ["Ingress:Listeners:2:Kind"] = "Submission",
        ["Ingress:Listeners:2:Port"] = "0",
        ["Ingress:Listeners:2:Tls"] = "Implicit",
    };

    private sealed class HintConsumer(Channel<Envelope> hints) : IConsumer<MessageAccepted>
    {
        public Task Consume(ConsumeContext<MessageAccepted> context)
        {
            foreach (var message in context.Message.Messages!)
                hints.Writer.TryWrite(message.ToEnvelope());
            return Task.CompletedTask;
        }
    }

    private sealed class HintConsumerDefinition : ConsumerDefinition<HintConsumer>
    {
        public HintConsumerDefinition() => EndpointName = BusEndpoints.MessageAccepted;
    }
}

/// <summary>No test waits longer than this for anything.</summary>
internal static class Deadline
{
    public static CancellationToken Token => new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;
}
