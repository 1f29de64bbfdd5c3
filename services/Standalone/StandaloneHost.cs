using MailPipeline.Console;
using MailPipeline.Delivery;
using MailPipeline.Ingress;
using MailPipeline.Mail;
using MailPipeline.Mailbox;
using MailPipeline.Queue;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using Microsoft.Extensions.Configuration.Json;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.Options;

namespace MailPipeline.Standalone;

/// <summary>All services in one process. Nothing here is static, so that several can live in one process, each on its own folder.</summary>
internal static class StandaloneHost
{
    /// <summary>A builder with all layers of configuration and nothing registered; the commands read their settings from it.</summary>
    /// <exception cref="StartupException">The settings file cannot be read, or has a section that there is not.</exception>
    public static WebApplicationBuilder CreateBuilder(Arguments arguments, string dataFolder)
    {
        WebApplicationBuilder builder;
        try
        {
            builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions
            {
                Args = [.. arguments.Settings, "--hostBuilder:reloadConfigOnChange=false"],
                ApplicationName = typeof(StandaloneHost).Assembly.GetName().Name,
            });
        }
        catch (InvalidDataException unreadable)
        {
            throw new StartupException($"appsettings.json must be a JSON object of settings: {unreadable.GetBaseException().Message}", unreadable);
        }
        // First, and so beneath files, environment and command line.
        builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource
        {
            InitialData = StandaloneSettings.Defaults(dataFolder, arguments.PortOffset),
        });
        CheckFiles(builder.Configuration);
        NameTheMachine(builder.Configuration);
        NamePostmaster(builder.Configuration);
        return builder;
    }

    /// <summary>All settings, as the server checks them at its start; nothing is opened.</summary>
    /// <exception cref="StartupException">One is not there, or a log level is none.</exception>
    /// <exception cref="OptionsValidationException">One is not there, or not what is allowed.</exception>
    public static void CheckSettings(IConfiguration configuration) => configuration.CheckSettings(AddSettings);

    /// <summary>All that a start checks of its settings.</summary>
    /// <inheritdoc cref="CheckSettings" path="/exception"/>
    public static void CheckForNextStart(IConfigurationRoot configuration)
    {
        CheckFiles(configuration);
        CheckSettings(configuration);
    }

    /// <summary>All ports; the settings have been checked.</summary>
    /// <exception cref="StartupException">One cannot be had.</exception>
    public static void CheckPorts(IConfiguration configuration) =>
        PortCheck.Run(configuration.FindPorts(AddSettings), ", or move all ports with --port-offset N");

    private static void AddSettings(IServiceCollection services)
    {
        services.AddServiceDefaultSettings();
        services.AddQueueSettings();
        services.AddDeliverySettings();
        services.AddMailboxSettings();
        services.AddIngressSettings();
        services.AddConsoleSettings();
        services.AddMailDatabaseSettings();
    }

    public static WebApplication Build(WebApplicationBuilder builder)
    {
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(30));
        builder.AddServiceDefaults("standalone");
        builder.Services.AddHostedService<SmallHeap>();
        builder.AddMailDatabase();
        // In this order they start, and in the reverse order they stop: nothing is asked of what is not there yet.
        builder.AddQueue();
        builder.AddDelivery();
        builder.AddMailbox();
        builder.AddMailBus(bus =>
        {
            bus.AddQueueConsumers();
            bus.AddDeliveryConsumers();
            bus.AddMailboxConsumers();
        });
        // Behind the bus: at a stop its last hints still find it.
        builder.AddIngress();
        builder.AddConsole();

        var app = builder.Build();
        app.MapServiceDefaults();
        app.MapConsole();
        return app;
    }

    // In a file everything is ours; the environment has much that is not.
    private static void CheckFiles(IConfigurationRoot configuration)
    {
        foreach (var file in configuration.Providers.OfType<JsonConfigurationProvider>())
        {
            var unknown = file.GetChildKeys([], null).FirstOrDefault(
                key => !StandaloneSettings.Sections.Contains(key, StringComparer.OrdinalIgnoreCase));
            if (unknown is not null)
                throw new StartupException($"{file.Source.Path} has a section '{unknown}'; there are {string.Join(", ", StandaloneSettings.Sections)}");
        }
    }

    /// <summary>One name for the machine is enough: what Ingress is called the others are called too, unless they are given a name.</summary>
    private static void NameTheMachine(ConfigurationManager configuration)
    {
        // What is no name is said of the setting that was written.
        if (configuration["Ingress:HostName"] is not { Length: > 0 } name || !SmtpAddress.TryParse($"x@{name}", out _))
            return;
        string[] others = ["Delivery:HostName", "Queue:HostName", "Tls:HostNames:0"];
        var unnamed = others.Where(setting => configuration[setting] is null).ToDictionary(setting => setting, _ => (string?)name);
        configuration.Sources.Insert(0, new MemoryConfigurationSource { InitialData = unnamed });
    }

    /// <summary>Whom Ingress sends the host's mail to is whom an alias that leads to the host's postmaster means, unless Queue is told another.</summary>
    private static void NamePostmaster(ConfigurationManager configuration)
    {
        // What is no address is refused under the name by which it was given.
        if (configuration["Ingress:Postmaster"] is { Length: > 0 } postmaster && SmtpAddress.TryParse(postmaster, out _, allowUtf8: true)
            && configuration["Queue:Postmaster"] is null)
            configuration.Sources.Insert(0, new MemoryConfigurationSource { InitialData = new Dictionary<string, string?> { ["Queue:Postmaster"] = postmaster } });
    }
}
