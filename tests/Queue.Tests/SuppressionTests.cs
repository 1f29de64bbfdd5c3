using MailPipeline.Mail;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using MimeKit;

namespace MailPipeline.Queue.Tests;

/// <summary>Who has refused mail for good is not tried again, on behalf of a sender who has a suppression list.</summary>
public sealed class SuppressionTests
{
    private const string Lists = "sender@example.org";
    private static readonly OperatorIdentity s_joe = new("joe");
    private static readonly (AttemptOutcome, string, string) s_noSuchUser = (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user");

    [Fact]
    public async Task Who_is_refused_for_good_is_not_tried_again_and_his_sender_is_told_why()
    {
        await using var queue = await StartAsync();
        using var counted = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.suppressed");
        await queue.Suppressions.BeginAsync(Lists, TimeSpan.FromDays(30), s_joe);
        queue.Worker.Answer = recipient => recipient.Address.StartsWith("ann", StringComparison.OrdinalIgnoreCase) ? s_noSuchUser : (AttemptOutcome.Delivered, "2.0.0", "250 Ok");
        await queue.OutcomeOfAsync(await queue.AcceptOfAsync(Lists, Lists, "ann@example.net"));
        var listed = Assert.Single(await queue.Suppressions.ListAsync(Lists, "", 10, default));
        Assert.Equal(("ann@example.net", SuppressionCause.Reply, "mailbox: 550 5.1.1 no such user"), (listed.Address, listed.Cause, listed.Reason));
        await queue.DrainedAsync();
        var attempts = queue.Worker.AttemptsAt("example.net");

        var second = await queue.AcceptOfAsync(Lists, Lists, "Ann@example.NET", "bob@example.net");
        var timeline = await queue.OutcomeOfAsync(second);
        await queue.DrainedAsync();
        Assert.Equal([RecipientState.Bounced, RecipientState.Delivered], timeline.Recipients.Select(recipient => recipient.State));
        Assert.Equal(attempts + 1, queue.Worker.AttemptsAt("example.net"));
        Assert.Equal(1, counted.GetMeasurementSnapshot().Where(measured => Equals(measured.Tags["cause"], "reply")).Sum(measured => measured.Value));
        Assert.Contains("status=bounced dsn=5.7.1", Assert.Single(queue.Lines(2031)), StringComparison.Ordinal);

        var report = await ReportAsync(queue, 1);
        var status = report.BodyParts.OfType<MessageDeliveryStatus>().Single().StatusGroups[1];
        Assert.Equal(("5.7.1", "failed", null), (status["Status"], status["Action"], status["Last-Attempt-Date"]));
        Assert.Contains($"on the suppression list of {Lists} since {TimeProvider.System.GetUtcNow():yyyy-MM-dd}", status["Diagnostic-Code"], StringComparison.Ordinal);
        Assert.Contains("550 5.1.1 no such user", report.BodyParts.OfType<TextPart>().First().Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_of_which_all_are_on_the_list_is_reported_at_once()
    {
        await using var queue = await StartAsync(("Queue:ReportDelay", "00:10:00"));
        await queue.Suppressions.BeginAsync(Lists, TimeSpan.FromDays(30), s_joe);
        await AddAsync(queue, "ann@example.net", TimeSpan.FromDays(1));
        await queue.OutcomeOfAsync(await queue.AcceptOfAsync(Lists, Lists, "ann@example.net"));
        await queue.DrainedAsync();
        Assert.Equal(0, queue.Worker.AttemptsAt("example.net"));
        await ReportAsync(queue, 0);
    }

    /// <summary>Neither mail of others, nor reports, nor what is for a mailbox here; nor what is held until somebody has looked.</summary>
    [Fact]
    public async Task A_list_is_of_its_sender_alone_and_nobody_here_is_on_it()
    {
        await using var queue = await StartAsync();
        await queue.Suppressions.BeginAsync(Lists, TimeSpan.FromDays(30), s_joe);
        await AddAsync(queue, "ann@example.net", TimeSpan.FromDays(1));
        await AddAsync(queue, "bob@example.org", TimeSpan.FromDays(1));
        queue.Worker.Answer = recipient => recipient.Address.StartsWith("gone", StringComparison.Ordinal) ? s_noSuchUser : (AttemptOutcome.Delivered, "2.0.0", "250 Ok");
        Assert.Equal(RecipientState.Delivered, await EndAsync("other@example.org", "other@example.org", "ann@example.net"));
        Assert.Equal(RecipientState.Delivered, await EndAsync(Lists, "", "ann@example.net"));
        Assert.Equal(RecipientState.Delivered, await EndAsync(Lists, Lists, "bob@example.org"));
        Assert.Equal(RecipientState.Bounced, await EndAsync(Lists, Lists, "ann@example.net"));

        // Nor does anybody come to it by these.
        await EndAsync("other@example.org", "other@example.org", "gone@example.net");
        await EndAsync(Lists, "", "gone@example.net");
        await EndAsync(Lists, Lists, "gone@example.org");
        Assert.Equal(2, (await queue.Suppressions.ListAsync(Lists, "", 10, default)).Count);

        // Without effect from now on.
        await queue.Suppressions.EndAsync(Lists, s_joe);
        Assert.Equal(RecipientState.Delivered, await EndAsync(Lists, Lists, "ann@example.net"));

        async Task<RecipientState> EndAsync(string flow, string sender, string recipient) =>
            (await queue.OutcomeOfAsync(await queue.AcceptOfAsync(flow, sender, recipient))).Recipients[0].State;
    }

    [Theory]
    [InlineData("5.1.1", "550 5.1.1 no such user", true)]
    [InlineData("5.0.0", "550 no such user here", true)]
    // Hosts say 550 to whatever they do not like.
    [InlineData("5.0.0", "550 rejected", false)]
    [InlineData("5.2.2", "552 5.2.2 mailbox full", false)]
    [InlineData("5.7.1", "550 5.7.1 blocked by spamhaus", false)]
    public async Task A_reply_that_means_that_the_mailbox_is_bad_puts_on_the_list(string status, string reply, bool isListed)
    {
        await using var queue = await StartAsync();
        await queue.Suppressions.BeginAsync("example.org", TimeSpan.FromDays(30), s_joe);
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, status, reply);
        await queue.OutcomeOfAsync(await queue.AcceptOfAsync("example.org", Lists, "ann@example.net"));
        Assert.Equal(isListed ? 1 : 0, (await queue.Suppressions.ListAsync("example.org", "", 10, default)).Count);
    }

    /// <summary>An operator who leads mail to a host that does not know the mailboxes has told their senders nothing of these.</summary>
    [Fact]
    public async Task Nobody_comes_to_a_list_by_the_host_to_which_a_rule_leads_his_mail()
    {
        await using var queue = await StartAsync();
        await queue.Suppressions.BeginAsync(Lists, TimeSpan.FromDays(30), s_joe);
        await queue.Rules.AddAsync(new QueueRule("elsewhere", RuleAct.Redirect, new() { Recipient = new("led@example.net") }, "a test") { Text = "backup.example:2525" }, s_joe);
        await queue.Book.ReadAsync(default);
        queue.Worker.Answer = _ => s_noSuchUser;
        await queue.OutcomeOfAsync(await queue.AcceptOfAsync(Lists, Lists, "led@example.net"));
        Assert.Equal("backup.example:2525", Assert.Single(queue.Worker.Commands).RedirectTo);
        Assert.Empty(await queue.Suppressions.ListAsync(Lists, "", 10, default));
        await queue.Rules.RemoveAsync("elsewhere", s_joe);
        await queue.Book.ReadAsync(default);
        await queue.OutcomeOfAsync(await queue.AcceptOfAsync(Lists, Lists, "led@example.net"));
        Assert.Single(await queue.Suppressions.ListAsync(Lists, "", 10, default));
    }

    /// <summary>The queue that gave the batch out is gone, with what it knew of it.</summary>
    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(null, false)]
    public async Task Of_a_batch_that_nobody_knows_the_report_says_who_has_refused(bool? isRedirected, bool isListed)
    {
        await using var queue = await StartAsync();
        await queue.Suppressions.BeginAsync(Lists, TimeSpan.FromDays(30), s_joe);
        var never = new TaskCompletionSource();
        queue.Worker.Until = _ => never.Task;
        var id = await queue.AcceptOfAsync(Lists, Lists, "ann@example.net");
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.Claims.Count == 1), "the claim is won");
        var (claim, now) = (queue.Worker.Claims.Single().Id, TimeProvider.System.GetUtcNow());
        var failed = new AttemptResult(RecipientIds.Of(id, 0), AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user", "", now, now);
        await queue.ReportAsync(new AttemptReport("example.net", claim + 1000, claim, [failed], Unreachable: false, IsRedirected: isRedirected));
        await queue.OutcomeOfAsync(id);
        Assert.Equal(isListed ? 1 : 0, (await queue.Suppressions.ListAsync(Lists, "", 10, default)).Count);
        never.SetResult();
    }

