using System.Diagnostics;
using System.Globalization;
using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>Broker, store or membership away: what still works, what is said, and that all of it recovers by itself.</summary>
[Collection(ImpatientCluster.Name)]
public sealed class OutageTests(ImpatientCluster shared)
{
    private static CancellationToken Cancellation => ClusterRun.Cancellation;

    [Fact]
    public async Task Without_the_broker_mail_is_accepted_and_it_flows_when_the_broker_is_back()
    {
        await using var run = await EnterAsync("broker");
        await run.SendAsync(Messages(run, "before", 20));
        await run.DrainAsync(TimeSpan.FromSeconds(30));

        var lost = await run.Cluster.SumMetricAsync(ServiceKind.Ingress, "mailpipeline_ingress_hints_lost_total", Cancellation);
        await run.Servers.Rabbit.KillAsync();
        var started = Stopwatch.GetTimestamp();
        await run.SendAsync(Messages(run, "during", 200), o => o with { RetryRefused = false });
        var sent = Stopwatch.GetElapsedTime(started);
        foreach (var ingress in run.Cluster.Of(ServiceKind.Ingress))
            Assert.True(await ingress.Web.IsReadyAsync(Cancellation), $"{ingress.Name} is not ready without a broker");
        await SeenAsync(run, ServiceKind.Ingress, "mailpipeline_ingress_hints_lost_total", lost);
        await run.Servers.Rabbit.RestartAsync(Cancellation);
        var back = await run.DrainAsync(TimeSpan.FromSeconds(90));

        var answers = (await run.Sent.ReadAsync(Cancellation)).OfType<Answer>().Where(answer => answer.Token.StartsWith("during", StringComparison.Ordinal));
        Assert.All(answers, answer => Assert.Equal((answer.Token, 250), (answer.Token, answer.Reply)));
        Figures.Write($"200 messages accepted in {sent.TotalSeconds:F1} s without a broker; all out {back.TotalSeconds:F1} s after it was back");
        await run.AssertCleanAsync(await run.EvidenceAsync());
    }

    [Fact]
    public async Task Without_the_broker_and_those_who_route_mail_is_accepted_up_to_a_bound_and_then_put_off()
    {
        const int bound = 50;
        await using var run = await EnterAsync("bound");
        var door = run.Cluster.Add(ServiceKind.Ingress, $"--Ingress:MaxUnrouted={bound}");
        await run.WaitUntilReadyAsync();
        await run.Servers.Rabbit.KillAsync();
        // While a single one of them lives it routes from storage what no broker brings.
        var silos = run.Cluster.Of(ServiceKind.Queue);
        foreach (var silo in silos)
            await silo.KillAsync();

        await run.SendAsync(Messages(run, "during", 600), o => AtDoor(o) with { RetryRefused = false, Connections = 2, Pace = TimeSpan.FromMilliseconds(10) });
        var answers = (await run.Sent.ReadAsync(Cancellation)).OfType<Answer>().ToList();
        var accepted = answers.Count(answer => answer.Reply == 250);
        var putOff = answers.Where(answer => answer.Reply != 250).ToList();
        Figures.Write($"{accepted} accepted, {putOff.Count} put off: {putOff.FirstOrDefault()?.Text}");
        // What is measured once a second is overtaken by what comes meanwhile.
        Assert.InRange(accepted, bound, answers.Count - 1);
        Assert.All(putOff, answer => Assert.Equal((answer.Token, 451), (answer.Token, answer.Reply)));
        Assert.Contains("4.3.2", putOff[0].Text, StringComparison.Ordinal);

        await run.Servers.Rabbit.RestartAsync(Cancellation);
        foreach (var silo in silos)
            silo.Launch();
        await run.WaitUntilReadyAsync();
        await AcceptedAsync(run, async message =>
        {
            await run.SendAsync([message], o => AtDoor(o) with { RetryRefused = false });
            return (await run.Sent.ReadAsync(Cancellation)).OfType<Answer>().Single(answer => answer.Token == message.Token).Reply;
        });
        await run.DrainAsync(TimeSpan.FromSeconds(60));
        Assert.True(await run.Cluster.RemoveAsync(door), "the door did not stop in order");
        await run.AssertCleanAsync(await run.EvidenceAsync());

        LoadOptions AtDoor(LoadOptions options) => options with { Login = new ServerLogin(door.Smtp), Others = [] };
    }

