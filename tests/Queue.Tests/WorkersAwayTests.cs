using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;

namespace MailPipeline.Queue.Tests;

/// <summary>Where nobody works nothing is done again and again; as soon as somebody does it goes on.</summary>
public sealed class WorkersAwayTests
{
    [Fact]
    public async Task While_nobody_consumes_mail_waits_in_storage_and_goes_on_when_somebody_does()
    {
        // Only who is told of the opening wakes anybody: the next round comes much later.
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:ReconcileInterval"] = "00:00:01" });
        Assert.True(queue.Gate.NoteConsumers(BusEndpoints.Deliver, 0));
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("sender@example.org", "hash");
        var ids = new List<long>();
        for (var i = 0; i < 10; i++)
            ids.Add(await queue.AcceptAsync(hint: true, "sender@example.org", $"a@d{i}.example.net", "sender@example.org"));

        // What has somewhere to go is not held up.
        await Until.TrueAsync(async () => (await queue.MaildropAsync("sender@example.org")).Count == 10, "local mail is delivered");
        await Until.TrueAsync(() => Task.FromResult(queue.Gauge("due", ("waits_for", "worker")) == 10), "the others wait for a worker");
        Assert.Empty(queue.Worker.Commands);

        Assert.True(queue.Gate.NoteConsumers(BusEndpoints.Deliver, 1));
        foreach (var id in ids)
            await queue.OutcomeOfAsync(id);
        await queue.DrainedAsync();
    }

    /// <summary>The workers of domains that fail are away: what goes to all others is not held up.</summary>
    [Fact]
    public async Task While_failing_domains_have_no_workers_the_others_are_delivered()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        queue.Gate.NoteConsumers(BusEndpoints.DeliverRetry, 0);
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net"));
        Assert.False(queue.Gate.IsOpen(BusEndpoints.DeliverRetry));
    }

    /// <summary>
    /// Who waits for workers of one endpoint fills a page of the window, and more: who waits behind them for workers that are there does
    /// not wait for the others. Then nobody is read again for whom there are no workers: the domain is woken in vain, for its queue says so.
    /// </summary>
    [Theory]
    [InlineData(BusEndpoints.Store)]
    [InlineData(BusEndpoints.Deliver)]
    public async Task Who_waits_behind_a_window_of_others_whose_workers_are_away_is_handed_out(string closed)
    {
        const int Window = 10;
        const string Domain = "example.net";
        await using var queue = await QueueUnderTest.StartAsync(
            new() { ["Queue:WindowRecipients"] = $"{Window}", ["Queue:BatchRecipients"] = "3", ["Queue:UnroutedGrace"] = "00:01:00" });
        var (before, behind) = closed == BusEndpoints.Store ? (RecipientRoute.Local, RecipientRoute.Remote) : (RecipientRoute.Remote, RecipientRoute.Local);
        queue.Gate.NoteConsumers(closed, 0);
        // Routed when the domain was ours, and when it was not; the directory says what it is now.
        if (behind == RecipientRoute.Local)
            await queue.Directory.AddDomainAsync(Domain);
        string[] addresses = [.. Enumerable.Range(0, (3 * Window) + 1).Select(i => $"a{i}@{Domain}")];
        foreach (var address in addresses)
            await queue.Directory.AddAccountAsync(address, "hash");
        var waiting = await queue.RouteAsync(before, addresses);
        var done = await queue.RouteAsync(behind, addresses[0]);

        Assert.Equal(RecipientState.Delivered, Assert.Single((await queue.OutcomeOfAsync(done)).Recipients).State);
        Assert.All((await queue.History.FindAsync(waiting, default))!.Recipients, recipient => Assert.Equal(RecipientState.Queued, recipient.State));
        Assert.False(await queue.WakeAsync(Domain));

        queue.Gate.NoteConsumers(closed, 1);
        await queue.OutcomeOfAsync(waiting);
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task What_is_handed_back_at_once_is_not_handed_out_at_once()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        var isBack = false;
        queue.Worker.FateOf = _ => Volatile.Read(ref isBack) ? Worker.Fate.Done : Worker.Fate.HandedBack;
        using var attempts = new MetricCollector<long>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.attempts");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.Commands.Count >= 3), "it is handed out again");
        // The next one comes after two seconds; at once there would be hundreds.
        Assert.InRange(queue.Worker.Commands.Count, 3, 10);
        Volatile.Write(ref isBack, true);
        Assert.Single(Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).Attempts);
        await queue.DrainedAsync();
    }
}
