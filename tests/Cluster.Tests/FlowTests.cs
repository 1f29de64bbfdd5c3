using System.Diagnostics;
using System.Text.RegularExpressions;
using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>Two of each service and no faults: everything arrives once, whichever process it passes.</summary>
[Collection(ImpatientCluster.Name)]
public sealed partial class FlowTests(ImpatientCluster shared)
{
    private static readonly string[] Accounts = ["ann", "ben"];

    /// <summary>Metrics that are there when what they count has happened: refusals, far ends with TLS, a bus that is away, a receiver of events.</summary>
    private static readonly string[] s_accidents =
    [
        "mailpipeline_ingress_refusals_total", "mailpipeline_ingress_sessions_refused_total", "mailpipeline_ingress_hints_lost_total",
        "mailpipeline_delivery_reports_lost_total", "mailpipeline_delivery_handshakes_total",
        "mailpipeline_delivery_connections_reused_total", "mailpipeline_queue_events_total", "mailpipeline_queue_events_oldest_seconds",
    ];

    [Fact]
    public async Task Mail_handed_in_at_either_ingress_arrives_once_and_is_read_at_either_mailbox()
    {
        const int count = 2000;
        await using var run = await ClusterRun.EnterAsync(shared, "flow", Accounts);
        run.AddSink(SinkScript.AcceptAll, [.. Enumerable.Range(0, 20).Select(i => $"d{i}.example")]);
        var before = await AcceptedAsync(run);
        var started = Stopwatch.GetTimestamp();
        await run.SendAsync([.. Enumerable.Range(0, count).Select(i => LedgerMessage.Create(
            $"t{i}", "sender@senders.example", i, 2000, new($"r{i}@{run.Domain($"d{i % 20}.example")}"), new($"{Accounts[i % 2]}@{run.Local}")))]);
        var sent = Stopwatch.GetElapsedTime(started);
        await run.DrainAsync(TimeSpan.FromSeconds(60));
        var drained = Stopwatch.GetElapsedTime(started);
        await run.ReadMaildropsAsync(Accounts, mailbox: 0);
        await run.ReadMaildropsAsync(Accounts, mailbox: 1);

        Assert.All((await AcceptedAsync(run)).Zip(before), door => Assert.True(door.First > door.Second, "an Ingress took nothing"));
        Figures.Write($"{count} messages of two recipients accepted in {sent.TotalSeconds:F1} s, all delivered after {drained.TotalSeconds:F1} s");
        await run.AssertCleanAsync(await run.EvidenceAsync());
        Assert.Empty(await NotShownAsync(run));
    }

    /// <summary>
    /// What dashboards, alerts and scalers ask for and no process of its service shows. That they ask for it rightly is tested elsewhere, on
    /// one process with all services in it.
    /// </summary>
    private static async Task<List<string>> NotShownAsync(ClusterRun run)
    {
        var shown = new Dictionary<ServiceKind, string>();
        foreach (var kind in Enum.GetValues<ServiceKind>())
            shown[kind] = string.Concat(await Task.WhenAll(run.Cluster.Of(kind).Select(service => service.Web.ReadAsync("metrics", ClusterRun.Cancellation))));
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(root.FullName, "MailPipeline.sln")))
            root = root.Parent!;
        var asked = new[] { "observability", "scaling" }
            .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(root.FullName, "k8s", folder), "*", SearchOption.AllDirectories))
            .SelectMany(file => MetricName().Matches(File.ReadAllText(file)).Select(match => match.Value)).Distinct().Except(s_accidents).ToList();
        Assert.NotEmpty(asked);
        return [.. asked.Order().Where(name => Enum.GetValues<ServiceKind>().Any(kind => Concerns(kind, name.Split('_')[1]) && !shown[kind].Contains(name, StringComparison.Ordinal)))];

        static bool Concerns(ServiceKind kind, string part) => part switch
        {
            "storage" => true,
            "bus" => kind != ServiceKind.Ingress,
            _ => part.Equals(kind.ToString(), StringComparison.OrdinalIgnoreCase),
        };
    }

    private static Task<double[]> AcceptedAsync(ClusterRun run) => Task.WhenAll(run.Cluster.Of(ServiceKind.Ingress).Select(
        async ingress => await ingress.Web.ReadMetricAsync("mailpipeline_ingress_accepted_total", ClusterRun.Cancellation) ?? 0));

    [GeneratedRegex("mailpipeline_[a-z_]+")]
    private static partial Regex MetricName();
}