    [Fact]
    public async Task A_broker_with_a_memory_alarm_holds_up_nobody_at_the_door()
    {
        await using var run = await EnterAsync("alarm");
        var lost = await run.Cluster.SumMetricAsync(ServiceKind.Ingress, "mailpipeline_ingress_hints_lost_total", Cancellation);
        await run.Servers.Rabbit.SetMemoryAlarmAsync(on: true, Cancellation);
        try
        {
            var started = Stopwatch.GetTimestamp();
            await run.SendAsync(Messages(run, "during", 100), o => o with { RetryRefused = false });
            var sent = Stopwatch.GetElapsedTime(started);
            Figures.Write($"100 messages accepted in {sent.TotalSeconds:F1} s while publishers are blocked");
            await SeenAsync(run, ServiceKind.Ingress, "mailpipeline_ingress_hints_lost_total", lost);
        }
        finally
        {
            await run.Servers.Rabbit.SetMemoryAlarmAsync(on: false, Cancellation);
        }
        var back = await run.DrainAsync(TimeSpan.FromSeconds(60));
        Figures.Write($"all out {back.TotalSeconds:F1} s after the alarm");
        await run.AssertCleanAsync(await run.EvidenceAsync());
    }

    [Fact]
    public async Task Without_the_store_the_door_says_451_sessions_survive_and_all_recovers_by_itself()
    {
        await using var run = await EnterAsync("store");
        await using var session = await SmtpDialogue.OpenAsync(new ServerLogin(run.Cluster.Smtp[0]), Cancellation);
        await using var reader = await Pop3Client.OpenAsync(new ServerLogin(run.Cluster.Pop3[0]), Cancellation);

        var failures = await run.Cluster.SumMetricAsync(ServiceKind.Queue, "mailpipeline_storage_commit_failures_total", Cancellation);

        await run.Servers.Postgres.KillAsync();
        try
        {
            Assert.Equal(451, await TransactAsync(run, session, Messages(run, "during", 1)[0]));
            // The doors stay open: without an address behind their names nobody would hear that 451.
            foreach (var door in run.Cluster.Of(ServiceKind.Ingress).Concat(run.Cluster.Of(ServiceKind.Mailbox)))
                Assert.True(await door.Web.IsReadyAsync(Cancellation), $"{door.Name} is not ready without a store");
            Assert.False(await run.Cluster.Of(ServiceKind.Queue)[0].Web.IsReadyAsync(Cancellation), "Queue is ready without a store");
            // Ingress says 451 before it commits anything.
            await SeenAsync(run, ServiceKind.Queue, "mailpipeline_storage_commit_failures_total", failures);
        }
        finally
        {
            await run.Servers.Postgres.RestartAsync(Cancellation);
        }

        var accepted = await AcceptedAsync(run, message => TransactAsync(run, session, message));
        await Eventually.TrueAsync(() => IsLoggedInAsync(reader, $"ann@{run.Local}"), TimeSpan.FromSeconds(30), cancellation: Cancellation);
        await run.WaitUntilReadyAsync();
        await run.SendAsync(Messages(run, "later", 100));
        var drained = await run.DrainAsync(TimeSpan.FromSeconds(60));
        Figures.Write($"250 on the same session {accepted.TotalSeconds:F1} s after the store was back; 100 more out {drained.TotalSeconds:F1} s after they were in");
        await run.AssertCleanAsync(await run.EvidenceAsync());
    }

    [Fact]
    public async Task While_only_writes_stand_still_no_worker_loses_his_claim()
    {
        // Twice the lease and more; reads go on all the time.
        var held = TimeSpan.FromSeconds(12);
        await using var run = await EnterAsync("lock");
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var sending = SendUntilAsync(run, enough.Token);
        await run.FlowsAsync(200);
        var before = (await run.Arrived.ReadAsync(Cancellation)).Count;
        await Eventually.TrueAsync(() => HoldUpWritesAsync(run, held), TimeSpan.FromSeconds(40), cancellation: Cancellation);
        await run.FlowsAsync(200);
        await enough.CancelAsync();
        var sent = await sending;
        await run.DrainAsync(TimeSpan.FromSeconds(60));
        var evidence = await run.EvidenceAsync();
        Figures.Write($"{before} arrived before {held.TotalSeconds:F0} s without a write, {sent} sent in all; {evidence.UncertainCounted} recorded as uncertain");
        Assert.Equal(0, evidence.UncertainCounted);
        await run.AssertCleanAsync(evidence);
    }

