namespace MailPipeline.Mail.Tests;

/// <summary>What is kept of DMARC, for reports to others.</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task Judgements_of_all_processes_are_added_up_until_they_are_told()
    {
        var results = new DmarcResultStore(Store.Database);
        var one = new DmarcResultKey(20_000, "example.net", "one");
        await results.AddAsync(1, [new(one, 3), new(one with { Judgement = "other" }, 1), new(one with { Judgement = "" }, 2)]);
        await results.AddAsync(1, [new(one, 4)]);
        await results.AddAsync(2, [new(one, 5), new(one with { Judgement = "" }, 1), new(one with { Domain = "example.org" }, 1), new(one with { Day = 20_001 }, 9)]);
        Assert.Equal([(20_000, "example.net"), (20_000, "example.org")], await results.ListBeforeAsync(20_001, 10, default));
        var day = await results.FindAsync(20_000, "example.net", 10, default);
        Assert.Equal([("one", 12L), ("other", 1L)], day.Counts.Select(count => (count.Key.Judgement, count.Messages)));
        Assert.Equal(16, day.Messages);
        Assert.Equal(("one", 16L), (Assert.Single((await results.FindAsync(20_000, "example.net", 1, default)).Counts).Key.Judgement, day.Messages));

        var now = Store.Time.GetUtcNow();
        var id = await Store.Messages.NextMessageIdAsync(default);
        var report = new ComposedMessage(new Envelope(id, "", ["reports@example.net"], 5, BodyType.SevenBit, now, ""), "five!"u8.ToArray());
        var sent = new SentDmarcReport(id, 20_000, "example.net", "reports@example.net", "1.20000", 2, 13, now);
        Assert.True(await results.ReportAsync(20_000, "example.net", [report], [sent]));
        // Another process has been at it at the same time.
        Assert.False(await results.ReportAsync(
            20_000, "example.net", [report with { Message = report.Message with { MessageId = id + 1 } }], [sent with { MessageId = id + 1 }]));
        Assert.Equal(0, (await results.FindAsync(20_000, "example.net", 10, default)).Messages);
        Assert.Equal(id, Assert.Single(await Store.Queue.ListUnroutedAsync(0, now.AddMinutes(1), 10, default)).MessageId);
        Assert.Equal([sent], await results.ListSentAsync(now, "", 10, default));
        Assert.Empty(await results.ListSentAsync(now.AddSeconds(1), "", 10, default));
        await results.ForgetSentAsync(now);
        Assert.Equal([sent], await results.ListSentAsync(DateTimeOffset.UnixEpoch, "example.net", 10, default));
        await results.ForgetSentAsync(now.AddMilliseconds(1));
        Assert.Empty(await results.ListSentAsync(DateTimeOffset.UnixEpoch, "example.net", 10, default));
    }
}
