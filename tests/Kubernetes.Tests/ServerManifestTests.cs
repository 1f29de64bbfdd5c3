using k8s.Models;

namespace MailPipeline.Kubernetes.Tests;

/// <summary>PostgreSQL, RabbitMQ and Redis as the manifests make them: large enough, backed up, and confined where they can be.</summary>
public sealed class ServerManifestTests
{
    [Theory]
    [InlineData("infrastructure/plain")]
    [InlineData("overlays/dev")]
    public async Task Servers_without_operators_run_confined_too(string folder)
    {
        var servers = await Manifests.RenderAsync<V1StatefulSet>(folder);
        Assert.Equal(3, servers.Count);
        Assert.All(servers, server =>
        {
            Assert.True(server.Spec.Template.Spec.SecurityContext.RunAsNonRoot);
            Assert.False(server.Spec.Template.Spec.AutomountServiceAccountToken);
            Assert.Equal(["ALL"], Assert.Single(server.Spec.Template.Spec.Containers).SecurityContext.Capabilities.Drop);
            Assert.NotEmpty(server.Spec.VolumeClaimTemplates);
        });
    }

    /// <summary>Who fills it from outside neither reaches another server nor makes it refuse to write, and the way there from Ingress is open.</summary>
    [Fact]
    public async Task What_counts_limits_is_confined_bounded_and_reached_by_Ingress_alone()
    {
        const string Folder = "infrastructure/limits";
        var pod = Assert.Single(await Manifests.RenderAsync<V1Deployment>(Folder)).Spec.Template;
        Assert.True(pod.Spec.SecurityContext.RunAsNonRoot);
        Assert.False(pod.Spec.AutomountServiceAccountToken);
        var container = Assert.Single(pod.Spec.Containers);
        Assert.Equal(["ALL"], container.SecurityContext.Capabilities.Drop);
        Assert.True(container.SecurityContext.ReadOnlyRootFilesystem);
        Assert.Equal("volatile-ttl", container.Args[container.Args.IndexOf("--maxmemory-policy") + 1]);
        var policy = Assert.Single(await Manifests.RenderAsync<V1NetworkPolicy>(Folder)).Spec;
        Assert.Equal(pod.Metadata.Labels, policy.PodSelector.MatchLabels);
        Assert.Contains("Egress", policy.PolicyTypes);
        var from = Assert.Single(Assert.Single(policy.Ingress).FromProperty).PodSelector.MatchLabels;
        var ingress = (await Manifests.RenderAsync<V1Deployment>("overlays/prod")).Single(deployment => deployment.Metadata.Name == "ingress");
        Assert.All(from, label => Assert.Equal(label.Value, ingress.Spec.Template.Metadata.Labels[label.Key]));
        var ways = (await Manifests.RenderAsync<V1NetworkPolicy>("overlays/prod")).Where(way => way.Metadata.Name == "ingress")
            .SelectMany(way => way.Spec.Egress).SelectMany(way => way.To ?? []);
        Assert.Contains(ways, way => way.PodSelector?.MatchLabels is { } labels && labels.All(label => pod.Metadata.Labels.TryGetValue(label.Key, out var value) && value == label.Value));
    }

    /// <summary>Storage/Postgres/PostgresEngine.cs: connections of one process.</summary>
    private const int ConnectionsOfPod = 8;

    [Fact]
    public async Task PostgreSQL_takes_the_connections_of_all_pods_that_may_be_there_at_once()
    {
        var largest = (await Manifests.RenderAsync<V2HorizontalPodAutoscaler>("overlays/prod"))
            .ToDictionary(scaler => scaler.Spec.ScaleTargetRef.Name, scaler => scaler.Spec.MaxReplicas);
        foreach (var scaler in await Manifests.RenderAsync<ScaledObject>("overlays/prod"))
            largest[scaler.Spec.ScaleTargetRef.Name] = scaler.Spec.MaxReplicaCount;
        var surge = (await Manifests.RenderAsync<V1Deployment>("overlays/prod")).Sum(d => int.Parse(d.Spec.Strategy.RollingUpdate.MaxSurge.Value, null));
        // Their pods take minutes to leave, and hold their connections until then.
        var pods = largest.Values.Sum() + surge + largest["delivery"] + largest["ingress"];

        var postgres = Assert.Single(await Manifests.RenderAsync<PostgresCluster>("infrastructure/operators")).Spec;

        // 20 for replication, backups and people.
        Assert.InRange(pods * ConnectionsOfPod + 20, 1, int.Parse(postgres.Postgresql!.Parameters!["max_connections"], null));
    }

