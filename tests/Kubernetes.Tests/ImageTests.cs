using System.Text.Json;
using k8s.Models;
using MailPipeline.Testing;

namespace MailPipeline.Kubernetes.Tests;

/// <summary>The images that the SDK would make are those that the manifests ask for.</summary>
public sealed class ImageTests
{
    [Theory]
    [InlineData("Ingress", "base")]
    [InlineData("Queue", "base")]
    [InlineData("Delivery", "base")]
    [InlineData("Mailbox", "base")]
    [InlineData("Console", "console")]
    public async Task An_image_is_small_unprivileged_named_and_versioned_as_its_manifest_says(string project, string folder)
    {
        using var evaluated = JsonDocument.Parse(await ServerProcess.RunAsync(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            [
                "msbuild", Path.Combine(Manifests.Root, "services", project, project + ".csproj"), "-nologo", "-p:Configuration=Release",
                "-getProperty:ContainerBaseImage,ContainerRepository,ContainerImageTag,ContainerUser,ContainerWorkingDirectory,OutputType",
                "-getItem:ContainerPort",
            ],
            Manifests.Root));
        var image = evaluated.RootElement.GetProperty("Properties");
        Assert.Equal("Exe", image.GetProperty("OutputType").GetString());
        // The SDK puts the program's name right behind it.
        Assert.True(image.GetProperty("ContainerWorkingDirectory").GetString() is "" or "/app/", "the entry point is in /app/");
        Assert.EndsWith("-chiseled", image.GetProperty("ContainerBaseImage").GetString(), StringComparison.Ordinal);

        var pod = (await Manifests.RenderAsync<V1Deployment>(folder)).Single(d => string.Equals(d.Metadata.Name, project, StringComparison.OrdinalIgnoreCase)).Spec.Template.Spec;
        var container = Assert.Single(pod.Containers);
        Assert.Equal(container.Image, $"{image.GetProperty("ContainerRepository").GetString()}:{image.GetProperty("ContainerImageTag").GetString()}");
        Assert.Equal($"{pod.SecurityContext.RunAsUser}", image.GetProperty("ContainerUser").GetString());
        Assert.Equal(
            container.Ports.Select(port => $"{port.ContainerPort}").Order(StringComparer.Ordinal),
            evaluated.RootElement.GetProperty("Items").GetProperty("ContainerPort").EnumerateArray()
                .Select(port => port.GetProperty("Identity").GetString()!).Order(StringComparer.Ordinal));
    }
}
