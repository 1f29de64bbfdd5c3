using k8s;
using k8s.Models;

namespace MailPipeline.Kubernetes.Tests;

/// <summary>The manifests are what they claim to be: readable without an unknown field, and safe where they must be.</summary>
public sealed class ManifestTests
{
    private static readonly string[] s_services = ["delivery", "ingress", "mailbox", "queue"];

    public static TheoryData<string> Files => [.. Manifests.Files];

    public static TheoryData<string> Kustomizations => [.. Manifests.Kustomizations];

    public static TheoryData<string> Overlays => ["overlays/dev", "overlays/prod", "overlays/prod-proxy-protocol"];

    public static TheoryData<string> OverlaysWithConsole => [.. Overlays.Select(row => Manifests.WithConsole(row.Data))];

    public static TheoryData<string> OverlaysBothWays => [.. Overlays.Concat(OverlaysWithConsole).Select(row => row.Data)];

    [Theory]
    [MemberData(nameof(Files))]
    public void A_manifest_has_no_unknown_field(string file) => Assert.NotEmpty(Manifests.Read(file));

    [Theory]
    [MemberData(nameof(Kustomizations))]
    public async Task A_folder_renders_to_objects_without_unknown_fields_and_without_twins(string folder)
    {
        var manifests = await Manifests.RenderAsync(folder);
        Assert.NotEmpty(manifests);
        Assert.Empty(manifests.GroupBy(manifest => (manifest.Kind, manifest.Name)).Where(group => group.Count() > 1).Select(group => group.Key));
    }

    [Theory]
    [InlineData("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: x\nspec:\n  replica: 1\n", "replica")]
    [InlineData("apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: x\nspec:\n  maxReplicas: 1\n", "maxReplicas")]
    [InlineData("apiVersion: apps/v1beta1\nkind: Deployment\nmetadata:\n  name: x\n", "apps/v1beta1 Deployment")]
    public void An_unknown_field_or_kind_is_a_failure(string text, string named) =>
        Assert.Contains(named, Assert.Throws<InvalidDataException>(() => Manifests.Parse("test", text)).Message, StringComparison.Ordinal);

    [Theory]
    [MemberData(nameof(OverlaysBothWays))]
    public async Task All_services_run_confined(string overlay)
    {
        var deployments = await Manifests.RenderAsync<V1Deployment>(overlay);
        Assert.Equal(OverlaysWithConsole.Any(row => row.Data == overlay) ? ["console", .. s_services] : s_services, deployments.Select(deployment => deployment.Metadata.Name).Order(StringComparer.Ordinal));
        foreach (var (name, pod) in deployments.Select(deployment => (deployment.Metadata.Name, deployment.Spec.Template.Spec)))
        {
            Assert.False(pod.AutomountServiceAccountToken, name);
            Assert.False(pod.EnableServiceLinks, name);
            Assert.True(pod.SecurityContext.RunAsNonRoot, name);
            Assert.Equal("RuntimeDefault", pod.SecurityContext.SeccompProfile.Type);
            Assert.Equal(["topology.kubernetes.io/zone", "kubernetes.io/hostname"], pod.TopologySpreadConstraints.Select(spread => spread.TopologyKey));
            var container = Assert.Single(pod.Containers);
            Assert.True(container.SecurityContext.ReadOnlyRootFilesystem, name);
            Assert.False(container.SecurityContext.AllowPrivilegeEscalation, name);
            Assert.Equal(["ALL"], container.SecurityContext.Capabilities.Drop);
            Assert.Equal("/health/live", container.LivenessProbe.HttpGet.Path);
            Assert.Equal("/health/ready", container.ReadinessProbe.HttpGet.Path);
            Assert.Equal(["cpu", "memory"], container.Resources.Requests.Keys.Order(StringComparer.Ordinal));
            Assert.Equal(["cpu", "memory"], container.Resources.Limits.Keys.Order(StringComparer.Ordinal));
            Assert.All(container.VolumeMounts, mount => Assert.Null(mount.SubPath));
        }
    }