    [Fact]
    public async Task Mail_is_put_off_before_the_volume_of_PostgreSQL_is_full()
    {
        var settings = (await Manifests.RenderAsync<V1ConfigMap>("overlays/prod")).Single(map => map.Metadata.Name.StartsWith("ingress-settings", StringComparison.Ordinal));
        var volume = Assert.Single(await Manifests.RenderAsync<PostgresCluster>("infrastructure/operators")).Spec.Storage!.Size!;
        var bytes = new ResourceQuantity(volume).ToDecimal();
        Assert.InRange(decimal.Parse(settings.Data["Storage__MaxDatabaseBytes"], null), bytes / 2, bytes * 9 / 10);
    }

    [Fact]
    public async Task A_restored_PostgreSQL_is_the_one_that_the_services_know()
    {
        var usual = Assert.Single(await Manifests.RenderAsync<PostgresCluster>("infrastructure/operators"));
        var restored = Assert.Single(await Manifests.RenderAsync<PostgresCluster>("infrastructure/restore"));
        Assert.Equal(usual.Metadata.Name, restored.Metadata.Name);
        Assert.Null(restored.Spec.Bootstrap!.Initdb);
        var (made, found) = (usual.Spec.Bootstrap!.Initdb!, restored.Spec.Bootstrap.Recovery!);
        Assert.Equal((made.Database, made.Owner), (found.Database, found.Owner));
        Assert.Equal(usual.Spec.Postgresql!.Parameters, restored.Spec.Postgresql!.Parameters);
        // It begins from what the usual one writes, and writes where nothing is yet.
        var origin = Assert.Single(restored.Spec.ExternalClusters);
        Assert.Equal(found.Source, origin.Name);
        Assert.Equal(Assert.Single(usual.Spec.Plugins).Parameters, origin.Plugin!.Parameters);
        Assert.NotEqual(origin.Plugin.Parameters["serverName"], Assert.Single(restored.Spec.Plugins).Parameters["serverName"]);
    }

    [Fact]
    public async Task A_restored_PostgreSQL_has_a_base_backup_at_once()
    {
        var scheduled = Assert.Single(await Manifests.RenderAsync<PostgresScheduledBackup>("infrastructure/restore"));
        Assert.True(scheduled.Spec.Immediate);
        Assert.Equal(Assert.Single(await Manifests.RenderAsync<PostgresCluster>("infrastructure/restore")).Metadata.Name, scheduled.Spec.Cluster!.Name);
        // Which means: when it is made. One that is there already waits for its hour, so the guide has it deleted before.
        var guide = await File.ReadAllTextAsync(Path.Combine(Manifests.Root, "docs", "operations.md"), TestContext.Current.CancellationToken);
        var applied = guide.IndexOf("kubectl apply -k k8s/infrastructure/restore", StringComparison.Ordinal);
        Assert.InRange(
            guide.IndexOf($"kubectl -n {scheduled.Metadata.NamespaceProperty} delete scheduledbackup.postgresql.cnpg.io {scheduled.Metadata.Name}", StringComparison.Ordinal),
            0, applied);
    }

    [Fact]
    public async Task A_backup_is_whole_and_lies_elsewhere()
    {
        var manifests = await Manifests.RenderAsync("infrastructure/operators");
        var store = Assert.Single(manifests.Select(manifest => manifest.Model).OfType<ObjectStore>());
        Assert.Matches(@"^\d+d$", store.Spec.RetentionPolicy);
        Assert.StartsWith("https://", store.Spec.Configuration!.EndpointURL, StringComparison.Ordinal);
        var archiver = Assert.Single(Assert.Single(await Manifests.RenderAsync<PostgresCluster>("infrastructure/operators")).Spec.Plugins);
        Assert.True(archiver.IsWALArchiver);
        Assert.Equal(store.Metadata.Name, archiver.Parameters["barmanObjectName"]);
        var scheduled = Assert.Single(await Manifests.RenderAsync<PostgresScheduledBackup>("infrastructure/operators"));
        Assert.Equal(("plugin", archiver.Name), (scheduled.Spec.Method, scheduled.Spec.PluginConfiguration!.Name));
        Assert.True(scheduled.Spec.Immediate);
        // Its age is watched.
        Assert.Contains(Expressions.All, expression => expression.Source == "rule MailPipelineBackupOld");
    }

