using System.Collections.Concurrent;
using MailPipeline.Mail;
using MailPipeline.Testing;

namespace MailPipeline.Queue.Tests;

/// <summary>A sender's rate holds over all his domains and whatever dies, and nobody else waits for it.</summary>
public sealed class SenderRateTests
{
    private const string Slow = "news@slow.example";
    private const string Key = "sender slow.example";

    [Fact]
    public async Task A_rate_holds_over_all_domains_others_do_not_wait_for_it_and_a_change_acts_at_once()
    {
        const int perSecond = 10, messages = 45, domains = 6;
        using var policy = new TempFolder("policy");
        var path = policy.Write("policy.json", Rate(perSecond));
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:PolicyFile"] = path, ["Queue:BatchTimeout"] = "00:00:15" });
        var arrivals = new ConcurrentQueue<(string Flow, DateTimeOffset At)>();
        queue.Worker.SiteOf = domain => domain.EndsWith("0.example.net", StringComparison.Ordinal) ? "mx.example.net" : "";
        queue.Worker.Until = command =>
        {
            foreach (var recipient in command.Recipients)
                arrivals.Enqueue((recipient.Flow, TimeProvider.System.GetUtcNow()));
            return Task.CompletedTask;
        };
        var slow = new List<long>();
        for (var i = 0; i < messages; i++)
            slow.Add(await queue.AcceptAsync(hint: true, Slow, $"r@d{i % domains}.example.net"));
        var others = new List<long>();
        for (var i = 0; i < domains; i++)
            others.Add(await queue.AcceptAsync(hint: true, "ann@quick.example", $"r@d{i}.example.net"));
        foreach (var message in others)
            await queue.OutcomeOfAsync(message);
        Assert.InRange(Of("slow.example").Count, 0, messages / 2);

        await Until.TrueAsync(() => Task.FromResult(Of("slow.example").Count >= 2 * perSecond), "two seconds of it have gone");
        var until = TimeProvider.System.GetUtcNow();
        await File.WriteAllTextAsync(path, Rate(1_000), TestContext.Current.CancellationToken);
        foreach (var message in slow)
            await queue.OutcomeOfAsync(message);
        var at = Of("slow.example");
        Assert.Equal(messages, at.Count);
        Assert.All(at.Where(first => first < until.AddSeconds(-1)), first => Assert.InRange(at.Count(other => other >= first && other < first.AddSeconds(1)), 1, perSecond * 11 / 10));
        Assert.All(
            queue.Worker.Commands.Where(command => command.Recipients.Any(recipient => recipient.Flow == "slow.example")),
            command => Assert.True(command.Sender == Key && command.SenderEpoch != 0 && command.Recipients.All(recipient => recipient.Flow == "slow.example")));
        Assert.All(queue.Worker.Commands.Where(command => command.Recipients.All(recipient => recipient.Flow == "quick.example")), command => Assert.Null(command.Sender));

        List<DateTimeOffset> Of(string flow) => [.. arrivals.Where(arrival => arrival.Flow == flow).Select(arrival => arrival.At).Order()];
    }

