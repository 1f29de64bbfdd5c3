using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Runs one service as a process of its own, next to others over PostgreSQL, RabbitMQ and Redis. It waits for what it needs,
/// so that the order in which things are started does not matter, and stops on SIGTERM within <see cref="HostOptions"/>'s grace.
/// </summary>
public static partial class ServiceHost
{
    /// <summary>Name of the connection string of the store.</summary>
    public const string StoreConnection = "maildb";

    private const int Done = 0;
    private const int BadStart = 2;

    /// <param name="serviceName">OpenTelemetry's service.name, in lower case.</param>
    /// <param name="args">Settings: <c>--Section:Key=value</c>; or <c>--help</c>.</param>
    /// <param name="connections">Connection strings without which the service is not part of a cluster.</param>
    /// <param name="settings">Adds the service's settings alone; they are checked before anything is composed.</param>
    /// <param name="compose">Adds the store, the service, and the bus with its consumers.</param>
    /// <param name="map">Maps what the service answers at its HTTP port beside health and metrics; null: nothing.</param>
    /// <param name="cancellation">The same as SIGTERM.</param>
    /// <returns>The exit code: 0 after an orderly stop, 2 when it cannot start as it is configured.</returns>
    public static async Task<int> RunAsync(
        string serviceName, string[] args, IReadOnlyList<string> connections, Action<IServiceCollection> settings, Action<WebApplicationBuilder> compose,
        Action<WebApplication>? map = null, CancellationToken cancellation = default)
    {
        using var hangup = Hangup.Hold();
        IConfiguration configuration = new ConfigurationBuilder().Build();
        try
        {
            var sections = SettingsHosting.SectionsOf(AddSettings);
            if (ServiceArguments.AsksForHelp(args))
            {
                await Console.Out.WriteLineAsync(ServiceArguments.Help(serviceName, sections, connections));
                return Done;
            }
            ServiceArguments.Check(args, sections);
            var builder = WebApplication.CreateSlimBuilder(args);
            configuration = builder.Configuration;
            // Beneath files, environment and command line.
            builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource { InitialData = s_logLevels });
            foreach (var name in connections)
                Require(configuration, name);
            configuration.CheckSettings(AddSettings);
            var ports = configuration.FindPorts(AddSettings);
            PortCheck.Run(ports);
            builder.AddServiceDefaults(serviceName);
            builder.Services.AddHostedService<SmallHeap>();
            AddStopSettings(builder.Services);
            builder.Services.AddOptions<HostOptions>().Configure<IOptions<StopOptions>>((host, stop) => host.ShutdownTimeout = stop.Value.StopGrace);
            compose(builder);
            await using var door = new HealthDoor();
            builder.Services.AddSingleton<IHostedService>(new HealthDoor.HandOver(door));
            await using var app = builder.Build();
            app.MapServiceDefaults();
            map?.Invoke(app);
            hangup.ListenFor(app.Services, now => now.CheckSettings(AddSettings));
            return await RunAsync(
                app, door,
                // Time has passed while it waited; the port of the door is its own by now.
                () => PortCheck.Run(ports.Where(port => port.PortSetting != ServiceDefaultsHosting.HttpPortSetting)),
                () => StartLine.Write(app.Services, serviceName, connections), cancellation);
        }
        catch (InvalidDataException unreadable)
        {
            await Console.Error.WriteLineAsync($"appsettings.json must be a JSON object of settings: {unreadable.GetBaseException().Message}");
            return BadStart;
        }
        catch (Exception failure) when (failure is not OperationCanceledException && StartupFailure.Explain(failure, configuration) is { } line)
        {
            await Console.Error.WriteLineAsync(line);
            return BadStart;
        }

        void AddSettings(IServiceCollection services)
        {
            services.AddServiceDefaultSettings();
            AddStopSettings(services);
            settings(services);
        }
    }

    private static void AddStopSettings(IServiceCollection services) =>
        services.AddSettings<StopOptions, StopOptionsValidator>(StopOptions.Section);

    private static async Task<int> RunAsync(
        WebApplication app, HealthDoor door, Action checkPorts, Action sayReady, CancellationToken cancellation)
    {
        await door.OpenAsync(app.Services.GetRequiredService<IOptions<HttpOptions>>().Value);
        if (!await DependencyWait.WaitAsync(app.Services, door, cancellation))
            return Done;
        checkPorts();
        if (await StartAsync(app, cancellation))
        {
            sayReady();
            await app.WaitForShutdownAsync(cancellation);
        }
        return Done;
    }

    /// <returns>False when the process was told to stop meanwhile.</returns>
    private static async Task<bool> StartAsync(WebApplication app, CancellationToken cancellation)
    {
        try
        {
            await app.StartAsync(cancellation);
            return true;
        }
        catch (Exception failure) when (cancellation.IsCancellationRequested || app.Lifetime.ApplicationStopping.IsCancellationRequested)
        {
            // Each part says in its own way that it was broken off.
            if (failure is not OperationCanceledException)
                LogBrokenOff(app.Logger, failure);
            await EndAsync(app);
            return false;
        }
    }

    /// <summary>What has started is stopped. A silo that is just joining cannot be; the others find it dead.</summary>
    private static async Task EndAsync(WebApplication app)
    {
        try
        {
            await app.StopAsync(CancellationToken.None);
        }
        catch (Exception failure)
        {
            LogNotStopped(app.Logger, failure);
        }
    }

    [LoggerMessage(6013, LogLevel.Information, "The start was broken off")]
    private static partial void LogBrokenOff(ILogger log, Exception failure);

    [LoggerMessage(6012, LogLevel.Information, "The start was broken off, and not all of it could be stopped in order")]
    private static partial void LogNotStopped(ILogger log, Exception failure);

    private static void Require(IConfiguration configuration, string connection)
    {
        if (string.IsNullOrWhiteSpace(configuration.GetConnectionString(connection)))
            throw new StartupException($"ConnectionStrings:{connection} is not set; a service of its own needs it ({s_examples[connection]})");
    }

    private static readonly Dictionary<string, string> s_examples = new()
    {
        [StoreConnection] = "'Host=...;Database=...;Username=...;Password=...'",
        [BusHosting.ConnectionName] = "'amqp://user:password@host:5672/vhost'",
        ["redis"] = "'host:6379'",
    };

    private static readonly Dictionary<string, string?> s_logLevels = new()
    {
        ["Logging:LogLevel:Default"] = "Warning",
        ["Logging:LogLevel:MailPipeline"] = "Information",
        // It warns of the garbage collector that is chosen for a small heap, and of each pause of a busy machine.
        ["Logging:LogLevel:Orleans.Runtime.Silo"] = "Error",
        ["Logging:LogLevel:Orleans.Runtime.Watchdog"] = "Error",
    };
}
