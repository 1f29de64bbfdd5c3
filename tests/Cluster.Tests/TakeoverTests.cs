using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>What a dead process held is taken over by another within seconds, with the product's own leases and probes.</summary>
[Trait("Cluster", "other")]
public sealed class TakeoverTests(PatientCluster shared) : IClassFixture<PatientCluster>
{
    private const int Domains = 40;

    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(15);

    /// <summary>The reconciler's round and one attempt come on top of the lease, and where its silo died, somebody has to notice that.</summary>
    private static readonly TimeSpan s_margin = TimeSpan.FromSeconds(15);

    private static CancellationToken Cancellation => ClusterRun.Cancellation;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Claims_of_a_killed_delivery_are_taken_over_by_the_other(bool withTheReconcilersSilo)
    {
        await using var run = await ClusterRun.EnterAsync(shared, "delivery");
        // The first attempt is held up before its content, and so leaves nothing in doubt; nobody is answered before the dead one's are taken over.
        var mayAnswer = new TaskCompletionSource();
        var sink = run.AddSink(
            new() { AtRecipient = (recipient, n) => n == 1 && recipient.Contains("held", StringComparison.Ordinal) ? SinkStep.AcceptWhen(mayAnswer.Task) : SinkStep.Accept },
            [.. Enumerable.Range(0, Domains).Select(Domain)]);
        // All of these domains have one site, which bears as many connections as they need once it has answered.
        for (var round = 0; round < 2; round++)
        {
            await run.SendAsync(Messages(run, $"warm{round}-"));
            await run.DrainAsync(TimeSpan.FromSeconds(60));
        }

        var takenBack = await TakenBackAsync(run);
        await run.SendAsync(Messages(run, "held"));
        var connections = new Dictionary<ServiceProcess, double>();
        await Eventually.TrueAsync(
            async () =>
            {
                foreach (var delivery in run.Cluster.Of(ServiceKind.Delivery))
                    connections[delivery] = await delivery.Web.ReadMetricAsync("mailpipeline_delivery_connections", Cancellation) ?? 0;
                return (await run.Cluster.CountAsync("SELECT COUNT(*) FROM recipients WHERE state = 0 AND claim <> 0", Cancellation))[0] == Domains && connections.Values.Sum() == Domains;
            },
            TimeSpan.FromSeconds(40), () => $"{string.Join(" and ", connections.Values)} connections, {sink.Connections} in all", Cancellation);
        var victim = connections.MaxBy(c => c.Value).Key;
        List<ServiceProcess> victims = withTheReconcilersSilo ? [await ReconcilerAsync(run), victim] : [victim];
        await Task.WhenAll(victims.Select(process => process.KillAsync()));
        var killed = TimeProvider.System.GetUtcNow();

        List<TimeSpan> takenOver = [];
        var (permits, waiting) = (0.0, 0.0);
        await Eventually.TrueAsync(
            TimeSpan.FromMilliseconds(200),
            async () =>
            {
                takenOver = await AfterAsync(killed);
                (permits, waiting) = (await SiteAsync(run, "permits"), await SiteAsync(run, "waiting"));
                return takenOver.Count == connections[victim];
            },
            s_lease + s_margin, () => $"{takenOver.Count} of {connections[victim]} were taken over; {permits} permits are out, {waiting} domains wait for one\n{run.Cluster.Describe()}",
            Cancellation);
        mayAnswer.SetResult();
        await run.DrainAsync(TimeSpan.FromSeconds(60));
        Figures.Write(
            $"{string.Join(" and ", victims.Select(process => process.Name))} killed, {string.Join(" and ", connections.Values)} connections; {takenOver.Count} of {Domains} attempts were the dead one's: taken over " +
            $"{takenOver[0].TotalSeconds:F1} to {takenOver[^1].TotalSeconds:F1} s after its death");
        // What an operator's alert goes by is what the history says.
        if (!withTheReconcilersSilo)
            Assert.Equal(takenOver.Count, await TakenBackAsync(run) - takenBack);
        Assert.Empty(await run.ListUncertainAsync());
        await run.AssertCleanAsync(await run.EvidenceAsync());

        async Task<List<TimeSpan>> AfterAsync(DateTimeOffset time) =>
            [.. (await run.Arrived.ReadAsync(Cancellation)).OfType<Arrival>().Where(a => a.At > time).Select(a => a.At - time).Order()];
    }