    [Fact]
    public async Task All_sessions_of_the_store_ended_at_once_cost_at_most_a_451()
    {
        await using var run = await EnterAsync("sessions");
        var sending = run.SendAsync(Messages(run, "t", 400), o => o with { Pace = TimeSpan.FromMilliseconds(100) });
        for (var i = 0; i < 5; i++)
        {
            await run.FlowsAsync(50, sending);
            await run.Servers.Postgres.TerminateSessionsAsync(Cancellation);
        }
        await sending;
        // Until each door has met every session that is dead.
        await run.SendAsync(Messages(run, "after", 200));
        await run.DrainAsync(TimeSpan.FromSeconds(60));
        var evidence = await run.EvidenceAsync();
        var replies = evidence.Records.OfType<Answer>().GroupBy(answer => answer.Reply).Select(g => $"{g.Key}: {g.Count()}");
        Figures.Write($"replies by code: {string.Join(", ", replies)}");
        Assert.All(evidence.Records.OfType<Answer>(), answer => Assert.True(answer.Reply is 250 or 451 or 421 or 0, $"{answer.Token}: {answer.Reply} {answer.Text}"));
        await run.AssertCleanAsync(evidence with { DuplicateBudget = evidence.UncertainCounted ?? 0 });
    }

    [Fact]
    public async Task Without_redis_mail_flows_with_the_members_there_are()
    {
        await using var run = await EnterAsync("redis");
        await run.SendAsync(Messages(run, "before", 20));
        await run.DrainAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(2, await run.Cluster.SumMetricAsync(ServiceKind.Queue, "mailpipeline_queue_membership", Cancellation));
        await run.Servers.Redis.StopAsync();
        try
        {
            await run.SendAsync(Messages(run, "during", 200), o => o with { RetryRefused = false });
            var drained = await run.DrainAsync(TimeSpan.FromSeconds(30));
            // Twice what silos take to suspect each other: three missed probes of 2 s.
            await ClusterRun.LetPassAsync(TimeSpan.FromSeconds(12));
            await run.SendAsync(Messages(run, "later", 200), o => o with { RetryRefused = false });
            var later = await run.DrainAsync(TimeSpan.FromSeconds(30));
            Figures.Write($"200 messages out after {drained.TotalSeconds:F1} s, 200 more 12 s later after {later.TotalSeconds:F1} s");
            Assert.Equal(0, await run.Cluster.SumMetricAsync(ServiceKind.Queue, "mailpipeline_queue_membership", Cancellation));
        }
        finally
        {
            await run.Servers.Redis.RestartAsync(Cancellation);
        }
        await run.SendAsync(Messages(run, "after", 20));
        await run.DrainAsync(TimeSpan.FromSeconds(30));
        await Eventually.TrueAsync(
            async () => await run.Cluster.SumMetricAsync(ServiceKind.Queue, "mailpipeline_queue_membership", Cancellation) == 2,
            TimeSpan.FromMinutes(1), cancellation: Cancellation);
        await run.AssertCleanAsync(await run.EvidenceAsync());
    }

    [Fact]
    public async Task Silos_that_redis_has_forgotten_end_and_find_each_other_again()
    {
        await using var run = await EnterAsync("emptied");
        await run.SendAsync(Messages(run, "before", 20));
        await run.DrainAsync(TimeSpan.FromSeconds(30));

        await run.Servers.Redis.EmptyAsync(Cancellation);
        var silos = run.Cluster.Of(ServiceKind.Queue);
        foreach (var silo in silos)
        {
            await Eventually.TrueAsync(() => Task.FromResult(!silo.IsRunning), TimeSpan.FromMinutes(1), () => $"{silo.Name} runs on\n{silo.Output}", Cancellation);
            Assert.NotEqual(0, silo.Process.ExitCode);
            Assert.Contains("Redis has lost the row of this silo", silo.Output, StringComparison.Ordinal);
        }
        await run.SendAsync(Messages(run, "during", 20), o => o with { RetryRefused = false });
        // As Kubernetes does.
        foreach (var silo in silos)
            silo.Launch();
        await run.WaitUntilReadyAsync();
        Assert.Equal(2, await run.Cluster.SumMetricAsync(ServiceKind.Queue, "mailpipeline_queue_membership", Cancellation));

        // Each sees the other die.
        await silos[0].KillAsync();
        await run.SendAsync(Messages(run, "after", 20));
        var drained = await run.DrainAsync(TimeSpan.FromSeconds(60));
        Figures.Write($"all out {drained.TotalSeconds:F1} s after one of them was killed");
        await run.AssertCleanAsync(await run.EvidenceAsync());
    }

