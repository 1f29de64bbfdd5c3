using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>Services first, servers later, in any order: a service waits for what it needs and its probes tell the truth.</summary>
[Trait("Cluster", "other")]
public sealed class StartOrderTests(SharedServers servers)
{
    [Fact]
    public async Task Services_started_before_their_servers_are_alive_but_not_ready_until_those_are_there()
    {
        await using var run = new ClusterRun(servers, "order");
        run.AddSink(SinkScript.AcceptAll, "far.example");
        var connections = await run.Servers.CreateConnectionsAsync(ClusterRun.Cancellation);
        await Task.WhenAll(run.Servers.Rabbit.StopAsync(), run.Servers.Postgres.StopAsync(), run.Servers.Redis.StopAsync());
        try
        {
            // An empty database as well: all processes want to make its tables at the same time.
            run.Prepare(connections, ClusterRun.Impatient);
            run.Cluster.AddEach(2);
            foreach (var service in run.Cluster.Services)
            {
                await Eventually.TrueAsync(
                    async () => await service.Web.StatusAsync("health/live", ClusterRun.Cancellation) == 200,
                    TimeSpan.FromSeconds(60), () => $"{service.Name} is not alive\n{service.Output}", ClusterRun.Cancellation);
                Assert.Equal((service.Name, 503), (service.Name, await service.Web.StatusAsync("health/ready", ClusterRun.Cancellation)));
            }

            await run.Servers.Postgres.RestartAsync(ClusterRun.Cancellation);
            foreach (var kind in new[] { ServiceKind.Ingress, ServiceKind.Delivery, ServiceKind.Mailbox })
                await ReadyAsync(run, kind);
            foreach (var silo in run.Cluster.Of(ServiceKind.Queue))
                Assert.Equal((silo.Name, 503), (silo.Name, await silo.Web.StatusAsync("health/ready", ClusterRun.Cancellation)));

            await run.Servers.Redis.RestartAsync(ClusterRun.Cancellation);
            await ReadyAsync(run, ServiceKind.Queue);
        }
        finally
        {
            if (!await IsUpAsync(run.Servers.Postgres.Port))
                await run.Servers.Postgres.RestartAsync(ClusterRun.Cancellation);
            if (!await IsUpAsync(run.Servers.Redis.Port))
                await run.Servers.Redis.RestartAsync(ClusterRun.Cancellation);
            await run.Servers.Rabbit.RestartAsync(ClusterRun.Cancellation);
        }

        await run.Cluster.AddAccountsAsync(ClusterRun.LocalDomain, ClusterRun.Password, ["ann"], ClusterRun.Cancellation);
        await run.SendAsync([.. Enumerable.Range(0, 50).Select(i => LedgerMessage.Create(
            $"t{i}", "", i, 1000, new($"r{i}@far.example"), new($"ann@{ClusterRun.LocalDomain}")))]);
        await run.DrainAsync(TimeSpan.FromSeconds(60));
        await run.ReadMaildropsAsync(["ann"]);
        await run.AssertCleanAsync(await run.EvidenceAsync());
    }

    [Fact]
    public async Task A_silo_told_to_stop_while_it_starts_ends_in_order()
    {
        await using var run = new ClusterRun(servers, "halt");
        // It speaks from the first moment.
        run.Prepare(await run.Servers.CreateConnectionsAsync(ClusterRun.Cancellation), [.. ClusterRun.Impatient, "--Logging:LogLevel:Default=Information"]);
        var silo = run.Cluster.Add(ServiceKind.Queue);
        await silo.WaitUntilReadyAsync(TimeSpan.FromSeconds(60), ClusterRun.Cancellation);
        Assert.True(await silo.StopAsync());
        var codes = new List<int>();
        // Later and later, until it ends as it should however far it had got.
        for (var after = 0.6; codes.Count(code => code == 0) < 4; after += 0.2)
        {
            silo.Launch();
            await Eventually.TrueAsync(() => Task.FromResult(silo.Process.Output.Length > 0), TimeSpan.FromSeconds(30), cancellation: ClusterRun.Cancellation);
            await ClusterRun.LetPassAsync(TimeSpan.FromSeconds(after));
            Assert.True(await silo.StopAsync(), $"it did not stop {after} s after its first word\n{silo.Output}");
            codes.Add(silo.Process.ExitCode);
            // 143: the signal came before there was anything to stop.
            Assert.True(codes[^1] is 0 or 143, $"{codes[^1]}\n{silo.Output}");
        }
        Figures.Write($"exit codes {string.Join(", ", codes)}");
    }

    private static async Task ReadyAsync(ClusterRun run, ServiceKind kind)
    {
        foreach (var service in run.Cluster.Of(kind))
            await service.WaitUntilReadyAsync(TimeSpan.FromSeconds(60), ClusterRun.Cancellation);
    }

    private static Task<bool> IsUpAsync(int port) => FreePorts.AcceptsAsync(new(System.Net.IPAddress.Loopback, port), ClusterRun.Cancellation);
}
