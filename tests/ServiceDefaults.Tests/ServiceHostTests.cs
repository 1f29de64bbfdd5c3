using System.Net;
using System.Net.Sockets;
using MailPipeline.Testing;

namespace MailPipeline.ServiceDefaults.Tests;

/// <summary>A service as a process of its own: what it refuses to start with, and what it waits for.</summary>
public sealed class ServiceHostTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("maildb")]
    [InlineData("rabbitmq")]
    [InlineData("redis")]
    public async Task A_missing_connection_string_stops_the_start(string name)
    {
        string[] given = [.. new[] { "maildb", "rabbitmq", "redis" }.Where(other => other != name).Select(other => $"--ConnectionStrings:{other}=x")];

        Assert.Equal(2, await ServiceHost.RunAsync("test", given, ["maildb", "rabbitmq", "redis"], _ => { }, NothingToCompose));
    }

    [Fact]
    public async Task A_grace_out_of_range_stops_the_start() => Assert.Equal(2, await ServiceHost.RunAsync(
        "test", ["--ConnectionStrings:maildb=Host=127.0.0.1;Port=1", "--Host:StopGrace=-1", "--Http:Port=0"], ["maildb"], _ => { }, NothingToCompose));

    [Theory]
    [InlineData("--Htpp:Port=1", "There is no section of settings named 'Htpp'; there are Tls, Http, Telemetry, Host, ConnectionStrings, Logging")]
    [InlineData("--verbose", "Unknown option --verbose; settings are written --Section:Key=value")]
    [InlineData("start", "'start' is no setting; they are written --Section:Key=value")]
    [InlineData("--Http:Port", "--Http:Port needs a value")]
    public void What_a_service_does_not_know_stops_it(string option, string message) =>
        Assert.Equal(message, Assert.Throws<StartupException>(() => ServiceArguments.Check([option], SettingsHosting.SectionsOf(services =>
        {
            services.AddServiceDefaultSettings();
            services.AddSettings<StopOptions, StopOptionsValidator>(StopOptions.Section);
        }))).Message);

    [Fact]
    public async Task Unknown_options_end_with_2_and_a_question_for_help_with_0()
    {
        var composed = false;
        string[] connected = ["--ConnectionStrings:maildb=Host=127.0.0.1;Port=1"];
        Assert.Equal(2, await ServiceHost.RunAsync("test", [.. connected, "--verbose"], ["maildb"], _ => { }, _ => composed = true));
        Assert.Equal(0, await ServiceHost.RunAsync("test", [.. connected, "--help"], ["maildb"], _ => { }, _ => composed = true));
        Assert.False(composed);
    }

    [Theory]
    [InlineData("rabbitmq", "amqp://user:secret@broker.example.org/mail", "broker.example.org:5672/mail")]
    [InlineData("maildb", "Host=db.example.org;Database=mail;Username=mail;Password=secret", "host=db.example.org;database=mail;username=mail")]
    [InlineData("redis", "one.example.org:6379,two.example.org:6379,password=secret", "one.example.org:6379 two.example.org:6379")]
    public void The_start_line_names_peers_and_no_secrets(string connection, string text, string peer) =>
        Assert.Equal(peer, StartLine.Peer(connection, text), ignoreCase: true);

    [Theory]
    // As .NET Aspire sets it for whatever it starts.
    [InlineData("Logging:CONSOLE:FORMATTERNAME", "simple", false)]
    [InlineData("Logging:LogLevel:Default", "Warning", false)]
    [InlineData("Logging:Consol:FormatterName", "simple", true)]
    [InlineData("ConnectionStrings:mialdb", "x", true)]
    public void What_many_programs_are_given_is_no_mistake(string key, string value, bool isRefused)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([KeyValuePair.Create<string, string?>(key, value)]).Build();
        Assert.Equal(isRefused, Record.Exception(configuration.CheckSharedSections) is StartupException);
    }

    [Fact]
    public async Task While_something_it_needs_is_away_the_process_is_alive_and_not_ready()
    {
        var port = FreePorts.Next();
        using var client = new HttpClient();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var running = ServiceHost.RunAsync(
            "test", ["--ConnectionStrings:maildb=Host=127.0.0.1;Port=1;Timeout=1", $"--Http:Port={port}"], ["maildb"], _ => { },
            builder => builder.Services.AddSingleton(new Dependency("the store", _ => Task.FromResult<string?>("away"))), cancellation: stop.Token);

        await Eventually.TrueAsync(async () => await StatusAsync("/health/live") == HttpStatusCode.OK, TimeSpan.FromSeconds(30), () => "", Cancellation);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await StatusAsync("/health/ready"));
        await stop.CancelAsync();
        Assert.Equal(0, await running);

        async Task<HttpStatusCode?> StatusAsync(string path)
        {
            try
            {
                using var answer = await client.GetAsync(new Uri($"http://127.0.0.1:{port}{path}"), Cancellation);
                return answer.StatusCode;
            }
            catch (HttpRequestException)
            {
                return null;
            }
        }
    }

    [Fact]
    public async Task What_must_not_be_broken_off_is_waited_for_and_the_process_is_alive_meanwhile()
    {
        var port = FreePorts.Next();
        using var client = new HttpClient();
        var (asked, answer) = (0, new TaskCompletionSource<string?>());
        var running = ServiceHost.RunAsync(
            "test", ["--ConnectionStrings:maildb=Host=127.0.0.1;Port=1;Timeout=1", $"--Http:Port={port}"], ["maildb"], _ => { },
            builder => builder.Services.Insert(0, ServiceDescriptor.Singleton(new Dependency("a long step", cancellation =>
            {
                asked++;
                return answer.Task.WaitAsync(cancellation);
            }, MayTakeLong: true))), cancellation: Cancellation);
        // Longer than anything else is waited for.
        await Eventually.TrueAsync(
            async () => await SaysAsync("health/live", HttpStatusCode.OK), TimeSpan.FromSeconds(40), () => "", Cancellation);
        Assert.True(await SaysAsync("health/ready", HttpStatusCode.ServiceUnavailable));
        Assert.Equal(1, asked);
        answer.SetException(new StartupException("enough"));
        Assert.Equal(2, await running);

        async Task<bool> SaysAsync(string path, HttpStatusCode status)
        {
            try
            {
                using var reply = await client.GetAsync(new Uri($"http://127.0.0.1:{port}/{path}"), Cancellation);
                return reply.StatusCode == status;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        }
    }

    [Fact]
    public async Task While_a_service_takes_its_time_to_start_the_process_is_alive_and_not_ready()
    {
        var port = FreePorts.Next();
        using var client = new HttpClient();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var (begun, joined) = (new TaskCompletionSource(), new TaskCompletionSource());
        var running = ServiceHost.RunAsync(
            "test", ["--ConnectionStrings:maildb=Host=127.0.0.1;Port=1", $"--Http:Port={port}"], ["maildb"], _ => { },
            builder => builder.Services.AddHostedService(_ => new SlowToJoin(begun, joined.Task)), cancellation: stop.Token);
        await begun.Task.WaitAsync(Cancellation);

        Assert.Equal((HttpStatusCode.OK, "Starting\n"), await AskAsync("live"));
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "Starting\n"), await AskAsync("ready"));

        joined.SetResult();
        await Eventually.TrueAsync(async () => await IsReadyAsync(), TimeSpan.FromSeconds(30), () => "", Cancellation);
        await stop.CancelAsync();
        Assert.Equal(0, await running);

        async Task<(HttpStatusCode, string)> AskAsync(string path)
        {
            using var answer = await client.GetAsync(new Uri($"http://127.0.0.1:{port}/health/{path}"), Cancellation);
            return (answer.StatusCode, await answer.Content.ReadAsStringAsync(Cancellation));
        }

        async Task<bool> IsReadyAsync()
        {
            try
            {
                return (await AskAsync("ready")).Item1 == HttpStatusCode.OK;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        }
    }

    [Fact]
    public async Task A_port_in_use_stops_the_start_before_anything_is_composed()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var port = ((IPEndPoint)other.LocalEndpoint).Port;
        var composed = false;
        string[] connected = ["--ConnectionStrings:maildb=Host=127.0.0.1;Port=1"];

        Assert.Equal(2, await ServiceHost.RunAsync(
            "test", [.. connected, "--Http:Port=0"], ["maildb"],
            services => services.AddListeningPorts(_ => [new ListeningPort("Queue:SiloPort", "POD_IP", "127.0.0.1", port)]), _ => composed = true, cancellation: Cancellation));
        Assert.Equal(2, await ServiceHost.RunAsync("test", [.. connected, $"--Http:Port={port}"], ["maildb"], _ => { }, _ => composed = true, cancellation: Cancellation));
        Assert.False(composed);
    }

    [Fact]
    public void A_port_that_cannot_be_had_is_named_by_its_setting()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var port = ((IPEndPoint)other.LocalEndpoint).Port;

        Assert.Equal($"Http:Port is {port}, a port in use by another process; choose a free one (0 to 65535)", Explain("127.0.0.1"));
        Assert.Equal("Http:Address is 203.0.113.9, which is not an address of this machine; 127.0.0.1 is, and 0.0.0.0 means all", Explain("203.0.113.9"));

        string Explain(string address)
        {
            var configuration = new ConfigurationBuilder()
                .AddInMemoryCollection([new("Http:Address", address), new("Http:Port", $"{port}")]).Build();
            return Assert.Throws<StartupException>(
                () => PortCheck.Run(configuration.FindPorts(services => services.AddServiceDefaultSettings()))).Message;
        }
    }

    /// <summary>The signal comes with the very first thing that a service does.</summary>
    [Fact]
    public async Task SIGHUP_before_there_is_anything_to_read_again_ends_nothing_and_is_heeded_later()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var log = new SaidLines();
        var sent = false;
        var running = ServiceHost.RunAsync(
            "test", ["--ConnectionStrings:maildb=Host=127.0.0.1;Port=1;Timeout=1", $"--Http:Port={FreePorts.Next()}"], ["maildb"],
            _ =>
            {
                if (sent)
                    return;
                sent = true;
                using var kill = System.Diagnostics.Process.Start("kill", ["-HUP", $"{Environment.ProcessId}"]);
                kill.WaitForExit();
            },
            builder => builder.Services.AddSingleton<ILoggerProvider>(log), cancellation: stop.Token);

        await Eventually.TrueAsync(
            () => log.Lines.Any(line => line.StartsWith("SIGHUP: log levels", StringComparison.Ordinal)), TimeSpan.FromSeconds(30));
        await stop.CancelAsync();
        Assert.Equal(0, await running);
    }

    [Fact]
    public async Task A_certificate_that_cannot_be_used_is_said_before_anything_has_started()
    {
        var builder = DefaultsHost.CreateBuilder(("Tls:CertificatePath", "/nope"), ("Tls:KeyPath", "/nope"));
        var begun = new TaskCompletionSource();
        builder.Services.AddHostedService(_ => new SlowToJoin(begun, Task.CompletedTask));
        builder.Services.RequireServerCertificate();
        await using var app = builder.Build();

        await Assert.ThrowsAsync<ServerCertificateException>(() => app.StartAsync(Cancellation));
        Assert.False(begun.Task.IsCompleted);
    }

    private sealed class SaidLines : ILoggerProvider, ILogger
    {
        public System.Collections.Concurrent.ConcurrentQueue<string> Lines { get; } = [];

        public ILogger CreateLogger(string categoryName) => this;

        public void Dispose()
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Enqueue(formatter(state, exception));
    }

    private sealed class SlowToJoin(TaskCompletionSource begun, Task joined) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken)
        {
            begun.SetResult();
            return joined;
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private static void NothingToCompose(WebApplicationBuilder builder)
    {
    }
}
