using MailPipeline.Mail;
using MailPipeline.Smtp;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;

namespace MailPipeline.Queue.Tests;

/// <summary>Messages that their senders want to leave later (RFC 4865).</summary>
public sealed class HoldTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task It_leaves_at_its_time_and_no_earlier_to_others_and_to_maildrops_here(bool hint)
    {
        await using var queue = await QueueUnderTest.StartAsync();
        using var forgotten = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.forgotten");
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("bob@example.org", "hash");
        var at = In(seconds: 2);
        var id = await queue.AcceptTimedAsync(hint, Held(at), "a@example.net", "bob@example.org");
        Assert.Equal(FlushEnd.NothingWaits, (await queue.Flushes.FlushAsync("example.net", new("ann"), bounds: null)).End);
        var timeline = await queue.OutcomeOfAsync(id);
        Assert.All(timeline.Recipients, recipient => Assert.Equal(RecipientState.Delivered, recipient.State));
        Assert.All(timeline.Recipients, recipient => Assert.InRange(recipient.Attempts[0].StartedAt, at, at.AddSeconds(20)));
        // Nobody has lost a hint of it.
        Assert.Equal(0, forgotten.GetMeasurementSnapshot().Sum(m => m.Value));
    }

    [Fact]
    public async Task Its_age_counts_from_then_and_the_report_says_what_was_asked_for()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:MaxAge"] = "00:00:02", ["Queue:DelayReportAfter"] = "0" });
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("sender@example.org", "hash");
        queue.Worker.Answer = _ => (AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 full");
        var at = In(seconds: 3);
        var id = await queue.AcceptTimedAsync(hint: true, Held(at), "a@example.net");
        var recipient = Assert.Single((await queue.OutcomeOfAsync(id)).Recipients);
        Assert.Equal(RecipientState.Expired, recipient.State);
        Assert.True(recipient.Attempts.Count > 1, "it was tried again");
        Assert.InRange(recipient.UpdatedAt, at.AddSeconds(2), at.AddSeconds(30));
        await queue.ReportArrivesAsync();
        var report = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        Assert.Contains("Future-Release-Request: for;3\r\n", report, StringComparison.Ordinal);
    }

    // As storage keeps it: in whole milliseconds.
    private static DateTimeOffset In(int seconds) =>
        DateTimeOffset.FromUnixTimeMilliseconds(TimeProvider.System.GetUtcNow().AddSeconds(seconds).ToUnixTimeMilliseconds());

    private static MailTiming Held(DateTimeOffset at) => MailTiming.None with { Release = new ReleaseRequest("for;3", at) };
}
