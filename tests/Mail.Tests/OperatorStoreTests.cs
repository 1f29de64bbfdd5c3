using MailPipeline.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace MailPipeline.Mail.Tests;

/// <summary>What operators change, and the schema that came with it.</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task A_pause_is_seen_by_every_process_and_lasts_until_it_is_ended()
    {
        Assert.Null(await Store.Operator.FindPauseAsync(default));
        Assert.True(await Store.Operator.PauseDeliveryAsync(new("ann")));
        var since = Store.Time.GetUtcNow();
        Store.Time.Advance(TimeSpan.FromHours(1));
        Assert.False(await Store.Operator.PauseDeliveryAsync(new("bob")));

        await using (var other = new MailDatabase(Store.Options, new NoMeters(), Store.Time, NullLogger<MailDatabase>.Instance))
        {
            await other.OpenAsync(default);
            Assert.Equal(new DeliveryPaused(since, "ann"), await new OperatorStore(other).FindPauseAsync(default));
            Assert.Equal(new DeliveryPaused(since, "ann"), await new OperatorStore(other).ResumeDeliveryAsync(new("ann")));
        }
        Assert.Null(await Store.Operator.FindPauseAsync(default));
        Assert.Null(await Store.Operator.ResumeDeliveryAsync(new("ann")));
    }

    [Fact]
    public async Task Held_recipients_are_not_due_and_cannot_be_claimed_until_they_are_released()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.com");
        var id = recipients[0].MessageId;
        Assert.Equal(new OperatorChange(2, 0), await Store.Operator.HoldAsync(id, new("ann")));
        Assert.Equal(new OperatorChange(0, 0), await Store.Operator.HoldAsync(id, new("ann")));

        Assert.Empty(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
        // What was handed out before the hold, and arrives after it.
        Assert.Empty(await Store.TakeAsync(7, "example.net", [recipients[0]], begun: true, default));
        var late = await Store.Maildrops.StoreAsync(8, new BatchCommand(8, "example.net", [recipients[0]]), _ => "", default);
        Assert.Equal(AttemptOutcome.NotAttempted, Assert.Single(late).Outcome);
        Assert.Equal(new HeldMessage(id, 2), Assert.Single(await Store.Operator.ListHeldAsync(10, default)));
        Assert.Equal((0, 2), await QueuedAndHeldAsync());

        // Nothing is left in the domain's queue meanwhile; the release has to put it back.
        Assert.Null(await Store.Queue.SettleAsync("example.net"));
        Store.Time.Advance(TimeSpan.FromDays(1));
        Assert.Equal(new OperatorChange(2, 0), await Store.Operator.ReleaseAsync(id, new("bob")));
        Assert.Contains(await DueDomainsAsync(), due => due.Domain == "example.net");
        var due = Assert.Single(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
        Assert.Equal((recipients[0].RecipientId, 0), (due.RecipientId, due.Attempts));
        Assert.Single(await Store.TakeAsync(9, "example.net", [due], begun: true, default));
        Assert.Equal((2, 0), await QueuedAndHeldAsync());

        Assert.Equal(
            [
                new AuditEntry(OperatorAction.Held, "ann", Store.Time.GetUtcNow().AddDays(-1), 2),
                new AuditEntry(OperatorAction.Released, "bob", Store.Time.GetUtcNow(), 2),
            ],
            (await Store.History.FindAsync(id, default))!.Audit);
    }

    [Fact]
    public async Task An_attempt_under_way_is_left_alone()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        var id = recipients[0].MessageId;
        await Store.TakeAsync(7, "example.net", [recipients[0]], begun: true, default);

        Assert.Equal(new OperatorChange(1, 1), await Store.Operator.HoldAsync(id, new("ann")));
        Assert.Equal(new OperatorChange(1, 1), await Store.Operator.RemoveAsync(id, new("ann")));
        Assert.Equal(new OperatorChange(0, 1), await Store.Operator.ReleaseAsync(id, new("ann")));

        Assert.NotEmpty(await Store.ReadAsync(id));
        Assert.Single(await Store.Claims.RecordDeliveredAsync(7, [Store.Result(recipients[0], AttemptOutcome.Delivered, "2.0.0", "250 ok")], default));
        Assert.Empty(await Store.ReadAsync(id));
        Assert.Equal(
            [RecipientState.Delivered, RecipientState.Removed],
            (await Store.History.FindAsync(id, default))!.Recipients.Select(recipient => recipient.State));
    }

    [Fact]
    public async Task Removed_recipients_take_the_bytes_along_and_nobody_is_told()
    {
        var recipients = await Store.QueueAsync(new byte[300_000], RecipientRoute.Remote, "a@example.net", "b@example.net", "c@example.net");
        var id = recipients[0].MessageId;
        await Store.TakeAsync(7, "example.net", [recipients[2]], begun: true, default);
        await DeferAsync(7, recipients[2], Store.Time.GetUtcNow().AddHours(1));
        await Store.Operator.HoldAsync(id, new("ann"));
        await Store.Operator.ReleaseAsync(id, new("ann"));

        Assert.Equal(new OperatorChange(3, 0), await Store.Operator.RemoveAsync(id, new("ann")));
        Assert.Equal(new OperatorChange(0, 0), await Store.Operator.RemoveAsync(id, new("ann")));

        Assert.Empty(await Store.ReadAsync(id));
        var summary = await Store.CountAsync();
        Assert.Equal((1, 0, 0, 0, 0), (summary.Messages, summary.Unrouted, summary.Queued, summary.Held, summary.ChunksWithoutOwner));
        var timeline = (await Store.History.FindAsync(id, default))!;
        Assert.All(timeline.Recipients, recipient => Assert.Equal(RecipientState.Removed, recipient.State));
        Assert.Single(timeline.Recipients[2].Attempts);
        Assert.Equal(OperatorAction.Removed, timeline.Audit[^1].Action);

        // It is finished, and forgotten as such.
        Assert.Equal(1, await Store.History.ForgetAsync(Store.Time.GetUtcNow().AddSeconds(1), default));
        Assert.Null(await Store.History.FindAsync(id, default));
    }

    private async Task<(long Queued, long Held)> QueuedAndHeldAsync()
    {
        var summary = await Store.CountAsync();
        return (summary.Queued, summary.Held);
    }
}
