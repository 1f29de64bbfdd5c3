using MailPipeline.Mail;

namespace MailPipeline.Queue.Tests;

/// <summary>What operators say of mail that waits, by rules: what is kept back goes on as it was.</summary>
public sealed class RuleTests
{
    private static readonly OperatorIdentity s_ann = new("ann", "here");

    [Fact]
    public async Task What_a_rule_holds_waits_and_goes_when_the_rule_is_removed()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        await AddAsync(queue, "net", RuleAct.Hold, new() { Domain = new("*.example.net") });
        var held = await queue.AcceptAsync(hint: true, "sender@example.org", "a@mx.example.net");
        // The router's hint, the reconciler's look: neither lets it go.
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "b@example.net"));
        await Until.TrueAsync(async () => await queue.CountHeldDomainsAsync() == 1, "nobody wakes the domain any more");
        Assert.Equal(0, queue.Worker.AttemptsAt("mx.example.net"));
        Assert.Equal(RecipientState.Queued, (await queue.History.FindAsync(held, default))!.Recipients[0].State);

        Assert.NotNull(await queue.Rules.RemoveAsync("net", s_ann));
        await queue.OutcomeOfAsync(held);
        Assert.Equal(0, await queue.CountHeldDomainsAsync());
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task A_process_that_begins_hands_out_nothing_that_a_rule_holds()
    {
        await using var queue = await QueueUnderTest.StartAsync(before: async store =>
        {
            await AddAsync(store, "all", RuleAct.Hold, new() { Sender = new("sender@example.org") });
            await store.RouteAsync(RecipientRoute.Remote, "a@example.net", "b@example.net");
        });
        var other = await queue.AcceptAsync(hint: true, "other@example.org", "c@example.net");
        await queue.OutcomeOfAsync(other);
        await Until.TrueAsync(async () => await queue.CountHeldDomainsAsync() == 1, "nobody wakes the domain any more");
        Assert.Equal(1, queue.Worker.AttemptsAt("example.net"));
        // Who comes later is not kept by those before him.
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "other@example.org", "d@example.net"));
        Assert.Equal(2, queue.Worker.AttemptsAt("example.net"));
        Assert.NotNull(await queue.Rules.RemoveAsync("all", s_ann));
        await queue.DrainedAsync();
        Assert.Equal(4, queue.Worker.AttemptsAt("example.net"));
    }

    [Fact]
    public async Task More_than_memory_has_room_for_is_held_and_holds_up_nobody()
    {
        await using var queue = await QueueUnderTest.StartAsync(
            new() { ["Queue:WindowRecipients"] = "8", ["Queue:BatchRecipients"] = "4" },
            before: async store =>
            {
                await AddAsync(store, "bulk", RuleAct.Hold, new() { Recipient = new("example.net"), SenderDomain = new("example.org") });
                for (var i = 0; i < 10; i++)
                    await store.RouteAsync(RecipientRoute.Remote, [.. Enumerable.Range(0, 40).Select(number => $"r{i}.{number}@example.net")]);
            });
        // Of the same flow, and due after all of them.
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.com", "x@example.net"));
        Assert.Equal(1, queue.Worker.AttemptsAt("example.net"));
        await Until.TrueAsync(async () => await queue.CountHeldDomainsAsync() == 1, "nobody wakes the domain any more");
        Assert.NotNull(await queue.Rules.RemoveAsync("bulk", s_ann));
        await queue.DrainedAsync();
        Assert.Equal(401, queue.Worker.AttemptsAt("example.net"));
    }

    [Fact]
    public async Task What_is_released_has_the_time_of_its_next_attempt_and_its_attempts_as_before()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:RetrySteps:0"] = "00:30:00" });
        queue.Worker.Answer = _ => (AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 Mailbox full");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "b@example.net");
        await Until.TrueAsync(async () => (await queue.History.FindAsync(id, default))!.Recipients is [{ Attempts.Count: 1 }, { Attempts.Count: 1 }], "both are deferred");
        var before = await queue.ReadRecipientsAsync();
        await AddAsync(queue, "full", RuleAct.Hold, new() { Reply = "mailbox FULL" });
        await AddAsync(queue, "domain", RuleAct.Hold, new() { Domain = new("example.net") });
        await Until.TrueAsync(() => Task.FromResult(queue.Book.Current.Count == 2), "the rules are known");
        await queue.WakeAsync("example.net");
        Assert.NotNull(await queue.Rules.RemoveAsync("domain", s_ann));
        Assert.NotNull(await queue.Rules.RemoveAsync("full", s_ann));
        await Until.TrueAsync(() => Task.FromResult(queue.Book.Current.Count == 0), "they are removed");
        Assert.Equal(before, await queue.ReadRecipientsAsync());
    }

    [Fact]
    public async Task A_rule_with_an_end_lets_go_by_itself()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        await AddAsync(queue, "short", RuleAct.Suspend, new() { Domain = new("example.net") }, until: TimeProvider.System.GetUtcNow().AddSeconds(2));
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(async () => await queue.CountHeldDomainsAsync() == 1, "the domain is left alone");
        Assert.Empty(queue.Worker.Commands);
        await queue.OutcomeOfAsync(id);
        Assert.NotNull((await queue.Rules.FindAsync("short", default))!.EndedAt);
    }

    [Fact]
    public async Task A_site_is_suspended_for_all_domains_whose_mail_goes_there()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        queue.Worker.SiteOf = domain => domain == "other.example" ? "mx.other.example" : "mx1.hosts.example,mx2.hosts.example";
        await AddAsync(queue, "hosts", RuleAct.Suspend, new() { Site = new("*.hosts.example") });
        var first = await queue.AcceptAsync(hint: true, "sender@example.org", "a@one.example", "b@two.example");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "c@other.example"));
        // Where their mail goes the first batch of each has found out, untried.
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.Elsewhere.Count == 3), "all sites are known");
        await Until.TrueAsync(async () => await queue.CountHeldDomainsAsync() == 2, "both domains are left alone");
        Assert.Single(queue.Worker.Claims);
        await queue.Rules.RemoveAsync("hosts", s_ann);
        await queue.OutcomeOfAsync(first);
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task What_is_bounced_is_told_to_its_sender_with_the_text_of_the_rule_and_nothing_else_is()
    {
        await using var queue = await StartPausedAsync();
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("sender@example.org", "hash");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "b@example.net", "c@example.com");
        await Until.TrueAsync(async () => await queue.CountAsync() is { Queued: 3 }, "all are routed");
        await AddAsync(queue, "return", RuleAct.Bounce, new() { Domain = new("example.net") }, "this mailing was stopped");
        await Until.TrueAsync(async () => (await queue.Rules.FindAsync("return", default))!.EndedAt is not null, "the rule is done");
        Assert.Equal(2, (await queue.Rules.FindAsync("return", default))!.Done);
        var states = (await queue.History.FindAsync(id, default))!.Recipients.Select(recipient => recipient.State);
        Assert.Equal([RecipientState.Bounced, RecipientState.Bounced, RecipientState.Queued], states);
        // What comes afterwards is not meant.
        var later = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await queue.Operator.ResumeDeliveryAsync(s_ann);
        Assert.Equal(RecipientState.Delivered, (await queue.OutcomeOfAsync(later)).Recipients[0].State);
        await queue.ReportArrivesAsync();
        var report = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        Assert.Contains("this mailing was stopped", report, StringComparison.Ordinal);
        Assert.Contains("Status: 5.7.1", report, StringComparison.Ordinal);
        Assert.Contains("a@example.net", report, StringComparison.Ordinal);
        Assert.DoesNotContain("c@example.com", report, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_to_be_done_before_a_death_is_done_by_who_comes_also_to_what_is_held()
    {
        await using var queue = await QueueUnderTest.StartAsync(before: async store =>
        {
            await store.RouteAsync(RecipientRoute.Remote, "a@example.net", "b@example.net", "c@example.net");
            await AddAsync(store, "hold", RuleAct.Hold, new() { Domain = new("*") });
            await AddAsync(store, "stop", RuleAct.Bounce, new() { Domain = new("example.net") });
            // The first piece was done and noted, by somebody who died.
            Assert.True(await store.Rules.AdvanceAsync((await store.Rules.FindAsync("stop", default))!, 0, "1 0 0 example.net", null));
        });
        await Until.TrueAsync(async () => (await queue.Rules.FindAsync("stop", default))!.EndedAt is not null, "the rule is done");
        Assert.Equal(3, (await queue.Rules.FindAsync("stop", default))!.Done);
        // The report about them is held, too.
        Assert.All((await queue.ReadRecipientsAsync()).Take(3), recipient => Assert.Equal((long)RecipientState.Bounced, recipient.State));
        Assert.Empty(queue.Worker.Commands);
    }

    [Fact]
    public async Task Who_is_being_tried_when_a_rule_comes_is_bounced_when_he_waits_again()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:RetrySteps:0"] = "00:30:00" });
        var answer = new TaskCompletionSource();
        queue.Worker.Until = _ => answer.Task;
        queue.Worker.Answer = _ => (AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 Mailbox full");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.Claims.Count == 1), "a worker tries it");
        await AddAsync(queue, "stop", RuleAct.Expire, new() { Recipient = new("a@example.net") });
        await Until.TrueAsync(async () => await queue.Duty("rules").RoundAsync(), "the duty has seen that somebody is being tried");
        answer.SetResult();
        Assert.Equal(RecipientState.Expired, (await queue.OutcomeOfAsync(id)).Recipients[0].State);
        await Until.TrueAsync(async () => (await queue.Rules.FindAsync("stop", default))! is { EndedAt: not null, Done: 1 }, "the rule is done");
    }

    [Fact]
    public async Task Retry_means_now_also_through_a_back_off_and_the_rest_of_a_site()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:RetrySteps:0"] = "00:30:00" });
        queue.Worker.SiteOf = _ => "mx.hosts.example";
        queue.Worker.Reachable = _ => false;
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@one.example", "b@two.example");
        await Until.TrueAsync(async () => (await queue.FailuresAsync("one.example"), await queue.FailuresAsync("two.example")) is (> 0, > 0), "both back off");
        queue.Worker.Reachable = _ => true;
        await AddAsync(queue, "now", RuleAct.Retry, new() { Sender = new("sender@example.org") });
        Assert.All((await queue.OutcomeOfAsync(id)).Recipients, recipient => Assert.Equal(RecipientState.Delivered, recipient.State));
    }

    [Fact]
    public async Task What_is_held_by_message_is_released_by_a_rule()
    {
        await using var queue = await StartPausedAsync();
        var (held, other) = (
            await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "b@example.com"), await queue.AcceptAsync(hint: true, "sender@example.org", "c@example.net"));
        await Until.TrueAsync(async () => await queue.CountAsync() is { Queued: 3 }, "all are routed");
        await queue.Operator.HoldAsync(held, s_ann);
        await queue.Operator.ResumeDeliveryAsync(s_ann);
        await queue.OutcomeOfAsync(other);
        await AddAsync(queue, "go", RuleAct.Release, new() { Domain = new("example.net") });
        await Until.TrueAsync(
            async () => (await queue.History.FindAsync(held, default))!.Recipients is [{ State: RecipientState.Delivered }, { State: RecipientState.Held }], "one of the two goes");
        Assert.Equal(1, (await queue.Rules.FindAsync("go", default))!.Done);
    }

    [Fact]
    public async Task What_a_rule_holds_is_neither_told_of_as_late_nor_returned_and_what_it_suspends_is()
    {
        await using var queue = await StartPausedAsync(new() { ["Queue:DelayReportAfter"] = "00:00:01" });
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("sender@example.org", "hash");
        await AddAsync(queue, "hold", RuleAct.Hold, new() { Recipient = new("held@example.net") });
        await AddAsync(queue, "suspend", RuleAct.Suspend, new() { Domain = new("example.com") });
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "held@example.net", "late@example.com");
        await queue.Operator.ResumeDeliveryAsync(s_ann);
        await queue.ReportArrivesAsync();
        var report = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        Assert.Contains("late@example.com", report, StringComparison.Ordinal);
        Assert.DoesNotContain("held@example.net", report, StringComparison.Ordinal);
        await queue.Rules.RemoveAsync("hold", s_ann);
        await queue.Rules.RemoveAsync("suspend", s_ann);
        await queue.OutcomeOfAsync(id);
    }

    [Fact]
    public async Task What_a_rule_leads_elsewhere_goes_there_in_batches_of_its_own_and_says_nothing_of_the_domain()
    {
        await using var queue = await StartPausedAsync(new() { ["Queue:RetrySteps:0"] = "00:30:00" });
        queue.Worker.SiteOf = _ => "mx.hosts.example";
        queue.Worker.Reachable = _ => false;
        await AddAsync(queue, "elsewhere", RuleAct.Redirect, new() { Recipient = new("led@example.net") }, "backup.example:2525");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "led@example.net");
        await queue.Operator.ResumeDeliveryAsync(s_ann);
        await Until.TrueAsync(
            async () => (await queue.History.FindAsync(id, default))!.Recipients is [{ Attempts.Count: 1, Claimed: false }], "the other host does not answer");
        Assert.Equal(0, await queue.FailuresAsync("example.net"));
        queue.Worker.Reachable = _ => true;
        var other = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "led@example.net");
        await queue.OutcomeOfAsync(other);
        Assert.All(
            queue.Worker.Commands.Where(command => command.RedirectTo is not null),
            command => Assert.True(
                command is { RedirectTo: "backup.example:2525", EndsConnection: true, Site: null } && command.Recipients.All(recipient => recipient.Address == "led@example.net")));
        Assert.Equal(2, queue.Worker.Commands.Count(command => command.RedirectTo is not null));
        Assert.Contains(queue.Worker.Commands, command => command is { RedirectTo: null, Site: "mx.hosts.example" });
    }

    [Fact]
    public async Task A_rate_by_a_rule_counts_for_a_domain_and_for_a_site()
    {
        const int perSecond = 10, messages = 25;
        await using var queue = await QueueUnderTest.StartAsync();
        var arrivals = new System.Collections.Concurrent.ConcurrentQueue<(bool IsNamed, DateTimeOffset At)>();
        queue.Worker.SiteOf = domain => domain == "named.example.com" ? "elsewhere.example" : "mx.example.net";
        queue.Worker.Until = command =>
        {
            foreach (var _ in command.Recipients)
                arrivals.Enqueue((command.Domain == "named.example.com", TimeProvider.System.GetUtcNow()));
            return Task.CompletedTask;
        };
        Assert.Equal(RuleAddition.Added, (await queue.Rules.AddAsync(
            new QueueRule("domain", RuleAct.Rate, new() { Domain = new("named.example.com") }, "a test") { Rate = perSecond }, s_ann)).End);
        Assert.Equal(RuleAddition.Added, (await queue.Rules.AddAsync(
            new QueueRule("site", RuleAct.Rate, new() { Site = new("*.example.net") }, "a test") { Rate = perSecond }, s_ann)).End);
        await queue.Book.ReadAsync(default);
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

    private static Task<QueueUnderTest> StartPausedAsync(Dictionary<string, string?>? settings = null) =>
        QueueUnderTest.StartAsync(settings, before: store => store.Operator.PauseDeliveryAsync(s_ann));

    private static async Task AddAsync(
        QueueUnderTest queue, string name, RuleAct act, RuleConditions conditions, string text = "", DateTimeOffset? until = null)
    {
        var (end, _) = await queue.Rules.AddAsync(new QueueRule(name, act, conditions, "a test") { Text = text, Until = until }, s_ann);
        Assert.Equal(RuleAddition.Added, end);
        // What comes from now on finds it in force.
        await queue.Book.ReadAsync(default);
    }
}
