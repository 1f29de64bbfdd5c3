using k8s.Models;

namespace MailPipeline.Kubernetes.Tests;

// The fields of operators' resources that the manifests use, and no others: one that is misspelt is refused. Names, places
// and types are those of the resources' definitions, looked up by hand; the definitions themselves are not at hand here.
#pragma warning disable CA1812 // Made by the YAML reader.

internal abstract class CustomResource<TSpec>
    where TSpec : new()
{
    public string ApiVersion { get; set; } = "";

    public string Kind { get; set; } = "";

    public V1ObjectMeta Metadata { get; set; } = new();

    public TSpec Spec { get; set; } = new();
}

internal sealed class PostgresCluster : CustomResource<PostgresCluster.Definition>
{
    internal sealed class Definition
    {
        public int Instances { get; set; }

        public string? ImageName { get; set; }

        public string? PrimaryUpdateStrategy { get; set; }

        public BootstrapBy? Bootstrap { get; set; }

        public Server? Postgresql { get; set; }

        public Volume? Storage { get; set; }

        public Volume? WalStorage { get; set; }

        public V1ResourceRequirements? Resources { get; set; }

        public Spread? Affinity { get; set; }

        public List<Plugin> Plugins { get; set; } = [];

        public List<External> ExternalClusters { get; set; } = [];
    }

    internal sealed class BootstrapBy
    {
        public Initdb? Initdb { get; set; }

        public Recovery? Recovery { get; set; }
    }

    internal sealed class Recovery
    {
        public string? Database { get; set; }

        public string? Owner { get; set; }

        /// <summary>One of the external clusters, by its name.</summary>
        public string? Source { get; set; }
    }

    internal sealed class Initdb
    {
        public string? Database { get; set; }

        public string? Owner { get; set; }
    }

    internal sealed class Server
    {
        public Replication? Synchronous { get; set; }

        public Dictionary<string, string>? Parameters { get; set; }
    }

    internal sealed class Replication
    {
        public string? Method { get; set; }

        public int Number { get; set; }

        public string? DataDurability { get; set; }
    }

    internal sealed class Volume
    {
        public string? Size { get; set; }
    }

    internal sealed class Spread
    {
        public bool EnablePodAntiAffinity { get; set; }

        public string? PodAntiAffinityType { get; set; }

        public string? TopologyKey { get; set; }
    }

    internal sealed class Plugin
    {
        public string Name { get; set; } = "";

        public bool IsWALArchiver { get; set; }

        public Dictionary<string, string> Parameters { get; set; } = [];
    }

    internal sealed class External
    {
        public string Name { get; set; } = "";

        public Plugin? Plugin { get; set; }
    }
}

internal sealed class ObjectStore : CustomResource<ObjectStore.Definition>
{
    internal sealed class Definition
    {
        public string? RetentionPolicy { get; set; }

        public Place? Configuration { get; set; }
    }

    internal sealed class Place
    {
        public string? DestinationPath { get; set; }

        public string? EndpointURL { get; set; }

        public Credentials? S3Credentials { get; set; }

        public Stream? Wal { get; set; }

        public Stream? Data { get; set; }
    }

    internal sealed class Credentials
    {
        public V1SecretKeySelector? AccessKeyId { get; set; }

        public V1SecretKeySelector? SecretAccessKey { get; set; }
    }

    internal sealed class Stream
    {
        public string? Compression { get; set; }

        public int MaxParallel { get; set; }
    }
}

internal sealed class PostgresScheduledBackup : CustomResource<PostgresScheduledBackup.Definition>
{
    internal sealed class Definition
    {
        public string? Schedule { get; set; }

        public string? BackupOwnerReference { get; set; }

        public string? Method { get; set; }

        public bool Immediate { get; set; }

        public PostgresCluster.Plugin? PluginConfiguration { get; set; }

        public V1LocalObjectReference? Cluster { get; set; }
    }
}

internal sealed class RabbitmqCluster : CustomResource<RabbitmqCluster.Definition>
{
    internal sealed class Definition
    {
        public int Replicas { get; set; }

        public string? Image { get; set; }

        public Volume? Persistence { get; set; }

        public V1ResourceRequirements? Resources { get; set; }

        public Server? Rabbitmq { get; set; }

        public V1Affinity? Affinity { get; set; }
    }

    internal sealed class Volume
    {
        public string? Storage { get; set; }
    }

    internal sealed class Server
    {
        public string? EnvConfig { get; set; }

        public string? AdditionalConfig { get; set; }
    }
}

internal sealed class RabbitmqUser : CustomResource<RabbitmqUser.Definition>
{
    internal sealed class Definition
    {
        public V1LocalObjectReference? RabbitmqClusterReference { get; set; }
    }
}