    [Fact]
    public async Task Who_waits_for_a_rate_is_told_whose_it_is_and_mail_to_maildrops_here_does_not_wait()
    {
        using var policy = new TempFolder("policy");
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:PolicyFile"] = policy.Write("policy.json", """{ "Senders": [ { "From": "*@slow.example", "MessagesPerHour": 4 } ] }""") });
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("ann@example.org", "hash");
        // Who has not sent for long has his first one at once.
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, Slow, "r@a.example.net"));
        var waits = new List<long>();
        for (var i = 0; i < 3; i++)
            waits.Add(await queue.AcceptAsync(hint: true, Slow, $"r{i}@a.example.net", $"r{i}@b.example.net"));
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, Slow, "ann@example.org"));
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "bob@quick.example", "r@a.example.net"));
        await Until.TrueAsync(async () => await queue.CountWaitingAtAsync(Key) == 2, "both domains wait, and storage knows it");
        var state = await queue.States.ReadAsync(default);
        Assert.Equal(["slow.example"], state.PacedSenders);
        Assert.NotNull(state.RateOf(RecipientRoute.Remote, "slow.example"));
        Assert.Null(state.RateOf(RecipientRoute.Local, "slow.example"));
        await queue.Duty("measure").RoundAsync();
        Assert.Equal(6, queue.Gauge("waiting", ("reason", "rateLimit")));
        Assert.All((await queue.History.FindAsync(waits[0], default))!.Recipients, recipient => Assert.Empty(recipient.Attempts));
    }

    [Fact]
    public async Task A_site_that_is_at_its_limit_does_not_use_up_the_rate_of_who_waits_for_it()
    {
        using var policy = new TempFolder("policy");
        await using var queue = await QueueUnderTest.StartAsync(new()
        {
            ["Queue:PolicyFile"] = policy.Write(
                "policy.json", """{ "Destinations": [ { "For": "mx:*", "Connections": 1 } ], "Senders": [ { "From": "slow.example", "MessagesPerMinute": 30 } ] }"""),
            ["Queue:BatchTimeout"] = "00:00:15",
        });
        var busy = new TaskCompletionSource();
        queue.Worker.SiteOf = domain => $"mx.{domain}";
        queue.Worker.Until = command => command is { Domain: "busy.example", Site: "mx.busy.example", Sender: null } ? busy.Task : Task.CompletedTask;
        var first = await queue.AcceptAsync(hint: true, "ann@quick.example", "r@busy.example");
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.Claims.Count == 1), "the site has as many connections as it may");
        var waits = await queue.AcceptAsync(hint: true, Slow, "r@busy.example");
        await Until.TrueAsync(async () => await queue.CountWaitingAtAsync("mx.busy.example") == 1, "it waits for the site, with the one permit that there is");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, Slow, "r@free.example"));
        busy.SetResult();
        await queue.OutcomeOfAsync(first);
        await queue.OutcomeOfAsync(waits);
    }

    [Fact]
    public async Task Hosts_that_cannot_be_reached_or_ask_for_less_do_not_slow_their_senders_down()
    {
        using var policy = new TempFolder("policy");
        await using var queue = await QueueUnderTest.StartAsync(new()
        {
            ["Queue:PolicyFile"] = policy.Write("policy.json", Rate(100)), ["Queue:RetrySteps:0"] = "01:00:00", ["Queue:BatchTimeout"] = "00:00:15",
        });
        queue.Worker.SiteOf = domain => $"mx.{domain}";
        queue.Worker.Reachable = domain => domain != "dead.example";
        queue.Worker.StateOf = domain => domain == "full.example" ? SiteState.SlowDown : SiteState.Answered;
        await queue.AcceptAsync(hint: true, Slow, "r@dead.example");
        await Until.TrueAsync(async () => await queue.FailuresAsync("dead.example") == 1, "the domain backs off");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, Slow, "r@full.example"));
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, Slow, "r@free.example"));
        await Until.TrueAsync(async () => (await queue.Sites.FindAsync("mx.dead.example", default)).Failures == 1, "the site rests");
        Assert.Equal(0, (await queue.Sites.FindAsync(Key, default)).Failures);
    }

    [Fact]
    public async Task A_permit_of_a_former_life_of_the_rate_wins_no_claim_and_costs_no_attempt()
    {
        using var policy = new TempFolder("policy");
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:PolicyFile"] = policy.Write("policy.json", Rate(50)), ["Queue:BatchTimeout"] = "00:00:15" });
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, Slow, "ann@a.example.com"));
        var epoch = queue.Worker.Commands.Last().SenderEpoch;
        Assert.NotEqual(0, epoch);

        // As when its silo dies while the command is on the bus.
        queue.Worker.FateOf = command =>
        {
            if (command.SenderEpoch == epoch)
                TakeOverAsync().GetAwaiter().GetResult();
            return Worker.Fate.Done;
        };
        var timeline = await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, Slow, "ann@b.example.com"));
        Assert.Single(Assert.Single(timeline.Recipients).Attempts);
        Assert.Contains(queue.Worker.Elsewhere, command => command.SenderEpoch == epoch);
        Assert.True(queue.Worker.Commands.Last().SenderEpoch is var last && last != 0 && last != epoch);

        async Task TakeOverAsync()
        {
            await queue.ForgetSiteAsync(Key);
            await queue.Sites.TakeOverAsync(Key);
        }
    }

    private static string Rate(int perSecond) => $$"""{ "Senders": [ { "From": "slow.example", "MessagesPerSecond": {{perSecond}} } ] }""";
}