    [Fact]
    public async Task Which_replies_these_are_is_a_setting()
    {
        await using var queue = await StartAsync(("Queue:Suppression:Classes:0", "quota"));
        await queue.Suppressions.BeginAsync(Lists, keepFor: null, s_joe);
        queue.Worker.Answer = recipient => recipient.Address.StartsWith("full", StringComparison.Ordinal) ? (AttemptOutcome.Failed, "5.2.2", "552 5.2.2 full") : s_noSuchUser;
        await queue.OutcomeOfAsync(await queue.AcceptOfAsync(Lists, Lists, "full@example.net", "gone@example.net"));
        Assert.Equal([("full@example.net", (DateTimeOffset?)null)], (await queue.Suppressions.ListAsync(Lists, "", 10, default)).Select(one => (one.Address, one.Until)));
    }

    private static async Task<QueueUnderTest> StartAsync(params (string Name, string Value)[] settings)
    {
        var queue = await QueueUnderTest.StartAsync(settings.ToDictionary(setting => setting.Name, setting => (string?)setting.Value));
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync(Lists, "hash");
        await queue.Directory.AddAccountAsync("bob@example.org", "hash");
        return queue;
    }

    private static Task<int> AddAsync(QueueUnderTest queue, string address, TimeSpan time) => queue.Suppressions.SetAsync(
        new[] { new Suppression(Lists, address, SuppressionCause.Operator, "moved", TimeProvider.System.GetUtcNow(), TimeProvider.System.GetUtcNow() + time) }.ToAsyncEnumerable(),
        OperatorAction.RecipientSuppressed, address, s_joe, default);

    /// <param name="number">Of those in the sender's maildrop.</param>
    private static async Task<MimeMessage> ReportAsync(QueueUnderTest queue, int number)
    {
        await Until.TrueAsync(async () => (await queue.MaildropAsync(Lists)).Count > number, "the report is in the sender's maildrop");
        using var text = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(await queue.ReadAsync((await queue.MaildropAsync(Lists))[number])));
        return await MimeMessage.LoadAsync(text);
    }
}
