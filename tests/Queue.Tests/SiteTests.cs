using System.Collections.Concurrent;
using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;

namespace MailPipeline.Queue.Tests;

/// <summary>Domains behind the same hosts share what these bear, whatever silo and worker their mail is with.</summary>
public sealed class SiteTests
{
    private const string Site = "mx1.example.net,mx2.example.net";

    private static readonly OperatorIdentity s_operator = new("tester", "test");

    [Fact]
    public async Task A_domain_that_nobody_knows_is_handed_back_once_and_its_mail_goes_with_a_permit_then()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        queue.Worker.SiteOf = _ => Site;
        var first = await queue.AcceptAsync(hint: true, "sender@example.org", "ann@example.com", "ben@example.com");
        await queue.OutcomeOfAsync(first);
        Assert.Equal(["", Site], queue.Worker.Commands.Select(command => command.Site));
        Assert.Equal(2, queue.Worker.Commands.Last().Recipients.Length);
        var timeline = await queue.OutcomeOfAsync(first);
        Assert.All(timeline.Recipients, recipient => Assert.Single(recipient.Attempts));

        // It is known as long as the process lives, whoever forgets the domain.
        await queue.DrainedAsync();
        await queue.ForgetAsync("example.com");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "ann@example.com"));
        Assert.Single(queue.Worker.Elsewhere);
        Assert.Equal(Site, queue.Worker.Commands.Last().Site);
    }

    [Fact]
    public async Task The_order_of_a_senders_mail_is_kept_when_it_is_handed_back()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:BatchRecipients"] = "2", ["Queue:InitialConcurrency"] = "1", ["Queue:DomainConcurrency"] = "1" });
        queue.Worker.SiteOf = _ => Site;
        string[] recipients = [.. Enumerable.Range(0, 6).Select(i => $"r{i}@example.com")];
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", recipients));
        Assert.Equal(recipients, queue.Worker.Commands.Where(command => command.Site == Site).SelectMany(command => command.Recipients, (_, recipient) => recipient.Address));
    }

    [Fact]
    public async Task Mail_of_a_domain_whose_hosts_change_with_each_answer_goes_all_the_same()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        var asked = 0;
        queue.Worker.SiteOf = _ => $"mx{Interlocked.Increment(ref asked)}.example.net";
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "ann@example.com"));
        Assert.InRange(queue.Worker.Elsewhere.Count, 1, 5);
        Assert.Null(queue.Worker.Commands.Last().Site);
    }

    [Fact]
    public async Task Domains_of_one_site_share_its_connections_and_all_have_their_turn()
    {
        const int cap = 3, domains = 12;
        using var policy = new TempFolder("policy");
        await using var queue = await QueueUnderTest.StartAsync(new()
        {
            ["Queue:PolicyFile"] = policy.Write("policy.json", $$"""{ "Destinations": [ { "For": "mx:*.example.net", "Connections": {{cap}} } ] }"""),
            // What waits for its turn is not taken for lost meanwhile.
            ["Queue:BatchTimeout"] = "00:00:15",
        });
        var (open, most) = (0, 0);
        using var mayEnd = new SemaphoreSlim(0);
        queue.Worker.SiteOf = _ => Site;
        queue.Worker.Until = async _ =>
        {
            var now = Interlocked.Increment(ref open);
            for (var peak = most; now > peak; peak = most)
                Interlocked.CompareExchange(ref most, now, peak);
            await mayEnd.WaitAsync();
            Interlocked.Decrement(ref open);
        };
        var messages = new List<long>();
        for (var i = 0; i < domains; i++)
            messages.Add(await queue.AcceptAsync(hint: true, "sender@example.org", $"ann@d{i}.example.com"));
        await Until.TrueAsync(async () => await queue.CountWaitingAtAsync(Site) == domains - cap, "all others wait");
        Assert.Equal(cap, open);
        mayEnd.Release(domains);
        foreach (var message in messages)
            await queue.OutcomeOfAsync(message);
        Assert.Equal(cap, most);
        Assert.All(queue.Worker.Commands.Where(command => command.Site == Site), command => Assert.True(command is { SiteEpoch: not 0, EndsConnection: true }));
    }

    [Theory]
    [InlineData("mx:*.example.net", 12)]
    [InlineData("d0.example.com", 1)]
    public async Task A_connection_that_a_worker_keeps_goes_to_the_next_batch_with_its_permit(string limited, int domains)
    {
        const int cap = 3, messages = 60;
        using var policy = new TempFolder("policy");
        await using var queue = await QueueUnderTest.StartAsync(new()
        {
            ["Queue:PolicyFile"] = policy.Write("policy.json", $$"""{ "Destinations": [ { "For": "{{limited}}", "Connections": {{cap}}, "MessagesPerConnection": 2 } ] }"""),
            ["Queue:BatchTimeout"] = "00:00:15",
        });
        // By the batch that left it, when it is closed.
        var kept = new Dictionary<long, DateTimeOffset>();
        var changing = new Lock();
        var (made, most, working) = (0, 0, 0);
        var asOwn = new ConcurrentBag<long>();
        var own = await queue.ListenAsync(command => asOwn.Add(command.BatchId));
        queue.Worker.SiteOf = _ => Site;
        queue.Worker.Until = command =>
        {
            var now = TimeProvider.System.GetUtcNow();
            lock (changing)
            {
                made += kept.Remove(command.KeptAfter, out var until) && until >= now ? 0 : 1;
                most = Math.Max(most, ++working + kept.Values.Count(end => end >= now));
            }

            return Task.CompletedTask;
        };
        queue.Worker.KeptBy = command =>
        {
            lock (changing)
            {
                working--;
                if (command.MayKeep)
                    kept[command.BatchId] = TimeProvider.System.GetUtcNow() + KeptConnection.Time;
            }

            return command.MayKeep ? own : "";
        };
        var sent = new List<long>();
        for (var i = 0; i < messages; i++)
            sent.Add(await queue.AcceptAsync(hint: true, "sender@example.org", $"ann@d{i % domains}.example.com"));
        foreach (var message in sent)
            await queue.OutcomeOfAsync(message);
        var tried = queue.Worker.Commands.Where(command => command.Site == Site).ToList();
        Assert.All(tried, command => Assert.Equal((true, 2), (command.MayKeep, command.MessagesPerConnection)));
        Assert.All(tried.Where(command => command.KeptAfter != 0), command => Assert.Contains(command.BatchId, asOwn));
        Assert.InRange(made, 1, tried.Count / 2);
        Assert.InRange(most, 1, cap);
    }

    [Fact]
    public async Task What_has_ended_is_told_sooner_or_later_and_at_once_where_somebody_waits()
    {
        const int domains = 8;
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:SiteConcurrency"] = "4", ["Queue:InitialConcurrency"] = "4", ["Queue:BatchTimeout"] = "00:00:15" });
        using var permits = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.site_permits");
        queue.Worker.SiteOf = _ => Site;
        var sent = new List<long>();
        for (var i = 0; i < 5 * domains; i++)
            sent.Add(await queue.AcceptAsync(hint: true, "sender@example.org", $"ann@d{i % domains}.example.com"));
        foreach (var message in sent)
            await queue.OutcomeOfAsync(message);
        Assert.Contains(permits.GetMeasurementSnapshot(), measured => measured.Value > 0);
        await Until.TrueAsync(() => Task.FromResult(permits.GetMeasurementSnapshot().Sum(measured => measured.Value) == 0), "no permit is left");
    }

    [Fact]
    public async Task A_site_that_ended_in_order_is_taken_over_without_a_wait()
    {
        const string limited = "mx1.example.net";
        await using var queue = await QueueUnderTest.StartAsync();
        var first = await queue.Sites.TakeOverAsync(limited);
        Assert.False(first.IsAfterOthers);
        // Nobody has said that it ended.
        var second = await queue.Sites.TakeOverAsync(limited);
        Assert.True(second.IsAfterOthers);
        // Whose place another has taken ends nothing.
        await queue.Sites.ForgetAsync(limited, first.Epoch);
        var third = await queue.Sites.TakeOverAsync(limited);
        Assert.True(third.IsAfterOthers);
        await queue.Sites.ForgetAsync(limited, third.Epoch);
        Assert.False((await queue.Sites.TakeOverAsync(limited)).IsAfterOthers);
    }

    [Fact]
    public async Task A_permit_of_a_former_life_of_the_site_wins_no_claim()
    {
        using var policy = new TempFolder("policy");
        await using var queue = await QueueUnderTest.StartAsync(new()
        {
            ["Queue:PolicyFile"] = policy.Write("policy.json", """{ "Destinations": [ { "For": "mx:mx1.example.net", "Connections": 1 } ] }"""),
            ["Queue:BatchTimeout"] = "00:00:15",
        });
        queue.Worker.SiteOf = _ => Site;
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "ann@a.example.com"));
        var epoch = queue.Worker.Commands.Last().SiteEpoch;

        // As when its silo dies while the command is on the bus.
        queue.Worker.FateOf = command =>
        {
            if (command.SiteEpoch == epoch)
                TakeOverAsync().GetAwaiter().GetResult();
            return Worker.Fate.Done;
        };
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "ann@b.example.com"));
        Assert.Contains(queue.Worker.Elsewhere, command => command.SiteEpoch == epoch);
        Assert.True(queue.Worker.Commands.Last().SiteEpoch is var last && last != 0 && last != epoch);

        async Task TakeOverAsync()
        {
            await queue.ForgetSiteAsync(Site);
            await queue.Sites.TakeOverAsync(Site);
        }
    }

    [Fact]
    public async Task A_site_that_comes_back_to_memory_counts_what_workers_hold()
    {
        using var policy = new TempFolder("policy");
        await using var queue = await QueueUnderTest.StartAsync(new()
        {
            ["Queue:PolicyFile"] = policy.Write("policy.json", """{ "Destinations": [ { "For": "mx:mx1.example.net", "Connections": 1 } ] }"""),
            ["Queue:BatchTimeout"] = "00:00:15",
        });
        var mayEnd = new TaskCompletionSource();
        queue.Worker.SiteOf = _ => Site;
        queue.Worker.Until = command => command.Domain == "slow.example.com" ? mayEnd.Task : Task.CompletedTask;
        var slow = await queue.AcceptAsync(hint: true, "sender@example.org", "ann@slow.example.com");
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.Claims.Count == 1), "a worker holds a claim");
        await queue.ForgetSiteAsync(Site);
        await queue.ForgetAsync("slow.example.com");
        var quick = await queue.AcceptAsync(hint: true, "sender@example.org", "ann@quick.example.com");
        await Until.TrueAsync(async () => await queue.CountWaitingAtAsync(Site) == 1, "one domain waits for the other");
        Assert.Single(queue.Worker.Claims);
        mayEnd.SetResult();
        await queue.OutcomeOfAsync(slow);
        await queue.OutcomeOfAsync(quick);
    }

    [Fact]
    public async Task What_a_dead_worker_held_makes_room_when_it_is_taken_back()
    {
        using var policy = new TempFolder("policy");
        await using var queue = await QueueUnderTest.StartAsync(
            new() { ["Queue:PolicyFile"] = policy.Write("policy.json", """{ "Destinations": [ { "For": "mx:*", "Connections": 1 } ] }""") }, claimLease: TimeSpan.FromSeconds(1));
        var deaths = 0;
        queue.Worker.SiteOf = _ => Site;
        queue.Worker.FateOf = command => command.Site == Site && Interlocked.Increment(ref deaths) == 1 ? Worker.Fate.DiesWithClaim : Worker.Fate.Done;
        var one = await queue.AcceptAsync(hint: true, "sender@example.org", "ann@a.example.com");
        var other = await queue.AcceptAsync(hint: true, "sender@example.org", "ann@b.example.com");
        await queue.OutcomeOfAsync(one);
        await queue.OutcomeOfAsync(other);
    }

    [Fact]
    public async Task Hosts_that_cannot_be_reached_are_left_alone_by_all_their_domains_until_somebody_insists()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:RetrySteps:0"] = "01:00:00" });
        queue.Worker.SiteOf = _ => Site;
        queue.Worker.Reachable = _ => false;
        var first = await queue.AcceptAsync(hint: true, "sender@example.org", "ann@a.example.com");
        await Until.TrueAsync(async () => await queue.FailuresAsync("a.example.com") == 1, "the domain backs off");
        await Until.TrueAsync(async () => (await queue.Sites.FindAsync(Site, default)).Failures == 1, "the site rests");
        var tried = queue.Worker.Claims.Count;

        var second = await queue.AcceptAsync(hint: true, "sender@example.org", "ann@b.example.com");
        // It is handed back, because nobody knew where its mail goes, and then follows.
        await Until.TrueAsync(async () => await queue.FailuresAsync("b.example.com") == 1, "the other domain follows");
        Assert.Equal(tried, queue.Worker.Claims.Count);

        queue.Worker.Reachable = _ => true;
        Assert.Equal(FlushEnd.Started, (await queue.Flushes.FlushAsync("b.example.com", s_operator, null)).End);
        await queue.OutcomeOfAsync(second);
        // The outcome is written first.
        await Until.TrueAsync(
            async () => await queue.Sites.FindAsync(Site, default) == StoredSite.None with { RestUntil = DateTimeOffset.UnixEpoch }, "the site rests no more");
        Assert.Equal(FlushEnd.Started, (await queue.Flushes.FlushAsync("a.example.com", s_operator, null)).End);
        await queue.OutcomeOfAsync(first);
    }

    [Fact]
    public async Task Domains_that_wait_for_a_probe_follow_when_it_fails()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:RetrySteps:0"] = "00:00:01", ["Queue:RetrySteps:1"] = "01:00:00", ["Queue:BatchTimeout"] = "00:00:15" });
        var mayFail = new TaskCompletionSource();
        queue.Worker.SiteOf = _ => Site;
        queue.Worker.Reachable = _ => false;
        await queue.AcceptAsync(hint: true, "sender@example.org", "ann@a.example.com");
        await Until.TrueAsync(async () => (await queue.Sites.FindAsync(Site, default)).Failures == 1, "the site rests");
        queue.Worker.Until = _ => mayFail.Task;
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.Claims.Count == 2), "somebody probes it");
        await queue.AcceptAsync(hint: true, "sender@example.org", "ann@b.example.com");
        await Until.TrueAsync(async () => await queue.CountWaitingAtAsync(Site) == 1, "another domain waits for the probe");
        mayFail.SetResult();
        await Until.TrueAsync(async () => await queue.FailuresAsync("b.example.com") > 0, "it follows");
        Assert.Equal(2, queue.Worker.Claims.Count);
    }

    [Fact]
    public async Task A_rate_by_the_name_of_a_domain_and_one_by_its_hosts_keep_to_their_seconds()
    {
        const int perSecond = 20, messages = 60;
        using var policy = new TempFolder("policy");
        var path = policy.Write("policy.json", $$"""
            { "Destinations": [
              { "For": "named.example.com", "MessagesPerSecond": {{perSecond}} },
              { "For": "mx:*.example.net", "MessagesPerSecond": {{perSecond}} } ] }
            """);
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:PolicyFile"] = path });
        var arrivals = new ConcurrentQueue<(bool IsNamed, DateTimeOffset At)>();
        queue.Worker.SiteOf = domain => domain == "named.example.com" ? "elsewhere.example" : Site;
        queue.Worker.Until = command =>
        {
            foreach (var _ in command.Recipients)
                arrivals.Enqueue((command.Domain == "named.example.com", TimeProvider.System.GetUtcNow()));
            return Task.CompletedTask;
        };
        var sent = new List<long>();
        for (var i = 0; i < messages; i++)
        {
            sent.Add(await queue.AcceptAsync(hint: true, "sender@example.org", "ann@named.example.com"));
            sent.Add(await queue.AcceptAsync(hint: true, "sender@example.org", $"ann@d{i % 5}.example.com"));
        }
        foreach (var message in sent)
            await queue.OutcomeOfAsync(message);
        foreach (var isNamed in new[] { true, false })
        {
            var at = arrivals.Where(arrival => arrival.IsNamed == isNamed).Select(arrival => arrival.At).Order().ToList();
            Assert.Equal(messages, at.Count);
            Assert.All(at, first => Assert.InRange(at.Count(other => other >= first && other < first.AddSeconds(1)), 1, perSecond * 11 / 10));
        }
    }

    [Fact]
    public async Task A_message_over_one_connection_is_bounded_whatever_number_of_recipients_it_has()
    {
        using var policy = new TempFolder("policy");
        await using var queue = await QueueUnderTest.StartAsync(new()
        {
            ["Queue:PolicyFile"] = policy.Write("policy.json", """{ "Destinations": [ { "For": "*", "MessagesPerConnection": 2 } ] }"""),
        });
        await queue.Operator.PauseDeliveryAsync(s_operator);
        await Until.TrueAsync(() => Task.FromResult(queue.Gauge("paused") == 1), "the pause is seen");
        var messages = new List<long>();
        for (var i = 0; i < 5; i++)
            messages.Add(await queue.AcceptAsync(hint: true, "sender@example.org", "ann@example.com", "ben@example.com", "cid@example.com"));
        await Until.TrueAsync(async () => (await queue.CountAsync()).Queued == 15, "all wait");
        await queue.Operator.ResumeDeliveryAsync(s_operator);
        foreach (var message in messages)
            await queue.OutcomeOfAsync(message);
        Assert.All(queue.Worker.Commands, command => Assert.InRange(command.Recipients.DistinctBy(recipient => recipient.MessageId).Count(), 1, 2));
        Assert.Contains(queue.Worker.Commands, command => command.Recipients.Length == 6);
    }
}
