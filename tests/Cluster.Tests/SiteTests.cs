using System.Collections.Concurrent;
using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>Domains behind the same two hosts by DNS, four Delivery processes, two silos: what the hosts bear is true for all of them together.</summary>
[Trait("Cluster", "other"), Collection(ScalingCluster.Name)]
public sealed class SiteTests(ScalingCluster shared)
{
    private static CancellationToken Cancellation => ClusterRun.Cancellation;

    [Fact]
    public async Task Three_hundred_domains_keep_to_the_connections_of_their_hosts_while_a_silo_and_workers_die()
    {
        const int cap = 10, domains = 300, each = 6;
        await using var run = await ClusterRun.EnterAsync(shared, "sites");
        var handovers = new Handovers();
        var slow = TimeSpan.FromMilliseconds(30);
        var sink = run.AddHosts(shared, new()
        {
            AtRecipient = (recipient, _) =>
            {
                handovers.Begin(recipient);
                return SinkStep.Accept;
            },
            AtDot = (recipients, _, _) =>
            {
                handovers.End(recipients[0], slow);
                return SinkStep.SlowAccept(slow);
            },
        });
        await GrowAsync(run, $$"""{ "Destinations": [ { "For": "{{run.Hosts}}", "Connections": {{cap}} } ] }""");
        var before = await AttemptsAsync(run);
        var sending = run.SendAsync([.. Enumerable.Range(0, domains * each).Select(
            i => LedgerMessage.Create($"t{i}", "", i, 1000, new ExpectedRecipient($"r{i}@{run.SiteDomain(i % domains)}")))]);

        await KeptAsync(300);
        // Up to here somebody waits all the time, and nobody has died.
        var gaps = handovers.Read();
        var firstSilo = run.Cluster.Of(ServiceKind.Queue)[0];
        await firstSilo.KillAsync();
        var silo = TimeProvider.System.GetTimestamp();
        await KeptAsync(600);
        var afterSilo = TimeProvider.System.GetElapsedTime(silo);
        firstSilo.Launch();
        await run.Cluster.Of(ServiceKind.Delivery)[1].KillAsync();
        await KeptAsync(900);
        await run.Cluster.Of(ServiceKind.Queue)[1].KillAsync();
        await run.Cluster.Of(ServiceKind.Delivery)[2].KillAsync();
        await KeptAsync(1200);
        var attempts = (await AttemptsAsync(run)).Zip(before, (after, earlier) => after - earlier).ToList();
        run.Cluster.LaunchEnded();
        await sending;
        await run.DrainAsync(TimeSpan.FromSeconds(120));

        Figures.Write(
            $"at most {sink.PeakConnections} connections at once, {sink.Connections} in all for {sink.Kept} messages; 300 more {afterSilo.TotalSeconds:F1} s after the death of a silo; " +
            $"from the end of a batch to the next on its place p50 {Part(0.5):F0} ms, p99 {Part(0.99):F0} ms of {gaps.Count}; " +
            $"attempts by process {string.Join(", ", attempts)}");
        Assert.InRange(sink.PeakConnections, cap / 2, cap);
        await ShrinkAsync(run);

        double Part(double share) => gaps.Count == 0 ? 0 : gaps[(int)(share * (gaps.Count - 1))].TotalMilliseconds;

        Task KeptAsync(int count) => Eventually.TrueAsync(
            () => Task.FromResult(sink.Kept >= count), TimeSpan.FromSeconds(120), () => $"{sink.Kept} of {count}\n{run.Cluster.Describe()}", Cancellation);
    }

