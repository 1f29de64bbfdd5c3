using MailPipeline.Storage;

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
        Assert.Equal([(20_000, "example.net"), (20_000, "example.org")], await results.ListBeforeAsync(20_001, null, 10, default));
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

    [Fact]
    public async Task Days_of_domains_are_listed_page_by_page()
    {
        var results = new DmarcResultStore(Store.Database);
        await results.AddAsync(1, [
            new(new(20_000, "b.example", "x"), 1), new(new(20_000, "a.example", "x"), 1), new(new(20_001, "a.example", "x"), 1)]);
        Assert.Equal([(20_000, "a.example"), (20_000, "b.example")], await results.ListBeforeAsync(long.MaxValue, null, 2, default));
        Assert.Equal([(20_001, "a.example")], await results.ListBeforeAsync(long.MaxValue, (20_000, "b.example"), 2, default));
        Assert.Empty(await results.ListBeforeAsync(long.MaxValue, (20_001, "a.example"), 2, default));
    }

    [Fact]
    public async Task A_report_is_kept_once_and_forgotten_in_time()
    {
        var reports = new DmarcReportStore(Store.Database);
        var now = Store.Time.GetUtcNow();
        var first = await AcceptTaggedAsync("dmarc-pass");
        var second = await AcceptTaggedAsync("dmarc-fail");
        var report = new ReceivedDmarcReport(
            first, "example.org", "Example Ltd", "reports@example.com", "1", now.AddDays(-2), now.AddDays(-1), "none",
            [new("192.0.2.1", "example.org", 5, "none", HasDkim: true, HasSpf: true), new("192.0.2.2", "example.org", 2, "reject", HasDkim: false, HasSpf: false)], 3,
            "example.com", IsProven: true);
        Assert.Equal((true, now), await reports.FindMessageAsync(first, default));
        Assert.Equal((false, now), await reports.FindMessageAsync(second, default));
        Assert.Null(await reports.FindMessageAsync(second + 1, default));
        Assert.Equal(DmarcReportKept.Kept, await reports.KeepAsync(report));
        Assert.Equal(DmarcReportKept.Known, await reports.KeepAsync(report));
        Assert.Equal(DmarcReportKept.Known, await reports.KeepAsync(report with { MessageId = second }));
        Assert.Equal(DmarcReportKept.Kept, await reports.KeepAsync(
            report with { MessageId = second, Organization = "Other", IsProven = false, Rows = [new("192.0.2.2", "a.example.org", 1, "quarantine", HasDkim: false, HasSpf: true)] }));
        Assert.Equal(
            [new DmarcSum("example.org", 2, 2, "Example Ltd", 8, 5, 6, 2, 1, 2, 1)], await reports.SumAsync(DmarcGrouping.Domain, now.AddDays(-1), "", 10, default));
        Assert.Equal(
            [new DmarcSum("192.0.2.1", 1, 1, "Example Ltd", 5, 5, 5, 0, 0, 0, 1), new DmarcSum("192.0.2.2", 2, 2, "Example Ltd", 3, 0, 1, 2, 1, 2, 1)],
            await reports.SumAsync(DmarcGrouping.Source, now.AddDays(-1), "example.org", 10, default));
        Assert.Equal(["Example Ltd"], (await reports.SumAsync(DmarcGrouping.Organization, now.AddDays(-1), "example.org", 1, default)).Select(sum => sum.Name));
        Assert.Empty(await reports.SumAsync(DmarcGrouping.Source, now.AddDays(-1), "example.net", 10, default));
        Assert.Empty(await reports.SumAsync(DmarcGrouping.Domain, now.AddDays(-1).AddSeconds(1), "", 10, default));

        await reports.ForgetAsync(now, 1, default);
        Assert.Single(await reports.SumAsync(DmarcGrouping.Domain, DateTimeOffset.UnixEpoch, "", 10, default));
        await reports.ForgetAsync(now.AddSeconds(1), 1, default);
        Assert.Equal(1, Assert.Single(await reports.SumAsync(DmarcGrouping.Domain, DateTimeOffset.UnixEpoch, "", 10, default)).Reports);
        await reports.ForgetAsync(now.AddSeconds(1), 1, default);
        Assert.Empty(await reports.SumAsync(DmarcGrouping.Domain, DateTimeOffset.UnixEpoch, "", 10, default));
    }

    [Fact]
    public async Task A_forged_report_does_not_stand_for_the_real_one()
    {
        var reports = new DmarcReportStore(Store.Database);
        var now = Store.Time.GetUtcNow();
        var real = new ReceivedDmarcReport(
            1, "example.org", "Example Ltd", "", "1", now, now, "none", [new("192.0.2.1", "", 1, "none", HasDkim: false, HasSpf: false)], 0, "example.com", IsProven: true);
        Assert.Equal(DmarcReportKept.Kept, await reports.KeepAsync(real with { MessageId = 2, IsProven = false }));
        Assert.Equal(DmarcReportKept.Kept, await reports.KeepAsync(real with { MessageId = 3, Author = "example.net" }));
        Assert.Equal(DmarcReportKept.Kept, await reports.KeepAsync(real));
        Assert.Equal(DmarcReportKept.Known, await reports.KeepAsync(real with { MessageId = 4 }));
    }

    [Fact]
    public async Task Strangers_reports_take_no_more_room_in_a_day_and_leave_some_for_the_proven()
    {
        var reports = new DmarcReportStore(Store.Database);
        var now = Store.Time.GetUtcNow();
        var rows = Enumerable.Range(0, 5000).Select(i => new ReceivedDmarcRow($"192.0.2.{i}", "", 1, "none", HasDkim: false, HasSpf: false)).ToList();
        ReceivedDmarcReport Report(long id, bool isProven) => new(id, "example.org", "", "", $"{id}", now, now, "none", rows, 0, "", isProven);
        var next = 1;
        for (; next < DmarcReportStore.MostUnprovenRowsADay / rows.Count; next++)
            Assert.Equal(DmarcReportKept.Kept, await reports.KeepAsync(Report(next, isProven: false)));
        Assert.Equal(DmarcReportKept.NoRoom, await reports.KeepAsync(Report(1000, isProven: false)));
        for (; next < DmarcReportStore.MostRowsADay / rows.Count; next++)
            Assert.Equal(DmarcReportKept.Kept, await reports.KeepAsync(Report(next, isProven: true)));
        Assert.Equal(DmarcReportKept.NoRoom, await reports.KeepAsync(Report(1000, isProven: true)));
        Store.Time.Advance(TimeSpan.FromDays(1));
        Assert.Equal(DmarcReportKept.Kept, await reports.KeepAsync(Report(1000, isProven: false)));
    }

    [Fact]
    public async Task A_report_in_pieces_is_whole_and_what_a_process_left_of_one_is_not_counted_twice()
    {
        var reports = new DmarcReportStore(Store.Database);
        var now = Store.Time.GetUtcNow();
        var rows = Enumerable.Range(0, (2 * DmarcReportStore.RowsAtOnce) + 1).Select(i => new ReceivedDmarcRow("192.0.2.1", "", 1, "none", HasDkim: false, HasSpf: false)).ToList();
        var left = new Statement("INSERT INTO dmarc_report_rows (report, number, source, header_from, messages, disposition, dkim, spf) VALUES ($1, $2, '192.0.2.1', '', 1, 0, 0, 0)");
        await Store.Database.WriteAsync(async transaction => await transaction.ExecuteAsync(left, 7, 0) + await transaction.ExecuteAsync(left, 8, 0));
        Assert.Empty(await reports.SumAsync(DmarcGrouping.Source, now, "", 10, default));
        var report = new ReceivedDmarcReport(7, "example.org", "", "", "1", now, now, "none", rows, 0);
        Assert.Equal(DmarcReportKept.Kept, await reports.KeepAsync(report));
        Assert.Equal(rows.Count, Assert.Single(await reports.SumAsync(DmarcGrouping.Source, now, "", 10, default)).Messages);
        Assert.Equal(DmarcReportKept.Known, await reports.KeepAsync(report));
        Assert.Equal(rows.Count, Assert.Single(await reports.SumAsync(DmarcGrouping.Source, now, "", 10, default)).Messages);
        await reports.DropAsync(8);
        var count = new Statement("SELECT COUNT(*) FROM dmarc_report_rows WHERE report = $1");
        Assert.Equal([0], await Store.Database.QueryAsync(count, r => r.GetInt64(0), default, 8));
    }

    private async Task<long> AcceptTaggedAsync(string tag)
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        await using var content = Store.Messages.CreateContent(id);
        await content.AppendAsync("text"u8.ToArray(), default);
        await Store.Messages.AcceptAsync(new Envelope(id, "", ["dmarc@example.org"], 4, BodyType.SevenBit, Store.Time.GetUtcNow(), ""), content, default, tags: ["spf-pass", tag]);
        return id;
    }
}
