using System.Text.RegularExpressions;

namespace MailPipeline.Kubernetes.Tests;

/// <summary>
/// Dashboards, alerts and scalers ask for what the product really shows. A query for a metric that does not exist fails nowhere
/// else: it is an empty panel, an alert that never comes, a scaler that does nothing.
/// </summary>
public sealed partial class MetricTests(MetricTests.Observed observed) : IClassFixture<MetricTests.Observed>
{
    /// <summary>Added when a pod is scraped, and a histogram's own.</summary>
    private static readonly string[] s_scraped = ["namespace", "pod", "container", "job", "instance", "le"];

    /// <summary>Of Prometheus itself and of what every cluster has beside it, with their labels; looked up by hand.</summary>
    private static readonly Dictionary<string, string[]> s_cluster = new()
    {
        ["up"] = [],
        ["kube_pod_deletion_timestamp"] = [],
        ["kube_deployment_status_replicas_available"] = ["deployment"],
        ["kube_deployment_status_replicas_unavailable"] = ["deployment"],
        ["kubelet_volume_stats_available_bytes"] = ["persistentvolumeclaim"],
        ["kubelet_volume_stats_capacity_bytes"] = ["persistentvolumeclaim"],
        ["certmanager_certificate_expiration_timestamp_seconds"] = ["name"],
        ["barman_cloud_cloudnative_pg_io_last_available_backup_timestamp"] = [],
        ["cnpg_collector_pg_wal_archive_status"] = ["value"],
        ["cnpg_collector_up"] = [],
        ["cnpg_pg_replication_streaming_replicas"] = [],
        ["cnpg_pg_replication_lag"] = [],
        ["rabbitmq_identity_info"] = [],
        ["rabbitmq_alarms_memory_used_watermark"] = [],
        ["rabbitmq_alarms_free_disk_space_watermark"] = [],
    };

    public static TheoryData<string> Sources => [.. Expressions.All.Select(expression => expression.Source).Distinct()];

    [Theory]
    [MemberData(nameof(Sources))]
    public void What_is_asked_for_exists(string source)
    {
        foreach (var expression in Expressions.All.Where(expression => expression.Source == source))
        {
            Assert.NotEmpty(expression.Query.Metrics);
            Assert.All(expression.Query.Metrics, Check);
            // What is grouped by belongs to one of the metrics at least; what a legend names was grouped by or is a scraped label.
            foreach (var label in expression.Query.GroupedBy.Concat(Labels(expression.Legend)).Except(s_scraped))
            {
                Assert.True(
                    expression.Query.Metrics.Any(metric => IsOfCluster(metric, label) || observed.Shown.Values(metric.Name, label) is not null),
                    $"{expression.Source}: no metric of {expression.Text} has a label {label}");
            }
            Assert.All(
                Labels(expression.Legend).Except(["pod"]).Where(label => !expression.Query.Metrics.Any(metric => IsOfCluster(metric, label))),
                label => Assert.Contains(label, expression.Query.GroupedBy.Append("job")));
        }
    }

    [Fact]
    public void What_is_shown_has_the_names_that_instruments_are_expected_to_get() =>
        Assert.Empty(observed.Shown.Names.Where(name => name.StartsWith("mailpipeline_", StringComparison.Ordinal)).Except(observed.Names));

    /// <summary>A sum over two instruments of one name would be neither's.</summary>
    [Fact]
    public void No_two_instruments_have_one_name() =>
        Assert.Empty(Instruments.PrometheusNames().GroupBy(name => name).Where(name => name.Count() > 1).Select(name => name.Key));

    [Fact]
    public void Most_of_what_is_asked_for_was_seen_at_work()
    {
        var asked = Expressions.All.SelectMany(expression => expression.Query.Metrics).Select(metric => metric.Name)
            .Where(name => name.StartsWith("mailpipeline_", StringComparison.Ordinal)).Distinct().ToList();
        // Disasters of storage, bus and workers are not made here; their counters exist but have nothing to show.
        string[] disasters =
        [
            "mailpipeline_queue_forgotten_total", "mailpipeline_queue_batches_lost_total", "mailpipeline_queue_uncertain_total",
            "mailpipeline_queue_held_total",
            "mailpipeline_ingress_hints_lost_total", "mailpipeline_delivery_claims_lost_total", "mailpipeline_delivery_reports_lost_total",
            "mailpipeline_delivery_uncertain_total", "mailpipeline_delivery_unrecorded_total", "mailpipeline_storage_commit_failures_total",
        ];
        Assert.Empty(asked.Where(name => !observed.Shown.Has(name)).Except(disasters));
    }

    [Theory]
    [InlineData("sum by (route) (rate(a_total{x=\"1\"}[5m])) / clamp_min(b, 1)", "a_total,b", "route")]
    [InlineData("max(a{x=~\"1|2\"}) * on() (c:d:ratio < bool 0.9) or absent(b)", "a,c:d:ratio,b", "")]
    [InlineData("histogram_quantile(0.95, sum by (le, job) (rate(a_bucket[$__rate_interval])))", "a_bucket", "le,job")]
    public void Expressions_are_read_as_they_are_meant(string text, string metrics, string groupedBy)
    {
        var query = PromQl.Read(text);
        Assert.Equal(metrics, string.Join(',', query.Metrics.Select(metric => metric.Name)));
        Assert.Equal(groupedBy, string.Join(',', query.GroupedBy));
    }

    private void Check(MetricUse metric)
    {
        if (metric.Name.Contains(':', StringComparison.Ordinal))
        {
            Assert.Contains(metric.Name, Expressions.Recorded);
            return;
        }
        Assert.True(
            observed.Names.Contains(metric.Name) || observed.Shown.Has(metric.Name) || s_cluster.ContainsKey(metric.Name),
            $"{metric.Name} is shown by no service");
        foreach (var label in metric.Labels.Where(label => !s_scraped.Contains(label.Name) && !IsOfCluster(metric, label.Name)))
        {
            var values = observed.Shown.Values(metric.Name, label.Name);
            Assert.True(values is not null, $"{metric.Name} was not seen with a label {label.Name}");
            var asked = label.Operator == "=" ? [label.Value] : label.Value.Split('|');
            Assert.All(asked, value => Assert.True(values.Contains(value), $"{metric.Name} was not seen with {label.Name}=\"{value}\""));
        }
    }

    private static bool IsOfCluster(MetricUse metric, string label) =>
        s_cluster.TryGetValue(metric.Name, out var labels) && labels.Contains(label);

    private static IEnumerable<string> Labels(string legend) => Legend().Matches(legend).Select(match => match.Groups[1].Value);

    [GeneratedRegex(@"\{\{(\w+)\}\}")]
    private static partial Regex Legend();

    /// <summary>One run of the product for all tests.</summary>
    public sealed class Observed : IAsyncLifetime
    {
        internal IReadOnlyList<string> Names { get; } = Instruments.PrometheusNames();

        internal Exposition Shown { get; private set; } = new();

        public async ValueTask InitializeAsync() => Shown = await BusyPipeline.RunAsync(TestContext.Current.CancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
