namespace MailPipeline.Mail.Tests;

/// <summary>What is taken back from workers that died.</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task A_claim_that_is_recorded_in_pieces_lasts_until_the_last_and_what_nobody_came_to_is_taken_back()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net", "c@example.net");
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        var next = Store.Time.GetUtcNow().AddMinutes(5);
        RecipientDecision Deferred(int number) => new(Store.Result(recipients[number], AttemptOutcome.Deferred, "4.0.0", "reply"), RecipientState.Queued, next);

        await Store.Outcomes.RecordAsync(7, "example.net", [Deferred(0)], TimeSpan.Zero, endsClaim: false);
        Assert.Equal(ClaimUpdate.Applied, await Store.Outcomes.HoldRefusedAsync(7, "example.net", recipients[1].RecipientId, endsClaim: false));

        // Whoever was at it died here.
        Assert.Equal((0, 1, 0), Counts(await Store.TakeBackAsync(evenIfLeased: true)));
    }

    [Fact]
    public async Task A_claim_that_cannot_be_taken_back_holds_up_none_of_those_behind_it()
    {
        const int Claims = 25;
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, [.. Enumerable.Range(0, Claims).Select(i => $"r{i}@example.net")]);
        for (var i = 0; i < Claims; i++)
            await Store.TakeAsync(100 + i, "example.net", [recipients[i]], begun: true, default);
        // Nobody can read whom it holds.
        await Store.RunAsync("INSERT INTO claims (id, domain, lease_until, recipients, began_at) VALUES (7, 'example.net', 1, '?', 0)");
        await Store.RunAsync("UPDATE claims SET lease_until = 2 WHERE id <> 7");

        foreach (var expected in (int[])[Claims, 0])
        {
            var taken = await Store.TakeBackAsync(evenIfLeased: false);
            Assert.Equal((0, expected, 0), Counts(taken));
            Assert.Equal(7, Assert.Single(taken.NotTaken).ClaimId);
        }
        Assert.True(await Store.Queue.IsClaimHeldAsync(7, "example.net", default));
    }

    [Fact]
    public async Task What_a_dead_worker_had_not_begun_costs_nothing_and_is_due_at_once()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        await Store.TakeAsync(7, "example.net", recipients, begun: false, default);
        Store.Time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal((2, 0, 0), Counts(await Store.TakeBackAsync(evenIfLeased: true)));

        Assert.Equal(recipients, await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
        Assert.Contains("example.net", (await DueDomainsAsync()).Select(due => due.Domain));
    }

    [Fact]
    public async Task What_begins_after_it_was_claimed_counts_from_then_on()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        await Store.TakeAsync(7, "example.net", recipients, begun: false, default);

        Assert.Equal(ClaimUpdate.Applied, await Store.Claims.BeginAsync(7, default));
        Assert.Equal(ClaimUpdate.Applied, await Store.Claims.BeginAsync(7, default));
        Assert.Equal((0, 1, 0), Counts(await Store.TakeBackAsync(evenIfLeased: true)));

        Assert.Equal(1, (await Store.Queue.FindQueuedAsync(recipients[0].RecipientId, default))!.Attempts);
        // The one who comes back learns of it before he dials.
        Assert.Equal(ClaimUpdate.ClaimLost, await Store.Claims.BeginAsync(7, default));
        Assert.Equal(ClaimUpdate.ClaimLost, await Store.Claims.NoteDotsAsync(7, [recipients[0].RecipientId], default));
    }

    [Fact]
    public async Task Only_whose_dot_may_have_been_sent_is_in_doubt_and_waits_as_the_schedule_says()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net", "c@example.net");
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        await Store.Claims.NoteDotsAsync(7, [recipients[0].RecipientId, recipients[1].RecipientId], default);
        await Store.Claims.RecordDeliveredAsync(7, [Store.Result(recipients[0], AttemptOutcome.Delivered, "2.0.0", "250 ok")], default);

        Assert.Equal((1, 0, 1), Counts(await Store.TakeBackAsync(evenIfLeased: true)));

        Assert.Equal([recipients[2]], await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
        var doubtful = (await Store.Queue.FindQueuedAsync(recipients[1].RecipientId, default))!;
        Assert.Equal((1, Store.Time.GetUtcNow().AddMinutes(5)), (doubtful.Attempts, doubtful.NextAttemptAt));
        Assert.Equal(1, (await Store.CountAsync()).Uncertain);
    }

    [Fact]
    public async Task A_lost_report_is_no_death_and_leaves_nothing_in_doubt_that_had_its_answer()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net", "c@example.net");
        for (var claimId = 1; claimId <= 4; claimId++)
        {
            Store.Time.Advance(TimeSpan.FromHours(1));
            var due = await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default);
            await Store.TakeAsync(claimId, "example.net", due, begun: true, default);
            await Store.Claims.NoteDotsAsync(claimId, [.. recipients.Select(recipient => recipient.RecipientId)], default);
            long[] uncertain = claimId == 1 ? [recipients[0].RecipientId] : [];
            await Store.Claims.FinishAsync(claimId, uncertain, [recipients[1].RecipientId], default);

            var taken = await Store.TakeBackAsync(evenIfLeased: true);
            Assert.Equal((uncertain.Length == 1 ? 1 : 2, 1, uncertain.Length), Counts(taken));
            Assert.Empty(taken.Held);
        }

        Assert.Equal(4, (await Store.Queue.FindQueuedAsync(recipients[1].RecipientId, default))!.Attempts);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_third_worker_that_dies_over_a_recipient_is_the_last_until_an_operator_releases_it(bool dot)
    {
        var reason = dot ? HoldRule.Uncertain(3) : HoldRule.Deaths;
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        var messageId = recipients[0].MessageId;
        for (var round = 1; round <= 2; round++)
        {
            for (var death = 1; death <= 3; death++)
            {
                Store.Time.Advance(TimeSpan.FromHours(1));
                var due = Assert.Single(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
                await Store.TakeAsync((10 * round) + death, "example.net", [due], begun: true, default);
                if (dot)
                    await Store.Claims.NoteDotsAsync((10 * round) + death, [due.RecipientId], default);
                var taken = await Store.TakeBackAsync(evenIfLeased: true);
                Assert.Equal(death == 3 ? [new HeldRecipient(due.RecipientId, "a@example.net", reason)] : [], taken.Held);
            }

            Store.Time.Advance(TimeSpan.FromDays(1));
            Assert.Empty(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
            var held = Assert.Single((await Store.History.FindAsync(messageId, default))!.Recipients);
            Assert.Equal((RecipientState.Held, reason, 3 * round), (held.State, held.HoldReason, held.Attempts.Count));
            Assert.Equal([new HeldMessage(messageId, 1)], await Store.Operator.ListHeldAsync(10, default));
            Assert.Equal("x"u8.ToArray(), await Store.ReadAsync(messageId));

            // It is tried as often again: what it was held for is counted anew.
            Assert.Equal(new OperatorChange(1, 0), await Store.Operator.ReleaseAsync(messageId, new("ann")));
        }
    }

    [Theory]
    [InlineData(AttemptOutcome.Deferred)]
    [InlineData(AttemptOutcome.Uncertain)]
    public async Task Deaths_count_in_a_row_and_an_attempt_whose_worker_lived_begins_anew(AttemptOutcome outcome)
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        for (var attempt = 1; attempt <= 8; attempt++)
        {
            Store.Time.Advance(TimeSpan.FromHours(1));
            var due = Assert.Single(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
            await Store.TakeAsync(attempt, "example.net", [due], begun: true, default);
            if (attempt == 3)
            {
                await Store.Outcomes.RecordAsync(
                    attempt, "example.net", [new(Store.Result(due, outcome, "4.4.2", "later"), RecipientState.Queued, Store.Time.GetUtcNow())], TimeSpan.Zero);
                continue;
            }

            // Its report is lost, but the worker lived.
            if (attempt == 6)
                await Store.Claims.FinishAsync(attempt, [], [due.RecipientId], default);
            Assert.Empty((await Store.TakeBackAsync(evenIfLeased: true)).Held);
        }

        Store.Time.Advance(TimeSpan.FromHours(1));
        var last = Assert.Single(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
        await Store.TakeAsync(9, "example.net", [last], begun: true, default);
        Assert.Equal([new HeldRecipient(recipients[0].RecipientId, "a@example.net", HoldRule.Deaths)], (await Store.TakeBackAsync(evenIfLeased: true)).Held);
    }

    [Fact]
    public async Task Who_was_only_dialled_with_others_is_held_after_more_deaths()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        for (var death = 1; death <= 10; death++)
        {
            Store.Time.Advance(TimeSpan.FromHours(1));
            var due = await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default);
            await Store.TakeAsync(death, "example.net", due, begun: true, default);
            var taken = await Store.TakeBackAsync(evenIfLeased: true);
            Assert.Equal((0, 2, 0), Counts(taken));
            var held = recipients.Select(recipient => new HeldRecipient(recipient.RecipientId, recipient.Address, HoldRule.DeathsAmongOthers));
            Assert.Equal(death == 10 ? held : [], taken.Held.OrderBy(one => one.RecipientId));
        }
    }

    [Fact]
    public async Task Whose_worker_dies_while_it_tries_nobody_else_is_held_though_others_died_with_more()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        for (var death = 1; death <= 4; death++)
        {
            Store.Time.Advance(TimeSpan.FromHours(1));
            var due = await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default);
            await Store.TakeAsync(death, "example.net", death == 4 ? due.Where(one => one == due[0]).ToList() : due, begun: true, default);
            var taken = await Store.TakeBackAsync(evenIfLeased: true);
            Assert.Equal(death == 4 ? [new HeldRecipient(due[0].RecipientId, due[0].Address, HoldRule.Deaths)] : [], taken.Held);
        }

        Assert.Equal(3, (await Store.Queue.FindQueuedAsync(recipients[1].RecipientId, default))!.Attempts);
    }

    [Fact]
    public async Task Who_may_have_been_delivered_is_counted_and_held_with_the_reason_that_was_decided()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        for (var attempt = 1; attempt <= 2; attempt++)
        {
            var due = Assert.Single(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
            await Store.TakeAsync(attempt, "example.net", [due], begun: true, default);
            Assert.Equal(attempt - 1, (await Store.Queue.CountUncertainAsync([due.RecipientId], default))[due.RecipientId]);
            var decision = new RecipientDecision(
                Store.Result(due, AttemptOutcome.Uncertain, "4.4.2", "closed"), attempt == 2 ? RecipientState.Held : RecipientState.Queued, Store.Time.GetUtcNow().AddMinutes(5))
            {
                HoldReason = attempt == 2 ? HoldRule.Uncertain(2) : "",
            };
            var recorded = await Store.Outcomes.RecordAsync(attempt, "example.net", [decision], TimeSpan.Zero);
            Assert.Equal([due.RecipientId], recorded.Recorded);
            Assert.Equal(attempt == 2 ? [due.RecipientId] : [], recorded.Held);
            // Asked again, as when nobody knows whether it was committed, it says the same.
            var again = await Store.Outcomes.RecordAsync(attempt, "example.net", [decision], TimeSpan.Zero, afterDoubt: true);
            Assert.Equal((recorded.Recorded.Count, recorded.Held.Count), (again.Recorded.Count, again.Held.Count));
            Store.Time.Advance(TimeSpan.FromMinutes(5));
        }

        Assert.Empty(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
        var held = Assert.Single((await Store.History.FindAsync(recipients[0].MessageId, default))!.Recipients);
        Assert.Equal((RecipientState.Held, HoldRule.Uncertain(2), 2), (held.State, held.HoldReason, held.Attempts.Count));
        // He is released as if nothing had been.
        Assert.Equal(new OperatorChange(1, 0), await Store.Operator.ReleaseAsync(recipients[0].MessageId, new("ann")));
        Assert.Equal(0, (await Store.Queue.CountUncertainAsync([recipients[0].RecipientId], default))[recipients[0].RecipientId]);
    }

    [Fact]
    public async Task A_worker_that_dies_with_one_message_past_its_dot_leaves_one_in_doubt_and_four_that_are_due_at_once()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, [.. Enumerable.Range(0, 5).Select(i => $"r{i}@example.net")]);
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        await Store.Claims.NoteDotsAsync(7, [recipients[0].RecipientId], default);

        Assert.Equal((4, 0, 1), Counts(await Store.TakeBackAsync(evenIfLeased: true)));

        var due = await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default);
        Assert.Equal(recipients.Skip(1), due);
        Assert.Equal(1, (await Store.Queue.CountUncertainAsync([.. recipients.Select(recipient => recipient.RecipientId)], default)).Values.Sum());
    }

    [Fact]
    public async Task Who_may_have_been_delivered_by_a_dead_worker_and_is_to_be_reported_ends_and_waits_for_the_report()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        await Store.Claims.NoteDotsAsync(7, [recipients[0].RecipientId], default);

        var taken = await Store.TakeBackAsync(
            evenIfLeased: true, left => new(left is { MayHaveArrived: true, Uncertain: 1, Attempts: 1 } ? RecipientState.Bounced : RecipientState.Queued, Store.Time.GetUtcNow()));

        Assert.Equal((1, 0, 1), Counts(taken));
        Assert.Equal((1, 0, 0), (taken.GivenUp, taken.Unnamed, taken.Named.Count));
        var known = (await Store.History.FindAsync(recipients[0].MessageId, default))!.Recipients;
        Assert.Equal([RecipientState.Bounced, RecipientState.Queued], known.Select(recipient => recipient.State));
        Assert.Equal(AttemptOutcome.Uncertain, Assert.Single(known[0].Attempts).Outcome);
        Assert.Equal(recipients[0].MessageId, Assert.Single(await Store.Unreported.ListDueAsync(DueFailure.Start, 10, default)).MessageId);
        // The header of the message comes back with the report.
        Assert.Equal("x"u8.ToArray(), await Store.ReadAsync(recipients[0].MessageId));
        Assert.Equal(TakenBack.Nothing, await Store.TakeBackAsync(evenIfLeased: true));
    }

    [Fact]
    public async Task The_first_of_those_who_were_taken_back_are_named_and_the_others_counted()
    {
        const int Claims = 4, Each = 30;
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, [.. Enumerable.Range(0, Claims * Each).Select(i => $"r{i}@example.net")]);
        foreach (var (index, some) in recipients.Chunk(Each).Index())
            await Store.TakeAsync(100 + index, "example.net", some, begun: true, default);
        await Store.Claims.NoteDotsAsync(100, [.. recipients.Take(Each).Select(recipient => recipient.RecipientId)], default);

        var taken = await Store.TakeBackAsync(evenIfLeased: true);
        Assert.Equal((0, 90, 30), Counts(taken));
        Assert.Equal((TakenBack.MostNamed, 20), (taken.Named.Count, taken.Unnamed));
        var known = recipients.ToDictionary(recipient => recipient.RecipientId, recipient => recipient.Address);
        Assert.All(taken.Named, named => Assert.Equal(known[named.Result.RecipientId], named.Address));
        Assert.All(taken.Named, named => Assert.Equal(Store.Time.GetUtcNow().AddMinutes(5), named.NextAttemptAt));
        Assert.All(
            taken.Named,
            named => Assert.Equal(
                int.Parse(named.Address[1..^12], System.Globalization.CultureInfo.InvariantCulture) < Each ? AttemptOutcome.Uncertain : AttemptOutcome.Deferred,
                named.Result.Outcome));
    }

    private protected static (int Unbegun, int Interrupted, int Uncertain) Counts(TakenBack taken) => (taken.Unbegun, taken.Interrupted, taken.Uncertain);
}
