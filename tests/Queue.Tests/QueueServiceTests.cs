using System.Diagnostics.Metrics;
using MailPipeline.Contracts;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using MailPipeline.Testing;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using MimeKit;

namespace MailPipeline.Queue.Tests;

public sealed class QueueServiceTests
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
        await DrainedAsync(queue);
        Assert.Equal(3, underWay.GetMeasurementSnapshot().Where(m => m.Value > 0).Sum(m => m.Value));
        Assert.Equal(0, underWay.GetMeasurementSnapshot().Sum(m => m.Value));
    }

    [Fact]
    public async Task A_message_whose_hint_was_lost_is_found_by_the_warden()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        using var forgotten = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.forgotten");
        var id = await queue.AcceptAsync(hint: false, "sender@example.org", "a@example.net");
        Assert.Equal(RecipientState.Delivered, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).State);
        Assert.Equal(1, forgotten.GetMeasurementSnapshot().Sum(m => m.Value));
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
        await DrainedAsync(queue);
    }

    [Fact]
    public async Task A_retry_is_made_while_another_hand_out_of_the_domain_is_under_way()
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
        await DrainedAsync(queue);
    }

    [Fact]
    public async Task A_report_passes_every_server_whatever_the_far_end_said()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("sender@example.org", "hash");
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 kein Empfänger für Sie");
        await queue.AcceptAsync(hint: true, "sender@example.org", "bad@example.net");
        await Until.TrueAsync(async () => (await queue.MaildropAsync("sender@example.org")).Count > 0, "the report is in the sender's maildrop");

        var text = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        Assert.True(System.Text.Ascii.IsValid(text), text);
        Assert.Contains("Diagnostic-Code: smtp; 550 5.1.1 kein Empf?nger f?r Sie", text, StringComparison.Ordinal);
        // RFC 3464 §2.3.5: a name, without address and port.
        Assert.Contains("Remote-MTA: dns; mx.example.net\r\n", text, StringComparison.Ordinal);
        var report = Assert.IsType<MultipartReport>((await MimeMessage.LoadAsync(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(text)))).Body);
        Assert.Contains("kein Empfänger für Sie", Assert.IsType<TextPart>(report[0]).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_the_far_end_said_stands_in_the_report_without_encoding_however_long_its_words_are()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("sender@example.org", "hash");
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 " + new string('y', 1900) + " end");
        await queue.AcceptAsync(hint: true, "sender@example.org", "bad@example.net");
        await Until.TrueAsync(async () => (await queue.MaildropAsync("sender@example.org")).Count > 0, "the report is in the sender's maildrop");

        var text = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        Assert.Contains("Diagnostic-Code: smtp; 550 5.1.1\r\n yyyy", text, StringComparison.Ordinal);
        Assert.Contains("y end\r\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("=?", text, StringComparison.Ordinal);
        Assert.All(text[text.IndexOf("Diagnostic-Code", StringComparison.Ordinal)..].Split("\r\n"), line => Assert.InRange(line.Length, 0, 78));
        Assert.Contains(" said: 550 5.1.1", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_report_puts_no_words_into_the_mouth_of_a_far_end_that_said_none()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("sender@example.org", "hash");
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.4.4", "Connection lost while waiting for the reply to RCPT");
        await queue.AcceptAsync(hint: true, "sender@example.org", "bad@example.net");
        await Until.TrueAsync(async () => (await queue.MaildropAsync("sender@example.org")).Count > 0, "the report is in the sender's maildrop");

        var text = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        Assert.DoesNotContain(" said: ", text, StringComparison.Ordinal);
        Assert.Contains("while speaking to ", text, StringComparison.Ordinal);
        Assert.Contains("Diagnostic-Code: x-mailpipeline; Connection lost while waiting", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refused_recipient_is_reported_to_the_sender_once()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("sender@example.org", "hash");
        queue.Worker.Answer = r => r.Address == "good@example.net"
            ? (AttemptOutcome.Delivered, "2.0.0", "250 Ok")
            : (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "bad@example.net", "good@example.net", "worse@example.net");
        await queue.OutcomeOfAsync(id);
        await Until.TrueAsync(async () => (await queue.MaildropAsync("sender@example.org")).Count > 0, "the report is in the sender's maildrop");
        await DrainedAsync(queue);

        var text = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        var report = Assert.IsType<MultipartReport>((await MimeMessage.LoadAsync(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(text)))).Body);
        Assert.Equal("delivery-status", report.ReportType);
        Assert.Contains("Final-Recipient: rfc822; bad@example.net", text, StringComparison.Ordinal);
        Assert.Contains("Final-Recipient: rfc822; worse@example.net", text, StringComparison.Ordinal);
        Assert.DoesNotContain("good@example.net", text, StringComparison.Ordinal);
        Assert.Contains("Status: 5.1.1", text, StringComparison.Ordinal);
        Assert.Contains("Message-ID: <1@example.org>", text, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("Auto-Submitted: auto-replied", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_report_names_what_the_sender_wrote_and_where_an_alias_led()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("sender@example.org", "hash");
        await queue.Directory.AddAliasAsync("sales@example.org", "bob@example.net");
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "Sales@example.org", "direct@example.net"));
        await Until.TrueAsync(async () => (await queue.MaildropAsync("sender@example.org")).Count > 0, "the report is in the sender's maildrop");
        await DrainedAsync(queue);

        var texts = new List<string>();
        foreach (var message in await queue.MaildropAsync("sender@example.org"))
            texts.Add(await queue.ReadAsync(message));
        var text = string.Concat(texts);
        Assert.Contains("Original-Recipient: rfc822; Sales@example.org\r\nFinal-Recipient: rfc822; bob@example.net\r\n", text, StringComparison.Ordinal);
        Assert.Contains("  <Sales@example.org>, which leads to <bob@example.net>\r\n", text, StringComparison.Ordinal);
        Assert.Contains("\r\n\r\nFinal-Recipient: rfc822; direct@example.net\r\n", text, StringComparison.Ordinal);
        Assert.Contains("  <direct@example.net>\r\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bounce_is_never_bounced()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user");
        var id = await queue.AcceptAsync(hint: true, "", "a@example.net");
        Assert.Equal(RecipientState.Bounced, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).State);
        await DrainedAsync(queue);
        Assert.Equal(1, (await queue.History.SummarizeAsync(default)).Messages);
    }

    [Fact]
    public async Task A_report_that_cannot_be_delivered_ends_there()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net"));
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.AttemptsAt("example.org") == 1), "the report was tried");
        await DrainedAsync(queue);
        Assert.Equal(2, (await queue.History.SummarizeAsync(default)).Messages);
    }

    [Fact]
    public async Task A_recipient_whose_time_is_over_expires_with_a_report()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:MaxAge"] = "00:00:01" });
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("sender@example.org", "hash");
        queue.Worker.Answer = _ => (AttemptOutcome.Deferred, "4.2.1", "450 4.2.1 try later");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        Assert.Equal(RecipientState.Expired, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).State);
        await Until.TrueAsync(async () => (await queue.MaildropAsync("sender@example.org")).Count > 0, "the report is in the sender's maildrop");
        var report = await queue.ReadAsync((await queue.MaildropAsync("sender@example.org"))[0]);
        Assert.Contains("Status: 5.4.7", report, StringComparison.Ordinal);
        // What the last attempt really heard, and no attempt that was never made.
        Assert.Contains("Diagnostic-Code: smtp; 450 4.2.1 try later", report, StringComparison.Ordinal);
        var attempts = Assert.Single((await queue.History.FindAsync(id, default))!.Recipients).Attempts;
        Assert.All(attempts, attempt => Assert.Equal("450 4.2.1 try later", attempt.Reply));
        Assert.Equal(queue.Worker.AttemptsAt("example.net"), attempts.Count);
    }

    [Fact]
    public async Task Mail_to_a_domain_that_stays_unreachable_expires_even_if_it_was_never_tried_itself()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:MaxAge"] = "00:00:01" });
        queue.Worker.Reachable = domain => domain != "example.net";
        var ids = new List<long>();
        for (var i = 0; i < 20; i++)
            ids.Add(await queue.AcceptAsync(hint: true, "", $"user{i}@example.net"));
        foreach (var id in ids)
            Assert.Equal(RecipientState.Expired, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).State);
        await DrainedAsync(queue);
    }

    [Fact]
    public async Task A_dead_domain_rests_and_does_not_hold_up_a_healthy_one()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:RetrySteps:0"] = "01:00:00" });
        queue.Worker.Reachable = domain => domain != "dead.example.net";
        for (var i = 0; i < 50; i++)
            await queue.AcceptAsync(hint: true, "sender@example.org", $"user{i}@dead.example.net");
        await Until.TrueAsync(
            async () => (await queue.History.ListDomainsAsync(10, default)).Any(d => d is { Domain: "dead.example.net", Failures: > 0 }),
            "the dead domain rests");
        var attempts = queue.Worker.AttemptsAt("dead.example.net");
        var healthy = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.com");
        await queue.OutcomeOfAsync(healthy);
        await queue.AcceptAsync(hint: true, "sender@example.org", "late@dead.example.net");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "b@example.com"));
        Assert.InRange(queue.Worker.AttemptsAt("dead.example.net"), attempts, 50);
    }

    [Fact]
    public async Task A_report_in_which_nothing_was_tried_does_not_wake_a_domain_that_rests()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:RetrySteps:0"] = "01:00:00" });
        queue.Worker.Reachable = _ => false;
        using var attempts = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.attempts");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(async () => await FailuresAsync(queue, "example.net") > 0, "the domain rests");

        await ReportAsync(queue, new AttemptsCompleted("example.net", 4711, [Result(AttemptOutcome.NotAttempted)], Unreachable: false));
        await Until.TrueAsync(() => Task.FromResult(HasReported("notattempted")), "the report was read");
        // A report that comes late, of a hand-out that nobody remembers.
        await ReportAsync(queue, new AttemptsCompleted("example.net", 4712, [Result(AttemptOutcome.Delivered)], Unreachable: false));
        await Until.TrueAsync(() => Task.FromResult(HasReported("delivered")), "the late report was read");

        Assert.Equal(1, await FailuresAsync(queue, "example.net"));

        bool HasReported(string outcome) => attempts.GetMeasurementSnapshot().Any(m => m.Value > 0 && outcome.Equals(m.Tags["outcome"]));

        AttemptResult Result(AttemptOutcome outcome) =>
            new(RecipientIds.Of(id, 0), outcome, "4.0.0", "", "", DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch);
    }

    [Fact]
    public async Task A_report_of_a_worker_that_won_nothing_leaves_the_claim_to_the_one_who_did()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        var slow = new TaskCompletionSource();
        queue.Worker.Until = _ => slow.Task;
        using var attempts = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.attempts");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(async () => (await queue.History.SummarizeAsync(default)).Claims == 1, "the claim is won");

        var command = Assert.Single(queue.Worker.Commands);
        var nothing = command.Recipients.Select(recipient => new AttemptResult(
            recipient.RecipientId, AttemptOutcome.NotAttempted, "4.0.0", "", "", DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch));
        await ReportAsync(queue, new AttemptsCompleted(command.Domain, command.ClaimId, [.. nothing], Unreachable: false, NothingWon: true));
        await Until.TrueAsync(() => Task.FromResult(attempts.GetMeasurementSnapshot().Any(m => m.Value > 0)), "the report was read");
        // What is read from storage goes out before the second message does.
        await queue.AcceptAsync(hint: true, "sender@example.org", "b@example.net");
        await Until.TrueAsync(async () => (await queue.History.SummarizeAsync(default)).Claims == 2, "the next message is under way");
        slow.SetResult();

        Assert.Single(Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).Attempts);
        Assert.Equal(2, queue.Worker.AttemptsAt("example.net"));
        await DrainedAsync(queue);
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
        await Until.TrueAsync(async () => (await queue.History.SummarizeAsync(default)).Claims == 1, "the claim is won");
        var command = Assert.Single(queue.Worker.Commands);

        var back = command.Recipients[1];
        await queue.Claims.ReleaseAsync(command.ClaimId, [back.RecipientId], default);
        var result = new AttemptResult(back.RecipientId, AttemptOutcome.NotAttempted, "4.0.0", "", "", DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch);
        if (isReported)
            await ReportAsync(queue, new AttemptsCompleted(command.Domain, command.ClaimId, [result], Unreachable: false, NothingWon: true, GoesOn: true));
        await Until.TrueAsync(
            async () => (await queue.History.FindAsync(id, default))!.Recipients.Any(r => r.State == RecipientState.Delivered), "another delivers it");
        await Until.TrueAsync(async () => (await queue.History.SummarizeAsync(default)).Claims == 1, "only the first is left");
        slow.SetResult();

        Assert.All((await queue.OutcomeOfAsync(id)).Recipients, recipient => Assert.Single(recipient.Attempts));
        Assert.Equal(2, queue.Worker.Commands.Count);
        await DrainedAsync(queue);
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
        await DrainedAsync(queue);
    }

    [Fact]
    public async Task A_hint_that_comes_twice_changes_nothing()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        var id = await queue.AcceptAsync(hint: false, "sender@example.org", "a@example.net");
        var message = new AcceptedMessage(id, "sender@example.org", ["a@example.net"], 50, BodyType.SevenBit, TimeProvider.System.GetUtcNow(), "");
        for (var i = 0; i < 5; i++)
            await queue.Bus.SendAsync(BusEndpoints.MessageAccepted, new MessageAccepted([message]), default);
        Assert.Single((await queue.OutcomeOfAsync(id)).Recipients);
        await DrainedAsync(queue);
        Assert.Equal(1, queue.Worker.AttemptsAt("example.net"));
    }

    [Fact]
    public async Task A_hand_out_lost_on_the_bus_is_given_again()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        queue.Worker.FateOf = _ => queue.Worker.Commands.Count == 1 ? Worker.Fate.Lost : Worker.Fate.Done;
        using var lost = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.hand_outs_lost");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        Assert.Single(Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).Attempts);
        Assert.Equal(1, lost.GetMeasurementSnapshot().Sum(m => m.Value));
        await DrainedAsync(queue);
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
        await DrainedAsync(queue);
    }

    [Fact]
    public async Task Delivery_is_paused_and_resumed_while_the_process_runs()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("ann@example.org", "hash");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "before@example.net"));

        Assert.True(await queue.Operator.PauseDeliveryAsync("ann"));
        await Until.TrueAsync(() => Task.FromResult(Gauge(queue, "paused") == 1), "the process has seen the pause");
        var (first, second) = (
            await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "ann@example.org"),
            await queue.AcceptAsync(hint: false, "sender@example.org", "b@example.net"));
        // Routed, counted as due, and given to nobody.
        await Until.TrueAsync(() => Task.FromResult(Gauge(queue, "due", ("waits_for", "resume")) == 3), "three recipients wait for the end of the pause");
        Assert.Equal(1, queue.Worker.AttemptsAt("example.net"));
        Assert.Empty(await queue.MaildropAsync("ann@example.org"));

        Assert.NotNull(await queue.Operator.ResumeDeliveryAsync());
        Assert.All((await queue.OutcomeOfAsync(first)).Recipients, recipient => Assert.Equal(RecipientState.Delivered, recipient.State));
        await queue.OutcomeOfAsync(second);
        Assert.Single(await queue.MaildropAsync("ann@example.org"));
        Assert.Equal(0, Gauge(queue, "paused"));
        await DrainedAsync(queue);
    }

    [Fact]
    public async Task A_process_that_begins_during_a_pause_hands_nothing_out_before_its_end()
    {
        await using var queue = await QueueUnderTest.StartAsync(before: store => store.PauseDeliveryAsync("ann"));
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(() => Task.FromResult(Gauge(queue, "due", ("waits_for", "resume")) == 1), "the recipient waits for the end of the pause");
        Assert.Empty(queue.Worker.Commands);

        await queue.Operator.ResumeDeliveryAsync();
        await queue.OutcomeOfAsync(id);
        await DrainedAsync(queue);
    }

    [Fact]
    public async Task A_held_message_waits_and_a_removed_one_ends_without_a_report()
    {
        await using var queue = await QueueUnderTest.StartAsync(before: store => store.PauseDeliveryAsync("ann"));
        var held = await queue.AcceptAsync(hint: true, "sender@example.org", "held@example.net");
        var removed = await queue.AcceptAsync(hint: true, "sender@example.org", "removed@example.net");
        var other = await queue.AcceptAsync(hint: true, "sender@example.org", "other@example.net");
        await Until.TrueAsync(async () => await queue.History.SummarizeAsync(default) is { Queued: 3 }, "all are routed");
        Assert.Equal(new OperatorChange(1, 0), await queue.Operator.HoldAsync(held, "ann"));
        Assert.Equal(new OperatorChange(1, 0), await queue.Operator.RemoveAsync(removed, "ann"));
        await queue.Operator.ResumeDeliveryAsync();

        await queue.OutcomeOfAsync(other);
        Assert.Equal(1, queue.Worker.AttemptsAt("example.net"));
        Assert.Equal(RecipientState.Held, Assert.Single((await queue.History.FindAsync(held, default))!.Recipients).State);
        Assert.Equal(new OperatorChange(1, 0), await queue.Operator.ReleaseAsync(held, "ann"));
        await Until.TrueAsync(
            async () => (await queue.History.FindAsync(held, default))!.Recipients[0].State == RecipientState.Delivered, "the released message is delivered");
        await DrainedAsync(queue);
        Assert.Equal(3, (await queue.History.SummarizeAsync(default)).Messages);
        Assert.Equal(2, queue.Worker.AttemptsAt("example.net"));
    }

    [Fact]
    public async Task A_queue_that_moves_to_another_silo_counts_what_is_still_under_way()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:InitialConcurrency"] = "1", ["Queue:DomainConcurrency"] = "1" });
        var slow = new TaskCompletionSource();
        queue.Worker.Until = _ => slow.Task;
        using var handedOut = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.handed_out");
        var first = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(async () => (await queue.History.SummarizeAsync(default)).Claims == 1, "the claim is won");
        await queue.ForgetAsync("example.net");

        var second = await queue.AcceptAsync(hint: true, "sender@example.org", "b@example.net");
        await Until.TrueAsync(async () => (await queue.History.FindAsync(second, default))!.Recipients.Count > 0, "the second message is routed");
        await queue.WakeAsync("example.net");
        Assert.Equal(1, handedOut.GetMeasurementSnapshot().Sum(m => m.Value));
        slow.SetResult();

        Assert.Single(Assert.Single((await queue.OutcomeOfAsync(first)).Recipients).Attempts);
        Assert.Single(Assert.Single((await queue.OutcomeOfAsync(second)).Recipients).Attempts);
        await DrainedAsync(queue);
    }

    [Fact]
    public async Task A_domain_with_as_many_workers_as_it_begins_with_waits_for_no_worker()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:InitialConcurrency"] = "1", ["Queue:BatchRecipients"] = "1" });
        var slow = new TaskCompletionSource();
        queue.Worker.Until = _ => slow.Task;
        await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "b@example.net", "c@example.net");
        await Until.TrueAsync(() => Task.FromResult(Gauge(queue, "due", ("waits_for", "limit")) == 2), "two recipients wait for the limit of their domain");
        Assert.Equal(0, Gauge(queue, "due", ("waits_for", "worker")));
        slow.SetResult();
        await DrainedAsync(queue);
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
        await Until.TrueAsync(() => Task.FromResult(Gauge(queue, "queued") == 20), "all are routed and counted");
    }

    [Theory]
    // Beside a good recipient: nobody who got his 250 may vanish.
    [InlineData("carol@example.org,loop@example.org", "carol@example.org", "loop@example.org")]
    [InlineData("carol@example.org,dangling@example.org", "carol@example.org", "gone@example.org")]
    [InlineData("carol@example.org,dangling@wide.example.org,info@wide.example.org", "carol@example.org", "dangling@wide.example.org", "info@wide.example.org")]
    [InlineData("Bob@example.net,bob@example.net,bob@EXAMPLE.net", "Bob@example.net", "bob@example.net")]
    [InlineData("carol@example.org,CAROL@example.org", "carol@example.org")]
    public async Task No_recipient_vanishes_on_the_way_through_aliases(string envelope, params string[] expected)
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:DeliveryPaused"] = "true" });
        var directory = queue.Directory;
        await directory.AddDomainAsync("example.org");
        await directory.AddDomainAsync("wide.example.org");
        await directory.AddAccountAsync("carol@example.org", "hash");
        await directory.AddAliasAsync("loop@example.org", "pool@example.org");
        await directory.AddAliasAsync("pool@example.org", "loop@example.org");
        await directory.AddAliasAsync("dangling@example.org", "gone@example.org");
        await directory.AddAliasAsync("dangling@wide.example.org", "gone@wide.example.org");
        await directory.AddAliasAsync("@wide.example.org", "gone@wide.example.org");

        var id = await queue.AcceptAsync(hint: true, "sender@example.org", envelope.Split(','));
        await Until.TrueAsync(async () => (await queue.History.FindAsync(id, default))!.Recipients.Count > 0, "the message is routed");

        Assert.Equal(expected.Order(StringComparer.Ordinal), (await queue.History.FindAsync(id, default))!.Recipients.Select(r => r.Address).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("list@example.org", "a@example.net", "b@example.com", "carol@example.org")]
    [InlineData("LIST@Example.ORG", "a@example.net", "b@example.com", "carol@example.org")]
    [InlineData("anything@catchall.example.org", "carol@example.org")]
    [InlineData("carol@example.org", "carol@example.org")]
    [InlineData("dave@example.org", "dave@example.org", "a@example.net")]
    [InlineData("loop@example.org", "loop@example.org")]
    [InlineData("stranger@example.com", "stranger@example.com")]
    public async Task Aliases_lead_to_each_recipient_once(string address, params string[] expected)
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:DeliveryPaused"] = "true" });
        var directory = queue.Directory;
        await directory.AddDomainAsync("example.org");
        await directory.AddDomainAsync("catchall.example.org");
        await directory.AddAccountAsync("carol@example.org", "hash");
        await directory.AddAccountAsync("dave@example.org", "hash");
        foreach (var (alias, target) in new[]
        {
            ("list@example.org", "a@example.net"), ("list@example.org", "inner@example.org"), ("inner@example.org", "b@example.com"),
            ("inner@example.org", "a@example.net"), ("inner@example.org", "carol@example.org"), ("@catchall.example.org", "carol@example.org"),
            ("loop@example.org", "pool@example.org"), ("pool@example.org", "loop@example.org"),
            ("dave@example.org", "dave@example.org"), ("dave@example.org", "a@example.net"),
        })
        {
            await directory.AddAliasAsync(alias, target);
        }
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", address);
        await Until.TrueAsync(async () => (await queue.History.FindAsync(id, default))!.Recipients.Count > 0, "the message is routed");
        var routed = (await queue.History.FindAsync(id, default))!.Recipients;
        Assert.Equal(expected.Order(), routed.Select(r => r.Address).Order());
        Assert.All(routed, r => Assert.Equal(
            r.Address.EndsWith("example.org", StringComparison.Ordinal) ? RecipientRoute.Local : RecipientRoute.Remote, r.Route));
    }

    private static Task ReportAsync(QueueUnderTest queue, AttemptsCompleted report) =>
        queue.Bus.SendAsync(BusEndpoints.AttemptsCompleted, report, default);

    private static async Task<int> FailuresAsync(QueueUnderTest queue, string domain) =>
        (await queue.History.ListDomainsAsync(10, default)).FirstOrDefault(d => d.Domain == domain)?.Failures ?? 0;

    [Fact]
    public async Task A_message_that_cannot_be_routed_holds_up_none_of_the_others()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        var routed = await queue.AcceptAsync(hint: false, "sender@example.org", "a@example.net");
        await queue.OutcomeOfAsync(routed);
        // Its recipients are there already: to make them once more fails each time.
        await queue.ExecuteAsync($"INSERT INTO unrouted (message_id, recipients) VALUES ({routed}, 'a@example.net')");
        for (var i = 0; i < 2; i++)
        {
            var id = await queue.AcceptAsync(hint: false, "sender@example.org", $"b{i}@example.net");
            Assert.Equal(RecipientState.Delivered, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).State);
        }
        Assert.Equal(1, (await queue.History.SummarizeAsync(default)).Unrouted);
    }

    [Fact]
    public async Task A_domain_that_cannot_be_woken_does_not_end_the_wardens_round()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        using var measures = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.measures");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await queue.OutcomeOfAsync(id);
        // No clock has this time: the domain's queue cannot be read.
        await queue.ExecuteAsync(
            $"""
            UPDATE messages SET accepted_at = {long.MinValue} WHERE id = {id};
            INSERT INTO recipients (id, address, original, domain, route, state, attempts, next_attempt_at, claim, updated_at)
                VALUES ({RecipientIds.Of(id, 9)}, 'x@bad.example', '', 'bad.example', 0, 0, 0, 1, 0, 0);
            INSERT INTO domain_queues (domain, due_at, failures, backoff_until, reason) VALUES ('bad.example', 0, 0, 0, '');
            """);
        var before = measures.GetMeasurementSnapshot().Count;
        await Until.TrueAsync(() => Task.FromResult(measures.GetMeasurementSnapshot().Count >= before + 2), "the warden measures after it has woken");
    }

    /// <summary>The sum of what an observable gauge of the queue shows now.</summary>
    private static long Gauge(QueueUnderTest queue, string name, (string Name, string Value)? tag = null)
    {
        var sum = 0L;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, listening) =>
        {
            if (instrument.Meter.Scope == queue.Meters && instrument.Name == $"mailpipeline.queue.{name}")
                listening.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<int>((_, value, _, _) => sum += value);
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) =>
        {
            if (tag is null || tags.Contains(new KeyValuePair<string, object?>(tag.Value.Name, tag.Value.Value)))
                sum += value;
        });
        listener.Start();
        listener.RecordObservableInstruments();
        return sum;
    }

    /// <summary>Nothing is left to do: no unrouted message, no queued recipient, no claim, no bytes without an owner.</summary>
    private static Task DrainedAsync(QueueUnderTest queue) => Until.TrueAsync(
        async () => await queue.History.SummarizeAsync(default) is { Unrouted: 0, Queued: 0, Claims: 0, ChunksWithoutOwner: 0 },
        "nothing is left to do");
}
