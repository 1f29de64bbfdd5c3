using MailPipeline.Smtp;

namespace MailPipeline.Mail.Tests;

/// <summary>Messages that their senders want to leave later (RFC 4865).</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task What_its_sender_has_held_nobody_routes_before_its_time()
    {
        var message = await AcceptHeldAsync(TimeSpan.FromHours(1), "a@example.net", "b@example.net");
        var plain = await Store.AcceptAsync("y"u8.ToArray(), "c@example.net");
        // Neither a router that does not know of it, nor one that does.
        Assert.Equal((1, 1), (await CountAsync("SELECT COUNT(*) FROM unrouted"), await CountAsync("SELECT COUNT(*) FROM unrouted_timed")));
        Assert.Equal([plain.MessageId], (await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow(), 10, default)).Select(envelope => envelope.MessageId));
        Assert.Equal([plain.MessageId], (await Store.Queue.FindUnroutedAsync([message.MessageId, plain.MessageId], default)).Select(envelope => envelope.MessageId));
        // A hint that came too soon.
        Assert.Empty(await Store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)]));
        Assert.Equal(1, (await Store.Measures.MeasureAsync(QueueState.Unknown with { InitialConcurrency = 1 }, isPaused: false, default)).Unrouted);
        var summary = await Store.Waiting.SummarizeAsync(10, QueueState.Unknown, isPaused: false, default);
        Assert.Equal((0, 1, 1), (summary.Queued, summary.Unrouted, summary.HeldBySenders));
        // It fills the queue, not the way to the router.
        var load = await Store.Messages.MeasureLoadAsync(100, 100, default);
        Assert.Equal((1, 1), (load.Unrouted, load.Queued));
        var timeline = (await Store.History.FindAsync(message.MessageId, default))!;
        Assert.Equal((message.Timing!.Release!.At, 2), (timeline.ReleaseAt, timeline.Envelope.Count));
        Assert.Equal("x"u8.ToArray(), await Store.ReadAsync(message.MessageId));

        Store.Time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(2, (await Store.Measures.MeasureAsync(QueueState.Unknown with { InitialConcurrency = 1 }, isPaused: false, default)).Unrouted);
        var listed = await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow(), 10, default);
        Assert.Equal([message.MessageId, plain.MessageId], listed.Select(envelope => envelope.MessageId));
        Assert.Equal([message.MessageId], (await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow(), 1, default)).Select(envelope => envelope.MessageId));
        var found = Assert.Single(await Store.Queue.FindUnroutedAsync([message.MessageId], default));
        Assert.Equal((message.Timing, null), (found.Timing, found.Dsn));
        var made = await Store.Queue.RouteAsync([StoreFixture.Route(found, RecipientRoute.Remote)]);
        Assert.Empty(await Store.Queue.RouteAsync([StoreFixture.Route(found, RecipientRoute.Remote)]));
        // Due now, and as old as it has been let go for, in whatever way it is read.
        Assert.All(made, row => Assert.Equal((Store.Time.GetUtcNow(), Store.Time.GetUtcNow()), (row.Recipient.AcceptedAt, row.Recipient.NextAttemptAt)));
        Store.Time.Advance(TimeSpan.FromMinutes(1));
        var due = await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default);
        Assert.Equal(made.Select(row => row.Recipient), due);
        Assert.Equal(0, (await Store.Waiting.SummarizeAsync(10, QueueState.Unknown, isPaused: false, default)).HeldBySenders);
    }

    [Fact]
    public async Task What_it_says_about_reports_comes_with_it_when_it_is_let_go()
    {
        var dsn = new EnvelopeDsn(MailDsn.Parse("RET=FULL ENVID=QQ1"), [s_success]);
        var message = await AcceptHeldAsync(TimeSpan.FromHours(1), dsn, "a@example.net");
        Store.Time.Advance(TimeSpan.FromHours(1));
        var found = Assert.Single(await Store.Queue.FindUnroutedAsync([message.MessageId], default));
        Assert.Equal(dsn.ToText(), found.Dsn!.ToText());
        var recipient = Assert.Single(await RouteDsnAsync(found));
        Assert.Equal(dsn.Mail, (await Parameters.FindAsync([recipient.RecipientId], default)).Mail);
        await DeliverAsync(7, recipient, handsOn: false);
        Assert.Equal(1, (await TellAsync(message.MessageId)).Recipients);
        Assert.Empty(await Store.ReadAsync(message.MessageId));
    }

    [Fact]
    public async Task No_flush_lets_it_go_and_no_report_says_that_it_is_late()
    {
        var message = await AcceptHeldAsync(TimeSpan.FromHours(10), "a@example.net");
        Assert.Equal(FlushEnd.NothingWaits, (await Store.Flushes.FlushAsync("example.net", new("ann"), bounds: null)).End);
        Store.Time.Advance(TimeSpan.FromHours(9));
        await Store.QueueAsync("y"u8.ToArray(), RecipientRoute.Remote, "b@example.net");
        Assert.Equal(1, (await Store.Flushes.FlushAsync("example.net", new("ann"), bounds: null)).Messages);
        Assert.Empty(await Store.Queue.FindUnroutedAsync([message.MessageId], default));

        Store.Time.Advance(TimeSpan.FromHours(1));
        await Store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)]);
        Store.Time.Advance(TimeSpan.FromHours(1));
        // Since four hours ago: accepted before, and let go behind.
        var late = (await Reports.ListLateAsync(Store.Time.GetUtcNow().AddHours(-4), WaitingPlace.Start, default)).Messages.Select(late => late.MessageId);
        Assert.DoesNotContain(message.MessageId, late);
        Assert.Contains(message.MessageId, (await Reports.ListLateAsync(Store.Time.GetUtcNow().AddHours(-1), WaitingPlace.Start, default)).Messages.Select(late => late.MessageId));
        var told = (await Store.Unreported.FindMessageAsync(message.MessageId, default))!;
        Assert.Equal((message.AcceptedAt, message.Timing!.Release!.At, "for;36000"), (told.AcceptedAt, told.Since, told.Timing.Release!.Asked));
    }

    [Fact]
    public async Task An_operator_removes_it_and_that_is_the_end_of_each_recipient()
    {
        await Store.Directory.AddDomainAsync("example.org");
        var message = await AcceptHeldAsync(TimeSpan.FromHours(1), "a@Example.net", "b@example.org");
        Assert.Equal(new OperatorChange(0, 0), await Store.Operator.HoldAsync(message.MessageId, new("ann")));
        Assert.Equal(new OperatorChange(2, 0), await Store.Operator.RemoveAsync(message.MessageId, new("joe")));
        Assert.Equal(new OperatorChange(0, 0), await Store.Operator.RemoveAsync(message.MessageId, new("joe")));
        var timeline = (await Store.History.FindAsync(message.MessageId, default))!;
        Assert.Empty(timeline.Envelope);
        Assert.Equal(
            [("a@Example.net", "example.net", RecipientRoute.Remote, RecipientState.Removed), ("b@example.org", "example.org", RecipientRoute.Local, RecipientState.Removed)],
            timeline.Recipients.Select(recipient => (recipient.Address, recipient.Domain, recipient.Route, recipient.State)));
        Assert.Equal(("joe", OperatorAction.Removed, 2), timeline.Audit.Select(entry => (entry.Operator, entry.Action, entry.Recipients)).Single());
        Assert.Empty(await Store.ReadAsync(message.MessageId));

        Store.Time.Advance(TimeSpan.FromHours(1));
        Assert.Empty(await Store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)]));
        Assert.Empty(await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow(), 10, default));
        Assert.Equal(0, (await Store.CountAsync()).ChunksWithoutOwner);
    }

    [Fact]
    public async Task A_finished_one_is_remembered_as_long_as_others_since_it_was_let_go()
    {
        var message = await AcceptHeldAsync(TimeSpan.FromDays(7), "a@example.net");
        Store.Time.Advance(TimeSpan.FromDays(7));
        var recipient = Assert.Single(await Store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)])).Recipient;
        await DeliverAsync(7, recipient, handsOn: false);
        Store.Time.Advance(TimeSpan.FromHours(23));
        Assert.Equal(0, await Store.History.ForgetAsync(Store.Time.GetUtcNow().AddDays(-1), default));
        Store.Time.Advance(TimeSpan.FromHours(2));
        Assert.Equal(1, await Store.History.ForgetAsync(Store.Time.GetUtcNow().AddDays(-1), default));
    }

    [Fact]
    public async Task A_priority_comes_with_the_recipient_however_he_is_read()
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        var message = new Envelope(
            id, "sender@example.org", ["a@example.net"], 1, BodyType.Timing, Store.Time.GetUtcNow(), "", "sender@example.org", Timing: new MailTiming { Priority = -2 });
        await using var writer = Store.Messages.CreateContent(id);
        await writer.AppendAsync("x"u8.ToArray(), default);
        await Store.Messages.AcceptAsync(message, writer, default);
        Assert.Equal(0, (await Store.Waiting.SummarizeAsync(10, QueueState.Unknown, isPaused: false, default)).HeldBySenders);
        var found = Assert.Single(await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow(), 10, default));
        Assert.Equal((message.Timing, BodyType.Timing), (found.Timing, found.Body));
        var recipient = Assert.Single(await Store.Queue.RouteAsync([StoreFixture.Route(found, RecipientRoute.Remote)])).Recipient;
        Assert.Equal(-2, recipient.Priority);
        var now = Store.Time.GetUtcNow();
        Assert.Equal([recipient], await Store.Queue.ListDueAsync("example.net", now, 10, default));
        Assert.Equal([recipient], (await Store.Flows.ListDueAsync("example.net", now, default, "", 10, null, default)).Recipients);
        Assert.Equal(message.Timing, await new TimingStore(Store.Database).FindAsync(id, default));
        Assert.Equal(MailTiming.None, await new TimingStore(Store.Database).FindAsync(id + 1, default));
    }

    private Task<Envelope> AcceptHeldAsync(TimeSpan time, params string[] recipients) => AcceptHeldAsync(time, null, recipients);

    private async Task<Envelope> AcceptHeldAsync(TimeSpan time, EnvelopeDsn? dsn, params string[] recipients)
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        var message = new Envelope(
            id, "sender@example.org", recipients, 1, dsn is null ? BodyType.SevenBit : BodyType.Dsn, Store.Time.GetUtcNow(), "", Dsn: dsn,
            Timing: MailTiming.None with { Release = new ReleaseRequest($"for;{time.TotalSeconds}", Store.Time.GetUtcNow() + time) });
        await using var writer = Store.Messages.CreateContent(id);
        await writer.AppendAsync("x"u8.ToArray(), default);
        await Store.Messages.AcceptAsync(message, writer, default);
        return message;
    }
}
