using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>A process that stood still and comes back believes that what it held is still its own: its writes must be refused.</summary>
[Collection(ImpatientCluster.Name)]
public sealed class ZombieTests(ImpatientCluster shared)
{
    private const int Domains = 45;

    [Fact]
    public async Task One_of_each_service_stands_still_beyond_its_leases_and_nothing_is_lost()
    {
        var seed = Load.Seed();
        await using var run = await ClusterRun.EnterAsync(shared, $"zombie-{seed}", Load.Accounts);
        Load.AddFarEnds(run, Domains);
        // Twice the longest lease.
        await RunAsync(run, seed, TimeSpan.FromSeconds(12), 1500);
    }

    [Fact]
    [Trait("Soak", "true")]
    public async Task One_of_each_service_stands_still_for_40_seconds_and_nothing_is_lost()
    {
        var seed = Load.Seed();
        await using var run = new ClusterRun(shared.Servers, $"zombie-{seed}");
        Load.AddFarEnds(run, Domains);
        // The product's own leases: 40 s is beyond all of them.
        await run.StartAsync(Load.Accounts, ["--Queue:RetrySteps:0=00:00:01", "--Queue:RetrySteps:1=00:00:02", "--Queue:Uncertain:Steps:0=00:00:01", "--Delivery:Timeouts:FinalDot=00:00:03"]);
        await RunAsync(run, seed, TimeSpan.FromSeconds(40), 3000);
    }

    private static async Task RunAsync(ClusterRun run, int seed, TimeSpan time, int messages)
    {
        using var reading = CancellationTokenSource.CreateLinkedTokenSource(ClusterRun.Cancellation);
        var readers = Load.Accounts.Select((account, i) => run.Poller(account, seed + i).RunAsync(TimeSpan.FromMilliseconds(500), reading.Token)).ToList();
        var client = run.Client(o => o with { Pace = TimeSpan.FromMilliseconds(300) });
        var sending = client.SendAsync(Load.Compose(run, seed, 0, messages, Domains), ClusterRun.Cancellation);
        await Eventually.TrueAsync(() => client.Done > messages / 6, TimeSpan.FromSeconds(60), cancellation: ClusterRun.Cancellation);

        ServiceProcess[] victims = [.. Enum.GetValues<ServiceKind>().Select(kind => run.Cluster.Of(kind)[0])];
        var from = TimeProvider.System.GetUtcNow();
        foreach (var victim in victims)
            victim.Freeze();
        await ClusterRun.LetPassAsync(time);
        foreach (var victim in victims)
            victim.Thaw();
        var fault = new Fault("standing still", from, from);
        await sending;
        var drained = await run.DrainAsync(TimeSpan.FromMinutes(3));
        await reading.CancelAsync();
        await Task.WhenAll(readers);
        await run.ReadMaildropsAsync(Load.Accounts, mailbox: 1);

        var evidence = await run.EvidenceAsync();
        evidence = evidence with { DuplicateBudget = Load.InDoubt(evidence.Records, fault) };
        Figures.Write(
            $"seed {seed}: drained {drained.TotalSeconds:F1} s after the last message, {LedgerChecker.CountDuplicates(evidence.Records)} duplicates, " +
            $"at most {evidence.DuplicateBudget} in doubt, {evidence.UncertainCounted} recorded as uncertain; " +
            $"still running: {string.Join(", ", victims.Where(v => v.IsRunning).Select(v => v.Name))}");
        await run.AssertCleanAsync(evidence);
    }
}
