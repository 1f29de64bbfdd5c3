using MailPipeline.Administration;
using MailPipeline.Console.Access;
using MailPipeline.Console.Api;
using MailPipeline.ServiceDefaults;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Options;

namespace MailPipeline.Console;

/// <summary>Composition of Console. The host adds service defaults and the store.</summary>
public static class ConsoleHosting
{
    /// <summary>Adds the API, on the HTTP port of the process, and on a listener with TLS where section <c>Console</c> names one.</summary>
    public static WebApplicationBuilder AddConsole(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddConsoleSettings();
        services.AddAdministration();
        services.AddTokenAccess();
        services.AddApi();
        if (builder.Configuration.ReadSettings<ConsoleOptions>(ConsoleOptions.Section) is not { Enabled: true, TlsPort: > 0 })
            return builder;
        builder.WebHost.UseKestrelHttpsConfiguration();
        services.RequireServerCertificate();
        services.AddOptions<KestrelServerOptions>().Configure<IOptions<ConsoleOptions>, ServerCertificate>((kestrel, console, certificate) =>
            kestrel.Listen(console.Value.TlsEndPoint, listener => listener.UseHttps(new TlsHandshakeCallbackOptions
            {
                // Asked for each connection: a renewed certificate counts from the next one on.
                OnConnection = _ => ValueTask.FromResult(certificate.ServerOptions()),
            })));
        return builder;
    }

    /// <summary>The settings alone, for who only wants to check them.</summary>
    public static void AddConsoleSettings(this IServiceCollection services)
    {
        services.AddSettings<ConsoleOptions, ConsoleOptionsValidator>(ConsoleOptions.Section)
            .Validate(console => HostAddress.TryParse(console.TlsAddress, out _), "Console:TlsAddress must be an IP address, e.g. 127.0.0.1, 0.0.0.0 or ::1")
            .Validate(console => console.TrustedProxies.All(proxy => ConsoleOptions.TryParseNetwork(proxy, out _)), "Console:TrustedProxies must be IP addresses or networks, e.g. 10.0.0.7 or 10.0.0.0/8");
        services.AddListeningPorts(provider =>
        {
            var console = provider.GetRequiredService<IOptions<ConsoleOptions>>().Value;
            return [new ListeningPort(
                $"{ConsoleOptions.Section}:{nameof(ConsoleOptions.TlsPort)}", $"{ConsoleOptions.Section}:{nameof(ConsoleOptions.TlsAddress)}", console.TlsAddress, console.TlsPort)];
        });
    }

    /// <summary>Maps the API, unless the settings say that there is none.</summary>
    public static void MapConsole(this WebApplication app)
    {
        if (app.Services.GetRequiredService<IOptions<ConsoleOptions>>().Value.Enabled)
            app.MapApi();
    }
}
