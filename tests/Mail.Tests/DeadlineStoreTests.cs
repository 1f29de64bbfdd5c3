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
        Assert.Equal(new DeliveryDeadline(message.MessageId, at, IsReturned: true), due);
        Assert.Empty(await Deadlines.ListDueAsync(at, due, 10, default));

        var (first, second) = (made[0].Recipient, made[1].Recipient);
        await Store.TakeAsync(7, "example.net", [first], begun: true, default);
        Assert.Equal([second], await Deadlines.ListWaitingAsync(message.MessageId, default));
        await Store.Operator.HoldAsync(message.MessageId, new("ann"));
        Assert.Empty(await Deadlines.ListWaitingAsync(message.MessageId, default));
        Assert.Equal(0, await Deadlines.EndAsync(message.MessageId, onlyIfOver: true));
        await Store.Claims.RecordLastDeliveredAsync(7, [Delivered(first, handsOn: false)], [first.RecipientId], default);
        Assert.Equal(0, await Deadlines.EndAsync(message.MessageId, onlyIfOver: true));
        await Store.Operator.RemoveAsync(message.MessageId, new("ann"));
        Assert.Equal(1, await Deadlines.EndAsync(message.MessageId, onlyIfOver: true));
        Assert.Empty(await Deadlines.ListDueAsync(at, DeliveryDeadline.Start, 10, default));
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