    [Fact]
    public async Task What_a_killed_mailbox_was_given_is_stored_by_the_other()
    {
        await using var run = await ClusterRun.EnterAsync(shared, "mailbox", "ann");
        var victim = run.Cluster.Of(ServiceKind.Mailbox)[0];
        // Frozen it takes its share off the broker and stores none of it.
        victim.Freeze();
        await run.SendAsync([.. Enumerable.Range(0, 60).Select(i => LedgerMessage.Create($"t{i}", "", i, 1000, new ExpectedRecipient($"ann@{run.Local}")))], o => o with { Connections = 2, Pace = TimeSpan.FromMilliseconds(50) });
        var waiting = 0L;
        await Eventually.TrueAsync(TimeSpan.FromMilliseconds(300), IsLeftToVictimAsync, TimeSpan.FromSeconds(30), () => $"{waiting} wait", Cancellation);
        await victim.KillAsync();
        var taken = await run.DrainAsync(TimeSpan.FromSeconds(60));
        Figures.Write($"{waiting} messages waited for the dead one; stored {taken.TotalSeconds:F1} s after its death");
        Assert.True(waiting > 0, "nothing was given to the victim");
        await run.ReadMaildropsAsync(["ann"], mailbox: 1);
        await run.AssertCleanAsync(await run.EvidenceAsync());

        // All are handed out, and those that the other does not store: no more than before, and all of them off the broker.
        async Task<bool> IsLeftToVictimAsync()
        {
            var before = waiting;
            var store = (await run.Servers.Rabbit.ListQueuesAsync(run.Cluster.Connections.VirtualHost, Cancellation)).Single(queue => queue.Name == "store");
            waiting = (await run.Cluster.CountAsync("SELECT COUNT(*) FROM recipients WHERE state = 0", Cancellation))[0];
            return waiting > 0 && waiting == before && store is { Ready: 0, Unacknowledged: > 0 }
                && (await run.Cluster.RemainingAsync(Cancellation)).All(left => left.Count == 0 || !left.What.Contains("unrouted", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Domains_of_a_killed_silo_are_served_by_the_other()
    {
        await using var run = await ClusterRun.EnterAsync(shared, "silo");
        run.AddSink(SinkScript.AcceptAll, [.. Enumerable.Range(0, Domains).Select(Domain)]);
        var silos = run.Cluster.Of(ServiceKind.Queue);
        var before = await DispatchedAsync();
        await run.SendAsync(Messages(run, "before"));
        await run.DrainAsync(TimeSpan.FromSeconds(40));
        // The domains are where there is most room, and that may be one silo.
        var (victim, domains) = silos.Zip(await DispatchedAsync(), before).Select(silo => (silo.First, silo.Second - silo.Third)).MaxBy(silo => silo.Item2);
        Assert.True(domains > 0, "no silo has any domain");

        var killed = TimeProvider.System.GetUtcNow();
        await victim.KillAsync();
        // One message to each domain, and again until each has had one.
        var round = 0;
        await Eventually.TrueAsync(
            TimeSpan.FromSeconds(1),
            async () =>
            {
                if ((await FirstAsync()).Count == Domains)
                    return true;
                await run.SendAsync(Messages(run, $"r{round++}-"), o => o with { Connections = 4 });
                return false;
            },
            TimeSpan.FromSeconds(40), cancellation: Cancellation);
        await run.DrainAsync(TimeSpan.FromSeconds(60));

        var first = await FirstAsync();
        var records = await run.RecordsAsync();
        var arrived = records.OfType<Arrival>().ToDictionary(a => a.Token, a => a.At);
        var slowest = records.OfType<Answer>().Where(a => a.At > killed).Max(a => arrived[a.Token] - a.At);
        Figures.Write($"{victim.Name} killed, which had {domains} domains; first delivery of a domain after the death: median {first[first.Count / 2].TotalSeconds:F1} s, last {first[^1].TotalSeconds:F1} s; slowest message {slowest.TotalSeconds:F1} s");
        Assert.Equal(Domains, first.Count);
        await run.AssertCleanAsync(await run.EvidenceAsync());

        Task<double[]> DispatchedAsync() => Task.WhenAll(silos.Select(
            async silo => await silo.Web.ReadMetricAsync("mailpipeline_queue_dispatched_total", Cancellation) ?? 0));

        async Task<List<TimeSpan>> FirstAsync() => [.. (await run.Arrived.ReadAsync(Cancellation)).OfType<Arrival>().Where(a => a.At > killed)
            .GroupBy(a => a.Recipients[0].Split('@')[1]).Select(g => g.Min(a => a.At) - killed).Order()];
    }

    private static Task<double> SiteAsync(ClusterRun run, string what) => run.Cluster.SumMetricAsync(ServiceKind.Queue, $"mailpipeline_queue_site_{what}", Cancellation);

    private static Task<double> TakenBackAsync(ClusterRun run) => run.Cluster.SumMetricAsync(ServiceKind.Queue, "mailpipeline_queue_taken_back_total", Cancellation);

    /// <summary>The silo that takes claims back: it has its rounds there again and again.</summary>
    private static async Task<ServiceProcess> ReconcilerAsync(ClusterRun run)
    {
        var silos = run.Cluster.Of(ServiceKind.Queue);
        var before = await RoundsAsync();
        ServiceProcess? reconciler = null;
        await Eventually.TrueAsync(
            async () => (reconciler = silos.Zip(before, await RoundsAsync()).FirstOrDefault(silo => silo.Third > silo.Second).First) is not null,
            TimeSpan.FromSeconds(20), () => "No silo takes claims back", Cancellation);
        return reconciler!;

        Task<double[]> RoundsAsync() => Task.WhenAll(silos.Select(
            async silo => await silo.Web.ReadMetricAsync("mailpipeline_queue_duty_duration_seconds_count", "duty=\"take_back\"", Cancellation) ?? 0));
    }

    private static string Domain(int number) => $"d{number}.example";

    private static List<LedgerMessage> Messages(ClusterRun run, string token) =>
        [.. Enumerable.Range(0, Domains).Select(i => LedgerMessage.Create($"{token}{i}", "", i, 1000, new ExpectedRecipient($"{token}{i}@{run.Domain(Domain(i))}")))];
}
