using MailPipeline.Mail;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;

namespace MailPipeline.Queue.Tests;

/// <summary>Messages on their way through the queue: handed out, tried again, held back by the limits of their domain.</summary>
public sealed class AttemptTests
{
    [Fact]
    public async Task A_hinted_message_is_routed_handed_out_and_done()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        using var underWay = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.under_way");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "b@example.net", "c@example.com");
        var timeline = await queue.OutcomeOfAsync(id);
        Assert.All(timeline.Recipients, r => Assert.Equal(RecipientState.Delivered, r.State));
        Assert.Equal(2, queue.Worker.AttemptsAt("example.net"));
        Assert.Equal(1, queue.Worker.AttemptsAt("example.com"));
        await queue.DrainedAsync();
        Assert.Equal(3, underWay.GetMeasurementSnapshot().Where(m => m.Value > 0).Sum(m => m.Value));
        Assert.Equal(0, underWay.GetMeasurementSnapshot().Sum(m => m.Value));
    }

    [Fact]
    public async Task A_deferred_recipient_is_tried_again_until_it_is_delivered()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        queue.Worker.Answer = r => r.Attempts < 3
            ? (AttemptOutcome.Deferred, "4.2.1", "450 4.2.1 try later")
            : (AttemptOutcome.Delivered, "2.0.0", "250 Ok");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        var recipient = Assert.Single((await queue.OutcomeOfAsync(id)).Recipients);
        Assert.Equal(
            [AttemptOutcome.Deferred, AttemptOutcome.Deferred, AttemptOutcome.Deferred, AttemptOutcome.Delivered],
            recipient.Attempts.Select(attempt => attempt.Outcome));
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task Where_mail_of_a_domain_goes_is_remembered_while_it_waits()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:RetrySteps:0"] = "01:00:00" });
        queue.Worker.Site = "mx.example.org";
        queue.Worker.Answer = _ => (AttemptOutcome.Deferred, "4.2.1", "450 4.2.1 try later");
        await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(
            async () => (await queue.Waiting.SummarizeAsync(1, QueueState.Unknown, isPaused: false, default)).Domains is [{ Site: "mx.example.org" }], "the site is remembered");
    }

    [Fact]
    public async Task A_retry_is_made_while_another_batch_of_the_domain_is_under_way()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        var slow = new TaskCompletionSource();
        queue.Worker.Until = command => command.Recipients.Any(r => r.Address == "slow@example.net") ? slow.Task : Task.CompletedTask;
        queue.Worker.Answer = r => r is { Address: "grey@example.net", Attempts: 0 }
            ? (AttemptOutcome.Deferred, "4.7.1", "450 4.7.1 greylisted")
            : (AttemptOutcome.Delivered, "2.0.0", "250 Ok");
        var blocked = await queue.AcceptAsync(hint: true, "sender@example.org", "slow@example.net");
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.AttemptsAt("example.net") == 1), "the slow one is under way");
        var grey = await queue.AcceptAsync(hint: true, "sender@example.org", "grey@example.net");

        Assert.Equal(2, Assert.Single((await queue.OutcomeOfAsync(grey)).Recipients).Attempts.Count);
        Assert.Equal(RecipientState.Queued, Assert.Single((await queue.History.FindAsync(blocked, default))!.Recipients).State);
        slow.SetResult();
        await queue.OutcomeOfAsync(blocked);
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task A_dead_domain_backs_off_and_does_not_hold_up_a_healthy_one()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:RetrySteps:0"] = "01:00:00" });
        queue.Worker.Reachable = domain => domain != "dead.example.net";
        for (var i = 0; i < 50; i++)
            await queue.AcceptAsync(hint: true, "sender@example.org", $"user{i}@dead.example.net");
        await Until.TrueAsync(
            async () => (await queue.Waiting.SummarizeAsync(10, QueueState.Unknown, isPaused: false, default)).Domains.Any(d => d is { Domain: "dead.example.net", Failures: > 0 }),
            "the dead domain backs off");
        var attempts = queue.Worker.AttemptsAt("dead.example.net");
        var healthy = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.com");
        await queue.OutcomeOfAsync(healthy);
        await queue.AcceptAsync(hint: true, "sender@example.org", "late@dead.example.net");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "b@example.com"));
        Assert.InRange(queue.Worker.AttemptsAt("dead.example.net"), attempts, 50);
    }

    [Fact]
    public async Task A_queue_that_moves_to_another_silo_counts_what_is_still_under_way()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:InitialConcurrency"] = "1", ["Queue:DomainConcurrency"] = "1" });
        var slow = new TaskCompletionSource();
        queue.Worker.Until = _ => slow.Task;
        using var dispatched = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.dispatched");
        var first = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(async () => (await queue.CountAsync()).Claims == 1, "the claim is won");
        await queue.ForgetAsync("example.net");

        var second = await queue.AcceptAsync(hint: true, "sender@example.org", "b@example.net");
        await Until.TrueAsync(async () => (await queue.History.FindAsync(second, default))!.Recipients.Count > 0, "the second message is routed");
        await queue.WakeAsync("example.net");
        Assert.Equal(1, dispatched.GetMeasurementSnapshot().Sum(m => m.Value));
        slow.SetResult();

        Assert.Single(Assert.Single((await queue.OutcomeOfAsync(first)).Recipients).Attempts);
        Assert.Single(Assert.Single((await queue.OutcomeOfAsync(second)).Recipients).Attempts);
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task A_domain_with_as_many_workers_as_it_begins_with_waits_for_no_worker()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:InitialConcurrency"] = "1", ["Queue:BatchRecipients"] = "1" });
        var slow = new TaskCompletionSource();
        queue.Worker.Until = _ => slow.Task;
        await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "b@example.net", "c@example.net");
        await Until.TrueAsync(() => Task.FromResult(queue.Gauge("due", ("waits_for", "limit")) == 2), "two recipients wait for the limit of their domain");
        Assert.Equal(0, queue.Gauge("due", ("waits_for", "worker")));
        slow.SetResult();
        await queue.DrainedAsync();
    }
}
