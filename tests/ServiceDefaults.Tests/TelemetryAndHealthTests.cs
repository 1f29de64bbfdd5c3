using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using OpenTelemetry.Trace;

namespace MailPipeline.ServiceDefaults.Tests;

public sealed class TelemetryAndHealthTests
{
    [Fact]
    public async Task Metrics_show_the_meters_of_the_project_as_Prometheus_text()
    {
        var (app, client) = await DefaultsHost.StartAsync(DefaultsHost.CreateBuilder());
        await using (app)
        using (client)
        {
            using var meter = app.Services.GetRequiredService<IMeterFactory>().Create(new MeterOptions("MailPipeline.Test"));
            meter.CreateCounter<long>("mailpipeline.test.letters", "{message}").Add(3);

            var response = await client.GetAsync("/metrics", TestContext.Current.CancellationToken);
            var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.StartsWith("text/plain", response.Content.Headers.ContentType!.MediaType, StringComparison.Ordinal);
            Assert.Matches(@"mailpipeline_test_letters_total\{[^}]*\} 3", text);
            Assert.Contains("dotnet_gc_", text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Live_is_answered_whatever_the_checks_say_and_ready_follows_them()
    {
        var healthy = true;
        var builder = DefaultsHost.CreateBuilder();
        builder.Services.AddHealthChecks().AddCheck(
            "store", () => healthy ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy(), [ServiceDefaultsHosting.ReadyTag]);
        var (app, client) = await DefaultsHost.StartAsync(builder);
        await using (app)
        using (client)
        {
            Assert.Equal((HttpStatusCode.OK, "Healthy\nstore: Healthy\n"), await Get(client, "/health/ready"));

            healthy = false;

            Assert.Equal((HttpStatusCode.ServiceUnavailable, "Unhealthy\nstore: Unhealthy\n"), await Get(client, "/health/ready"));
            Assert.Equal(HttpStatusCode.OK, (await Get(client, "/health/live")).Status);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Traces_are_made_only_when_somebody_asked_for_them(bool asked)
    {
        var builder = DefaultsHost.CreateBuilder(("Telemetry:Traces", asked.ToString()), ("OTEL_EXPORTER_OTLP_ENDPOINT", ""));
        var (app, client) = await DefaultsHost.StartAsync(builder);
        await using (app)
        using (client)
        {
            // A name of its own: sources are known to every listener of the process.
            using var source = new ActivitySource($"MailPipeline.Test{asked}");

            Assert.Equal(asked, app.Services.GetService<TracerProvider>() is not null);
            using var activity = source.StartActivity("letter");
            Assert.True(activity is not null || !asked);
        }
    }

    private static async Task<(HttpStatusCode Status, string Body)> Get(HttpClient client, string path)
    {
        var response = await client.GetAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }
}
