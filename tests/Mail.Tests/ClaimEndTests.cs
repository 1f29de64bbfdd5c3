namespace MailPipeline.Mail.Tests;

/// <summary>Claims that end with the record of their last delivery.</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task A_claim_ends_with_the_record_that_makes_all_of_it_delivered()
    {
        var recipients = await ClaimAsync(3);
        long[] all = [.. recipients.Select(recipient => recipient.RecipientId).Reverse()];
        await Store.Claims.RecordDeliveredAsync(7, [Delivered(recipients[1])], default);
        Assert.True(await Store.Queue.IsClaimHeldAsync(7, "example.net", default));

        var (recorded, hasEnded) = await Store.Claims.RecordLastDeliveredAsync(7, [Delivered(recipients[0]), Delivered(recipients[2])], all, default);
        Assert.Equal([recipients[0].RecipientId, recipients[2].RecipientId], recorded.Order());
        Assert.True(hasEnded);
        Assert.False(await Store.Queue.IsClaimHeldAsync(7, "example.net", default));

        // The worker dies now: nothing of it is left. Its command comes again: nothing is won.
        Assert.Equal((0, 0, 0), Counts(await Store.TakeBackAsync(evenIfLeased: true)));
        Assert.Empty(await Store.TakeAsync(7, "example.net", recipients, begun: true, default));
        // It did not know whether it was committed: what was recorded is recorded.
        (recorded, hasEnded) = await Store.Claims.RecordLastDeliveredAsync(7, [Delivered(recipients[0]), Delivered(recipients[2])], all, default);
        Assert.Equal(2, recorded.Count);
        Assert.False(hasEnded);
        var timeline = (await Store.History.FindAsync(recipients[0].MessageId, default))!;
        Assert.All(timeline.Recipients, recipient => Assert.Equal((RecipientState.Delivered, 1), (recipient.State, recipient.Attempts.Count)));
        Assert.Equal(0, (await Store.CountAsync()).ChunksWithoutOwner);
    }

    /// <summary>Whatever a worker says: what would belong to nobody would never be tried again.</summary>
    [Fact]
    public async Task A_claim_that_was_won_for_others_too_goes_on()
    {
        var recipients = await ClaimAsync(2);

        var (recorded, hasEnded) = await Store.Claims.RecordLastDeliveredAsync(7, [Delivered(recipients[0])], [recipients[0].RecipientId], default);

        Assert.Single(recorded);
        Assert.False(hasEnded);
        Assert.Equal((0, 1, 0), Counts(await Store.TakeBackAsync(evenIfLeased: true)));
        Assert.Single(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow().AddHours(1), 10, default));
    }

    [Fact]
    public async Task A_claim_that_was_taken_back_is_not_ended_and_records_nothing()
    {
        var recipients = await ClaimAsync(1);
        await Store.TakeBackAsync(evenIfLeased: true);
        await Store.TakeAsync(8, "example.net", [recipients[0] with { Attempts = 1 }], begun: true, default);

        var (recorded, hasEnded) = await Store.Claims.RecordLastDeliveredAsync(7, [Delivered(recipients[0])], [recipients[0].RecipientId], default);

        Assert.Empty(recorded);
        Assert.False(hasEnded);
        Assert.True(await Store.Queue.IsClaimHeldAsync(8, "example.net", default));
    }

    /// <summary>The claim in storage names those that were handed back as well: the report ends it.</summary>
    [Fact]
    public async Task A_claim_of_which_some_were_handed_back_ends_with_its_report()
    {
        var recipients = await ClaimAsync(2);
        await Store.Claims.ReleaseAsync(7, [recipients[1].RecipientId], default);

        Assert.False((await Store.Claims.RecordLastDeliveredAsync(7, [Delivered(recipients[0])], [recipients[0].RecipientId], default)).HasEnded);

        await Store.Outcomes.RecordAsync(7, "example.net", [], TimeSpan.Zero);
        Assert.False(await Store.Queue.IsClaimHeldAsync(7, "example.net", default));
        Assert.Equal(recipients[1].RecipientId, Assert.Single(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default)).RecipientId);
    }

    private async Task<IReadOnlyList<Recipient>> ClaimAsync(int count)
    {
        var recipients = await Store.QueueAsync(
            "x"u8.ToArray(), RecipientRoute.Remote, [.. Enumerable.Range(0, count).Select(number => $"r{number}@example.net")]);
        Assert.Equal(count, (await Store.TakeAsync(7, "example.net", recipients, begun: true, default)).Count);
        return recipients;
    }

    private AttemptResult Delivered(Recipient recipient) => Store.Result(recipient, AttemptOutcome.Delivered, "2.0.0", "250 ok");
}