    [Theory]
    [MemberData(nameof(OverlaysBothWays))]
    public async Task Selectors_find_the_pods_they_are_meant_for(string overlay)
    {
        var pods = (await Manifests.RenderAsync<V1Deployment>(overlay)).ToDictionary(
            deployment => deployment.Metadata.Name, deployment => deployment.Spec.Template.Metadata.Labels);
        foreach (var budget in await Manifests.RenderAsync<V1PodDisruptionBudget>(overlay))
            Assert.Equal(budget.Metadata.Name, Assert.Single(Matching(budget.Spec.Selector.MatchLabels)));
        var services = (await Manifests.RenderAsync<V1Service>(overlay)).Where(service => service.Metadata.Name is "smtp" or "pop3" or "console").ToList();
        Assert.Equal(pods.ContainsKey("console") ? 3 : 2, services.Count);
        foreach (var service in services)
        {
            var target = Assert.Single(Matching(service.Spec.Selector));
            Assert.Equal(service.Metadata.Name switch { "smtp" => "ingress", "pop3" => "mailbox", var same => same }, target);
            var ports = Assert.Single((await Manifests.RenderAsync<V1Deployment>(overlay)).Single(d => d.Metadata.Name == target).Spec.Template.Spec.Containers).Ports;
            Assert.All(service.Spec.Ports, port => Assert.Contains(ports, open => open.Name == port.TargetPort.Value));
        }

        IEnumerable<string> Matching(IDictionary<string, string> labels) =>
            pods.Where(pod => labels.All(label => pod.Value.TryGetValue(label.Key, out var value) && value == label.Value)).Select(pod => pod.Key);
    }

    [Fact]
    public async Task Nothing_comes_in_or_goes_out_but_what_is_named()
    {
        var policies = await Manifests.RenderAsync<V1NetworkPolicy>("base");
        var everything = policies.Single(policy => policy.Metadata.Name == "default-deny").Spec;
        Assert.Empty(everything.PodSelector.MatchLabels ?? new Dictionary<string, string>());
        Assert.Equal(["Ingress", "Egress"], everything.PolicyTypes);
        Assert.Null(everything.Ingress);
        Assert.Null(everything.Egress);
        // Open to the world: the doors, and nothing else.
        Assert.Equal(
            ["ingress 2525", "ingress 2587", "ingress 2465", "mailbox 2110", "mailbox 2995"],
            from policy in policies
            from rule in policy.Spec.Ingress ?? []
            where rule.FromProperty is null or { Count: 0 }
            from port in rule.Ports
            select $"{policy.Metadata.Name} {port.Port.Value}");
        // Out to the world: port 25 of Delivery and HTTPS for policies, to nothing inside.
        var outside = Assert.Single(
            from policy in policies
            from rule in policy.Spec.Egress ?? []
            where rule.To.Any(peer => peer.IpBlock is not null)
            select (policy.Metadata.Name, Ports: string.Join(',', rule.Ports.Select(port => port.Port.Value)), rule.To));
        Assert.Equal(("delivery", "25,443"), (outside.Name, outside.Ports));
        Assert.Contains("10.0.0.0/8", outside.To[0].IpBlock.Except);
    }

