
namespace MailPipeline.Mail.Tests;

/// <summary>What is asked for again because nobody knows whether its first commit happened, and it did.</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task An_outcome_that_was_recorded_before_in_doubt_counts_as_recorded_and_changes_nothing()
    {
        var recipients = await Store.QueueAsync(
            "x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net", "c@example.net", "d@example.net", "e@example.net");
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        var now = Store.Time.GetUtcNow().AddTicks(1234);
        RecipientDecision Decide(int number, AttemptOutcome outcome, RecipientState state, bool wasTried = true) => new(
            Store.Result(recipients[number], outcome, "4.0.0", "reply") with { StartedAt = now, FinishedAt = now }, state, now.AddMinutes(5), wasTried);
        RecipientDecision[] decisions =
        [
            Decide(0, AttemptOutcome.Failed, RecipientState.Bounced), Decide(1, AttemptOutcome.Deferred, RecipientState.Queued),
            Decide(2, AttemptOutcome.Uncertain, RecipientState.Held) with { HoldReason = HoldRule.Uncertain(3) }, Decide(3, AttemptOutcome.Deferred, RecipientState.Expired, wasTried: false),
        ];
        long[] ids = [.. decisions.Select(decision => decision.Result.RecipientId)];

        var first = await Store.Outcomes.RecordAsync(7, "example.net", decisions, TimeSpan.Zero);
        Assert.Equal(ids, first.Recorded.Order());
        Assert.Equal([ids[2]], first.Held);
        var standing = await Store.History.FindAsync(recipients[0].MessageId, default);

        // As it came: nobody knows of it. Then, and when another claim has failed meanwhile, with what is known.
        Assert.Empty((await Store.Outcomes.RecordAsync(7, "example.net", decisions, TimeSpan.Zero)).Recorded);
        var again = await Store.Outcomes.RecordAsync(7, "example.net", decisions, TimeSpan.Zero, afterDoubt: true);
        Assert.Equal(ids, again.Recorded.Order());
        Assert.Equal(first.Held, again.Held);
        Assert.Equivalent(standing, await Store.History.FindAsync(recipients[0].MessageId, default));

        // Nobody else's attempt is taken for one's own.
        var other = await Store.Outcomes.RecordAsync(
            8, "example.net", [.. decisions.Select(decision => decision with { Result = decision.Result with { FinishedAt = now.AddSeconds(1) } })], TimeSpan.Zero, afterDoubt: true);
        Assert.Empty(other.Recorded);
    }

    [Fact]
    public async Task What_was_stored_before_in_doubt_is_stored_and_is_there_once()
    {
        await Store.Directory.AddAccountAsync("a@example.org", "hash");
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Local, "a@example.org", "gone@example.org");
        var command = new BatchCommand(9, "example.org", [.. recipients]);
        AttemptOutcome[] outcomes = [AttemptOutcome.Delivered, AttemptOutcome.Failed];
        Assert.Equal(outcomes, (await Store.Maildrops.StoreAsync(command.BatchId, command, _ => "", default)).Select(result => result.Outcome));
        Assert.Equal(outcomes, (await Store.Maildrops.StoreAsync(command.BatchId, command, _ => "", default, afterDoubt: true)).Select(result => result.Outcome));
        Assert.All(await Store.Maildrops.StoreAsync(10, command, _ => "", default, afterDoubt: true), result => Assert.Equal(AttemptOutcome.NotAttempted, result.Outcome));
        var account = (await Store.Directory.FindAccountAsync("a@example.org", default))!;
        Assert.Single(await Store.Maildrops.ListAsync(account.Id, default));
        Assert.Equal([9], await Store.Queue.ListHeldAsync("example.org", default));
    }

    [Fact]
    public async Task What_the_directory_says_since_changes_nothing_of_what_was_stored_in_doubt()
    {
        await Store.Directory.AddAccountAsync("leaves@example.org", "hash");
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Local, "comes@example.org", "leaves@example.org");
        var command = new BatchCommand(9, "example.org", [.. recipients]);
        await Store.Maildrops.StoreAsync(command.BatchId, command, _ => "", default);
        await Store.Directory.AddAccountAsync("comes@example.org", "hash");
        await Store.Removal.RemoveAsync("leaves@example.org", new OperatorIdentity("ann"));

        var results = await Store.Maildrops.StoreAsync(command.BatchId, command, _ => "", default, afterDoubt: true);
        // The first has no maildrop row and the second had one, whatever accounts there are by now.
        Assert.Equal([AttemptOutcome.Failed, AttemptOutcome.Delivered], results.Select(result => result.Outcome));
    }

    [Fact]
    public async Task More_than_a_piece_is_removed_and_forgotten_whole()
    {
        await Store.Directory.AddAccountAsync("a@example.org", "hash");
        const int Count = MaildropStore.MostDeletions + 20;
        var recipients = (await Task.WhenAll(Enumerable.Range(0, Count).Select(_ => Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Local, "a@example.org"))))
            .Select(made => made[0]).ToArray();
        await Store.Maildrops.StoreAsync(9, new BatchCommand(9, "example.org", recipients), _ => "", default);

        Assert.True(await Store.Removal.RemoveAsync("a@example.org", new OperatorIdentity("ann")));

        Assert.Equal(OperatorAction.AccountRemoved, Assert.Single(await new AuditLog(Store.Database).ListAsync(DateTimeOffset.UnixEpoch, 10, default)).Action);
        Assert.Empty(await Store.ReadAsync(recipients[^1].MessageId));
        Assert.Equal(0, (await Store.CountAsync()).ChunksWithoutOwner);
        Assert.Equal(Count, await Store.History.ForgetAsync(Store.Time.GetUtcNow().AddSeconds(1), default));
        Assert.Equal(0, (await Store.CountAsync()).Messages);
        Assert.Null(await Store.History.FindAsync(recipients[0].MessageId, default));
    }
}