    [Fact]
    public async Task A_rate_is_kept_by_four_processes_together_in_each_second_and_a_changed_one_acts_at_once()
    {
        const int slow = 10, fast = 50, messages = 400, domains = 40;
        var second = TimeSpan.FromSeconds(1);
        await using var run = await ClusterRun.EnterAsync(shared, "rate");
        var at = new ConcurrentQueue<DateTimeOffset>();
        run.AddHosts(shared, new()
        {
            AtDot = (_, _, _) =>
            {
                at.Enqueue(TimeProvider.System.GetUtcNow());
                return SinkStep.Accept;
            },
        });
        await GrowAsync(run, Policy(slow));
        await run.SendAsync([.. Enumerable.Range(0, messages).Select(
            i => LedgerMessage.Create($"t{i}", "", i, 1000, new ExpectedRecipient($"r{i}@{run.SiteDomain(i % domains)}")))]);
        await ArrivedAsync(messages / 2);
        var changedAt = TimeProvider.System.GetUtcNow();
        shared.WritePolicy(Policy(fast));
        await ArrivedAsync(messages);
        await run.DrainAsync(TimeSpan.FromSeconds(30));

        var arrivals = at.Order().ToList();
        var slowOnes = arrivals.Where(arrival => arrival < changedAt).ToList();
        // The first ones find out where their mail goes.
        var steady = slowOnes.Where(arrival => arrival >= slowOnes[0] + (2 * second)).ToList();
        var average = (steady.Count - 1) / (steady[^1] - steady[0]).TotalSeconds;
        var faster = arrivals.First(arrival => InSecondFrom(arrivals, arrival) > slow * 11 / 10);
        Figures.Write(
            $"at {slow}/s: {average:F2} a second on average, at most {slowOnes.Max(from => InSecondFrom(slowOnes, from))} in one; at {fast}/s: at most {arrivals.Max(from => InSecondFrom(arrivals, from))} in one, " +
            $"begun {(faster - changedAt).TotalSeconds:F1} s after the change; all in {(arrivals[^1] - arrivals[0]).TotalSeconds:F1} s");
        Assert.All(slowOnes, from => Assert.InRange(InSecondFrom(slowOnes, from), 1, slow * 11 / 10));
        Assert.All(arrivals, from => Assert.InRange(InSecondFrom(arrivals, from), 1, fast * 11 / 10));
        Assert.True(average >= 0.9 * slow, $"{average} a second");
        // Each silo looks at the file every second.
        Assert.InRange(faster, changedAt - second, changedAt + (3 * second));
        await ShrinkAsync(run);

        int InSecondFrom(List<DateTimeOffset> all, DateTimeOffset from) => all.Count(arrival => arrival >= from && arrival < from + second);

        string Policy(int perSecond) => $$"""{ "Destinations": [ { "For": "{{run.Hosts}}", "MessagesPerSecond": {{perSecond}} } ] }""";

        Task ArrivedAsync(int count) => Eventually.TrueAsync(
            () => Task.FromResult(at.Count >= count), TimeSpan.FromSeconds(90), () => $"{at.Count} of {count}\n{run.Cluster.Describe()}", Cancellation);
    }

    /// <summary>Two silos and four Delivery processes, all of which know the policy.</summary>
    private async Task GrowAsync(ClusterRun run, string policy)
    {
        var queue = Assert.Single(run.Cluster.Of(ServiceKind.Queue));
        var read = await ReadsAsync();
        shared.WritePolicy(policy);
        await Eventually.TrueAsync(async () => await ReadsAsync() > read, TimeSpan.FromSeconds(30), () => queue.Output, Cancellation);
        run.Cluster.Add(ServiceKind.Queue);
        for (var i = 0; i < 3; i++)
            run.Cluster.Add(ServiceKind.Delivery);
        await run.WaitUntilReadyAsync();

        async Task<double> ReadsAsync() => await queue.Web.ReadMetricAsync("mailpipeline_queue_policy_reads_total", Cancellation) ?? 0;
    }

    private async Task ShrinkAsync(ClusterRun run)
    {
        // Of those that were killed some may not be up yet.
        await run.WaitUntilReadyAsync();
        foreach (var service in (ServiceProcess[])[.. run.Cluster.Of(ServiceKind.Delivery).Skip(1), .. run.Cluster.Of(ServiceKind.Queue).Skip(1)])
            Assert.True(await run.Cluster.RemoveAsync(service), $"{service.Name} did not stop in order");
        shared.WritePolicy("{}");
        var evidence = await run.EvidenceAsync();
        await run.AssertCleanAsync(evidence with { DuplicateBudget = evidence.UncertainCounted ?? 0 });
    }

    private static Task<double[]> AttemptsAsync(ClusterRun run) => Task.WhenAll(run.Cluster.Of(ServiceKind.Delivery).Select(
        async delivery => delivery.IsRunning ? await delivery.Web.ReadMetricAsync("mailpipeline_delivery_attempts_total", Cancellation) ?? 0 : 0));

    /// <summary>How long each place at the far end was free, from the answer to the last message of one domain to the first of the next.</summary>
    private sealed class Handovers
    {
        private readonly Lock _lock = new();
        private readonly LinkedList<(string Domain, DateTimeOffset At)> _free = [];
        private readonly List<TimeSpan> _gaps = [];

        public void Begin(string recipient)
        {
            var (domain, now) = (DomainOf(recipient), TimeProvider.System.GetUtcNow());
            lock (_lock)
            {
                // The same batch goes on.
                for (var place = _free.First; place is not null; place = place.Next)
                {
                    if (place.Value.Domain != domain)
                        continue;
                    _free.Remove(place);
                    return;
                }

                // There was a place that nobody has had yet.
                if (_free.First is not { } oldest)
                    return;
                _free.RemoveFirst();
                _gaps.Add(now - oldest.Value.At);
            }
        }

        public void End(string recipient, TimeSpan later)
        {
            lock (_lock)
                _free.AddLast((DomainOf(recipient), TimeProvider.System.GetUtcNow() + later));
        }

        /// <summary>In order.</summary>
        public List<TimeSpan> Read()
        {
            lock (_lock)
                return [.. _gaps.Order()];
        }

        private static string DomainOf(string recipient) => recipient[(recipient.LastIndexOf('@') + 1)..];
    }
}
