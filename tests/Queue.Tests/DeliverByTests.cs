using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Queue.Tests;

/// <summary>Messages that their senders want delivered by a time (RFC 2852).</summary>
public sealed class DeliverByTests
{
    [Theory]
    // Its domain backs off for hours, and it would be tried again after as long.
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_to_be_returned_is_returned_at_its_time_and_not_tried_any_more(bool isReachable)
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:RetrySteps:0"] = "02:00:00" });
        await AddSenderAsync(queue);
        queue.Worker.Reachable = _ => isReachable;
        queue.Worker.Answer = _ => (AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 full");
        var at = In(seconds: 2);
        var id = await queue.AcceptTimedAsync(hint: true, By(at, returned: true), "a@example.net");
        var recipient = Assert.Single((await queue.OutcomeOfAsync(id)).Recipients);
        Assert.Equal((RecipientState.Expired, 1), (recipient.State, recipient.Attempts.Count));
        Assert.InRange(recipient.UpdatedAt, at, at.AddSeconds(20));
        await queue.ReportArrivesAsync();
        var report = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        Assert.Contains("Action: failed\r\nStatus: 5.4.7\r\n", report, StringComparison.Ordinal);
        Assert.Contains("Deliver-By-Date: ", report, StringComparison.Ordinal);
        Assert.Contains("as its sender wanted", report.Replace("\r\n ", " ", StringComparison.Ordinal), StringComparison.Ordinal);
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task Pausing_delivery_holds_no_deadline_up()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:DeliveryPaused"] = "true" });
        await AddSenderAsync(queue);
        var id = await queue.AcceptTimedAsync(hint: true, By(In(seconds: 1), returned: true), "a@example.net", "b@example.com");
        Assert.All((await queue.OutcomeOfAsync(id)).Recipients, recipient => Assert.Equal((RecipientState.Expired, 0), (recipient.State, recipient.Attempts.Count)));
    }

    [Fact]
    public async Task What_is_delivered_in_time_is_told_to_nobody()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        await AddSenderAsync(queue);
        foreach (var returned in new[] { true, false })
        {
            var id = await queue.AcceptTimedAsync(hint: true, By(In(seconds: 2), returned), "a@example.net");
            Assert.Equal(RecipientState.Delivered, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).State);
        }
        // Whoever asks later than both is told.
        queue.Worker.Answer = _ => (AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 full");
        await queue.AcceptTimedAsync(hint: true, By(In(seconds: 3), returned: true), "b@example.net");
        await queue.ReportArrivesAsync();
        Assert.Contains("b@example.net", await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org"))), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("NOTIFY=DELAY", true)]
    [InlineData("NOTIFY=FAILURE", false)]
    [InlineData("NOTIFY=NEVER", false)]
    public async Task What_is_late_goes_on_and_its_sender_is_told_once_if_he_wants_to_be(string notify, bool isTold)
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:DelayReportAfter"] = "0" });
        await AddSenderAsync(queue);
        var isOpen = false;
        queue.Worker.Answer = _ => isOpen ? (AttemptOutcome.Delivered, "2.0.0", "250 ok") : (AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 full");
        var dsn = new EnvelopeDsn(MailDsn.None, [RcptDsn.Parse(notify)]);
        var id = await queue.AcceptTimedAsync(hint: true, By(In(seconds: 1), returned: false), dsn, "a@example.net");
        // In the place of the report where there is none: the deadline is met.
        await Until.TrueAsync(
            async () => isTold ? (await queue.MaildropAsync("sender@example.org")).Count > 0 : !(await queue.HasDeadlinesAsync()) && (await queue.History.FindAsync(id, default))!.Recipients.Count > 0,
            "the sender is told, or is not to be");
        isOpen = true;
        Assert.Equal(RecipientState.Delivered, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).State);
        var reports = await queue.MaildropAsync("sender@example.org");
        Assert.Equal(isTold ? 1 : 0, reports.Count);
        if (isTold)
            Assert.Contains("Action: delayed\r\nStatus: 4.4.7\r\n", await queue.ReadAsync(reports[0]), StringComparison.Ordinal);
    }

    private static async Task AddSenderAsync(QueueUnderTest queue)
    {
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("sender@example.org", "hash");
    }

    // As storage keeps it: in whole milliseconds.
    private static DateTimeOffset In(int seconds) =>
        DateTimeOffset.FromUnixTimeMilliseconds(TimeProvider.System.GetUtcNow().AddSeconds(seconds).ToUnixTimeMilliseconds());

    private static MailTiming By(DateTimeOffset at, bool returned) => new() { By = new DeliverBy(at, returned, IsTraced: false) };
}
