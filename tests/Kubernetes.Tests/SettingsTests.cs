using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using k8s.Models;
using MailPipeline.Delivery;
using MailPipeline.Ingress;
using MailPipeline.Testing;

namespace MailPipeline.Kubernetes.Tests;

/// <summary>The settings in the manifests are settings of the services, and fit each other.</summary>
public sealed class SettingsTests
{
    private static readonly TimeSpan s_margin = TimeSpan.FromSeconds(5);

    public static TheoryData<string, string> Services =>
        [.. from overlay in ManifestTests.Overlays.Select(row => row.Data)
            from service in new[] { "Ingress", "Queue", "Delivery", "Mailbox" }
            select (overlay, service),
            (Manifests.WithConsole("overlays/dev"), "Console"), (Manifests.WithConsole("overlays/prod"), "Console")];

    /// <summary>
    /// A setting that a service does not know, or a value it does not take, ends its start before it waits for anything. So one
    /// that stays alive, waiting for a PostgreSQL that is not there, has taken them all.
    /// </summary>
    [Theory]
    [MemberData(nameof(Services))]
    public async Task A_service_takes_the_settings_of_its_manifest(string overlay, string service)
    {
        using var folder = new TempFolder("settings");
        var environment = await EnvironmentAsync(overlay, service.ToLowerInvariant());
        var http = FreePorts.Next();
        environment["Http__Address"] = "127.0.0.1";
        environment["Http__Port"] = $"{http}";
        environment["ConnectionStrings__maildb"] = environment["ConnectionStrings__maildb"]!.Replace("$(MAILDB_HOST)", "127.0.0.1", StringComparison.Ordinal)
            .Replace("$(MAILDB_PORT)", "9", StringComparison.Ordinal);
        environment["ConnectionStrings__rabbitmq"] = "amqp://user:password@127.0.0.1:9/";
        environment["ConnectionStrings__redis"] = "127.0.0.1:9";
        if (environment.TryGetValue("Tls__CertificatePath", out _))
            (environment["Tls__CertificatePath"], environment["Tls__KeyPath"]) = WriteCertificate(folder);
        else
            environment["Tls__SelfSignedDirectory"] = folder["tls"];
        environment.Remove("OTEL_EXPORTER_OTLP_ENDPOINT");

        await using var process = ServerProcess.Start(
            BuiltProgram.DotNet, [BuiltProgram.Find(service)], folder.FullPath, environment);
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
        await process.WaitUntilAsync(
            async cancellation =>
            {
                try
                {
                    using var live = await client.GetAsync(new Uri($"http://127.0.0.1:{http}/health/live"), cancellation);
                    using var ready = await client.GetAsync(new Uri($"http://127.0.0.1:{http}/health/ready"), cancellation);
                    return live.StatusCode == HttpStatusCode.OK && ready.StatusCode == HttpStatusCode.ServiceUnavailable;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            },
            TimeSpan.FromSeconds(60), $"{service} of {overlay}", TestContext.Current.CancellationToken);
    }

    [Theory]
    [MemberData(nameof(Services))]
    public async Task A_pod_has_the_time_to_stop_that_its_service_takes(string overlay, string service)
    {
        var pod = (await Manifests.RenderAsync<V1Deployment>(overlay)).Single(d => string.Equals(d.Metadata.Name, service, StringComparison.OrdinalIgnoreCase)).Spec.Template.Spec;
        var stop = TimeSpan.Parse((await EnvironmentAsync(overlay, service.ToLowerInvariant()))["Host__StopGrace"]!, null);
        var before = TimeSpan.FromSeconds(Assert.Single(pod.Containers).Lifecycle?.PreStop?.Sleep?.Seconds ?? 0);
        Assert.True(TimeSpan.FromSeconds(pod.TerminationGracePeriodSeconds!.Value) >= before + stop + s_margin, "grace exceeds preStop and stop");
        // What it may have to wait for.
        if (service == "Ingress")
            Assert.True(stop > new IngressOptions().ContentTimeout, "a DATA in progress");
        if (service == "Delivery")
            Assert.True(stop > new SmtpTimeouts().FinalDot, "the reply to a final dot");
        // Doors are left by the balancer before they close.
        Assert.Equal(service is "Ingress" or "Mailbox" or "Console", before > TimeSpan.Zero);
    }

    [Theory]
    [MemberData(nameof(Services))]
    public async Task Listeners_use_the_ports_of_the_pod(string overlay, string service)
    {
        var container = Assert.Single(
            (await Manifests.RenderAsync<V1Deployment>(overlay)).Single(d => string.Equals(d.Metadata.Name, service, StringComparison.OrdinalIgnoreCase)).Spec.Template.Spec.Containers);
        var listened = (await EnvironmentAsync(overlay, service.ToLowerInvariant()))
            .Where(setting => setting.Key.EndsWith("Port", StringComparison.Ordinal) && setting.Key.Contains("__", StringComparison.Ordinal))
            .Select(setting => setting.Value);
        Assert.Equal(listened.Order(StringComparer.Ordinal), container.Ports.Select(port => $"{port.ContainerPort}").Order(StringComparer.Ordinal));
    }

    /// <summary>The environment of a container, without what comes from Secrets and from the pod.</summary>
    private static async Task<Dictionary<string, string?>> EnvironmentAsync(string overlay, string service)
    {
        var settings = (await Manifests.RenderAsync<V1ConfigMap>(overlay)).ToDictionary(map => map.Metadata.Name);
        var container = Assert.Single((await Manifests.RenderAsync<V1Deployment>(overlay)).Single(d => d.Metadata.Name == service).Spec.Template.Spec.Containers);
        var environment = new Dictionary<string, string?>();
        foreach (var (name, value) in container.EnvFrom.SelectMany(from => settings[from.ConfigMapRef.Name].Data))
            environment[name] = value;
        foreach (var variable in container.Env.Where(variable => variable.Value is not null))
            environment[variable.Name] = variable.Value;
        return environment;
    }

    private static (string Certificate, string Key) WriteCertificate(TempFolder folder)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=mx.example.org", key, HashAlgorithmName.SHA256);
        var now = TimeProvider.System.GetUtcNow();
        using var certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        return (folder.Write("tls.crt", certificate.ExportCertificatePem()), folder.WriteSecret("tls.key", key.ExportPkcs8PrivateKeyPem()));
    }
}
