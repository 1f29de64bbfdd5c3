using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>Processes come and go by start and SIGTERM, and nobody notices; limits hold for all of them together.</summary>
[Trait("Cluster", "other"), Collection(ScalingCluster.Name)]
public sealed class ScalingTests(ScalingCluster shared)
{
    private const int Domains = 200;

    private static CancellationToken Cancellation => ClusterRun.Cancellation;

    [Fact]
    public async Task Delivery_and_queue_scale_out_and_in_under_load_without_loss_refusal_or_duplicate()
    {
        var seed = Load.Seed();
        await using var run = await ClusterRun.EnterAsync(shared, $"scaling-{seed}", Load.Accounts);
        Load.AddFarEnds(run, Domains);
        run.Cluster.Add(ServiceKind.Queue);
        await run.WaitUntilReadyAsync();

        using var enough = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var sending = SendUntilAsync(run, seed, enough.Token);
        await run.FlowsAsync(150);
        for (var i = 0; i < 3; i++)
            run.Cluster.Add(ServiceKind.Delivery);
        await run.WaitUntilReadyAsync();
        await run.FlowsAsync(150);
        var stops = new List<string>();
        foreach (var delivery in run.Cluster.Of(ServiceKind.Delivery).Skip(1))
            await StopAsync(run, delivery, stops);
        run.Cluster.Add(ServiceKind.Queue);
        await run.WaitUntilReadyAsync();
        await run.FlowsAsync(150);
        foreach (var queue in run.Cluster.Of(ServiceKind.Queue).Take(2))
            await StopAsync(run, queue, stops);
        await run.FlowsAsync(150);
        var until = TimeProvider.System.GetUtcNow();
        await enough.CancelAsync();
        await sending;
        await run.DrainAsync(TimeSpan.FromSeconds(90));
        await run.ReadMaildropsAsync(Load.Accounts);

        var evidence = await run.EvidenceAsync();
        var arrivals = evidence.Records.OfType<Arrival>().Where(a => a.At <= until).Select(a => a.At).Order().ToList();
        var gap = arrivals.Zip(arrivals.Skip(1), (a, b) => b - a).Max();
        Figures.Write($"seed {seed}: {arrivals.Count} arrivals, longest gap {gap.TotalSeconds:F1} s, stops: {string.Join(", ", stops)}");
        Assert.All(evidence.Records.OfType<Answer>(), answer => Assert.True(answer.Reply is > 0 and < 500, $"{answer.Token}: {answer.Reply} {answer.Text}"));
        await run.AssertCleanAsync(evidence);
    }

    [Fact]
    public async Task What_a_stopping_delivery_has_not_begun_goes_out_from_another_while_a_far_end_is_slow_to_answer()
    {
        const int count = 30;
        await using var run = await ClusterRun.EnterAsync(shared, "stop");
        var dots = 0;
        var mayAnswer = new TaskCompletionSource();
        var sink = run.AddSink(new() { AtDot = (_, _, _) => Interlocked.Increment(ref dots) == 1 ? SinkStep.AcceptWhen(mayAnswer.Task) : SinkStep.Accept }, "slow.example");
        var stopping = await ReplaceAsync(run, ServiceKind.Delivery, "--Delivery:Timeouts:FinalDot=00:00:40", "--Host:StopGrace=00:01:00");
        // All of them in one batch.
        await QueueAtOnceAsync(run, count, run.Domain("slow.example"));
        await Eventually.TrueAsync(() => Task.FromResult(Volatile.Read(ref dots) == 1), TimeSpan.FromSeconds(30), cancellation: Cancellation);
        var claimed = await run.Cluster.CountAsync("SELECT SUM((claim <> 0)::int), COUNT(DISTINCT claim) FROM recipients WHERE state = 0", Cancellation);
        Assert.Equal<long>([count, 1], claimed);

        run.Cluster.Add(ServiceKind.Delivery);
        await run.WaitUntilReadyAsync();
        var stop = stopping.StopAsync(TimeSpan.FromSeconds(60));
        var started = TimeProvider.System.GetTimestamp();
        // The far end has the first already, and only does not say so.
        await Eventually.TrueAsync(
            async () => (await run.Arrived.ReadAsync(Cancellation)).OfType<Arrival>().Count() == count, TimeSpan.FromSeconds(30), () => run.Cluster.Describe(), Cancellation);
        var others = TimeProvider.System.GetElapsedTime(started);
        Assert.True(stopping.IsRunning, "it did not wait for the far end's answer");
        mayAnswer.SetResult();

        Assert.True(await stop, $"it did not stop within its grace\n{stopping.Output}");
        Figures.Write($"{count - 1} of {count} by another process after {others.TotalSeconds:F1} s, stopped after {TimeProvider.System.GetElapsedTime(started).TotalSeconds:F1} s, {sink.Connections} connections");
        Assert.Equal(0, stopping.Process.ExitCode);
        await run.DrainAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(2, sink.PeakConnections);
        await run.Cluster.RemoveAsync(stopping);
        await run.AssertCleanAsync(await run.EvidenceAsync());
    }

