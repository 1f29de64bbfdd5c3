using MailPipeline.Smtp;

namespace MailPipeline.Mail.Tests;

/// <summary>Times by which senders want their messages delivered (RFC 2852).</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task A_deadline_is_there_from_routing_until_nobody_of_the_message_may_wait()
    {
        var at = Store.Time.GetUtcNow().AddMinutes(5);
        var message = await AcceptByAsync(new DeliverBy(at, IsReturned: true, IsTraced: false), "a@example.net", "b@example.net");
        Assert.Empty(await Deadlines.ListDueAsync(at, DeliveryDeadline.Start, 10, default));
        var made = await Store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)]);
        Assert.Empty(await Deadlines.ListDueAsync(at.AddMilliseconds(-1), DeliveryDeadline.Start, 10, default));
        var due = Assert.Single(await Deadlines.ListDueAsync(at, DeliveryDeadline.Start, 10, default));
        Assert.Equal(new DeliveryDeadline(message.MessageId, at, IsReturned: true, at), due);
        Assert.Empty(await Deadlines.ListDueAsync(at, due, 10, default));

        var (first, second) = (made[0].Recipient, made[1].Recipient);
        await Store.TakeAsync(7, "example.net", [first], begun: true, default);
        Assert.Equal([second], await Deadlines.ListWaitingAsync(message.MessageId, default));
        await Store.Operator.HoldAsync(message.MessageId, new("ann"));
        Assert.Empty(await Deadlines.ListWaitingAsync(message.MessageId, default));
        Assert.Equal(0, await Deadlines.EndAsync(message.MessageId, onlyIfOver: true));
        // Who is being tried may wait again at any time.
        await Deadlines.LookLaterAsync(message.MessageId, [], at.AddMinutes(1));
        Assert.Single(await Deadlines.ListDueAsync(at, DeliveryDeadline.Start, 10, default));
        await Store.Claims.RecordLastDeliveredAsync(7, [Delivered(first, handsOn: false)], [first.RecipientId], default);
        Assert.Empty(await Deadlines.EndOverAsync([message.MessageId]));
        await Deadlines.LookLaterAsync(message.MessageId, [], at.AddMinutes(1));
        Assert.Empty(await Deadlines.ListDueAsync(at, DeliveryDeadline.Start, 10, default));
        Assert.Equal(at, Assert.Single(await Deadlines.ListDueAsync(at.AddMinutes(1), DeliveryDeadline.Start, 10, default)).At);
        await Store.Operator.RemoveAsync(message.MessageId, new("ann"));
        Assert.Equal([message.MessageId], await Deadlines.EndOverAsync([message.MessageId]));
        Assert.Empty(await Deadlines.ListDueAsync(at, DeliveryDeadline.Start, 10, default));
    }

    [Fact]
    public async Task What_is_left_of_a_message_is_looked_at_later_only_where_rules_hold_all_of_it()
    {
        var at = Store.Time.GetUtcNow().AddMinutes(5);
        var message = await AcceptByAsync(new DeliverBy(at, IsReturned: true, IsTraced: false), "a@example.net", "b@example.net", "c@example.net");
        long[] ids = [.. (await Store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)])).Select(made => made.Recipient.RecipientId)];
        Assert.Equal(ids[1..], (await Deadlines.ListWaitingAsync(message.MessageId, default, ids[0])).Select(recipient => recipient.RecipientId));
        await Deadlines.LookLaterAsync(message.MessageId, ids[..2], at.AddMinutes(1));
        Assert.Single(await Deadlines.ListDueAsync(at, DeliveryDeadline.Start, 10, default));
        await Deadlines.LookLaterAsync(message.MessageId, ids, at.AddMinutes(1));
        Assert.Empty(await Deadlines.ListDueAsync(at, DeliveryDeadline.Start, 10, default));
        Assert.Single(await Deadlines.ListDueAsync(at.AddMinutes(1), DeliveryDeadline.Start, 10, default));
    }

    /// <summary>It is routed late: nobody tries it, and it is returned.</summary>
    [Theory]
    [InlineData(true, 0)]
    [InlineData(false, 1)]
    public async Task What_is_to_be_returned_by_now_is_not_handed_out(bool isReturned, int handedOut)
    {
        var message = await AcceptByAsync(new DeliverBy(Store.Time.GetUtcNow().AddSeconds(-1), isReturned, IsTraced: false), "a@example.net");
        Assert.Equal(handedOut, (await Store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Local)])).Count);
        Assert.Equal(handedOut, (await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default)).Count);
        Assert.Single(await Deadlines.ListWaitingAsync(message.MessageId, default));
    }

    [Fact]
    public async Task Messages_that_senders_have_held_keep_nothing_behind_them_from_being_forgotten()
    {
        var now = Store.Time.GetUtcNow().ToUnixTimeMilliseconds();
        var release = Store.Time.GetUtcNow().AddDays(7).ToUnixTimeMilliseconds();
        await Store.RunAsync(
            $"""
            INSERT INTO messages (id, accepted_at, sender, flow, size_bytes, body, trace_parent, content_refs, release_at)
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= {MessageHistory.Page})
            SELECT i, {now}, '', '', 1, 0, '', CASE WHEN i > {MessageHistory.Page} THEN 0 ELSE 1 END, CASE WHEN i > {MessageHistory.Page} THEN 0 ELSE {release} END FROM n
            """);
        Store.Time.Advance(TimeSpan.FromDays(2));
        Assert.Equal(1, await Store.History.ForgetAsync(Store.Time.GetUtcNow().AddDays(-1), default));
    }

    [Fact]
    public async Task A_deadline_far_away_is_forgotten_with_its_message()
    {
        var message = await AcceptByAsync(new DeliverBy(Store.Time.GetUtcNow().AddYears(20), IsReturned: false, IsTraced: false), "a@example.net");
        var recipient = Assert.Single(await Store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)])).Recipient;
        await DeliverAsync(7, recipient, handsOn: false);
        Store.Time.Advance(TimeSpan.FromDays(2));
        Assert.Equal(1, await CountAsync("SELECT COUNT(*) FROM deadlines"));
        Assert.Equal(1, await Store.History.ForgetAsync(Store.Time.GetUtcNow().AddDays(-1), default));
        Assert.Equal(0, await CountAsync("SELECT COUNT(*) FROM deadlines"));
    }

    [Theory]
    // He said nothing, wants to know of success, and that of a host that would tell him itself.
    [InlineData("", false, 1)]
    [InlineData("NOTIFY=SUCCESS", false, 1)]
    [InlineData("NOTIFY=SUCCESS", true, 1)]
    [InlineData("NOTIFY=FAILURE", true, 1)]
    [InlineData("NOTIFY=NEVER", false, 0)]
    public async Task That_a_host_took_it_is_told_once_and_holds_the_bytes_until_then(string notify, bool handsOn, int told)
    {
        var message = await AcceptDsnAsync(new EnvelopeDsn(MailDsn.None, [RcptDsn.Parse(notify)]), "a@example.net");
        var recipient = Assert.Single(await RouteDsnAsync(message));
        await Store.TakeAsync(7, "example.net", [recipient], begun: true, default);
        for (var time = 0; time < 2; time++)
            await Store.Claims.RecordLastDeliveredAsync(7, [Delivered(recipient, handsOn) with { TellsOfRelay = true }], [recipient.RecipientId], default);
        Assert.Equal(told, (await Reports.ListOwedAsync(0, 10, default)).Count);
        Assert.Equal(told, (await Store.ReadAsync(message.MessageId)).Length);
        Assert.Equal(told, (await TellAsync(message.MessageId)).Recipients);
        Assert.Empty(await Store.ReadAsync(message.MessageId));
        Assert.Equal(0, (await Store.CountAsync()).ChunksWithoutOwner);
    }

    private DeadlineStore Deadlines => new(Store.Database);

    private async Task<Envelope> AcceptByAsync(DeliverBy by, params string[] recipients)
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        var message = new Envelope(
            id, "sender@example.org", recipients, 1, BodyType.Timing, Store.Time.GetUtcNow(), "", Timing: new MailTiming { By = by });
        await using var writer = Store.Messages.CreateContent(id);
        await writer.AppendAsync("x"u8.ToArray(), default);
        await Store.Messages.AcceptAsync(message, writer, default);
        return message;
    }
}
