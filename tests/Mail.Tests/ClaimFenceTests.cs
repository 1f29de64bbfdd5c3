namespace MailPipeline.Mail.Tests;

/// <summary>Commands and reports may come more than once and in any order: of each recipient one worker at a time is in the midst.</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task A_command_and_a_report_that_both_come_again_free_nobody_who_is_being_sent()
    {
        var made = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "x@example.net", "y@example.net");
        var (x, y) = (made[0], made[1]);
        var batch = await Store.Queue.NextBatchIdAsync(default);
        var first = await Store.Claims.TakeAsync(batch, "example.net", [x], begun: true, default);
        RecipientDecision[] report =
        [
            new(Store.Result(x, AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 mailbox full"), RecipientState.Queued, Store.Time.GetUtcNow().AddHours(1)),
            new(Store.Result(y, AttemptOutcome.NotAttempted, "4.0.0", "not won"), RecipientState.Queued, Store.Time.GetUtcNow()),
        ];
        await Store.Outcomes.RecordAsync(first.Id, "example.net", report, TimeSpan.Zero);

        var second = await Store.Claims.TakeAsync(batch, "example.net", [x, y], begun: true, default);
        Assert.Equal([y.RecipientId], second.Won);
        Assert.Equal(ClaimUpdate.Applied, await Store.Claims.NoteDotsAsync(second.Id, [y.RecipientId], default));
        Assert.Empty((await Store.Outcomes.RecordAsync(first.Id, "example.net", report, TimeSpan.Zero)).Recorded);

        Assert.Empty((await Store.Claims.TakeAsync(await Store.Queue.NextBatchIdAsync(default), "example.net", [y], begun: true, default)).Won);
        Assert.Equal([batch], await Store.Queue.FindHeldAsync([batch], default));
        var (recorded, hasEnded) = await Store.Claims.RecordLastDeliveredAsync(second.Id, [Delivered(y)], [y.RecipientId], default);
        Assert.Equal([y.RecipientId], recorded);
        Assert.True(hasEnded);
        Assert.Empty(await Store.Queue.FindHeldAsync([batch], default));
    }

    /// <summary>It was stopped before it had begun, and wakes when its recipients are another's: nothing tells it that it may go on.</summary>
    [Fact]
    public async Task A_worker_whose_claim_was_taken_back_is_not_taken_for_the_next_one_of_the_same_batch()
    {
        var made = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "x@example.net");
        var stopped = await Store.Claims.TakeAsync(7, "example.net", made, begun: false, default);
        Assert.Equal(1, (await Store.TakeBackAsync(evenIfLeased: true)).Unbegun);
        var next = await Store.Claims.TakeAsync(7, "example.net", made, begun: true, default);
        Assert.Equal([made[0].RecipientId], next.Won);

        Assert.Empty(await Store.Claims.RenewAsync([stopped.Id], default));
        Assert.Equal(ClaimUpdate.ClaimLost, await Store.Claims.BeginAsync(stopped.Id, default));
        Assert.Equal(ClaimUpdate.ClaimLost, await Store.Claims.NoteDotsAsync(stopped.Id, [made[0].RecipientId], default));
        Assert.Equal(ClaimUpdate.ClaimLost, await Store.Claims.FinishAsync(stopped.Id, [], [made[0].RecipientId], default));
        await Store.Claims.ReleaseAsync(stopped.Id, [made[0].RecipientId], default);
        Assert.Empty(await Store.Claims.RecordDeliveredAsync(stopped.Id, [Delivered(made[0])], default));
        Assert.Empty((await Store.Outcomes.RecordAsync(
            stopped.Id, "example.net", [new(Store.Result(made[0], AttemptOutcome.Failed, "5.1.1", "550 no"), RecipientState.Bounced, default)], TimeSpan.Zero)).Recorded);

        Assert.Equal([next.Id], await Store.Claims.RenewAsync([next.Id], default));
        Assert.Equal([made[0].RecipientId], (await Store.Claims.RecordLastDeliveredAsync(next.Id, [Delivered(made[0])], [made[0].RecipientId], default)).Recorded);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Whatever_comes_again_in_whatever_order_nobody_is_sent_a_copy_without_a_doubt_recorded(int seed)
    {
        var interleaving = new Interleaving(Store, new Random(seed));
        for (var step = 0; step < 600; step++)
            await interleaving.StepAsync();
        await interleaving.EndAsync();
    }
}
