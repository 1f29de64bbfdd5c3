using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using MailPipeline.Testing;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;

namespace MailPipeline.Queue.Tests;

/// <summary>What is lost, doubled or late between the queue and its workers: storage says what is true.</summary>
public sealed class RepairTests
{
    [Fact]
    public async Task A_message_whose_hint_was_lost_is_found_by_the_reconciler()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        using var forgotten = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.forgotten");
        var id = await queue.AcceptAsync(hint: false, "sender@example.org", "a@example.net");
        Assert.Equal(RecipientState.Delivered, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).State);
        Assert.Equal(1, forgotten.GetMeasurementSnapshot().Sum(m => m.Value));
    }

    [Fact]
    public async Task An_outcome_that_storage_refuses_is_not_repeated_and_holds_its_recipient_alone()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        using var held = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.held");
        await queue.ExecuteAsync(
            "CREATE TRIGGER refuse BEFORE INSERT ON attempts WHEN NEW.reply LIKE '%poison%' BEGIN SELECT RAISE(ABORT, 'refused'); END");
        queue.Worker.Answer = recipient => recipient.Attempts > 0 ? (AttemptOutcome.Delivered, "2.0.0", "250 ok")
            : recipient.Address.StartsWith('b') ? (AttemptOutcome.Deferred, "4.2.0", "450 poison") : (AttemptOutcome.Deferred, "4.2.0", "450 later");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "b@example.net", "c@example.net");

        await Until.TrueAsync(
            async () => (await queue.History.FindAsync(id, default))!.Recipients is { Count: 3 } all && all.All(recipient => recipient.State != RecipientState.Queued),
            "all have an end, or are held");
        var recipients = (await queue.History.FindAsync(id, default))!.Recipients;
        Assert.Equal([RecipientState.Delivered, RecipientState.Held, RecipientState.Delivered], recipients.Select(recipient => recipient.State));
        Assert.Equal(HoldRule.Refused, recipients[1].HoldReason);
        Assert.Equal(1, held.GetMeasurementSnapshot().Sum(m => m.Value));
        Assert.Equal($"message={MessageIds.ToText(id)} to=<b@example.net> status=held reply={HoldRule.Refused}", Assert.Single(queue.Lines(2057)));
        await Until.TrueAsync(async () => (await queue.CountAsync()).Claims == 0, "no claim is left");
        // The store was there all the time.
        Assert.Empty(queue.Lines(2020));
    }

    [Fact]
    public async Task What_a_commit_in_doubt_has_recorded_is_said_one_by_one_too()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        queue.Doubts.Enqueue(StorageFault.OutcomeUnknown);
        queue.Doubts.Enqueue(StorageFault.Refused);
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.1.1", "550 no");
        await queue.AcceptAsync(hint: true, "", "a@example.net", "b@example.net");

        await Until.TrueAsync(() => Task.FromResult(queue.Lines(2023).Count == 1), "the whole is refused");
        await Until.TrueAsync(async () => (await queue.CountAsync()).Claims == 0, "the claim is over");
        await Until.TrueAsync(() => Task.FromResult(queue.Lines(2021).Count == 2), "both outcomes are said");
        Assert.Empty(queue.Lines(2057));
    }

    [Fact]
    public async Task A_report_in_which_nothing_was_tried_does_not_wake_a_domain_that_backs_off()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:RetrySteps:0"] = "01:00:00" });
        queue.Worker.Reachable = _ => false;
        using var attempts = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.attempts");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(async () => await queue.FailuresAsync("example.net") > 0, "the domain backs off");

        await queue.ReportAsync(new AttemptReport("example.net", 4711, 4711, [Result(AttemptOutcome.NotAttempted)], Unreachable: false));
        await Until.TrueAsync(() => Task.FromResult(HasReported("notattempted")), "the report was read");
        // A report that comes late, of a batch that nobody remembers.
        await queue.ReportAsync(new AttemptReport("example.net", 4712, 4712, [Result(AttemptOutcome.Delivered)], Unreachable: false));
        await Until.TrueAsync(() => Task.FromResult(HasReported("delivered")), "the late report was read");

        Assert.Equal(1, await queue.FailuresAsync("example.net"));

        bool HasReported(string outcome) => attempts.GetMeasurementSnapshot().Any(m => m.Value > 0 && outcome.Equals(m.Tags["outcome"]));

        AttemptResult Result(AttemptOutcome outcome) =>
            new(RecipientIds.Of(id, 0), outcome, "4.0.0", "", "", DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch);
    }

    [Fact]
    public async Task A_report_is_believed_of_what_its_claim_holds_and_an_old_one_makes_no_domain_back_off()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        var slow = new TaskCompletionSource();
        queue.Worker.Until = _ => slow.Task;
        using var attempts = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.attempts");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        // The row is there before the worker has been told.
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.Claims.Count == 1), "the claim is won");
        var held = queue.Worker.Claims.Single().Id;
        var failed = new AttemptResult(
            RecipientIds.Of(id, 0), AttemptOutcome.Failed, "5.1.1", "550 no", "", DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch);

        // A claim that is over, or was never there; one that is held, in the name of another domain.
        await queue.ReportAsync(new AttemptReport("example.net", held + 1000, held + 1000, [failed], Unreachable: true));
        await queue.ReportAsync(new AttemptReport("example.com", held, held, [failed], Unreachable: true));
        await Until.TrueAsync(
            () => Task.FromResult(attempts.GetMeasurementSnapshot().Count(m => m.Value > 0 && "failed".Equals(m.Tags["outcome"])) == 2), "both were read");
        await queue.ReportAsync(new AttemptReport("example.com", held + 2000, held + 2000, [failed], Unreachable: false));
        await Until.TrueAsync(
            () => Task.FromResult(attempts.GetMeasurementSnapshot().Count(m => m.Value > 0 && "failed".Equals(m.Tags["outcome"])) == 3), "the queue went on");

        Assert.Equal(0, await queue.FailuresAsync("example.net"));
        Assert.Equal(0, await queue.FailuresAsync("example.com"));
        Assert.Equal(1, (await queue.CountAsync()).Claims);
        slow.SetResult();
        Assert.Equal(RecipientState.Delivered, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).State);
        await queue.DrainedAsync();
    }

    /// <summary>What a worker has no source address for waits for its own time, says nothing of the domain, and holds up nobody.</summary>
    [Theory]
    [InlineData(AttemptOutcome.NotAttempted, 0)]
    [InlineData(AttemptOutcome.Deferred, 1)]
    public async Task What_a_worker_puts_off_holds_up_nobody(AttemptOutcome outcome, int attempts)
    {
        var later = TimeProvider.System.GetUtcNow().AddHours(1);
        await using var queue = await QueueUnderTest.StartAsync(before: queue =>
            queue.Store.SetBackoffAsync("example.net", new DomainBackoff(2, TimeProvider.System.GetUtcNow().AddMilliseconds(-1), "no route to host")));
        queue.Worker.PutsOff = recipient => recipient.Address.StartsWith("bulk", StringComparison.Ordinal) ? later : null;
        queue.Worker.Answer = recipient => recipient.Address.StartsWith("bulk", StringComparison.Ordinal) ? (outcome, "4.4.5", "tomorrow") : (AttemptOutcome.Delivered, "2.0.0", "250 Ok");
        var bulk = await queue.AcceptAsync(hint: true, "news@example.org", "bulk@example.net");
        async Task<RecipientTimeline?> LookAsync() => (await queue.History.FindAsync(bulk, default))!.Recipients.SingleOrDefault();
        await Until.TrueAsync(async () => (await LookAsync()) is { Claimed: false, NextAttemptAt: var next } && next > later.AddSeconds(-1), "it is put off");
        // Nobody has tried the domain.
        Assert.Equal(2, await queue.FailuresAsync("example.net"));
        Assert.Equal(attempts, (await LookAsync())!.Attempts.Count);

        var other = await queue.AcceptAsync(hint: true, "ann@example.org", "ann@example.net");
        Assert.Equal(RecipientState.Delivered, Assert.Single((await queue.OutcomeOfAsync(other)).Recipients).State);
        Assert.Equal(1, queue.Worker.Commands.Count(command => command.Recipients.Any(recipient => recipient.Address == "bulk@example.net")));
    }

    [Fact]
    public async Task A_report_of_a_worker_that_won_nothing_leaves_the_claim_to_the_one_who_did()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        var slow = new TaskCompletionSource();
        queue.Worker.Until = _ => slow.Task;
        using var attempts = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.attempts");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(async () => (await queue.CountAsync()).Claims == 1, "the claim is won");

        var command = Assert.Single(queue.Worker.Commands);
        var nothing = command.Recipients.Select(recipient => new AttemptResult(
            recipient.RecipientId, AttemptOutcome.NotAttempted, "4.0.0", "", "", DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch));
        await queue.ReportAsync(new AttemptReport(command.Domain, command.BatchId, 0, [.. nothing], Unreachable: false, NothingWon: true));
        await Until.TrueAsync(() => Task.FromResult(attempts.GetMeasurementSnapshot().Any(m => m.Value > 0)), "the report was read");
        // What is read from storage goes out before the second message does.
        await queue.AcceptAsync(hint: true, "sender@example.org", "b@example.net");
        await Until.TrueAsync(async () => (await queue.CountAsync()).Claims == 2, "the next message is under way");
        slow.SetResult();

        Assert.Single(Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).Attempts);
        Assert.Equal(2, queue.Worker.AttemptsAt("example.net"));
        await queue.DrainedAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_a_worker_who_stops_hands_back_is_handed_out_while_he_is_still_at_the_rest(bool isReported)
    {
        await using var queue = await QueueUnderTest.StartAsync();
        var slow = new TaskCompletionSource();
        queue.Worker.Until = command => command.Recipients.Length == 2 ? slow.Task : Task.CompletedTask;
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "b@example.net");
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.Claims.Count == 1), "the claim is won");
        var command = Assert.Single(queue.Worker.Commands);

        var back = command.Recipients[1];
        await queue.Claims.ReleaseAsync(Assert.Single(queue.Worker.Claims).Id, [back.RecipientId], default);
        var result = new AttemptResult(back.RecipientId, AttemptOutcome.NotAttempted, "4.0.0", "", "", DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch);
        if (isReported)
            await queue.ReportAsync(new AttemptReport(command.Domain, command.BatchId, queue.Worker.Claims.First().Id, [result], Unreachable: false, NothingWon: true, GoesOn: true));
        await Until.TrueAsync(
            async () => (await queue.History.FindAsync(id, default))!.Recipients.Any(r => r.State == RecipientState.Delivered), "another delivers it");
        await Until.TrueAsync(async () => (await queue.CountAsync()).Claims == 1, "only the first is left");
        slow.SetResult();

        Assert.All((await queue.OutcomeOfAsync(id)).Recipients, recipient => Assert.Single(recipient.Attempts));
        Assert.Equal(2, queue.Worker.Commands.Count);
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task Commands_and_reports_that_come_twice_change_nothing()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        queue.Worker.FateOf = _ => Worker.Fate.Twice;
        queue.Worker.Answer = r => r.Attempts < 1
            ? (AttemptOutcome.Deferred, "4.2.1", "450 4.2.1 try later")
            : (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user");
        var id = await queue.AcceptAsync(hint: true, "", "a@example.net");
        Assert.Equal(2, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).Attempts.Count);
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task A_hint_that_comes_twice_changes_nothing()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        var id = await queue.AcceptAsync(hint: false, "sender@example.org", "a@example.net");
        var message = new Envelope(id, "sender@example.org", ["a@example.net"], 50, BodyType.SevenBit, TimeProvider.System.GetUtcNow(), "");
        for (var i = 0; i < 5; i++)
            await queue.Bus.SendAsync(BusEndpoints.MessageAccepted, new[] { message }.ToMessageAccepted(), default);
        Assert.Single((await queue.OutcomeOfAsync(id)).Recipients);
        await queue.DrainedAsync();
        Assert.Equal(1, queue.Worker.AttemptsAt("example.net"));
    }

    [Fact]
    public async Task A_batch_lost_on_the_bus_is_given_again()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        queue.Worker.FateOf = _ => queue.Worker.Commands.Count == 1 ? Worker.Fate.Lost : Worker.Fate.Done;
        using var lost = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.batches_lost");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        Assert.Single(Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).Attempts);
        Assert.Equal(1, lost.GetMeasurementSnapshot().Sum(m => m.Value));
        Assert.Single(queue.Lines(2002));
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task A_worker_that_dies_with_its_claim_leaves_a_counted_uncertain_attempt_and_another_takes_over()
    {
        await using var queue = await QueueUnderTest.StartAsync(claimLease: TimeSpan.FromSeconds(2));
        queue.Worker.FateOf = _ => queue.Worker.Commands.Count == 1 ? Worker.Fate.DiesWithClaim : Worker.Fate.Done;
        using var uncertain = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.uncertain");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        Assert.Equal(
            [AttemptOutcome.Uncertain, AttemptOutcome.Delivered],
            Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).Attempts.Select(attempt => attempt.Outcome));
        Assert.Equal(1, uncertain.GetMeasurementSnapshot().Sum(m => m.Value));
        Assert.Matches(
            $@"^message={MessageIds.ToText(id)} to=<a@example\.net> relay=- status=uncertain dsn=4\.4\.2 next=\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ reply=the worker that tried it died or lost its lease, perhaps after the final dot$",
            Assert.Single(queue.Lines(2063)));
        await queue.DrainedAsync();
    }

    /// <summary>Its claim ends as the batch is overdue, and has not been looked for before.</summary>
    [Fact]
    public async Task A_batch_that_was_taken_back_from_a_dead_worker_was_not_lost_on_its_way()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        using var underWay = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.under_way");
        var slow = new TaskCompletionSource();
        queue.Worker.Until = _ => slow.Task;
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(async () => (await queue.CountAsync()).Claims == 1, "the claim is won");

        // As the reconciler of another silo does.
        var taken = await queue.TakeBacks.TakeBackAsync(
            evenIfLeased: true, _ => new(RecipientState.Queued, TimeProvider.System.GetUtcNow().AddHours(1)), TimeSpan.Zero, default);
        Assert.Equal(1, taken.Interrupted);
        await Until.TrueAsync(() => Task.FromResult(underWay.GetMeasurementSnapshot().Sum(m => m.Value) == 0), "the batch is over");
        await queue.WakeAsync("example.net");
        Assert.Equal(1, (await queue.Store.FindQueuedAsync(RecipientIds.Of(id, 0), default))!.Attempts);
        Assert.Empty(queue.Lines(2002));
        slow.SetResult();
    }

    [Fact]
    public async Task A_flush_is_obeyed_by_the_queue_of_a_domain_that_backs_off()
    {
        await using var queue = await QueueUnderTest.StartAsync(new Dictionary<string, string?> { ["Queue:RetrySteps:0"] = "1.00:00:00" });
        var isReachable = false;
        queue.Worker.Reachable = _ => Volatile.Read(ref isReachable);
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(async () => (await queue.Store.FindBackoffAsync("example.net", default)).Failures > 0, "the domain backs off");
        await Until.TrueAsync(async () => (await queue.Store.FindQueuedAsync(RecipientIds.Of(id, 0), default))!.Attempts > 0, "the attempt is recorded");

        Volatile.Write(ref isReachable, true);
        Assert.Equal(new QueueFlush(FlushEnd.Started, 1), await queue.Flushes.FlushAsync("example.net", new("ann"), bounds: null));
        Assert.Equal(RecipientState.Delivered, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).State);
    }

    [Fact]
    public async Task A_probe_that_delivered_all_ends_the_backoff_though_its_report_has_not_come()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        var isReachable = false;
        queue.Worker.Reachable = _ => Volatile.Read(ref isReachable);
        queue.Worker.FateOf = _ => Volatile.Read(ref isReachable) ? Worker.Fate.DiesAfterRecord : Worker.Fate.Done;
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(async () => (await queue.Store.FindBackoffAsync("example.net", default)).Failures > 0, "the domain backs off");

        Volatile.Write(ref isReachable, true);
        Assert.Equal(RecipientState.Delivered, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).State);
        await Until.TrueAsync(async () => (await queue.Store.FindBackoffAsync("example.net", default)).Failures == 0, "it can be reached");
        Assert.Empty(queue.Lines(2002));
    }

    [Fact]
    public async Task The_report_of_a_claim_that_ended_with_its_record_is_not_recorded_again()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        using var underWay = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.under_way");
        queue.Worker.FateOf = _ => Worker.Fate.EndsClaim;
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await queue.OutcomeOfAsync(id);
        await Until.TrueAsync(
            () => Task.FromResult(underWay.GetMeasurementSnapshot() is { Count: > 1 } all && all.Sum(m => m.Value) == 0), "the batch is over");

        Assert.Empty(queue.ClaimsRecorded);
        Assert.Equal(0, (await queue.CountAsync()).Claims);
        // Late, and repeated: it changes nothing and writes nothing.
        var command = Assert.Single(queue.Worker.Commands);
        var now = TimeProvider.System.GetUtcNow();
        await queue.ReportAsync(new AttemptReport(
            command.Domain, command.BatchId, Assert.Single(queue.Worker.Claims).Id, [new(command.Recipients[0].RecipientId, AttemptOutcome.Delivered, "2.0.0", "250 ok", "", now, now)],
            Unreachable: false, HasEnded: true));
        Assert.Single((await queue.OutcomeOfAsync(id)).Recipients[0].Attempts);
        Assert.Empty(queue.ClaimsRecorded);
    }

    /// <summary>The command came again, and another worker has won what the first one could not: it is his until he reports.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_report_of_a_claim_that_ended_frees_nobody_whom_another_worker_has_won_of_the_same_batch_since(bool hasEnded)
    {
        await using var queue = await QueueUnderTest.StartAsync();
        var slow = new TaskCompletionSource();
        queue.Worker.Until = _ => slow.Task;
        using var attempts = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.attempts");
        await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(async () => (await queue.CountAsync()).Claims == 1, "the claim is won");
        var command = Assert.Single(queue.Worker.Commands);
        var now = TimeProvider.System.GetUtcNow();

        await queue.ReportAsync(new AttemptReport(
            command.Domain, command.BatchId, await queue.Claims.NextIdAsync(default),
            [new(command.Recipients[0].RecipientId, AttemptOutcome.NotAttempted, "4.0.0", "not won", "", now, now)], Unreachable: false, HasEnded: hasEnded));
        await Until.TrueAsync(() => Task.FromResult(attempts.GetMeasurementSnapshot().Any(m => m.Value > 0)), "the report was read");
        await queue.WakeAsync("example.net");

        Assert.True(await queue.Store.IsClaimHeldAsync(Assert.Single(queue.Worker.Claims).Id, "example.net", default));
        Assert.Equal(ClaimUpdate.Applied, await queue.Claims.NoteDotsAsync(queue.Worker.Claims.First().Id, [command.Recipients[0].RecipientId], default));
        Assert.Empty((await queue.Claims.TakeAsync(0, "example.net", command.Recipients, begun: true, default)).Won);
        slow.SetResult();
        await queue.DrainedAsync();
    }

    /// <summary>Nothing of the claim is left, and what was handed out was not lost on its way.</summary>
    [Fact]
    public async Task A_worker_that_dies_between_its_last_record_and_its_report_leaves_nothing_to_repair()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        using var underWay = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.under_way");
        using var lost = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.batches_lost");
        queue.Worker.FateOf = _ => Worker.Fate.DiesAfterRecord;
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        var timeline = await queue.OutcomeOfAsync(id);
        Assert.Equal(RecipientState.Delivered, Assert.Single(timeline.Recipients).State);
        Assert.Equal(0, (await queue.CountAsync()).Claims);

        await Until.TrueAsync(
            () => Task.FromResult(underWay.GetMeasurementSnapshot() is { Count: > 1 } all && all.Sum(m => m.Value) == 0), "the batch is over");
        await queue.WakeAsync("example.net");
        Assert.Equal(0, lost.GetMeasurementSnapshot().Sum(m => m.Value));
        Assert.Empty(queue.Lines(2002));
        Assert.Single(queue.Worker.Commands);
        Assert.Equal(0, (await queue.TakeBacks.TakeBackAsync(
            evenIfLeased: true, _ => new(RecipientState.Queued, TimeProvider.System.GetUtcNow()), TimeSpan.Zero, default)).Unbegun);
    }

    [Fact]
    public async Task Who_waits_under_a_claim_that_is_not_there_is_freed_counted_and_tried()
    {
        MetricCollector<long>? ownerless = null;
        var id = 0L;
        await using var queue = await QueueUnderTest.StartAsync(before: async queue =>
        {
            ownerless = new(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.ownerless");
            id = await queue.RouteAsync(RecipientRoute.Remote, "a@example.net");
            await queue.ExecuteAsync("UPDATE recipients SET claim = 7, next_attempt_at = 1; UPDATE domain_queues SET due_at = 1");
        });

        await Until.TrueAsync(() => Task.FromResult(queue.Worker.Commands.Count == 1 && queue.Lines(2066).Any()), "it is tried and told of");
        Assert.Equal($"message={MessageIds.ToText(id)} to=<a@example.net> waited under claim 7, which is not there: a fault; it is due again", Assert.Single(queue.Lines(2066)));
        Assert.Equal(1, ownerless!.GetMeasurementSnapshot().Sum(m => m.Value));
    }

    [Fact]
    public async Task A_recipient_that_is_held_is_not_said_to_be_deferred()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        queue.Worker.Answer = _ => (AttemptOutcome.Uncertain, "4.4.2", "closed");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(() => Task.FromResult(queue.Lines(2057).Count == 1), "it is held");

        Assert.Equal($"message={MessageIds.ToText(id)} to=<a@example.net> status=held reply={HoldRule.Uncertain(3)}", queue.Lines(2057)[0]);
        Assert.Equal(2, queue.Lines(2022).Count);
    }

    [Fact]
    public async Task What_the_last_process_was_at_when_it_died_is_counted_by_how_far_it_was()
    {
        MetricCollector<long>? uncertain = null, takenBack = null;
        var id = 0L;
        await using var queue = await QueueUnderTest.StartAsync(
            new() { ["Queue:RetrySteps:0"] = "01:00:00", ["Queue:Uncertain:Steps:0"] = "01:00:00" },
            before: async queue =>
            {
                uncertain = new(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.uncertain");
                takenBack = new(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.taken_back");
                id = await queue.AcceptAsync(hint: false, "sender@example.org", "a@example.net", "b@example.net", "c@example.net", "d@example.net");
                var message = Assert.Single(await queue.Store.ListUnroutedAsync(0, DateTimeOffset.MaxValue, 10, default));
                var recipients = (await queue.Store.RouteAsync(
                    [new RoutedMessage(message, [.. message.Recipients.Select(to => new RoutedRecipient(to, "", "example.net", RecipientRoute.Remote))])]))
                    .Select(made => made.Recipient).ToArray();
                var begun = await queue.Claims.TakeAsync(7, "example.net", recipients[..2], begun: true, default);
                await queue.Claims.NoteDotsAsync(begun.Id, [recipients[0].RecipientId], default);
                await queue.Claims.TakeAsync(8, "example.net", recipients[2..3], begun: true, default);
                await queue.Claims.TakeAsync(9, "example.net", recipients[3..], begun: false, default);
            });

        Assert.Equal(1, uncertain!.GetMeasurementSnapshot().Sum(m => m.Value));
        Assert.Equal(
            [
                ("<a@example.net>", "status=uncertain"),
                ("<c@example.net>", "status=deferred"),
            ],
            queue.Lines(2063).Select(line => (line.Split(' ')[1][3..], line.Split(' ')[3])).Order());
        Assert.Equal((2, 1, 1), (Counted("unbegun"), Counted("interrupted"), Counted("uncertain")));
        // What was begun waits for its time, however often the process dies; the others are delivered at once.
        await Until.TrueAsync(async () => (await queue.CountAsync()).Queued == 2, "what was not begun is delivered");
        Assert.Equal(
            [[AttemptOutcome.Uncertain], [AttemptOutcome.Delivered], [AttemptOutcome.Deferred], [AttemptOutcome.Delivered]],
            (await queue.History.FindAsync(id, default))!.Recipients.Select(recipient => recipient.Attempts.Select(attempt => attempt.Outcome)));
        uncertain.Dispose();
        takenBack!.Dispose();

        long Counted(string progress) => takenBack!.GetMeasurementSnapshot().Where(m => progress.Equals(m.Tags["progress"])).Sum(m => m.Value);
    }

    [Fact]
    public async Task What_waits_is_routed_and_counted_while_the_broker_is_away()
    {
        await using var queue = await QueueUnderTest.StartAsync(new()
        {
            ["ConnectionStrings:rabbitmq"] = $"amqp://guest:guest@127.0.0.1:{FreePorts.Next()}/",
        });
        // Each waits for the bus on its own, for seconds: one after the other they would take a minute and a half.
        for (var i = 0; i < 20; i++)
            await queue.AcceptAsync(hint: false, "sender@example.org", $"a@d{i}.example.net");
        await Until.TrueAsync(() => Task.FromResult(queue.Gauge("queued") == 20), "all are routed and counted");

        // Once it has refused a batch none is made, and the bus is tried without mail: each domain had one under way at most.
        await Until.TrueAsync(() => Task.FromResult(!queue.Gate.IsOpen(BusEndpoints.Deliver) && queue.Lines(2010).Count > 0), "the bus has refused");
        await Until.TrueAsync(() => Task.FromResult(queue.Gauge("due", ("waits_for", "worker")) == 20), "all wait");
        Assert.InRange(queue.Lines(2010).Count, 1, 20);
    }

    [Fact]
    public async Task A_domain_that_cannot_be_woken_does_not_end_the_reconcilers_round()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        using var measures = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.measures");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await queue.OutcomeOfAsync(id);
        // No clock has this time: the domain's queue cannot be read.
        await queue.ExecuteAsync(
            $"""
            UPDATE messages SET accepted_at = {long.MinValue} WHERE id = {id};
            INSERT INTO recipients (id, address, original, domain, route, flow, state, attempts, next_attempt_at, claim, updated_at)
                VALUES ({RecipientIds.Of(id, 9)}, 'x@bad.example', '', 'bad.example', 0, '', 0, 0, 1, 0, 0);
            INSERT INTO domain_queues (domain, due_at, failures, backoff_until, reason) VALUES ('bad.example', 0, 0, 0, '');
            """);
        var before = measures.GetMeasurementSnapshot().Count;
        await Until.TrueAsync(() => Task.FromResult(measures.GetMeasurementSnapshot().Count >= before + 2), "the reconciler measures after it has woken");
    }
}