internal sealed class RabbitmqPermission : CustomResource<RabbitmqPermission.Definition>
{
    internal sealed class Definition
    {
        public string? Vhost { get; set; }

        /// <summary>A <see cref="RabbitmqUser"/> of the same namespace, by its name.</summary>
        public V1LocalObjectReference? UserReference { get; set; }

        public Rights? Permissions { get; set; }

        public V1LocalObjectReference? RabbitmqClusterReference { get; set; }
    }

    internal sealed class Rights
    {
        public string? Configure { get; set; }

        public string? Write { get; set; }

        public string? Read { get; set; }
    }
}

internal sealed class RedisServer : CustomResource<RedisServer.Definition>
{
    internal sealed class Definition
    {
        public Server? KubernetesConfig { get; set; }

        public V1PodSecurityContext? PodSecurityContext { get; set; }

        public Volume? Storage { get; set; }
    }

    internal sealed class Server
    {
        public string? Image { get; set; }

        public string? ImagePullPolicy { get; set; }

        public V1ResourceRequirements? Resources { get; set; }
    }

    internal sealed class Volume
    {
        public V1PersistentVolumeClaim? VolumeClaimTemplate { get; set; }
    }
}

internal sealed class Certificate : CustomResource<Certificate.Definition>
{
    internal sealed class Definition
    {
        public string? SecretName { get; set; }

        public List<string> DnsNames { get; set; } = [];

        public Key? PrivateKey { get; set; }

        public Issuer? IssuerRef { get; set; }
    }

    internal sealed class Key
    {
        public string? Algorithm { get; set; }

        public int Size { get; set; }

        public string? RotationPolicy { get; set; }
    }

    internal sealed class Issuer
    {
        public string? Name { get; set; }

        public string? Kind { get; set; }
    }
}

internal sealed class ScaledObject : CustomResource<ScaledObject.Definition>
{
    internal sealed class Definition
    {
        public Target ScaleTargetRef { get; set; } = new();

        public int MinReplicaCount { get; set; }

        public int MaxReplicaCount { get; set; }

        public int PollingInterval { get; set; }

        public Fallback? Fallback { get; set; }

        public Advanced? Advanced { get; set; }

        public List<Trigger> Triggers { get; set; } = [];
    }

    internal sealed class Target
    {
        public string Name { get; set; } = "";
    }

    internal sealed class Fallback
    {
        public int FailureThreshold { get; set; }

        public int Replicas { get; set; }
    }

    internal sealed class Advanced
    {
        public Autoscaler? HorizontalPodAutoscalerConfig { get; set; }
    }

    internal sealed class Autoscaler
    {
        public V2HorizontalPodAutoscalerBehavior? Behavior { get; set; }
    }

    internal sealed class Trigger
    {
        public string Type { get; set; } = "";

        public string? Name { get; set; }

        public string? MetricType { get; set; }

        public PrometheusQuery Metadata { get; set; } = new();
    }

    /// <summary>KEDA takes text only here.</summary>
    internal sealed class PrometheusQuery
    {
        public string? ServerAddress { get; set; }

        public string Query { get; set; } = "";

        public string? Threshold { get; set; }

        public string? IgnoreNullValues { get; set; }
    }
}

internal sealed class PodMonitor : CustomResource<PodMonitor.Definition>
{
    internal sealed class Definition
    {
        public Namespaces? NamespaceSelector { get; set; }

        public V1LabelSelector? Selector { get; set; }

        public string? JobLabel { get; set; }

        public List<Endpoint> PodMetricsEndpoints { get; set; } = [];
    }

    internal sealed class Namespaces
    {
        public List<string> MatchNames { get; set; } = [];
    }

    internal sealed class Endpoint
    {
        public string? Port { get; set; }

        public string? Path { get; set; }

        public string? Interval { get; set; }

        public string? ScrapeTimeout { get; set; }
    }
}

internal sealed class PrometheusRule : CustomResource<PrometheusRule.Definition>
{
    internal sealed class Definition
    {
        public List<Group> Groups { get; set; } = [];
    }

    internal sealed class Group
    {
        public string Name { get; set; } = "";

        public string? Interval { get; set; }

        public List<Rule> Rules { get; set; } = [];
    }

    internal sealed class Rule
    {
        public string? Record { get; set; }

        public string? Alert { get; set; }

        public string Expr { get; set; } = "";

        public string? For { get; set; }

        public Dictionary<string, string> Labels { get; set; } = [];

        public Dictionary<string, string> Annotations { get; set; } = [];
    }
}