    [Theory]
    [MemberData(nameof(OverlaysWithConsole))]
    public async Task The_API_is_there_for_whom_the_operator_labels(string overlay)
    {
        var manifests = await Manifests.RenderAsync(overlay);
        var its = manifests.Select(manifest => manifest.Model).OfType<IMetadata<V1ObjectMeta>>()
            .Where(its => its.Metadata.Name.StartsWith("console", StringComparison.Ordinal)).ToList();
        Assert.Equal(["ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service"], its.Cast<IKubernetesObject>().Select(o => o.Kind).Order(StringComparer.Ordinal));
        Assert.All(its, one => Assert.Equal("mailpipeline", one.Metadata.NamespaceProperty));
        var service = its.OfType<V1Service>().Single();
        Assert.Equal("ClusterIP", service.Spec.Type);
        Assert.Equal(8443, Assert.Single(service.Spec.Ports).Port);
        // The store is all it knows of.
        var container = Assert.Single(its.OfType<V1Deployment>().Single().Spec.Template.Spec.Containers);
        Assert.Equal(["maildb-app"], container.Env.Select(variable => variable.ValueFrom?.SecretKeyRef.Name).OfType<string>().Distinct());

        var mine = its.OfType<V1Deployment>().Single().Spec.Template.Metadata.Labels;
        var rules = (from policy in manifests.Select(manifest => manifest.Model).OfType<V1NetworkPolicy>()
                     where (policy.Spec.PodSelector.MatchLabels ?? new Dictionary<string, string>()).All(label => mine.TryGetValue(label.Key, out var value) && value == label.Value)
                     from rule in policy.Spec.Ingress ?? []
                     select rule).ToList();
        Assert.All(rules, rule => Assert.NotEmpty(rule.FromProperty));
        // Metrics for Prometheus, as of all services; the API for labels.
        Assert.Equal(["8080", "8443"], rules.Select(rule => Assert.Single(rule.Ports).Port.Value).Order(StringComparer.Ordinal));
        Assert.All(rules.Single(rule => rule.Ports[0].Port.Value == "8443").FromProperty, peer =>
        {
            Assert.Null(peer.IpBlock);
            Assert.Equal(KeyValuePair.Create("mailpipeline/console-client", "true"), Assert.Single((peer.PodSelector ?? peer.NamespaceSelector).MatchLabels));
            Assert.True(peer.PodSelector is null || peer.NamespaceSelector is null);
        });
    }

