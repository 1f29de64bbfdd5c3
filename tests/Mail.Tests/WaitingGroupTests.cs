namespace MailPipeline.Mail.Tests;

/// <summary>What waits, counted by what it has in common.</summary>
public abstract partial class StoreTests
{
    private static readonly QueueState s_state = new(InitialConcurrency: 1, WindowRecipients: 2, null, []);

    [Fact]
    public async Task Each_that_waits_is_counted_under_one_reason()
    {
        var now = Store.Time.GetUtcNow();
        // At its limit, with a window of two; backing off; deferred; without workers; due.
        var limited = await QueueFromAsync("ann@example.org", [.. Enumerable.Range(0, 5).Select(i => $"u{i}@limit.example")]);
        await Store.TakeAsync(1, "limit.example", [limited[0]], begun: true, default);
        await QueueFromAsync("ann@example.org", "a@rest.example", "b@rest.example");
        await Store.Queue.SetBackoffAsync("rest.example", new DomainBackoff(2, now.AddMinutes(30), "no route"));
        var deferred = await QueueFromAsync("bob@example.com", "a@later.example");
        await DeferAsync(deferred[0], 2, "452 4.2.2 full", now.AddHours(1));
        await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Local, "a@ours.example");
        await QueueFromAsync("bob@example.com", "a@due.example");
        await Store.AcceptAsync("x"u8.ToArray(), "a@unrouted.example");
        var held = await QueueFromAsync("ann@example.org", "a@held.example", "b@held.example");
        await Store.Operator.HoldAsync(held[0].MessageId, new("ann"));
        var state = s_state with { Closed = [new("store", false, now)] };

        Assert.Equal(
            [
                ("backsOff", 2), ("domainLimit", 2), ("heldByOperator", 2), ("senderTurn", 2), ("beingTried", 1), ("due", 1), ("nextAttempt", 1), ("noWorker", 1), ("notRouted", 1),
            ],
            await CountAsync(WaitingBy.Reason, state));
        var measure = await Store.Measures.MeasureAsync(state, isPaused: true, default);
        var paused = measure.Groups.Single(groups => groups.By == WaitingBy.Reason);
        Assert.Equal(
            [("paused", 9), ("heldByOperator", 2), ("beingTried", 1), ("notRouted", 1)], paused.Groups.Select(group => (group.Key, (int)group.Waiting)));
        Assert.Equal(13, paused.Waiting);

