using System.Globalization;
using MailPipeline.Mail;
using MailPipeline.Testing;
using MimeKit;

namespace MailPipeline.Queue.Tests;

/// <summary>Mail of which nobody knows whether it was delivered: how often it is tried, what becomes of it, and what its sender reads.</summary>
public sealed class UncertainTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(null, 3)]
    [InlineData("1", 1)]
    [InlineData("2", 2)]
    public async Task A_far_end_that_hangs_up_after_each_dot_gets_no_more_copies_than_the_setting_says(string? most, int copies)
    {
        await using var queue = await StartAsync(most is null ? [] : new() { ["Queue:Uncertain:Most"] = most });
        queue.Worker.Answer = _ => (AttemptOutcome.Uncertain, "4.4.2", "closed");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");

        var held = Assert.Single((await queue.OutcomeOfAsync(id)).Recipients);
        Assert.Equal((RecipientState.Held, HoldRule.Uncertain(copies), copies), (held.State, held.HoldReason, held.Attempts.Count));
        Assert.Equal(copies, queue.Worker.AttemptsAt("example.net"));
        Assert.All(held.Attempts, attempt => Assert.Equal(ReplyClass.Network, attempt.Class));
        Assert.Empty(await queue.MaildropAsync("sender@example.org"));
    }

    [Fact]
    public async Task Where_the_policy_says_so_its_sender_reads_that_it_may_have_arrived()
    {
        using var folder = new TempFolder("policy");
        var path = folder.Write("policy.json", """{ "Destinations": [ { "For": "example.net", "Uncertain": { "Most": 2, "Then": "Report" } } ] }""");
        await using var queue = await StartAsync(new() { ["Queue:PolicyFile"] = path });
        queue.Worker.Answer = _ => (AttemptOutcome.Uncertain, "4.4.2", "mx.example.net closed the connection");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await queue.ReportArrivesAsync();

        var bounced = Assert.Single((await queue.OutcomeOfAsync(id)).Recipients);
        Assert.Equal((RecipientState.Bounced, 2), (bounced.State, bounced.Attempts.Count));
        var report = await ReportAsync(queue);
        Assert.Equal("Mail That May Not Have Been Delivered", report.Subject);
        var parts = Assert.IsType<MultipartReport>(report.Body);
        var text = Assert.IsType<TextPart>(parts[0]).Text;
        Assert.Contains("may or may not have been delivered to:", text, StringComparison.Ordinal);
        Assert.Contains("A copy may have arrived: ", text, StringComparison.Ordinal);
        Assert.Contains("Ask those who may have it before you send it again", text, StringComparison.Ordinal);
        Assert.DoesNotContain("could not be delivered", text, StringComparison.Ordinal);
        var status = Assert.IsType<MessageDeliveryStatus>(parts[1]).StatusGroups[1];
        Assert.Equal(("failed", "4.4.2"), (status["Action"], status["Status"]));
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task Whatever_the_last_attempt_met_an_earlier_one_may_have_delivered_and_the_report_says_so()
    {
        await using var queue = await StartAsync();
        queue.Worker.Answer = recipient => recipient.Attempts == 0 ? (AttemptOutcome.Uncertain, "4.4.2", "closed") : (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user");
        await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await queue.ReportArrivesAsync();

        var parts = Assert.IsType<MultipartReport>((await ReportAsync(queue)).Body);
        Assert.Contains("may or may not have been delivered to:", Assert.IsType<TextPart>(parts[0]).Text, StringComparison.Ordinal);
        Assert.Equal("5.1.1", Assert.IsType<MessageDeliveryStatus>(parts[1]).StatusGroups[1]["Status"]);
    }

    [Fact]
    public async Task A_report_of_several_says_of_whom_it_is_not_certain()
    {
        await using var queue = await StartAsync(new() { ["Queue:Uncertain:Most"] = "1", ["Queue:Uncertain:Then"] = "Report" });
        queue.Worker.Answer = recipient => recipient.Address == "a@example.net"
            ? (AttemptOutcome.Uncertain, "4.4.2", "closed") : (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user");
        await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "b@example.net");
        await queue.ReportArrivesAsync();

        var report = await ReportAsync(queue);
        Assert.Equal("Undelivered Mail Returned to Sender", report.Subject);
        var text = Assert.IsType<TextPart>(Assert.IsType<MultipartReport>(report.Body)[0]).Text;
        Assert.Contains("could not be delivered, or not for certain, to:", text, StringComparison.Ordinal);
        Assert.Equal(1, text.Split("A copy may have arrived").Length - 1);
    }

    [Fact]
    public async Task What_a_dead_worker_may_have_delivered_is_reported_where_nothing_is_to_be_sent_twice()
    {
        using var folder = new TempFolder("policy");
        var path = folder.Write("policy.json", """{ "Senders": [ { "From": "sender@example.org", "Uncertain": { "Most": 1, "Then": "Report" } } ] }""");
        await using var queue = await StartAsync(new() { ["Queue:PolicyFile"] = path }, TimeSpan.FromSeconds(1));
        var hasDied = false;
        queue.Worker.FateOf = _ => hasDied ? Worker.Fate.Done : Worker.Fate.DiesWithClaim;
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.Claims.Count == 1), "the worker has won the claim");
        hasDied = true;
        await queue.ReportArrivesAsync();

        var ended = Assert.Single((await queue.OutcomeOfAsync(id)).Recipients);
        Assert.Equal((RecipientState.Bounced, AttemptOutcome.Uncertain), (ended.State, Assert.Single(ended.Attempts).Outcome));
        Assert.Equal(1, queue.Worker.AttemptsAt("example.net"));
        Assert.Contains("1 recipients that may have been delivered are not tried again", Assert.Single(queue.Lines(2068)), StringComparison.Ordinal);
        Assert.Equal("Mail That May Not Have Been Delivered", (await ReportAsync(queue)).Subject);
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task Waits_after_such_attempts_are_of_their_own()
    {
        await using var queue = await StartAsync(new() { ["Queue:RetryJitter"] = "0", ["Queue:Uncertain:Steps:0"] = "3h", ["Queue:Uncertain:Steps:1"] = "5h" });
        queue.Worker.Answer = _ => (AttemptOutcome.Uncertain, "4.4.2", "closed");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(() => Task.FromResult(queue.Lines(2022).Count == 1), "it was tried");
        var waiting = Assert.Single((await queue.History.FindAsync(id, Cancellation))!.Recipients);
        Assert.Equal(3.0, (waiting.NextAttemptAt - Assert.Single(waiting.Attempts).FinishedAt).TotalHours, 0.1);
        Assert.Contains(
            $" dsn=4.4.2 class=network next={waiting.NextAttemptAt.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture)} ", queue.Lines(2022)[0], StringComparison.Ordinal);
    }

    private static async Task<MimeMessage> ReportAsync(QueueUnderTest queue) =>
        MimeMessage.Load(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org"))))));

    private static async Task<QueueUnderTest> StartAsync(Dictionary<string, string?>? settings = null, TimeSpan? lease = null)
    {
        var queue = await QueueUnderTest.StartAsync(settings, lease);
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("sender@example.org", "hash");
        return queue;
    }
}
