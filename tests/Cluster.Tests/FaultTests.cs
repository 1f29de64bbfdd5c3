using System.Diagnostics;
using System.Globalization;
using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>
/// The promise: any process may die at any moment, broker, store and membership may be away for a while, and nothing is
/// lost; what is sent twice is bounded and counted.
/// </summary>
public sealed class FaultTests(SharedServers servers)
{
    private const int Domains = 200;
    private const int Round = 1000;

    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task Twenty_thousand_messages_survive_fifteen_kills_and_every_server_going_away()
    {
        const int kills = 15;
        var faults = await RunAsync(20_000, TimeSpan.FromMilliseconds(150), BreakInTurnAsync);
        Assert.True(faults.Kills >= kills);
        Assert.Equal(0, faults.EndedByThemselves);

        static async Task BreakInTurnAsync(Faults faults)
        {
            for (var i = 0; i < kills; i++)
            {
                await ClusterRun.PauseAsync(faults.Seconds(0.5, 5));
                await faults.KillAsync((ServiceKind)(i % 4));
                if (i == kills / 5)
                    await faults.RestartStoreAsync();
                if (i == kills * 2 / 5)
                    await faults.RestartBrokerAsync();
                if (i == kills * 3 / 5)
                    await faults.WithoutMembershipAsync(TimeSpan.FromSeconds(30), () => KillAllButSilosAsync(faults));
            }
        }

        static async Task KillAllButSilosAsync(Faults faults)
        {
            foreach (var kind in new[] { ServiceKind.Ingress, ServiceKind.Delivery, ServiceKind.Mailbox })
            {
                await ClusterRun.PauseAsync(faults.Seconds(0.5, 5));
                await faults.KillAsync(kind);
            }
        }
    }

    [Fact]
    [Trait("Soak", "true")]
    public async Task Thirty_minutes_of_random_faults_lose_nothing()
    {
        var time = TimeSpan.FromMinutes(Minutes());
        var faults = await RunAsync(0, TimeSpan.FromMilliseconds(500), BreakAtRandomAsync);
        Assert.True(faults.EndedByThemselves <= faults.FrozenSilos, $"{faults}");

        async Task BreakAtRandomAsync(Faults faults)
        {
            var started = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(started) < time)
            {
                await ClusterRun.PauseAsync(faults.Seconds(0, 8));
                await faults.MakeAnyAsync();
            }
        }
    }

    /// <param name="messages">At least; as long as things fail, more are sent.</param>
    /// <param name="pace">Between two messages of one of the twenty connections.</param>
    private async Task<Faults> RunAsync(int messages, TimeSpan pace, Func<Faults, Task> breakThings)
    {
        var seed = Load.Seed();
        Figures.Write($"seed {seed}");
        await using var run = new ClusterRun(servers, $"faults-{seed}");
        Load.AddFarEnds(run, Domains);
        await run.StartAsync(Load.Accounts, ClusterRun.Impatient);

        using var reading = CancellationTokenSource.CreateLinkedTokenSource(ClusterRun.Cancellation);
        var readers = Load.Accounts.Select((account, i) => run.Poller(account, seed + i).RunAsync(2 * pace, reading.Token)).ToList();
        var started = Stopwatch.GetTimestamp();
        var faults = new Faults(run, new Random(seed), s_lease);
        var breaking = breakThings(faults);
        var sent = 0;
        for (; (sent < messages || !breaking.IsCompleted) && !breaking.IsFaulted; sent += Round)
            await run.SendAsync(Load.Compose(seed, sent, Round, Domains), o => o with { Pace = pace });
        await breaking;
        var took = Stopwatch.GetElapsedTime(started);
        var drained = await run.DrainAsync(TimeSpan.FromMinutes(3));
        await reading.CancelAsync();
        await Task.WhenAll(readers);
        await run.ReadMaildropsAsync(Load.Accounts);

        var evidence = await run.EvidenceAsync();
        evidence = evidence with { DuplicateBudget = faults.InDoubt(evidence.Records) };
        Figures.Write(
            $"seed {seed}: {sent} messages in {took.TotalSeconds:F0} s with {faults}; " +
            $"drained {drained.TotalSeconds:F1} s later; {LedgerChecker.CountDuplicates(evidence.Records)} duplicates, at most {evidence.DuplicateBudget} " +
            $"in doubt at faults, {evidence.UncertainCounted} attempts recorded as uncertain");
        run.AssertClean(evidence);
        return faults;
    }

    /// <summary>How long the random faults go on; shorter ones are for trying the test itself.</summary>
    private static double Minutes() =>
        double.TryParse(Environment.GetEnvironmentVariable("MAILPIPELINE_SOAK_MINUTES"), CultureInfo.InvariantCulture, out var given) ? given : 30;
}