    [Fact]
    public async Task The_connection_cap_of_a_domain_holds_when_its_silo_dies_while_batches_wait_for_a_worker()
    {
        const int cap = 5, batch = 4, count = 100;
        await using var run = await ClusterRun.EnterAsync(shared, "move");
        var sink = run.AddSink(new() { AtDot = (_, _, _) => SinkStep.SlowAccept(TimeSpan.FromMilliseconds(200)) }, "hot.example");
        var silo = await ReplaceAsync(
            run, ServiceKind.Queue,
            $"--Queue:DomainConcurrency={cap}", $"--Queue:InitialConcurrency={cap}", $"--Queue:BatchRecipients={batch}", "--Queue:BatchTimeout=00:01:00");
        var delivery = run.Cluster.Of(ServiceKind.Delivery)[0];
        Assert.True(await delivery.StopAsync());
        // Without a consumer nothing would be handed out: one that hangs leaves it on the bus.
        await using (var tap = await BusTap.OpenAsync(run.Cluster.Connections.Rabbit))
        {
            await tap.HangAsync("deliver");
            // In both of its lives it reads the same from storage and hands out the same.
            await QueueAtOnceAsync(run, count, run.Domain("hot.example"));
            await DispatchedAsync();
            await silo.KillAsync();
            silo.Launch();
            await run.WaitUntilReadyAsync();
            await DispatchedAsync();
        }

        delivery.Launch();
        await run.WaitUntilReadyAsync();
        await run.DrainAsync(TimeSpan.FromSeconds(90));
        Figures.Write($"at most {sink.PeakConnections} connections at once");
        Assert.InRange(sink.PeakConnections, 2, cap);
        await ReplaceAsync(run, ServiceKind.Queue);
        await run.AssertCleanAsync(await run.EvidenceAsync());

        Task DispatchedAsync() => Eventually.TrueAsync(
            async () => await silo.Web.ReadMetricAsync("mailpipeline_queue_under_way", Cancellation) == cap * batch, TimeSpan.FromSeconds(60), () => silo.Output, Cancellation);
    }