    /// <summary>False when somebody wrote just now: whoever holds one table and waits for the other may wait in a circle with those who write.</summary>
    private static async Task<bool> HoldUpWritesAsync(ClusterRun run, TimeSpan time)
    {
        try
        {
            await run.Servers.Postgres.QueryAsync(
                string.Create(CultureInfo.InvariantCulture, $"BEGIN; LOCK TABLE recipients, claims IN SHARE MODE NOWAIT; SELECT pg_sleep({time.TotalSeconds}); COMMIT"),
                run.Cluster.Connections.Database.Split("Database=")[1], Cancellation);
            return true;
        }
        catch (InvalidOperationException refused) when (refused.Message.Contains("could not obtain lock", StringComparison.Ordinal))
        {
            return false;
        }
    }

    /// <summary>False when storage was not there for it: who finds a connection that died with the store is told to try again.</summary>
    private static async Task<bool> IsLoggedInAsync(Pop3Client reader, string account)
    {
        try
        {
            await reader.CommandAsync($"USER {account}", Cancellation);
            await reader.CommandAsync($"PASS {ClusterRun.Password}", Cancellation);
            return true;
        }
        catch (Pop3RefusedException refused) when (refused.Message.Contains("[SYS/TEMP]", StringComparison.Ordinal))
        {
            return false;
        }
    }

    /// <summary>The fault shows in what alerts go by, within a minute.</summary>
    private static Task SeenAsync(ClusterRun run, ServiceKind kind, string counter, double before) => Eventually.TrueAsync(
        async () => await run.Cluster.SumMetricAsync(kind, counter, Cancellation) > before, TimeSpan.FromMinutes(1), () => counter, Cancellation);

    /// <summary>Hands in one message after the other until one is answered 250; returns how long that took.</summary>
    /// <param name="handIn">Its result is the code that ended the transaction.</param>
    private static Task<TimeSpan> AcceptedAsync(ClusterRun run, Func<LedgerMessage, Task<int>> handIn)
    {
        var tries = 0;
        var code = 0;
        // Its own message each time: the ledger knows one attempt by its token and number.
        return Eventually.TrueAsync(
            async () => (code = await handIn(Messages(run, $"after{tries++}-", 1)[0])) == 250,
            TimeSpan.FromSeconds(60), () => $"The last of {tries} was answered {code}", Cancellation);
    }

    private static async Task<int> SendUntilAsync(ClusterRun run, CancellationToken enough)
    {
        const int round = 100;
        var sent = 0;
        for (; !enough.IsCancellationRequested; sent += round)
            await run.SendAsync(Messages(run, $"t{sent}-", round), o => o with { Connections = 10, Pace = TimeSpan.FromMilliseconds(100) });
        return sent;
    }

    private async Task<ClusterRun> EnterAsync(string name)
    {
        var run = await ClusterRun.EnterAsync(shared, name, "ann");
        run.AddSink(SinkScript.AcceptAll, [.. Enumerable.Range(0, 10).Select(i => $"d{i}.example")]);
        return run;
    }

    private static List<LedgerMessage> Messages(ClusterRun run, string token, int count) => [.. Enumerable.Range(0, count).Select(i =>
        LedgerMessage.Create($"{token}{i}", "", i, 1000, new ExpectedRecipient($"{token}{i}@{run.Domain($"d{i % 10}.example")}")))];

    /// <summary>One message on an open session; the code that ended the transaction.</summary>
    private static async Task<int> TransactAsync(ClusterRun run, SmtpDialogue session, LedgerMessage message)
    {
        await run.Sent.AppendAsync(new Intent(
            TimeProvider.System.GetUtcNow(), message.Token, 1, message.Sender, [.. message.Recipients], message.BodyHash, message.SizeBytes));
        var (reply, recipient) = await TransactAsync(session, message);
        await run.Sent.AppendAsync(new Answer(TimeProvider.System.GetUtcNow(), message.Token, 1, [recipient], reply, DotSent: recipient == 250, ""));
        return reply;
    }

    private static async Task<(int Reply, int Recipient)> TransactAsync(SmtpDialogue session, LedgerMessage message)
    {
        foreach (var command in new[] { $"MAIL FROM:<{message.Sender}>", $"RCPT TO:<{message.Recipients[0].Address}>" })
        {
            if (await session.CommandAsync(command, Cancellation) is { Code: not 250 } refused)
                return await ResetAsync(refused.Code);
        }
        if (await session.CommandAsync("DATA", Cancellation) is { Code: not 354 } no)
            return await ResetAsync(no.Code);
        return ((await session.SendContentAsync(message, Cancellation))?.Code ?? 0, 250);

        async Task<(int Reply, int Recipient)> ResetAsync(int code)
        {
            await session.ExpectAsync("RSET", 250, Cancellation);
            return (code, 0);
        }
    }
}
