namespace MailPipeline.Mail.Tests;

/// <summary>What storage knows of single senders: how much of theirs waits, what their rates hold up, and whose permits count.</summary>
public abstract partial class StoreTests
{
    private SiteStore Sites => new(Store.Database);

    [Fact]
    public async Task Of_one_sender_all_that_waits_is_counted_in_every_domain_routed_or_not()
    {
        Assert.Equal(0, await Store.Measures.CountOfSenderAsync("example.org", default));
        var first = await QueueFromAsync("ann@example.org", "a@one.example", "b@one.example", "c@two.example");
        await QueueFromAsync("bob@example.com", "a@one.example", "d@two.example", "e@three.example");
        await Store.TakeAsync(1, "one.example", [first[0]], begun: true, default);
        await DeferAsync(first[2], 2, "452 4.2.2 full", Store.Time.GetUtcNow().AddHours(1));
        Assert.Equal((3, 3), (await Store.Measures.CountOfSenderAsync("example.org", default), await Store.Measures.CountOfSenderAsync("example.com", default)));
        Assert.Equal(0, await Store.Measures.CountOfSenderAsync("example", default));

        await AcceptFromAsync("ann@example.org", "f@one.example", "g@one.example");
        Assert.Equal(5, await Store.Measures.CountOfSenderAsync("example.org", default));
        // What is held waits for somebody else.
        await Store.Operator.HoldAsync(first[0].MessageId, new("ann"));
        Assert.Equal(3, await Store.Measures.CountOfSenderAsync("example.org", default));
    }

    [Fact]
    public async Task What_waits_for_the_rate_of_its_sender_is_counted_as_that_and_takes_nobodys_room()
    {
        await QueueFromAsync("ann@example.org", "a@one.example", "b@one.example", "c@one.example", "d@one.example", "a@two.example");
        await QueueFromAsync("bob@example.com", "a@one.example", "b@one.example");
        await Sites.NoteAsync(SenderRate.Key("example.org"), new SiteNote(0, 0, 2, SiteHoldUp.Rate));
        Assert.Equal([("rateLimit", 5), ("due", 2)], await CountAsync(WaitingBy.Reason, s_state));
        var domains = (await Store.Measures.MeasureAsync(s_state, isPaused: false, default)).Groups.Single(groups => groups.By == WaitingBy.Domain);
        Assert.Equal([("one.example", WaitKind.Due), ("two.example", WaitKind.RateLimit)], domains.Groups.Select(group => (group.Key, group.Kind!.Value)));
        // As with a site, what nobody repeats is over.
        Store.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal([("due", 3), ("senderTurn", 4)], (await CountAsync(WaitingBy.Reason, s_state)).OrderBy(reason => reason.Item1, StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_claim_by_a_permit_of_a_rate_is_won_as_long_as_its_permits_count()
    {
        var key = SenderRate.Key("example.org");
        var waiting = await QueueFromAsync("ann@example.org", "a@one.example", "b@one.example", "c@one.example");
        var (epoch, _, isNew) = await Sites.TakeOverAsync(key);
        Assert.True(isNew);
        var batch = await Store.Queue.NextBatchIdAsync(default);
        var command = new BatchCommand(batch, "one.example", [waiting[0], waiting[1]], "", Sender: key, SenderEpoch: epoch);
        Assert.Equal(2, (await Store.Claims.TakeAsync(command, begun: true, default)).Won.Count);
        Assert.Equal([new HeldBatch(batch, "one.example", 2)], await Sites.ListHeldAsync(key, default));
        Assert.Empty(await Sites.ListHeldAsync(SenderRate.Key("example.com"), default));

        Assert.False((await Sites.TakeOverAsync(key)).IsNew);
        var late = await Store.Claims.TakeAsync(command with { BatchId = batch + 1, Recipients = [waiting[2]] }, begun: true, default);
        Assert.True(late is { IsStale: true, Won.Count: 0 });
        // A permit of a site does not make up for it.
        var (siteEpoch, _, _) = await Sites.TakeOverAsync("mx.example.net");
        late = await Store.Claims.TakeAsync(command with { BatchId = batch + 2, Recipients = [waiting[2]], Site = "mx.example.net", SiteEpoch = siteEpoch }, begun: true, default);
        Assert.True(late.IsStale);
    }

    [Fact]
    public async Task A_flow_is_read_on_behind_a_place()
    {
        var now = Store.Time.GetUtcNow();
        var ids = await InsertFlowsAsync(("ann", 10));
        await InsertFlowsAsync(("bob", 10));
        await Store.RunAsync($"UPDATE recipients SET claim = 7 WHERE id = {ids[4]}");
        await Store.RunAsync($"UPDATE recipients SET next_attempt_at = {now.AddHours(1).ToUnixTimeMilliseconds()} WHERE id = {ids[9]}");
        var at = DateTimeOffset.FromUnixTimeMilliseconds(1);
        Assert.Equal(ids[..3], (await Store.Flows.ListDueOfAsync("example.net", "ann", now, default, 3, default)).Select(recipient => recipient.RecipientId));
        Assert.Equal(
            [ids[3], ids[5], ids[6], ids[7], ids[8]],
            (await Store.Flows.ListDueOfAsync("example.net", "ann", now, new DuePlace(at, ids[2]), 30, default)).Select(recipient => recipient.RecipientId));
        Assert.Empty(await Store.Flows.ListDueOfAsync("example.net", "an", now, default, 30, default));
    }

    private async Task AcceptFromAsync(string sender, params string[] recipients)
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        await using var content = Store.Messages.CreateContent(id);
        await content.AppendAsync("x"u8.ToArray(), default);
        await Store.Messages.AcceptAsync(new Envelope(id, sender, recipients, 1, BodyType.SevenBit, Store.Time.GetUtcNow(), "", FlowKey.Of("", sender)), content, default);
    }
}
