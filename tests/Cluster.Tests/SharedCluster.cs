using System.Diagnostics;
using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>
/// One cluster, with some processes of each service, for all tests of a profile of settings. Each test has a room in it: domains, far ends and
/// maildrops that no other test has. A test that does not leave the cluster as it should be costs the next one another cluster.
/// </summary>
public abstract class SharedCluster(
    SharedServers servers, int processes, string[] settings, IReadOnlyDictionary<string, string?>? environment = null) : IAsyncDisposable
{
    /// <summary>Static routes are settings of the start: so many rooms, and so many far ends in each.</summary>
    internal const int Rooms = 20, FarEnds = 12;

    private readonly int[] _ports = [.. Enumerable.Range(0, Rooms * FarEnds).Select(_ => FreePorts.Next())];
    private TempFolder? _folder;
    private MailCluster? _cluster;
    private int _entered;
    private bool _isSound;

    internal SharedServers Servers => servers;

    /// <summary>The cluster, sound, and the number of a room in it that nobody has used.</summary>
    internal async Task<(MailCluster Cluster, int Room)> EnterAsync()
    {
        if (!_isSound || _cluster is null)
            await StartAsync();
        // Until the test says otherwise.
        _isSound = false;
        Assert.True(_entered < Rooms, "there are too few rooms");
        return (_cluster!, _entered++);
    }

    /// <summary>The test that had it leaves the cluster as it must be for another.</summary>
    internal void Leave() => _isSound = true;

    internal int Port(int room, int farEnd) => _ports[(room * FarEnds) + farEnd];

    internal static string Zone(int room) => $"r{room}.example";

    public virtual async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await EndAsync();
    }

    /// <summary>Settings that are known when the cluster starts.</summary>
    protected virtual Task<IEnumerable<string>> MoreSettingsAsync() => Task.FromResult(Enumerable.Empty<string>());

    private async Task EndAsync()
    {
        if (_cluster is not null)
            await _cluster.DisposeAsync();
        _folder?.Dispose();
    }

    private async Task StartAsync()
    {
        await EndAsync();
        var started = Stopwatch.GetTimestamp();
        _folder = new TempFolder(GetType().Name);
        var routes =
            from room in Enumerable.Range(0, Rooms)
            from farEnd in Enumerable.Range(0, FarEnds)
            select $"*.f{farEnd}.{Zone(room)}=127.0.0.1:{Port(room, farEnd)}";
        _cluster = ClusterRun.Make(
            servers.Servers, await servers.Servers.CreateConnectionsAsync(ClusterRun.Cancellation), _folder.FullPath, routes, [.. settings, .. await MoreSettingsAsync()], environment);
        await _cluster.AddAccountsAsync(ClusterRun.LocalDomain, ClusterRun.Password, ["first"], ClusterRun.Cancellation);
        _cluster.AddEach(processes);
        await _cluster.WaitUntilHealthyAsync(TimeSpan.FromSeconds(90), ClusterRun.Cancellation);
        Figures.Write($"a cluster of {4 * processes} processes is ready after {Stopwatch.GetElapsedTime(started).TotalSeconds:F0} s and {_cluster.ProcessorTime.TotalSeconds:F0} s of a processor");
    }
}

/// <summary>With <see cref="ClusterRun.Impatient"/>, and a policy that says what the last far end of each room bears.</summary>
public sealed class ImpatientCluster(SharedServers servers) : SharedCluster(servers, 2, ClusterRun.Impatient)
{
    public const string Name = "impatient";

