using System.IO.Pipelines;
using System.Net;
using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.Mailbox.Pop3;
using MailPipeline.ServiceDefaults;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Logging.Testing;
using System.Diagnostics.Metrics;

namespace MailPipeline.Mailbox.Tests.Kit;

/// <summary>A POP3 server over pipes in memory: everything but Kestrel's sockets, on a clock of the test.</summary>
internal sealed class Pop3Harness : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mailbox-tests-").FullName;
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly MailboxTelemetry _telemetry;
    private readonly SessionRegistry _registry;
    private readonly LineAcceptor _acceptor;
    private readonly Dictionary<ListenerTls, Pop3Listener> _listeners;
    private int _connections;

    /// <param name="mechanisms">Of SASL, on all listeners; null: those of the default.</param>
    public Pop3Harness(Action<MailboxOptions>? configure = null, string? mechanisms = null)
    {
        var options = new MailboxOptions { AllowCleartextLogin = CleartextLogin.Always, LoginFailureDelay = TimeSpan.Zero };
        configure?.Invoke(options);
        Options = options;
        _telemetry = new MailboxTelemetry(Meters, Time);
        var tls = Microsoft.Extensions.Options.Options.Create(new TlsOptions { SelfSignedDirectory = _folder });
        var certificate = new ServerCertificate(tls, Time, new FakeLogger<ServerCertificate>());
        Server = new Pop3Server(Maildrops, Microsoft.Extensions.Options.Options.Create(options), _telemetry, new TlsExporter(new FakeLogger<TlsExporter>()), Time, new FakeLogger<Pop3Server>(Log));
        _registry = new SessionRegistry(Time);
        _acceptor = new LineAcceptor(_registry, certificate, Time, new FakeLogger<LineAcceptor>());
        _listeners = Enum.GetValues<ListenerTls>().ToDictionary(tls => tls, tls => new Pop3Listener(Server, new MailboxListener { Tls = tls, AuthMechanisms = mechanisms }, options, new LoginOptions(), Time));
        AnnId = Maildrops.AddAccount("ann@example.org", "secret");
    }

    public MailboxOptions Options { get; }

    public WatchedTime Time { get; } = new() { AutoAdvanceAmount = TimeSpan.Zero };

    public MemoryMaildrops Maildrops { get; } = new();

    public FakeLogCollector Log { get; } = new();

    public Pop3Server Server { get; }

    public long AnnId { get; }

    private IMeterFactory Meters => _services.GetRequiredService<IMeterFactory>();

    public MetricCollector<long> Measure(string name) => new(Meters, MailboxTelemetry.SourceName, name);

    public Pop3Wire Connect(ListenerTls tls = ListenerTls.StartTls, string address = "127.0.0.1")
    {
        // The thresholds of Kestrel's socket transport: 1 MB in, 64 KB out.
        var input = new Pipe();
        var output = new Pipe(new PipeOptions(pauseWriterThreshold: 64 * 1024, resumeWriterThreshold: 32 * 1024));
        var context = new DefaultConnectionContext($"test-{++_connections}")
        {
            Transport = new DuplexPipe(input.Reader, output.Writer),
            RemoteEndPoint = new IPEndPoint(IPAddress.Parse(address), 50_000 + _connections),
        };
        var stop = new StopRequest();
        context.Features.Set<IConnectionLifetimeNotificationFeature>(stop);
        var wire = new Pop3Wire(input.Writer, output.Reader, stop);
        wire.Served = ServeAsync(context, tls, wire, input, output);
        return wire;
    }

    public void Dispose()
    {
        _registry.Dispose();
        Server.Dispose();
        _telemetry.Dispose();
        _services.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task ServeAsync(DefaultConnectionContext context, ListenerTls tls, Pop3Wire wire, Pipe input, Pipe output)
    {
        await Task.Yield();
        context.ConnectionClosed.Register(() =>
        {
            wire.IsAborted = true;
            // What Kestrel does when a connection is broken off.
            input.Writer.Complete(new ConnectionAbortedException());
            output.Reader.CancelPendingRead();
            output.Writer.CancelPendingFlush();
        });
        await _acceptor.ServeAsync(context, _listeners[tls]);
        // What Kestrel does when the handler returns.
        await input.Reader.CompleteAsync();
        await output.Writer.CompleteAsync();
    }

    private sealed class StopRequest : IConnectionLifetimeNotificationFeature, IStopRequest
    {
        private readonly CancellationTokenSource _requested = new();

        public CancellationToken ConnectionClosedRequested
        {
            get => _requested.Token;
            set => throw new NotSupportedException();
        }

        public void RequestClose() => _requested.Cancel();
    }

    private sealed record DuplexPipe(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}

/// <summary>Asks a connection to end gracefully, as Kestrel does when the host stops.</summary>
internal interface IStopRequest
{
    void RequestClose();
}