    [Fact]
    public async Task Four_deliveries_together_keep_to_the_connection_cap_of_a_domain()
    {
        const int cap = 5;
        await using var run = await ClusterRun.EnterAsync(shared, "cap");
        var sink = run.AddSink(new() { AtDot = (_, _, _) => SinkStep.SlowAccept(TimeSpan.FromMilliseconds(20)) }, "hot.example");
        await ReplaceAsync(run, ServiceKind.Queue, $"--Queue:DomainConcurrency={cap}", $"--Queue:InitialConcurrency={cap}", "--Queue:BatchRecipients=10");
        for (var i = 0; i < 3; i++)
            run.Cluster.Add(ServiceKind.Delivery);
        await run.WaitUntilReadyAsync();
        var before = await AttemptsAsync();
        await run.SendAsync([.. Enumerable.Range(0, 1500).Select(i => LedgerMessage.Create($"t{i}", "", i, 1000, new ExpectedRecipient($"r{i}@{run.Domain("hot.example")}")))]);
        await run.DrainAsync(TimeSpan.FromSeconds(60));

        var attempts = (await AttemptsAsync()).Zip(before, (after, earlier) => after - earlier).ToList();
        Figures.Write($"at most {sink.PeakConnections} connections at once, {sink.Connections} in all; attempts by process {string.Join(", ", attempts)}");
        Assert.True(attempts.Count(n => n > 0) > 1, "only one process delivered");
        Assert.InRange(sink.PeakConnections, 2, cap);
        foreach (var delivery in run.Cluster.Of(ServiceKind.Delivery).Skip(1))
            Assert.True(await run.Cluster.RemoveAsync(delivery), $"{delivery.Name} did not stop in order");
        await ReplaceAsync(run, ServiceKind.Queue);
        await run.AssertCleanAsync(await run.EvidenceAsync());

        Task<double[]> AttemptsAsync() => Task.WhenAll(run.Cluster.Of(ServiceKind.Delivery).Select(
            async delivery => await delivery.Web.ReadMetricAsync("mailpipeline_delivery_attempts_total", Cancellation) ?? 0));
    }

    /// <summary>Ends the processes of a service and starts one with other settings besides the cluster's.</summary>
    private static async Task<ServiceProcess> ReplaceAsync(ClusterRun run, ServiceKind kind, params string[] settings)
    {
        foreach (var service in run.Cluster.Of(kind))
            Assert.True(await run.Cluster.RemoveAsync(service), $"{service.Name} did not stop in order");
        var other = run.Cluster.Add(kind, settings);
        await other.WaitUntilHealthyAsync(TimeSpan.FromSeconds(60), Cancellation);
        return other;
    }

    /// <summary>In order, and the cluster knows it no more.</summary>
    private static async Task StopAsync(ClusterRun run, ServiceProcess service, List<string> stops)
    {
        var started = TimeProvider.System.GetTimestamp();
        Assert.True(await service.StopAsync(), $"{service.Name} did not stop within its grace\n{service.Output}");
        stops.Add($"{service.Name} {TimeProvider.System.GetElapsedTime(started).TotalSeconds:F1} s");
        Assert.Equal((service.Name, 0), (service.Name, service.Process.ExitCode));
        await run.Cluster.RemoveAsync(service);
        await run.FlowsAsync(50);
    }

    private static async Task SendUntilAsync(ClusterRun run, int seed, CancellationToken enough)
    {
        const int round = 200;
        for (var sent = 0; !enough.IsCancellationRequested; sent += round)
            await run.SendAsync(Load.Compose(run, seed, sent, round, Domains), o => o with { Connections = 10, Pace = TimeSpan.FromMilliseconds(150) });
    }

    /// <summary>Nothing is handed out before all of them are queued.</summary>
    private static async Task QueueAtOnceAsync(ClusterRun run, int count, string domain)
    {
        await run.Cluster.AdministerAsync(["queue", "pause"], cancellation: Cancellation);
        await Eventually.TrueAsync(
            async () => await run.Cluster.SumMetricAsync(ServiceKind.Queue, "mailpipeline_queue_paused", Cancellation) == run.Cluster.Of(ServiceKind.Queue).Count,
            TimeSpan.FromSeconds(30), () => "Not every silo has seen the pause", Cancellation);
        await run.SendAsync([.. Enumerable.Range(0, count).Select(i => LedgerMessage.Create($"t{i}", "", i, 1000, new ExpectedRecipient($"r{i}@{domain}")))]);
        await Eventually.TrueAsync(
            async () => (await run.Cluster.CountAsync("SELECT COUNT(*) FROM recipients WHERE state = 0", Cancellation))[0] == count,
            TimeSpan.FromSeconds(30), cancellation: Cancellation);
        await run.Cluster.AdministerAsync(["queue", "resume"], cancellation: Cancellation);
    }
}
