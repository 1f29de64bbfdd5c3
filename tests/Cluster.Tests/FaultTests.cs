using System.Diagnostics;
using System.Globalization;
using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>
/// The promise: any process may die at any moment, broker, store and membership may be away for a while, and nothing is
/// lost; what is sent twice is bounded and counted.
/// </summary>
[Collection(ImpatientCluster.Name)]
public sealed class FaultTests(ImpatientCluster shared)
{
    private const int Domains = 200;
    private const int Round = 1000;

    /// <summary>No fault is about this domain, and no temper of others.</summary>
    private const string Unrelated = "unrelated.example";

    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(5);

    /// <summary>A dead silo's domains are served elsewhere within 20 s; a client that a process leaves without an answer goes to the next.</summary>
    private static readonly TimeSpan s_longestGap = TimeSpan.FromSeconds(30);

    [Fact]
    public Task Thousands_of_messages_survive_eight_kills_and_every_server_going_away() =>
        BreakInTurnAsync(4000, kills: 8, mostPause: 2.5, TimeSpan.FromSeconds(15));

    [Fact]
    [Trait("Soak", "true")]
    public Task Twenty_thousand_messages_survive_fifteen_kills_and_every_server_going_away() =>
        BreakInTurnAsync(20_000, kills: 15, mostPause: 5, TimeSpan.FromSeconds(30));

    /// <summary>A process of each service in turn, and on the way the store, the broker and the membership.</summary>
    /// <param name="mostPause">Most seconds between two faults.</param>
    /// <param name="withoutMembership">Longer than silos take to suspect each other.</param>
    private async Task BreakInTurnAsync(int messages, int kills, double mostPause, TimeSpan withoutMembership)
    {
        var faults = await RunAsync(messages, TimeSpan.FromMilliseconds(150), mostBulk: messages / 5, async faults =>
        {
            for (var i = 0; i < kills; i++)
            {
                await ClusterRun.LetPassAsync(faults.Seconds(0.5, mostPause));
                await faults.KillAsync((ServiceKind)(i % 4));
                if (i == kills / 5)
                    await faults.RestartStoreAsync();
                if (i == kills * 2 / 5)
                    await faults.RestartBrokerAsync();
                if (i == kills * 3 / 5)
                    await faults.WithoutMembershipAsync(withoutMembership, () => KillAllButSilosAsync(faults));
            }
        });
        Assert.True(faults.Kills >= kills);
        Assert.Equal(0, faults.EndedByThemselves);

        async Task KillAllButSilosAsync(Faults faults)
        {
            foreach (var kind in new[] { ServiceKind.Ingress, ServiceKind.Delivery, ServiceKind.Mailbox })
            {
                await ClusterRun.LetPassAsync(faults.Seconds(0.5, mostPause));
                await faults.KillAsync(kind);
            }
        }
    }

