using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// What every service has in the same way: telemetry, health, the HTTP listener they are read from, the TLS certificate,
/// the clock. One call when building (<see cref="AddServiceDefaults"/>), one when running (<see cref="MapServiceDefaults"/>).
/// </summary>
public static class ServiceDefaultsHosting
{
    /// <summary>Tag of health checks that decide /health/ready. Checks without it are never asked.</summary>
    public const string ReadyTag = "ready";

    internal const string HttpPortSetting = $"{HttpOptions.Section}:{nameof(HttpOptions.Port)}";

    private const string OtlpEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";

    /// <summary>Registers the defaults; <paramref name="serviceName"/> is the OpenTelemetry service.name.</summary>
    public static WebApplicationBuilder AddServiceDefaults(this WebApplicationBuilder builder, string serviceName)
    {
        var services = builder.Services;
        services.TryAddSingleton(TimeProvider.System);
        services.AddHealthChecks();
        builder.Configuration.CheckSharedSections();
        services.AddServiceDefaultSettings();
        builder.Logging.ClearProviders();
        services.AddSingleton<ILoggerProvider, LineLog>();
        services.AddSingleton<ServerCertificate>();
        services.AddSingleton<TlsExporter>();
        services.AddHostedService<OwnHostNameWarning>();

        services.AddOptions<KestrelServerOptions>().Configure<IOptions<HttpOptions>>((kestrel, http) =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(http.Value.EndPoint);
        });

        AddTelemetry(builder, serviceName);
        return builder;
    }

    /// <summary>The settings of the defaults alone, for who only wants to check them.</summary>
    public static void AddServiceDefaultSettings(this IServiceCollection services)
    {
        services.AddSettings<TlsOptions, TlsOptionsValidator>(TlsOptions.Section);
        services.AddSettings<HttpOptions, HttpOptionsValidator>(HttpOptions.Section)
            .Validate(http => HostAddress.TryParse(http.Address, out _), "Http:Address must be an IP address, e.g. 127.0.0.1, 0.0.0.0 or ::1");
        services.AddListeningPorts(provider =>
        {
            var http = provider.GetRequiredService<IOptions<HttpOptions>>().Value;
            return [new ListeningPort(HttpPortSetting, $"{HttpOptions.Section}:{nameof(HttpOptions.Address)}", http.Address, http.Port)];
        });
        services.AddSettings<TelemetryOptions, TelemetryOptionsValidator>(TelemetryOptions.Section);
    }

    /// <summary>Listeners of the service speak TLS: a certificate that cannot be used stops the start, not the first client.</summary>
    public static IServiceCollection RequireServerCertificate(this IServiceCollection services) =>
        services.AddHostedService<CertificateAtStart>();

    /// <summary>This setting names the system towards others; that it is not set is said at the start.</summary>
    public static IServiceCollection AddHostNameSetting(this IServiceCollection services, string key) =>
        services.AddSingleton(new HostNameSetting(key));

    /// <summary>Maps /health/live (the process answers), /health/ready (it can do its work) and /metrics (Prometheus text).</summary>
    public static WebApplication MapServiceDefaults(this WebApplication app)
    {
        app.MapHealthChecks("/health/live", new HealthCheckOptions { Predicate = _ => false });
        app.MapHealthChecks("/health/ready", new HealthCheckOptions
        {
            Predicate = check => check.Tags.Contains(ReadyTag),
            ResponseWriter = WriteReportAsync,
        });
        app.MapPrometheusScrapingEndpoint("/metrics");
        return app;
    }

    /// <summary>
    /// Our own tags come from closed sets, the largest of them a few dozen. The library's limit is 2,000 and its memory is taken at
    /// once, for each instrument.
    /// </summary>
    private static int MaxTagSets(Meter meter) => meter.Name.StartsWith("MailPipeline.", StringComparison.Ordinal) || meter.Name == RuntimeMeter ? 50 : 200;

    private const string RuntimeMeter = "System.Runtime";

    // From a commit to a slow far end. The library's own buckets are made for milliseconds.
    private static readonly double[] s_secondBuckets =
        [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

    private static void AddTelemetry(WebApplicationBuilder builder, string serviceName)
    {
        var telemetry = builder.Configuration.ReadSettings<TelemetryOptions>(TelemetryOptions.Section);
        var otlp = !string.IsNullOrWhiteSpace(builder.Configuration[OtlpEndpoint]);

        var openTelemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService(serviceName, serviceNamespace: "MailPipeline"))
            .WithMetrics(metrics =>
            {
                metrics.AddMeter("MailPipeline.*", RuntimeMeter).AddMeter([.. telemetry.Meters]);
                metrics.AddView(instrument => instrument.Unit == "s"
                    ? new ExplicitBucketHistogramConfiguration { CardinalityLimit = MaxTagSets(instrument.Meter), Boundaries = s_secondBuckets }
                    : new MetricStreamConfiguration { CardinalityLimit = MaxTagSets(instrument.Meter) });
                metrics.AddPrometheusExporter();
                if (otlp)
                    metrics.AddOtlpExporter();
            });

        if (otlp)
        {
            openTelemetry.WithLogging(
                logs => logs.AddOtlpExporter(),
                options => options.IncludeFormattedMessage = true);
        }

        // No TracerProvider, no listener: ActivitySource.StartActivity then returns null at the price of one comparison.
        if (otlp || telemetry.Traces)
        {
            openTelemetry.WithTracing(traces => traces
                .AddSource("MailPipeline.*")
                .SetSampler(new ParentBasedSampler(new TraceIdRatioBasedSampler(telemetry.TraceRatio)))
                .AddOtlpExporter());
        }
    }

    private sealed class CertificateAtStart(ServerCertificate certificate) : IHostedLifecycleService
    {
        /// <summary>Before anything has started that would have to be stopped, and might complain about that.</summary>
        public Task StartingAsync(CancellationToken cancellationToken)
        {
            _ = certificate.CurrentContext;
            return Task.CompletedTask;
        }

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    // Names and states only: descriptions can hold host names and paths.
    private static Task WriteReportAsync(HttpContext context, HealthReport report)
    {
        context.Response.ContentType = "text/plain; charset=utf-8";
        var lines = report.Entries.Select(entry => $"{entry.Key}: {entry.Value.Status}\n");
        return context.Response.WriteAsync($"{report.Status}\n{string.Concat(lines)}");
    }
}
