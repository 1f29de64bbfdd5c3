using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace MailPipeline.ServiceDefaults.Tests;

/// <summary>A service that consists of the defaults alone, on a free loopback port.</summary>
internal static class DefaultsHost
{
    public static WebApplicationBuilder CreateBuilder(params (string Key, string Value)[] settings)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration["Http:Port"] = "0";
        builder.Configuration["Logging:LogLevel:Default"] = "None";
        foreach (var (key, value) in settings)
            builder.Configuration[key] = value;
        return builder.AddServiceDefaults("test");
    }

    public static async Task<(WebApplication App, HttpClient Client)> StartAsync(WebApplicationBuilder builder)
    {
        var app = builder.Build();
        app.MapServiceDefaults();
        await app.StartAsync(TestContext.Current.CancellationToken);
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        return (app, new HttpClient { BaseAddress = new Uri(address) });
    }
}