        var domains = (await Store.Waiting.CountAsync(WaitingBy.Domain, 10, state, isPaused: false, default)).Groups;
        Assert.Equal(
            [
                ("limit.example", 5, 1, 4, WaitKind.DomainLimit), ("rest.example", 2, 0, 0, WaitKind.BacksOff), ("due.example", 1, 0, 1, WaitKind.Due),
                ("later.example", 1, 0, 0, WaitKind.NextAttempt), ("ours.example", 1, 0, 1, WaitKind.NoWorker),
            ],
            domains.Groups.Select(group => (group.Key, (int)group.Waiting, (int)group.BeingTried, (int)group.Due, group.Kind!.Value)));
        Assert.Equal(
            [null, now.AddMinutes(30), null, now.AddHours(1), null], domains.Groups.Select(group => group.NextAt));
    }

    [Fact]
    public async Task Senders_and_sites_are_counted_over_all_domains_with_the_last_reply()
    {
        var now = Store.Time.GetUtcNow();
        var first = await QueueFromAsync("ann@example.org", "a@one.example", "b@one.example", "c@two.example");
        Store.Time.Advance(TimeSpan.FromMinutes(1));
        var second = await QueueFromAsync("bob@example.com", "d@two.example");
        await Store.TakeAsync(1, "one.example", [first[0]], begun: true, default);
        await DeferAsync(second[0], 2, "452 4.2.2 full", now.AddHours(1));
        await Store.Queue.SetSiteAsync("one.example", "mx.example.net");
        await Store.Queue.SetSiteAsync("two.example", "mx.example.net");

        var senders = (await Store.Waiting.CountAsync(WaitingBy.Sender, 10, s_state, isPaused: false, default)).Groups;
        Assert.Equal(
            [("example.org", 3, 1, 2, null), ("example.com", 1, 0, 0, now.AddHours(1))],
            senders.Groups.Select(group => (group.Key, (int)group.Waiting, (int)group.BeingTried, (int)group.Due, group.NextAt)));
        Assert.Equal([(now, ""), (now.AddMinutes(1), "452 4.2.2 full")], (await Store.Waiting.FindDetailsAsync(senders, default)).Select(detail => (detail.OldestAt!.Value, detail.LastReply)));
        await Store.Queue.SetBackoffAsync("two.example", new DomainBackoff(1, now.AddHours(2), "no route"));
        senders = (await Store.Waiting.CountAsync(WaitingBy.Sender, 10, s_state, isPaused: false, default)).Groups;
        Assert.Equal([(1, now.AddHours(2)), (0, now.AddHours(2))], senders.Groups.Select(group => ((int)group.Due, group.NextAt!.Value)));

        var sites = (await Store.Waiting.CountAsync(WaitingBy.Site, 10, s_state, isPaused: false, default)).Groups;
        var site = Assert.Single(sites.Groups);
        Assert.Equal(("mx.example.net", 4, 1), (site.Key, (int)site.Waiting, (int)site.BeingTried));
    }

    [Fact]
    public async Task Of_very_much_the_sample_is_read_and_of_little_none_is_kept()
    {
        await InsertRecipientsAsync(SampleStore.Few - 10);
        var sampled = await Store.Measures.MeasureAsync(s_state, isPaused: false, default);
        await Store.Samples.SaveAsync([.. sampled.Groups, await Store.Measures.CountSendersAsync(default)]);
        Assert.Null((await Store.Waiting.CountAsync(WaitingBy.Domain, 10, s_state, isPaused: false, default)).SampledAt);

        await InsertRecipientsAsync(20);
        foreach (var by in Enum.GetValues<WaitingBy>())
        {
            var (groups, sampledAt) = await Store.Waiting.CountAsync(by, 1, s_state, isPaused: false, default);
            // By reason also the message that is not routed.
            Assert.Equal((Store.Time.GetUtcNow(), SampleStore.Few - (by == WaitingBy.Reason ? 9 : 10)), (sampledAt, (int)groups.Waiting));
            var expected = by == WaitingBy.Sender ? new WaitingGroup("", SampleStore.Few - 10, 0, SampleStore.Few - 10, null, null, 0, 0)
                : sampled.Groups.Single(one => one.By == by).Groups[0];
            Assert.Equal(expected with { Oldest = 0, Example = 0 }, Assert.Single(groups.Groups) with { Oldest = 0, Example = 0 });
        }

        await Store.Samples.ForgetAsync([.. Enum.GetValues<WaitingBy>()], default);
        Assert.Null(await Store.Samples.FindAsync(WaitingBy.Domain, 1, default));
        // Without a sample it is counted, however much there is.
        Assert.Equal(SampleStore.Few + 10, (await Store.Waiting.CountAsync(WaitingBy.Domain, 1, s_state, isPaused: false, default)).Groups.Waiting);
    }

    [Fact]
    public async Task What_the_queue_goes_by_is_written_where_it_has_changed()
    {
        var start = Store.Time.GetUtcNow();
        Assert.Equivalent(QueueState.Unknown, await Store.States.ReadAsync(default), strict: true);
        var closed = s_state with { Closed = [new("deliver", BusRefuses: false, start), new("store", BusRefuses: true, start)] };
        Assert.True(await Store.States.UpdateAsync(closed, default));
        Store.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.False(await Store.States.UpdateAsync(closed, default));
        Assert.Equivalent(closed, await Store.States.ReadAsync(default), strict: true);

        Assert.True(await Store.States.UpdateAsync(s_state with { PausedSince = start, Closed = [new("store", BusRefuses: false, start)] }, default));
        var now = Store.Time.GetUtcNow();
        Assert.Equivalent(s_state with { PausedSince = now, Closed = [new("store", BusRefuses: false, now)] }, await Store.States.ReadAsync(default), strict: true);
        Assert.True(await Store.States.UpdateAsync(s_state, default));
        Assert.Equivalent(s_state, await Store.States.ReadAsync(default), strict: true);
    }

    private async Task<IEnumerable<(string Key, int Waiting)>> CountAsync(WaitingBy by, QueueState state) =>
        (await Store.Waiting.CountAsync(by, 100, state, isPaused: false, default)).Groups.Groups.Select(group => (group.Key, (int)group.Waiting));

    /// <summary>One message; its flow is the domain of its sender.</summary>
    private async Task<IReadOnlyList<Recipient>> QueueFromAsync(string sender, params string[] recipients)
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        var message = new Envelope(id, sender, recipients, 1, BodyType.SevenBit, Store.Time.GetUtcNow(), "", FlowKey.Of("", sender));
        await using var content = Store.Messages.CreateContent(id);
        await content.AppendAsync("x"u8.ToArray(), default);
        await Store.Messages.AcceptAsync(message, content, default);
        return [.. (await Store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)])).Select(row => row.Recipient)];
    }

    private async Task DeferAsync(Recipient recipient, long claim, string reply, DateTimeOffset next)
    {
        var domain = recipient.Address[(recipient.Address.LastIndexOf('@') + 1)..];
        await Store.TakeAsync(claim, domain, [recipient], begun: true, default);
        await Store.Outcomes.RecordAsync(
            claim, domain, [new(Store.Result(recipient, AttemptOutcome.Deferred, "4.2.2", reply), RecipientState.Queued, next)], TimeSpan.Zero);
    }
}
