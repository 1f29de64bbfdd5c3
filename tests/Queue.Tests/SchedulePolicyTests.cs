using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Tests;

/// <summary>Times and replies by the file of the policy, in a queue that runs.</summary>
public sealed class SchedulePolicyTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("""{ "Destinations": [ { "For": "a.example", "MaxAge": "0s" } ] }""", "Policy:Destinations:0:MaxAge is 00:00:00; it must be 00:00:01 to 60.00:00:00")]
    [InlineData("""{ "Destinations": [ { "For": "a.example", "RetrySteps": [ "5m", "99d" ] } ] }""", "Policy:Destinations:0:RetrySteps:1 is 99.00:00:00; it must be 00:00:00.001 to ")]
    [InlineData("""{ "Destinations": [ { "For": "a.example", "Uncertain": { "Most": 0 } } ] }""", "Policy:Destinations:0:Uncertain:Most is 0; it must be 1 to 100")]
    [InlineData("""{ "Destinations": [ { "For": "a.example", "Uncertain": { "Then": "Drop" } } ] }""", "Policy:Destinations:0:Uncertain:Then is 'Drop'; it must be one of Hold, Report")]
    [InlineData("""{ "Destinations": [ { "For": "mx:a.example", "MaxAge": "1h" } ] }""", "Policy:Destinations:0 is of hosts ('mx:a.example') and may have limits only; ")]
    [InlineData("""{ "Destinations": [ { "For": "a.example" } ] }""", "Policy:Destinations:0 says nothing; it must have ")]
    [InlineData("""{ "Senders": [ { "From": "a b", "MaxAge": "1h" } ] }""", "Policy:Senders:0:From is 'a b'; it must be an address, a domain, ")]
    [InlineData("""{ "Senders": [ { "From": "x*@a.example", "MaxAge": "1h" } ] }""", "Policy:Senders:0:From is 'x*@a.example'; it must be an address, ")]
    [InlineData("""{ "Senders": [ { "From": "a.example" } ] }""", "Policy:Senders:0 says nothing; it must have Weight, MessagesPerSecond, MessagesPerMinute, MessagesPerHour, RetrySteps, MaxAge, DelayReportAfter or Uncertain")]
    [InlineData("""{ "Senders": [ { "From": "a.example", "DelayReportAfter": "-1s" } ] }""", "Policy:Senders:0:DelayReportAfter is ")]
    [InlineData("""{ "Senders": [ { "From": "a.example", "MaxAge": "1h" }, { "From": "A.example", "MaxAge": "2h" } ] }""", "Policy:Senders:1:From is 'A.example', as that of an entry before")]
    [InlineData("""{ "Senders": [ { "For": "a.example" } ] }""", "There is no setting 'Policy:Senders:0:For'; Policy:Senders:0 has From, Weight, MessagesPerSecond, ")]
    [InlineData("""{ "Replies": [ { "Class": "rate" } ] }""", "Policy:Replies:0 fits every reply; it must have Host or Text")]
    [InlineData("""{ "Replies": [ { "Text": "x" } ] }""", "Policy:Replies:0:Class is missing; it must be one of Mailbox, Domain, Quota, ")]
    [InlineData("""{ "Replies": [ { "Text": "x", "Class": "none" } ] }""", "Policy:Replies:0:Class is 'None'; it must be one of Mailbox, ")]
    [InlineData("""{ "Replies": [ { "Host": "mx.*.example", "Class": "rate" } ] }""", "Policy:Replies:0:Host is 'mx.*.example'; it must be the name of a host, ")]
    [InlineData("""{ "Replies": [ { "Text": "x", "Class": "rate", "Then": "bounce", "RetrySteps": [ "1h" ] } ] }""", "Policy:Replies:0:RetrySteps has no use beside Then Bounce")]
    public async Task What_is_wrong_stops_the_start_and_names_the_entry(string json, string expected)
    {
        using var folder = new TempFolder("policy");
        var path = folder.Write("policy.json", json);
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => QueueUnderTest.StartAsync(new() { ["Queue:PolicyFile"] = path }));
        Assert.Contains(failure.Failures, said => said.StartsWith($"Queue:PolicyFile is '{path}': {expected}", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Queue:Uncertain:Most", "0", "Queue:Uncertain:Most is 0; it must be 1 to 100")]
    [InlineData("Queue:Uncertain:Steps:0", "0", "Queue:Uncertain:Steps:0 is 00:00:00; it must be 00:00:00.001 to 60.00:00:00")]
    [InlineData("Queue:Uncertain:Then", "Drop", "Queue:Uncertain:Then is 'Drop'; it must be one of Hold, Report")]
    public async Task A_wrong_setting_stops_the_start(string setting, string value, string expected)
    {
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => QueueUnderTest.StartAsync(new() { [setting] = value }));
        Assert.Contains(expected, failure.Failures);
    }

    [Fact]
    public async Task Senders_give_up_each_after_his_own_time()
    {
        await using var queue = await StartAsync("""
            { "Senders": [ { "From": "bank.example", "MaxAge": "00:00:01" } ],
              "Destinations": [ { "For": "slow.example", "MaxAge": "00:00:01" } ] }
            """);
        queue.Worker.Answer = _ => (AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 full");
        var bank = await queue.AcceptAsync(hint: true, "x@bank.example", "a@example.net");
        var slow = await queue.AcceptAsync(hint: true, "sender@example.org", "a@slow.example");
        var other = await queue.AcceptAsync(hint: true, "sender@example.org", "b@example.net");

        Assert.Equal(RecipientState.Expired, Assert.Single((await queue.OutcomeOfAsync(bank)).Recipients).State);
        Assert.Equal(RecipientState.Expired, Assert.Single((await queue.OutcomeOfAsync(slow)).Recipients).State);
        Assert.Equal(RecipientState.Queued, Assert.Single((await queue.History.FindAsync(other, Cancellation))!.Recipients).State);
    }

    [Fact]
    public async Task Senders_are_told_of_a_delay_each_after_his_own_time()
    {
        await using var queue = await StartAsync(
            """
            { "Senders": [ { "From": "soon@example.org", "DelayReportAfter": "00:00:00.500", "MaxAge": "03:00:00" }, { "From": "never@example.org", "DelayReportAfter": "0s" } ],
              "Destinations": [ { "For": "told.example", "DelayReportAfter": "00:00:00.500" } ] }
            """,
            new() { ["Queue:RetrySteps:0"] = "01:00:00", ["Queue:DelayReportAfter"] = "04:00:00" });
        foreach (var account in (string[])["soon", "never", "sender"])
            await queue.Directory.AddAccountAsync($"{account}@example.org", "hash");
        queue.Worker.Answer = _ => (AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 full");
        await queue.AcceptAsync(hint: true, "soon@example.org", "a@example.net");
        await queue.AcceptAsync(hint: true, "never@example.org", "a@example.net", "a@told.example");
        // Of one message the recipient of the one domain, and not the other.
        await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "b@told.example");

        await Until.TrueAsync(
            async () => (await queue.MaildropAsync("soon@example.org")).Count == 1 && (await queue.MaildropAsync("sender@example.org")).Count == 1, "both are told");
        var report = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        Assert.Contains("b@told.example", report, StringComparison.Ordinal);
        Assert.DoesNotContain("a@example.net", report, StringComparison.Ordinal);
        // It says until when he in particular is tried for.
        var soon = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("soon@example.org")));
        var end = DateTimeOffset.Parse(soon.Split("Will-Retry-Until: ")[1].Split("\r\n")[0], System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(3.0, (end - TimeProvider.System.GetUtcNow()).TotalHours, 0.2);
        Assert.Empty(await queue.MaildropAsync("never@example.org"));
    }

    [Fact]
    public async Task A_domain_backs_off_by_its_own_steps_and_a_change_counts_from_the_next_failure()
    {
        using var folder = new TempFolder("policy");
        var path = folder.Write("policy.json", """{ "Destinations": [ { "For": "away.example", "RetrySteps": [ "00:00:00.100", "02:00:00" ] } ], "Senders": [ { "From": "*", "RetrySteps": [ "00:00:00.100" ] } ] }""");
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:PolicyFile"] = path, ["Queue:RetryJitter"] = "0" });
        queue.Worker.Reachable = _ => false;
        await queue.AcceptAsync(hint: true, "sender@example.org", "a@away.example");
        await Until.TrueAsync(async () => (await queue.FailuresAsync("away.example")) == 2, "it has failed twice");
        Assert.Equal(2.0, ((await queue.Store.FindBackoffAsync("away.example", Cancellation)).BackoffUntil - TimeProvider.System.GetUtcNow()).TotalHours, 0.1);
    }

    [Fact]
    public async Task Replies_mean_what_the_policy_says_and_are_counted_and_remembered_by_class()
    {
        await using var queue = await StartAsync("""
            { "Replies": [ { "Host": "mx.example.net", "Text": "come back", "Class": "policy", "Then": "retry" }, { "Text": "out of business", "Class": "domain", "Then": "bounce" } ] }
            """);
        using var undelivered = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.undelivered");
        queue.Worker.Answer = recipient => recipient.Address.Split('@')[0] switch
        {
            "retried" when recipient.Attempts == 0 => (AttemptOutcome.Failed, "5.7.1", "550 5.7.1 come back"),
            "bounced" => (AttemptOutcome.Deferred, "4.3.2", "421 4.3.2 out of business"),
            _ => (AttemptOutcome.Delivered, "2.0.0", "250 Ok"),
        };
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "retried@example.net", "bounced@example.net");
        var recipients = (await queue.OutcomeOfAsync(id)).Recipients;

        Assert.Equal([RecipientState.Delivered, RecipientState.Bounced], recipients.Select(recipient => recipient.State));
        Assert.Equal([(AttemptOutcome.Failed, ReplyClass.Policy), (AttemptOutcome.Delivered, ReplyClass.None)], recipients[0].Attempts.Select(attempt => (attempt.Outcome, attempt.Class)));
        Assert.Equal(ReplyClass.Domain, Assert.Single(recipients[1].Attempts).Class);
        await queue.ReportArrivesAsync();
        // It is given up: nobody says that it is tried again.
        Assert.Contains("Status: 5.3.2", await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org"))), StringComparison.Ordinal);
        Assert.Equal(
            [("deferred", "domain"), ("failed", "policy")],
            undelivered.GetMeasurementSnapshot().Where(m => m.Value > 0).Select(m => ((string)m.Tags["outcome"]!, (string)m.Tags["class"]!)).Order());
    }

    private static async Task<QueueUnderTest> StartAsync(string policy, Dictionary<string, string?>? settings = null)
    {
        var folder = new TempFolder("policy");
        try
        {
            var queue = await QueueUnderTest.StartAsync(new(settings ?? []) { ["Queue:PolicyFile"] = folder.Write("policy.json", policy) });
            await queue.Directory.AddDomainAsync("example.org");
            if (settings is null)
                await queue.Directory.AddAccountAsync("sender@example.org", "hash");
            return queue;
        }
        finally
        {
            // What was read stays in force.
            folder.Dispose();
        }
    }
}