    [Fact]
    public async Task All_images_of_a_production_come_from_one_registry()
    {
        var deployments = await Manifests.RenderAsync<V1Deployment>(Manifests.WithConsole("overlays/prod"));
        Assert.All(deployments, deployment => Assert.StartsWith("registry.example.org/mailpipeline/", Assert.Single(deployment.Spec.Template.Spec.Containers).Image, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Secrets_are_not_in_the_settings_and_not_in_what_is_meant_for_production()
    {
        foreach (var overlay in OverlaysWithConsole.Select(row => row.Data))
        {
            Assert.All(await Manifests.RenderAsync<V1ConfigMap>(overlay), settings =>
                Assert.DoesNotContain((settings.Data ?? new Dictionary<string, string>()).Keys, key =>
                    key.Contains("Password", StringComparison.OrdinalIgnoreCase) || key.Contains("maildb", StringComparison.Ordinal)
                    || key.Contains("rabbitmq", StringComparison.Ordinal) && key.Contains("ConnectionStrings", StringComparison.Ordinal)));
        }
        Assert.Empty(await Manifests.RenderAsync<V1Secret>("overlays/prod"));
        Assert.Empty(await Manifests.RenderAsync<V1Secret>("infrastructure/operators"));
    }

    [Fact]
    public async Task The_client_s_address_survives_the_load_balancer_one_way_or_the_other()
    {
        Assert.All(
            (await Manifests.RenderAsync<V1Service>("overlays/prod")).Where(service => service.Spec.Type == "LoadBalancer"),
            service => Assert.Equal("Local", service.Spec.ExternalTrafficPolicy));
        Assert.DoesNotContain((await Manifests.RenderAsync<V1ConfigMap>("overlays/prod")).SelectMany(map => map.Data.Keys), IsProxySetting);
        Assert.Equal(
            ["Ingress__ProxyProtocolFrom__0", "Ingress__ProxyProtocolFrom__1", "Mailbox__ProxyProtocolFrom__0", "Mailbox__ProxyProtocolFrom__1"],
            (await Manifests.RenderAsync<V1ConfigMap>("overlays/prod-proxy-protocol")).SelectMany(map => map.Data.Keys).Where(IsProxySetting).Order(StringComparer.Ordinal));

        static bool IsProxySetting(string key) => key.Contains("ProxyProtocol", StringComparison.Ordinal);
    }

    [Fact]
    public async Task Autoscalers_own_the_number_of_pods()
    {
        var deployments = await Manifests.RenderAsync<V1Deployment>("overlays/prod");
        var byCpu = (await Manifests.RenderAsync<V2HorizontalPodAutoscaler>("overlays/prod")).Select(scaler => scaler.Spec.ScaleTargetRef.Name);
        var byMail = (await Manifests.RenderAsync<ScaledObject>("overlays/prod")).Select(scaler => scaler.Spec.ScaleTargetRef.Name);
        Assert.Equal(s_services, byCpu.Concat(byMail).Order(StringComparer.Ordinal));
        Assert.All(deployments, deployment => Assert.Null(deployment.Spec.Replicas));
    }

    [Fact]
    public async Task Pods_are_not_added_for_memory_that_is_not_given_back()
    {
        var metrics = (await Manifests.RenderAsync<V2HorizontalPodAutoscaler>("overlays/prod")).SelectMany(scaler => scaler.Spec.Metrics);
        Assert.All(metrics, metric => Assert.Equal("cpu", metric.Resource.Name));
    }

    [Theory]
    [MemberData(nameof(OverlaysBothWays))]
    public async Task Deleting_an_overlay_leaves_what_holds_data(string overlay)
    {
        var manifests = await Manifests.RenderAsync(overlay);
        Assert.DoesNotContain(manifests, manifest => manifest.Kind is "Namespace" or "Cluster" or "PersistentVolumeClaim" or "ObjectStore");
        Assert.All(manifests.Select(manifest => manifest.Model).OfType<V1StatefulSet>(), server =>
            Assert.Equal("Retain", server.Spec.PersistentVolumeClaimRetentionPolicy?.WhenDeleted));
        // The folder that makes the namespace is applied by nobody else.
        Assert.Equal("mailpipeline", Assert.Single(await Manifests.RenderAsync<V1Namespace>("bootstrap")).Metadata.Name);
        var classes = (await Manifests.RenderAsync<V1PriorityClass>("bootstrap")).Select(priority => priority.Metadata.Name);
        Assert.All(
            await Manifests.RenderAsync<V1Deployment>(overlay),
            deployment => Assert.Contains(deployment.Spec.Template.Spec.PriorityClassName, classes));
    }

    [Theory]
    [MemberData(nameof(Kustomizations))]
    public async Task An_image_is_one_version_and_not_another_tomorrow(string folder)
    {
        var manifests = (await Manifests.RenderAsync(folder)).Select(manifest => manifest.Model).ToList();
        var pods = manifests.OfType<V1Deployment>().Select(d => d.Spec.Template.Spec).Concat(manifests.OfType<V1StatefulSet>().Select(s => s.Spec.Template.Spec));
        var images = pods.SelectMany(pod => pod.Containers).Select(container => container.Image)
            .Concat(manifests.OfType<PostgresCluster>().Select(cluster => cluster.Spec.ImageName!))
            .Concat(manifests.OfType<RabbitmqCluster>().Select(cluster => cluster.Spec.Image!))
            .Concat(manifests.OfType<RedisServer>().Select(server => server.Spec.KubernetesConfig!.Image!));
        Assert.All(images, image => Assert.Matches(@":v?\d+\.\d+(\.\d+)?(-\w+)?$", image));
    }

    [Theory]
    [InlineData("overlays/dev")]
    [InlineData("overlays/prod")]
    [InlineData("overlays/prod-proxy-protocol")]
    public async Task The_name_of_this_system_is_the_same_everywhere(string overlay)
    {
        var settings = (await Manifests.RenderAsync<V1ConfigMap>(overlay)).SelectMany(map => map.Data ?? new Dictionary<string, string>()).ToLookup(s => s.Key, s => s.Value);
        var name = Assert.Single(settings["Ingress__HostName"]);
        Assert.Equal([name, name], settings["Queue__HostName"].Concat(settings["Delivery__HostName"]));
        Assert.All(await Manifests.RenderAsync<Certificate>(overlay), certificate => Assert.Equal(name, certificate.Spec.DnsNames[0]));
        // Said once, where somebody changes it.
        var written = File.ReadLines(Path.Combine(Manifests.Folder, overlay, "kustomization.yaml")).Count(line => line.Contains($"={name}", StringComparison.Ordinal));
        Assert.Equal(overlay == "overlays/prod-proxy-protocol" ? 0 : 1, written);
    }

    [Fact]
    public async Task Dashboards_keep_their_names_and_settings_that_roll_pods_do_not()
    {
        var maps = await Manifests.RenderAsync<V1ConfigMap>("observability");
        Assert.Equal(
            ["mailpipeline-dashboard-flow", "mailpipeline-dashboard-inside"],
            maps.Where(map => map.Metadata.Labels?.ContainsKey("grafana_dashboard") == true).Select(map => map.Metadata.Name).Order(StringComparer.Ordinal));
        Assert.Contains(maps, map => map.Metadata.Name.StartsWith("otel-collector-", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Who_is_believed_by_the_PROXY_protocol_is_let_in_and_nobody_else()
    {
        const string Overlay = "overlays/prod-proxy-protocol";
        var believed = (await Manifests.RenderAsync<V1ConfigMap>(Overlay)).SelectMany(map => map.Data)
            .Where(setting => setting.Key.Contains("ProxyProtocolFrom", StringComparison.Ordinal))
            .ToLookup(setting => setting.Key.Split("__")[0].ToLowerInvariant(), setting => setting.Value);
        var ports = (await Manifests.RenderAsync<V1NetworkPolicy>("overlays/prod")).ToDictionary(policy => policy.Metadata.Name);
        foreach (var door in new[] { "ingress", "mailbox" })
        {
            var policy = (await Manifests.RenderAsync<V1NetworkPolicy>(Overlay)).Single(policy => policy.Metadata.Name == door);
            var rule = Assert.Single(policy.Spec.Ingress);
            Assert.Equal(believed[door].Order(StringComparer.Ordinal), rule.FromProperty.Select(peer => peer.IpBlock.Cidr).Order(StringComparer.Ordinal));
            Assert.Equal(ports[door].Spec.Ingress[0].Ports.Select(port => port.Port.Value), rule.Ports.Select(port => port.Port.Value));
            // One address each: a network has others in it.
            Assert.All(believed[door], network => Assert.Matches("/(32|128)$", network));
        }
        Assert.All(
            (await Manifests.RenderAsync<V1Service>(Overlay)).Where(service => service.Spec.Type == "LoadBalancer"),
            service => Assert.False(service.Spec.AllocateLoadBalancerNodePorts));
    }

    [Theory]
    [MemberData(nameof(OverlaysBothWays))]
    public async Task Doors_are_open_for_IPv4_and_IPv6(string overlay)
    {
        var addresses = (await Manifests.RenderAsync<V1ConfigMap>(overlay)).SelectMany(map => map.Data ?? new Dictionary<string, string>())
            .Where(setting => setting.Key.EndsWith("Address", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(addresses);
        Assert.All(addresses, setting => Assert.Equal((setting.Key, "::"), (setting.Key, setting.Value)));
        Assert.All(
            (await Manifests.RenderAsync<V1Service>(overlay)).Where(service => service.Metadata.Name is "smtp" or "pop3" or "console"),
            service => Assert.Equal("PreferDualStack", service.Spec.IpFamilyPolicy));
    }
}
