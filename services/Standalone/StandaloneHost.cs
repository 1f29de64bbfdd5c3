using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Configuration.Memory;

namespace MailPipeline.Standalone;

/// <summary>All services in one process. Nothing here is static, so that several can live in one process, each on its own folder.</summary>
internal static class StandaloneHost
{
    /// <summary>A builder with all layers of configuration and nothing registered; the commands read their settings from it.</summary>
    public static WebApplicationBuilder CreateBuilder(Arguments arguments, string dataFolder)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions
        {
            Args = [.. arguments.Settings, "--hostBuilder:reloadConfigOnChange=false"],
            ApplicationName = typeof(StandaloneHost).Assembly.GetName().Name,
        });
        // First, and so beneath files, environment and command line.
        builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource
        {
            InitialData = StandaloneSettings.Defaults(dataFolder, arguments.PortOffset),
        });
        return builder;
    }

    public static WebApplication Build(WebApplicationBuilder builder)
    {
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(30));
        builder.AddServiceDefaults("standalone");
        builder.AddMailDatabase();
        builder.AddMailBus(static bus =>
        {
        });

        var app = builder.Build();
        app.MapServiceDefaults();
        return app;
    }
}
