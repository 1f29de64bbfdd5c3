using System.Diagnostics;
using MailPipeline.Cluster.Tests;
using MailPipeline.Testing;

// Each test runs whole clusters and measures; side by side they would measure each other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
[assembly: AssemblyFixture(typeof(SharedServers))]

namespace MailPipeline.Cluster.Tests;

/// <summary>The brokers and stores of all tests: starting them takes longer than most tests do. Each test has its own part.</summary>
public sealed class SharedServers : IAsyncLifetime
{
    public ClusterServers Servers { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        var started = Stopwatch.GetTimestamp();
        Servers = await ClusterServers.StartAsync();
        Console.WriteLine($"  Servers ready after {Stopwatch.GetElapsedTime(started).TotalSeconds:F0} s");
    }

    public ValueTask DisposeAsync() => Servers.DisposeAsync();
}