    [Fact]
    public async Task Where_the_operators_live_is_said_once()
    {
        var said = ((V1ConfigMap)Assert.Single(Manifests.Read("infrastructure/operators/namespaces.yaml")).Model).Data;
        var admitted =
            from policy in await Manifests.RenderAsync<V1NetworkPolicy>("infrastructure/operators")
            from rule in policy.Spec.Ingress
            from peer in rule.FromProperty
            where peer.NamespaceSelector is not null
            select peer.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"];
        Assert.Equal(said.Values.Order(StringComparer.Ordinal), admitted.Distinct().Order(StringComparer.Ordinal));
        Assert.Empty(await Manifests.RenderAsync<V1ConfigMap>("infrastructure/operators"));
        var readme = await File.ReadAllTextAsync(Path.Combine(Manifests.Folder, "README.md"), TestContext.Current.CancellationToken);
        Assert.All(said.Values, name => Assert.Contains($"`{name}`", readme, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("ingress")]
    [InlineData("queue")]
    [InlineData("delivery")]
    [InlineData("mailbox")]
    public async Task Each_service_is_a_user_of_its_own_to_the_broker_with_the_rights_of_the_operations_guide(string service)
    {
        var cluster = Assert.Single(await Manifests.RenderAsync<RabbitmqCluster>("infrastructure/operators")).Metadata.Name;
        var user = Assert.Single(
            await Manifests.RenderAsync<RabbitmqUser>("infrastructure/operators"), user => user.Metadata.Name == $"rabbitmq-{service}");
        Assert.Equal(cluster, user.Spec.RabbitmqClusterReference?.Name);
        var permission = Assert.Single(
            await Manifests.RenderAsync<RabbitmqPermission>("infrastructure/operators"), permission => permission.Spec.UserReference?.Name == user.Metadata.Name).Spec;
        Assert.Equal(("/", cluster), (permission.Vhost, permission.RabbitmqClusterReference?.Name));
        // | `ingress` | `configure` | `write` | `read` |, with a bar within an expression as \|.
        var row = File.ReadLines(Path.Combine(Manifests.Root, "docs", "operations.md")).Single(line => line.StartsWith($"| `{service}` | `^", StringComparison.Ordinal));
        Assert.Equal(
            row.Split(" | ")[1..].Select(cell => cell.Trim(' ', '|', '`').Replace("\\|", "|", StringComparison.Ordinal)),
            [permission.Permissions!.Configure, permission.Permissions.Write, permission.Permissions.Read]);

        // The operator writes a Secret of this name; each service reads its own and no other of the broker.
        var deployment = (await Manifests.RenderAsync<V1Deployment>("overlays/prod")).Single(deployment => deployment.Metadata.Name == service);
        var read = deployment.Spec.Template.Spec.Containers.SelectMany(container => container.Env ?? [])
            .Select(variable => variable.ValueFrom?.SecretKeyRef?.Name).OfType<string>().Where(name => name.Contains("rabbitmq", StringComparison.Ordinal));
        Assert.Equal([$"{user.Metadata.Name}-user-credentials"], read.Distinct());
    }

    [Fact]
    public async Task A_drain_of_nodes_leaves_the_broker_its_quorum()
    {
        var broker = Assert.Single(await Manifests.RenderAsync<RabbitmqCluster>("infrastructure/operators")).Spec;
        var budget = Assert.Single(await Manifests.RenderAsync<V1PodDisruptionBudget>("infrastructure/operators")).Spec;
        Assert.Equal("rabbitmq", Assert.Single(budget.Selector.MatchLabels).Value);
        Assert.True(broker.Replicas - int.Parse(budget.MaxUnavailable.Value, null) > broker.Replicas / 2);
    }
}