    [Fact]
    [Trait("Soak", "true")]
    public async Task Thirty_minutes_of_random_faults_lose_nothing()
    {
        var time = TimeSpan.FromMinutes(Minutes());
        var faults = await RunAsync(0, TimeSpan.FromMilliseconds(500), mostBulk: int.MaxValue, BreakAtRandomAsync);
        Assert.True(faults.EndedByThemselves <= faults.FrozenSilos, $"{faults}");

        async Task BreakAtRandomAsync(Faults faults)
        {
            var started = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(started) < time)
            {
                await ClusterRun.LetPassAsync(faults.Seconds(0, 8));
                await faults.MakeAnyAsync();
            }
        }
    }

    /// <param name="messages">At least; as long as things fail, more are sent.</param>
    /// <param name="pace">Between two messages of one of the twenty connections.</param>
    /// <param name="mostBulk">Messages of one sender to the far end that bears little.</param>
    private async Task<Faults> RunAsync(int messages, TimeSpan pace, int mostBulk, Func<Faults, Task> breakThings)
    {
        var seed = Load.Seed();
        Figures.Write($"seed {seed}");
        await using var run = await ClusterRun.EnterAsync(shared, $"faults-{seed}", Load.Accounts);
        Load.AddFarEnds(run, Domains);
        run.AddSink(SinkScript.AcceptAll, Unrelated);
        var limited = new LimitedFarEnd(run);

        using var reading = CancellationTokenSource.CreateLinkedTokenSource(ClusterRun.Cancellation);
        var readers = Load.Accounts.Select((account, i) => run.Poller(account, seed + i).RunAsync(2 * pace, reading.Token)).ToList();
        var started = Stopwatch.GetTimestamp();
        var faults = new Faults(run, new Random(seed), s_lease);
        var breaking = breakThings(faults);
        var probing = Task.WhenAll(ProbeAsync(run, breaking), limited.SendAsync(breaking, mostBulk));
        var sent = 0;
        for (; (sent < messages || !breaking.IsCompleted) && !breaking.IsFaulted; sent += Round)
            await run.SendAsync(Load.Compose(run, seed, sent, Round, Domains), o => o with { Pace = pace });
        await breaking;
        var took = Stopwatch.GetElapsedTime(started);
        var backlog = (await run.Cluster.CountAsync("SELECT COUNT(*) FROM recipients WHERE state = 0", ClusterRun.Cancellation))[0];
        await probing;
        var drained = await run.DrainAsync(TimeSpan.FromMinutes(3), mailOnly: true);
        await run.DrainAsync(TimeSpan.FromMinutes(4));
        await reading.CancelAsync();
        await Task.WhenAll(readers);
        await run.ReadMaildropsAsync(Load.Accounts);

        var evidence = await run.EvidenceAsync();
        var gap = faults.LongestGap([.. evidence.Records.OfType<Arrival>().Where(a => a.Sink == Unrelated).Select(a => a.At)]);
        var rate = evidence.Records.OfType<Arrival>().Sum(a => a.Recipients.Length) / took.TotalSeconds;
        evidence = evidence with
        {
            DuplicateBudget = faults.InDoubt(evidence.Records),
            Liveness =
            [
                new("deliveries to an unrelated domain", gap, s_longestGap),
                // Half the rate that was held while things failed, and the time of the last retries.
                new($"{backlog} recipients that waited after the last fault", drained, TimeSpan.FromSeconds(20 + (2 * backlog / rate))),
            ],
        };
        Figures.Write(
            $"seed {seed}: {sent} messages in {took.TotalSeconds:F0} s with {faults}; " +
            $"an unrelated domain waited {gap.TotalSeconds:F1} s at most; {backlog} recipients left, drained {drained.TotalSeconds:F1} s later at {rate:F0}/s before; {LedgerChecker.CountDuplicates(evidence.Records)} duplicates, at most {evidence.DuplicateBudget} " +
            $"in doubt at faults, {evidence.UncertainCounted} attempts recorded as uncertain");
        limited.Check(evidence.Records, stoodStill: faults.FrozenDeliveries > 0);
        await run.AssertCleanAsync(evidence);
        return faults;
    }

    /// <summary>A message twice a second to a domain that has nothing to do with any fault.</summary>
    private static async Task ProbeAsync(ClusterRun run, Task faults)
    {
        const int round = 20;
        for (var sent = 0; !faults.IsCompleted; sent += round)
        {
            await run.SendAsync(
                [.. Enumerable.Range(sent, round).Select(i => LedgerMessage.Create($"probe{i}", "", i, 500, new ExpectedRecipient($"r{i}@{run.Domain(Unrelated)}")))],
                o => o with { Connections = 4, Pace = TimeSpan.FromSeconds(2) });
        }
    }

    /// <summary>How long the random faults go on; shorter ones are for trying the test itself.</summary>
    private static double Minutes() =>
        double.TryParse(Environment.GetEnvironmentVariable("MAILPIPELINE_SOAK_MINUTES"), CultureInfo.InvariantCulture, out var given) ? given : 30;
}
