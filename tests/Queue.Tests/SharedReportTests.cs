using MailPipeline.Mail;
using MimeKit;

namespace MailPipeline.Queue.Tests;

/// <summary>Recipients of one message that are given up together are told of together, whatever their domains.</summary>
public sealed class SharedReportTests
{
    private static readonly (AttemptOutcome, string, string) s_refused = (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user");

    [Fact]
    public async Task Many_dead_domains_of_one_mailing_make_one_report()
    {
        await using var queue = await StartAsync(reportDelay: "00:00:03");
        queue.Worker.Answer = _ => s_refused;
        var addresses = Enumerable.Range(0, 150).Select(i => $"r@d{i}.example.net").ToArray();
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", addresses));
        await queue.DrainedAsync();

        Assert.Equal(addresses.Order(), FailedIn(Assert.Single(await ReportsAsync(queue))).Order());
    }

    [Fact]
    public async Task The_last_recipients_of_a_message_are_told_of_at_once()
    {
        await using var queue = await StartAsync(reportDelay: "00:10:00");
        queue.Worker.Answer = r => r.Address.StartsWith('a') ? (AttemptOutcome.Delivered, "2.0.0", "250 Ok") : s_refused;
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "b@example.net", "c@example.net"));
        await queue.ReportArrivesAsync();
        Assert.Equal(["b@example.net", "c@example.net"], FailedIn(Assert.Single(await ReportsAsync(queue))).Order());
    }

    [Fact]
    public async Task A_failure_beside_one_that_still_waits_is_told_of_after_the_delay()
    {
        await using var queue = await StartAsync(reportDelay: "00:00:00.500", retry: "00:10:00");
        queue.Worker.Answer = r => r.Address.StartsWith('a') ? (AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 full") : s_refused;
        await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "b@example.com");
        await queue.ReportArrivesAsync();
        Assert.Equal(["b@example.com"], FailedIn(Assert.Single(await ReportsAsync(queue))));
    }

    /// <summary>What the process that recorded the failure did not live to report.</summary>
    [Fact]
    public async Task What_was_not_reported_before_the_end_of_a_process_is_reported_after_the_next_start()
    {
        var message = 0L;
        await using var queue = await StartAsync(reportDelay: "00:00:00.500", before: async dead =>
        {
            message = await dead.AcceptAsync(hint: false, "sender@example.org", "a@example.net", "b@example.com");
            var made = await dead.Store.RouteAsync(
                [new RoutedMessage((await dead.Store.FindUnroutedAsync([message], default))[0],
                    [new("a@example.net", "", "example.net", RecipientRoute.Remote), new("b@example.com", "", "example.com", RecipientRoute.Remote)])]);
            foreach (var ((domain, recipient), claim) in made.Zip([7001L, 7002L]))
            {
                await dead.Claims.TakeAsync(claim, domain, [recipient], begun: true, default);
                var now = TimeProvider.System.GetUtcNow();
                await dead.Outcomes.RecordAsync(
                    claim, domain, [new(new(recipient.RecipientId, AttemptOutcome.Failed, "5.1.1", "550 no", "", now, now), RecipientState.Bounced, now)], TimeSpan.Zero);
            }
        });
        await queue.ReportArrivesAsync();
        await queue.DrainedAsync();
        Assert.Equal(["a@example.net", "b@example.com"], FailedIn(Assert.Single(await ReportsAsync(queue))).Order());
    }

    [Fact]
    public async Task More_failures_than_anybody_reads_are_told_of_in_several_reports()
    {
        await using var queue = await StartAsync(reportDelay: "00:00:03");
        queue.Worker.Answer = _ => s_refused;
        var addresses = Enumerable.Range(0, 1100).Select(i => $"r{i}@example.net").ToArray();
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", addresses));
        await queue.DrainedAsync();

        var reports = await ReportsAsync(queue);
        Assert.All(reports, report => Assert.InRange(FailedIn(report).Count, 1, 1000));
        Assert.Equal(addresses.Order(), reports.SelectMany(FailedIn).Order());
        Assert.Equal(2, reports.Count);
    }

    [Fact]
    public async Task A_message_that_cannot_be_reported_holds_up_none_of_the_others()
    {
        await using var queue = await StartAsync(reportDelay: "00:00:00", retry: "00:10:00");
        queue.Worker.Answer = r => r.Address.StartsWith('a') ? (AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 full") : s_refused;
        var bad = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        // At a time that there never was.
        await queue.ExecuteAsync($"INSERT INTO unreported (recipient_id, address, original, state, was_tried, outcome, status, reply, remote_host, started_at, finished_at, due_at) VALUES ({RecipientIds.Of(bad, 1)}, 'x', '', 2, 1, 2, '5.1.1', 'no', '', 0, -9000000000000000, 0)");
        await Until.TrueAsync(() => Task.FromResult(queue.Lines(2091).Count > 0), "it cannot be reported");
        await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "b@example.com");
        await queue.ReportArrivesAsync();
        Assert.Equal(["b@example.com"], FailedIn(Assert.Single(await ReportsAsync(queue))));
    }

    private static async Task<QueueUnderTest> StartAsync(string reportDelay, string retry = "00:00:00.100", Func<QueueUnderTest, Task>? before = null)
    {
        var queue = await QueueUnderTest.StartAsync(
            new() { ["Queue:ReportDelay"] = reportDelay, ["Queue:RetrySteps:0"] = retry },
            before: async queue =>
            {
                await queue.Directory.AddDomainAsync("example.org");
                await queue.Directory.AddAccountAsync("sender@example.org", "hash");
                if (before is not null)
                    await before(queue);
            });
        return queue;
    }

    private static async Task<List<MimeMessage>> ReportsAsync(QueueUnderTest queue)
    {
        var reports = new List<MimeMessage>();
        foreach (var message in await queue.MaildropAsync("sender@example.org"))
            reports.Add(await MimeMessage.LoadAsync(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(await queue.ReadAsync(message)))));
        return reports;
    }

    private static IReadOnlyList<string> FailedIn(MimeMessage report) =>
        [.. Assert.IsType<MultipartReport>(report.Body).OfType<MessageDeliveryStatus>().Single().StatusGroups
            .Select(group => group["Final-Recipient"]).OfType<string>().Select(recipient => recipient.Split("; ")[1])];
}
