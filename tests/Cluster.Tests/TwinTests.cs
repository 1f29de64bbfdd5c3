using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>
/// What must not happen and does: two silos that know nothing of each other each have an activation of every domain, and the
/// bus says things twice. Claims in storage decide, and all of it is harmless.
/// </summary>
[Collection(ImpatientCluster.Name)]
public sealed class TwinTests(ImpatientCluster shared)
{
    private const int Domains = 45;

    private const string Dispatched = "mailpipeline_queue_dispatched_total";

    private static readonly string[] s_endpoints = ["message-accepted", "deliver", "deliver-retry", "store", "attempts-completed"];

    [Fact]
    public async Task Two_activations_of_every_domain_and_bus_messages_that_come_twice_change_nothing()
    {
        var seed = Load.Seed();
        await using var run = await ClusterRun.EnterAsync(shared, $"twins-{seed}", Load.Accounts);
        Load.AddFarEnds(run, Domains);
        var before = await run.Cluster.SumMetricAsync(ServiceKind.Queue, Dispatched, ClusterRun.Cancellation);
        // Its members are kept elsewhere: it finds itself alone, and every domain its own.
        var elsewhere = await run.Servers.CreateConnectionsAsync(ClusterRun.Cancellation);
        var twin = run.Cluster.Add(ServiceKind.Queue, $"--ConnectionStrings:redis={elsewhere.Redis}");
        await run.WaitUntilReadyAsync();

        int repeated;
        await using (var tap = await BusTap.OpenAsync(run.Cluster.Connections.Rabbit))
        {
            foreach (var endpoint in s_endpoints)
                await tap.RepeatAsync(endpoint, new Random(seed));
            await run.SendAsync(Load.Compose(run, seed, 0, 1500, Domains), o => o with { Pace = TimeSpan.FromMilliseconds(100) });
            await run.DrainAsync(TimeSpan.FromMinutes(2));
            repeated = tap.Repeated;
        }
        // What the services had in hand comes again as well, to whoever asks first.
        var sending = run.SendAsync(Load.Compose(run, seed, 1500, 1000, Domains), o => o with { Pace = TimeSpan.FromMilliseconds(100) });
        for (var i = 0; i < 3 && !sending.IsCompleted; i++)
        {
            await run.FlowsAsync(150, sending);
            await run.Servers.Rabbit.CloseConnectionsAsync(ClusterRun.Cancellation);
        }
        await sending;
        await run.DrainAsync(TimeSpan.FromMinutes(2));
        await run.ReadMaildropsAsync(Load.Accounts);

        var evidence = await run.EvidenceAsync();
        var byTwin = await twin.Web.ReadMetricAsync(Dispatched, ClusterRun.Cancellation) ?? 0;
        double[] dispatched = [await run.Cluster.SumMetricAsync(ServiceKind.Queue, Dispatched, ClusterRun.Cancellation) - before - byTwin, byTwin];
        Figures.Write(
            $"seed {seed}: {repeated} bus messages came again; handed out by the silos and by their twin {string.Join(" and ", dispatched)} recipients; " +
            $"{LedgerChecker.CountDuplicates(evidence.Records)} duplicates, {evidence.UncertainCounted} attempts recorded as uncertain");
        // Every domain was handed out by either: with so many each, by both.
        Assert.All(dispatched, recipients => Assert.True(recipients > 5 * Domains, "one of them did all the work"));
        Assert.True(repeated > 1500, "nothing came twice");
        Assert.True(await run.Cluster.RemoveAsync(twin), "the twin did not stop in order");
        await run.AssertCleanAsync(evidence);
    }
}
