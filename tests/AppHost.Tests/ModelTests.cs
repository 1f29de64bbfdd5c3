using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;

namespace MailPipeline.AppHost.Tests;

/// <summary>What AppHost would start; nothing is started.</summary>
public sealed class ModelTests
{
    private static readonly string[] s_services = ["console", "delivery", "ingress", "mailbox", "queue"];

    private static readonly string[] s_installed =
    [
        "--Servers=installed", "--ConnectionStrings:maildb=Host=127.0.0.1", "--ConnectionStrings:rabbitmq=amqp://127.0.0.1/",
        "--ConnectionStrings:redis=127.0.0.1:6379",
    ];

    public static TheoryData<string> Services => [.. s_services];

    [Theory]
    [MemberData(nameof(Services))]
    public async Task A_service_has_replicas_health_and_waits_for_its_servers(string name)
    {
        var service = (await ResourcesAsync()).OfType<ProjectResource>().Single(resource => resource.Name == name);
        Assert.Equal(2, service.Annotations.OfType<ReplicaAnnotation>().Single().Replicas);
        Assert.NotEmpty(service.Annotations.OfType<HealthCheckAnnotation>());
        var awaited = service.Annotations.OfType<WaitAnnotation>().Select(wait => wait.Resource.Name).ToList();
        Assert.Contains("maildb", awaited);
        Assert.Equal(name != "console", awaited.Contains("rabbitmq"));
        Assert.Equal(name == "queue", awaited.Contains("redis"));
    }

    [Theory]
    [InlineData("ingress", "smtp", 2525)]
    [InlineData("ingress", "submission", 2587)]
    [InlineData("mailbox", "pop3", 2110)]
    public async Task A_door_is_proxied_at_a_fixed_port(string name, string endpoint, int port)
    {
        var service = (await ResourcesAsync()).Single(resource => resource.Name == name);
        var door = service.Annotations.OfType<EndpointAnnotation>().Single(annotation => annotation.Name == endpoint);
        Assert.Equal(port, door.Port);
        Assert.True(door.IsProxied);
        Assert.Null(door.TargetPort);
    }

    [Theory]
    [InlineData("ingress", "send-test-message")]
    [InlineData("queue", "pause-delivery")]
    [InlineData("queue", "resume-delivery")]
    public async Task The_dashboard_has_commands(string name, string command)
    {
        var service = (await ResourcesAsync()).Single(resource => resource.Name == name);
        Assert.Contains(service.Annotations.OfType<ResourceCommandAnnotation>(), annotation => annotation.Name == command);
    }

    [Fact]
    public async Task No_development_certificate_is_asked_for()
    {
        await using var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.AppHost>();
        var options = builder.Services.Select(service => service.IsKeyedService ? null : service.ImplementationInstance).OfType<DistributedApplicationOptions>();
        Assert.False(Assert.Single(options).TrustDeveloperCertificate);
    }

    [Fact]
    public async Task Servers_come_in_containers()
    {
        var containers = (await ResourcesAsync()).OfType<ContainerResource>().Select(resource => resource.Name).ToList();
        Assert.Superset(new HashSet<string> { "far-end", "postgres", "rabbitmq", "redis" }, containers.ToHashSet());
    }

    [Fact]
    public async Task Installed_servers_take_their_place()
    {
        var resources = await ResourcesAsync(s_installed);
        Assert.Empty(resources.OfType<ContainerResource>());
        Assert.Equal(s_services, resources.OfType<ProjectResource>().Select(resource => resource.Name).Order(StringComparer.Ordinal));
    }

    private static async Task<IReadOnlyList<IResource>> ResourcesAsync(params string[] arguments)
    {
        await using var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.AppHost>(arguments);
        return [.. builder.Resources];
    }
}
