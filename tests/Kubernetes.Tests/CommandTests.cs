using k8s;
using k8s.Models;
using MailPipeline.Testing;

namespace MailPipeline.Kubernetes.Tests;

/// <summary>The operator's commands run in a pod as confined as the services'.</summary>
public sealed class CommandTests
{
    [Fact]
    public async Task A_command_works_on_the_database_that_the_environment_names()
    {
        using var folder = new TempFolder("command");
        await using var postgres = await PostgresServer.StartAsync();
        var environment = new Dictionary<string, string?> { ["ConnectionStrings__maildb"] = postgres.ConnectionString() };
        await RunAsync("domain", "add", "example.org");
        Assert.Contains("example.org", await RunAsync("domain", "list"), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(folder.FullPath));

        Task<string> RunAsync(params string[] command) => ServerProcess.RunAsync(
            BuiltProgram.DotNet, [BuiltProgram.Mail, .. command], folder.FullPath, environment);
    }

    [Theory]
    [InlineData("base")]
    [InlineData("overlays/dev")]
    [InlineData("overlays/prod")]
    public async Task The_pod_of_a_command_is_confined_and_finds_the_database_as_the_services_do(string overlay)
    {
        // In place of kubectl: echo, which shows what it would have been told.
        var told = await ServerProcess.RunAsync(
            Path.Combine(Manifests.Folder, "mail"), ["domain", "add", "example.org"], Manifests.Root,
            new Dictionary<string, string?> { ["MAIL_KUBECTL"] = "echo", ["MAIL_OPERATOR"] = "ann \"the admin\"" });
        Assert.StartsWith("--namespace=mailpipeline run mail-", told, StringComparison.Ordinal);
        Assert.Contains(" --image=mailpipeline/commands:", told, StringComparison.Ordinal);
        Assert.EndsWith(" -- domain add example.org", told.TrimEnd(), StringComparison.Ordinal);

        Assert.Matches("^--namespace=mailpipeline run mail-[0-9a-f]{10} ", told);

        const string mark = "--overrides=";
        var start = told.IndexOf(mark, StringComparison.Ordinal) + mark.Length;
        var pod = KubernetesYaml.Deserialize<V1Pod>(told[start..told.LastIndexOf(" -- ", StringComparison.Ordinal)], strict: true).Spec;
        var service = (await Manifests.RenderAsync<V1Deployment>(overlay)).Single(d => d.Metadata.Name == "queue").Spec.Template.Spec;
        Assert.Equal(service.SecurityContext.RunAsUser, pod.SecurityContext.RunAsUser);
        Assert.False(pod.AutomountServiceAccountToken);
        var container = Assert.Single(pod.Containers);
        Assert.True(container.SecurityContext.ReadOnlyRootFilesystem);
        Assert.Equal(["ALL"], container.SecurityContext.Capabilities.Drop);
        Assert.Equal("/tmp", Assert.Single(container.VolumeMounts).MountPath);
        Assert.Equal("ann the admin", container.Env.Single(variable => variable.Name == "MAIL_OPERATOR").Value);
        Assert.Equal(
            Connection(Assert.Single(service.Containers).Env), Connection(container.Env));

        static IEnumerable<string> Connection(IEnumerable<V1EnvVar> variables) =>
            from variable in variables
            where variable.Name.StartsWith("MAILDB_", StringComparison.Ordinal) || variable.Name == "ConnectionStrings__maildb"
            select $"{variable.Name} {variable.Value} {variable.ValueFrom?.SecretKeyRef.Name} {variable.ValueFrom?.SecretKeyRef.Key}";
    }
}