    private readonly TempFolder _policies = new("policies");

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _policies.Dispose();
    }

    protected override Task<IEnumerable<string>> MoreSettingsAsync()
    {
        var limited = Enumerable.Range(0, Rooms).Select(room =>
            $$"""{ "For": "mx:127.0.0.1:{{Port(room, FarEnds - 1)}}", "Connections": {{LimitedFarEnd.Connections}}, "MessagesPerSecond": {{LimitedFarEnd.PerSecond}} }""");
        return Task.FromResult<IEnumerable<string>>([$"--Queue:PolicyFile={_policies.Write("queue.json", $$"""{ "Destinations": [ {{string.Join(", ", limited)}} ] }""")}"]);
    }
}

/// <summary>With the product's own leases, probes and periods.</summary>
public sealed class PatientCluster(SharedServers servers) : SharedCluster(servers, 2, ["--Queue:RetrySteps:0=00:00:01", "--Queue:Uncertain:Steps:0=00:00:01"]);

/// <summary>
/// With the product's own leases, and one process of each service; tests add some and take some away. Two batches at once go to a domain that
/// has not answered yet. In each room all domains below "sites" have the same two hosts by DNS, and a policy says what these bear.
/// </summary>
public sealed class ScalingCluster(SharedServers servers) : SharedCluster(
    servers, 1,
    ["--Queue:RetrySteps:0=00:00:01", "--Queue:RetrySteps:1=00:00:02", "--Queue:Uncertain:Steps:0=00:00:01", "--Queue:InitialConcurrency=2", "--Delivery:Timeouts:FinalDot=00:00:03"])
{
    public const string Name = "scaling";

    private readonly TempFolder _policies = new("policies");
    private DnsServer? _dns;

    /// <summary>At which hosts of DNS listen.</summary>
    internal int HostPort { get; } = FreePorts.Next();

    /// <summary>The hosts of a room, as a pattern of the policy.</summary>
    internal static string Hosts(int room) => $"mx:*.hosts.{Zone(room)}";

    /// <summary>Says what destinations bear, to all silos.</summary>
    internal void WritePolicy(string json) => _policies.Write("queue.json", json);

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        if (_dns is not null)
            await _dns.DisposeAsync();
        _policies.Dispose();
    }

    protected override async Task<IEnumerable<string>> MoreSettingsAsync()
    {
        WritePolicy("{}");
        _dns ??= await DnsServer.StartAsync(
            string.Join('\n', Enumerable.Range(0, Rooms).Select(room => $"""
                *.sites.{Zone(room)}. MX 10 mx1.hosts.{Zone(room)}.
                *.sites.{Zone(room)}. MX 10 mx2.hosts.{Zone(room)}.
                mx1.hosts.{Zone(room)}. A 127.0.0.2
                mx2.hosts.{Zone(room)}. A 127.0.0.3
                """)), ClusterRun.Cancellation);
        return [$"--Dns:Servers={_dns.EndPoint}", $"--Delivery:Port={HostPort}", "--Delivery:LocalAddresses=Allow", $"--Queue:PolicyFile={_policies["queue.json"]}"];
    }
}

/// <summary>With <see cref="ClusterRun.Impatient"/>, one process of each service, and a collector of their traces.</summary>
public sealed class TracedCluster : SharedCluster
{
    public const string Name = "traced";

    public TracedCluster(SharedServers servers) : this(servers, new())
    {
    }

    private TracedCluster(SharedServers servers, OtlpReceiver collector) : base(servers, 1, ClusterRun.Impatient, collector.Environment) =>
        Collector = collector;

    public OtlpReceiver Collector { get; }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await Collector.DisposeAsync();
    }
}

/// <summary>All classes whose tests share the scaling cluster.</summary>
[CollectionDefinition(ScalingCluster.Name)]
public sealed class ScalingClusterTests : ICollectionFixture<ScalingCluster>;

/// <summary>All classes whose tests share the traced cluster.</summary>
[CollectionDefinition(TracedCluster.Name)]
public sealed class TracedTests : ICollectionFixture<TracedCluster>;

/// <summary>All classes whose tests share the impatient cluster.</summary>
[CollectionDefinition(ImpatientCluster.Name)]
public sealed class ImpatientTests : ICollectionFixture<ImpatientCluster>;
