using System.Diagnostics;
using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>
/// The promise: any process may die at any moment, broker, store and membership may be away for a while, and nothing is
/// lost; what is sent twice is bounded and counted.
/// </summary>
public sealed class FaultTests(SharedServers servers)
{
    private const int Domains = 200;
    private const int Round = 500;

    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(5);

    private readonly List<Fault> _faults = [];
    private int _kills;

    [Fact]
    public Task Every_kind_of_process_is_killed_and_every_server_goes_away_and_nothing_is_lost() =>
        RunAsync(messages: 5000, kills: 15);

    [Fact]
    [Trait("Soak", "true")]
    public Task Twenty_thousand_messages_survive_thirty_kills_and_every_server_going_away() =>
        RunAsync(messages: 20_000, kills: 30);

    /// <param name="messages">At least; as long as things fail, more are sent.</param>
    private async Task RunAsync(int messages, int kills)
    {
        var seed = Load.Seed();
        var random = new Random(seed);
        Figures.Write($"seed {seed}");
        await using var run = new ClusterRun(servers, $"faults-{seed}");
        Load.AddFarEnds(run, Domains);
        await run.StartAsync(Load.Accounts, ClusterRun.Impatient);

        using var reading = CancellationTokenSource.CreateLinkedTokenSource(ClusterRun.Cancellation);
        var readers = Load.Accounts.Select((account, i) => run.Poller(account, seed + i).RunAsync(TimeSpan.FromMilliseconds(500), reading.Token)).ToList();
        var started = Stopwatch.GetTimestamp();
        var breaking = BreakAsync(run, random, kills);
        var sent = 0;
        for (; sent < messages || !breaking.IsCompleted; sent += Round)
            await run.SendAsync(Load.Compose(seed, sent, Round, Domains), o => o with { Pace = TimeSpan.FromMilliseconds(250) });
        await breaking;
        var took = Stopwatch.GetElapsedTime(started);
        var drained = await run.DrainAsync(TimeSpan.FromMinutes(3));
        await reading.CancelAsync();
        await Task.WhenAll(readers);
        await run.ReadMaildropsAsync(Load.Accounts);

        var evidence = await run.EvidenceAsync();
        evidence = evidence with { DuplicateBudget = _faults.Sum(fault => Load.InDoubt(evidence.Records, fault)) };
        Figures.Write(
            $"seed {seed}: {sent} messages in {took.TotalSeconds:F0} s with {_kills} kills, " +
            $"drained {drained.TotalSeconds:F1} s later; {LedgerChecker.CountDuplicates(evidence.Records)} duplicates, at most {evidence.DuplicateBudget} " +
            $"in doubt at faults, {evidence.UncertainCounted} attempts recorded as uncertain");
        Assert.True(_kills >= kills);
        run.AssertClean(evidence);
    }

    /// <summary>Kills each kind in turn; in between the store, the broker and the membership's store go away once each.</summary>
    private async Task BreakAsync(ClusterRun run, Random random, int kills)
    {
        for (var i = 0; i < kills; i++)
        {
            await KillOneAsync(run, (ServiceKind)(i % 4), random);
            if (i == kills / 5)
                await RestartStoreAsync(run, random);
            if (i == kills * 2 / 5)
                await RestartBrokerAsync(run);
            if (i == kills * 3 / 5)
                i = await WithoutMembershipAsync(run, random, i);
        }
    }

    private async Task KillOneAsync(ClusterRun run, ServiceKind kind, Random random)
    {
        await ClusterRun.PauseAsync(TimeSpan.FromMilliseconds(random.Next(500, 5000)));
        var services = run.Cluster.Of(kind);
        var victim = services[random.Next(services.Count)];
        await victim.KillAsync();
        _kills++;
        // Only Delivery speaks to far ends: another's death leaves nothing in doubt there.
        if (kind == ServiceKind.Delivery)
            _faults.Add(At(victim.Name));
        victim.Launch();
        await run.WaitUntilReadyAsync();
    }

    private async Task RestartStoreAsync(ClusterRun run, Random random)
    {
        var from = Now();
        await run.Servers.Postgres.KillAsync();
        await ClusterRun.PauseAsync(TimeSpan.FromMilliseconds(random.Next(3000)));
        await run.Servers.Postgres.RestartAsync(ClusterRun.Cancellation);
        // What was recorded as it came back is durable; no dot is sent on a claim whose lease ran out.
        _faults.Add(new("postgres", from, Now() + s_lease));
        await run.WaitUntilReadyAsync();
    }

    private static async Task RestartBrokerAsync(ClusterRun run)
    {
        await run.Servers.Rabbit.KillAsync();
        await run.Servers.Rabbit.RestartAsync(ClusterRun.Cancellation);
    }

    /// <summary>30 s without Redis, while everything but silos is killed: a silo that starts must find its members.</summary>
    private async Task<int> WithoutMembershipAsync(ClusterRun run, Random random, int number)
    {
        await run.Servers.Redis.StopAsync();
        var stopped = Stopwatch.GetTimestamp();
        foreach (var kind in new[] { ServiceKind.Ingress, ServiceKind.Delivery, ServiceKind.Mailbox })
        {
            await KillOneAsync(run, kind, random);
            number++;
        }
        var left = TimeSpan.FromSeconds(30) - Stopwatch.GetElapsedTime(stopped);
        if (left > TimeSpan.Zero)
            await ClusterRun.PauseAsync(left);
        await run.Servers.Redis.RestartAsync(ClusterRun.Cancellation);
        return number;
    }

    private static Fault At(string what) => new(what, Now(), Now());

    private static DateTimeOffset Now() => TimeProvider.System.GetUtcNow();
}
