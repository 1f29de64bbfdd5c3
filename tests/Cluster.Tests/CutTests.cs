using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>Silos in networks of their own, and the way from one to the other is cut: each thinks the other dead.</summary>
[Trait("Cluster", "other")]
public sealed class CutTests(SharedServers servers)
{
    private const int Domains = 45;

    /// <summary>Three missed probes of 2 s are enough to suspect a silo; this is well beyond.</summary>
    private static readonly TimeSpan s_cut = TimeSpan.FromSeconds(25);

    [Fact]
    public async Task Mail_flows_while_one_silo_cannot_reach_the_other_and_when_it_can_again()
    {
        var obstacle = await NetworkNamespace.FindObstacleAsync();
        Assert.SkipWhen(obstacle is not null, obstacle ?? "");
        var seed = Load.Seed();
        await using var run = new ClusterRun(servers, $"cut-{seed}");
        Load.AddFarEnds(run, Domains);
        run.Prepare(await run.Servers.CreateConnectionsAsync(ClusterRun.Cancellation), ClusterRun.Impatient);
        await run.Cluster.AddAccountsAsync(ClusterRun.LocalDomain, ClusterRun.Password, Load.Accounts, ClusterRun.Cancellation);
        await using var one = await NetworkNamespace.CreateAsync();
        await using var other = await NetworkNamespace.CreateAsync();
        var (ofOne, ofOther) = await one.LinkAsync(other);
        await using var relaysOfOne = new Relays(run, one);
        await using var relaysOfOther = new Relays(run, other);
        run.Cluster.AddIn(one, ServiceKind.Queue, ofOne);
        run.Cluster.AddIn(other, ServiceKind.Queue, ofOther);
        foreach (var kind in new[] { ServiceKind.Ingress, ServiceKind.Delivery, ServiceKind.Mailbox })
            run.Cluster.Add(kind);
        await run.WaitUntilReadyAsync();

        using var enough = CancellationTokenSource.CreateLinkedTokenSource(ClusterRun.Cancellation);
        var sending = SendUntilAsync(run, seed, enough.Token);
        var restarts = new List<string>();
        await run.FlowsAsync(100);
        await CutAsync(run, one, other, restarts);
        await CutAsync(run, other, one, restarts);
        await enough.CancelAsync();
        var sent = await sending;
        await run.DrainAsync(TimeSpan.FromMinutes(2));
        await run.ReadMaildropsAsync(Load.Accounts);

        var evidence = await run.EvidenceAsync();
        Figures.Write(
            $"seed {seed}: {sent} messages; {LedgerChecker.CountDuplicates(evidence.Records)} duplicates, {evidence.UncertainCounted} attempts " +
            $"recorded as uncertain; silos voted out: {(restarts.Count == 0 ? "none" : string.Join(", ", restarts))}");
        await run.AssertCleanAsync(evidence);
    }

    /// <summary>Mail arrives in both halves of the cut; a silo that was voted out and ended is started again, as Kubernetes would.</summary>
    private static async Task CutAsync(ClusterRun run, NetworkNamespace from, NetworkNamespace to, List<string> restarts)
    {
        await from.CutAsync(to);
        foreach (var half in new[] { "first", "second" })
        {
            var before = await ArrivedAsync(run);
            var until = TimeProvider.System.GetUtcNow() + (s_cut / 2);
            while (TimeProvider.System.GetUtcNow() < until)
            {
                StartAgain(run, restarts);
                await ClusterRun.LetPassAsync(TimeSpan.FromSeconds(1));
            }
            Assert.True(await ArrivedAsync(run) > before, $"nothing arrived in the {half} half of the cut\n{run.Cluster.Describe()}");
        }
        await from.HealAsync(to);
        await Eventually.TrueAsync(
            async () =>
            {
                StartAgain(run, restarts);
                var ready = await Task.WhenAll(run.Cluster.Services.Select(service => service.Web.IsReadyAsync(ClusterRun.Cancellation)));
                return ready.All(isReady => isReady);
            },
            TimeSpan.FromSeconds(90), () => run.Cluster.Describe(), ClusterRun.Cancellation);
    }

    private static void StartAgain(ClusterRun run, List<string> restarts)
    {
        foreach (var silo in run.Cluster.Of(ServiceKind.Queue).Where(silo => !silo.IsRunning))
        {
            restarts.Add(silo.Name);
            silo.Launch();
        }
    }

    private static async Task<int> ArrivedAsync(ClusterRun run) => (await run.Arrived.ReadAsync(ClusterRun.Cancellation)).Count;

    private static async Task<int> SendUntilAsync(ClusterRun run, int seed, CancellationToken enough)
    {
        const int round = 100;
        var sent = 0;
        for (; !enough.IsCancellationRequested; sent += round)
            await run.SendAsync(Load.Compose(run, seed, sent, round, Domains), o => o with { Connections = 5, Pace = TimeSpan.FromMilliseconds(100) });
        return sent;
    }

    /// <summary>The servers, at this machine's end of a network's link.</summary>
    private sealed class Relays(ClusterRun run, NetworkNamespace network) : IAsyncDisposable
    {
        private readonly List<TcpRelay> _relays =
        [
            .. new[] { run.Servers.Rabbit.Port, run.Servers.Postgres.Port, run.Servers.Redis.Port }
                .Select(port => new TcpRelay(new(network.Outside, port), new(System.Net.IPAddress.Loopback, port))),
        ];

        public async ValueTask DisposeAsync()
        {
            foreach (var relay in _relays)
                await relay.DisposeAsync();
        }
    }
}
