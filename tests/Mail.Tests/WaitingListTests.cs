namespace MailPipeline.Mail.Tests;

/// <summary>Those that wait, one by one.</summary>
public abstract partial class StoreTests
{
    private static readonly WaitingPlace s_first = new("", long.MinValue, 0);

    [Fact]
    public async Task Each_filter_finds_those_it_is_for()
    {
        var now = Store.Time.GetUtcNow();
        var early = await QueueFromAsync("Ann@example.org", "a@one.example", "Bob@two.example");
        await DeferAsync(early[1], 1, "452 4.2.2 The mailbox is 100% FULL", now.AddHours(2));
        Store.Time.Advance(TimeSpan.FromHours(1));
        var late = await QueueFromAsync("bob@example.com", "c@one.example", "bob@three.example");
        await Store.TakeAsync(2, "one.example", [late[0]], begun: true, default);
        var reported = await QueueFromAsync("", "d@two.example");

        Assert.Equal(IdsOf(early[0], late[0], late[1], reported[0], early[1]).Order(), (await FindWaitingAsync(new())).Order());
        Assert.Equal(IdsOf(early[0], early[1]), await FindWaitingAsync(new(Sender: "ANN@example.org")));
        Assert.Equal(IdsOf(reported[0]), await FindWaitingAsync(new(Sender: "")));
        Assert.Empty(await FindWaitingAsync(new(Sender: "ANN@example.org") { ExceptFlows = ["x", "example.org"] }));
        Assert.Equal(IdsOf(early[0], early[1]), await FindWaitingAsync(new(Sender: "ANN@example.org") { ExceptFlows = ["x", "example.com"] }));
        Assert.Equal(IdsOf(early[1]), await FindWaitingAsync(new(Recipient: "BOB@two.example")));
        Assert.Equal(IdsOf(early[1]), await FindWaitingAsync(new(Reply: "is 100% full")));
        Assert.Empty(await FindWaitingAsync(new(Reply: "is 1__% full")));
        Assert.Equal(IdsOf(early[0], early[1]), await FindWaitingAsync(new(AcceptedBefore: now.AddMinutes(1))));
        Assert.Equal(IdsOf(late[0]), await FindWaitingAsync(new() { IsClaimed = true }));
        Assert.Equal(IdsOf(early[1]), await FindWaitingAsync(new() { IsClaimed = false, IsDue = false }));
        // Within a domain, along the one index and the other.
        Assert.Equal(IdsOf(early[0], late[0]), await FindWaitingAsync(new(), "one.example"));
        Assert.Equal(IdsOf(late[0]), await FindWaitingAsync(new(Flow: "example.com"), "one.example"));
        Assert.Empty(await FindWaitingAsync(new(Flow: "example.com"), "two.example"));
    }

    [Fact]
    public async Task A_page_ends_where_enough_was_found_and_the_next_one_goes_on()
    {
        await InsertRecipientsAsync(WaitingListStore.Page + 5);
        var place = s_first;
        var found = new List<long>();
        var looked = 0L;
        for (var pages = 0; place is not null; pages++)
        {
            var page = await Store.WaitingList.FindQueuedAsync(new(), "", place, 1500, Store.Time.GetUtcNow(), default);
            found.AddRange(page.Ids);
            looked += page.Looked;
            place = page.Next;
            Assert.InRange(pages, 0, 3);
        }
        Assert.Equal((WaitingListStore.Page + 5, WaitingListStore.Page + 5), (found.Distinct().Count(), (int)looked));

        // Nobody is found in a whole page: it says where the next one begins.
        var first = await Store.WaitingList.FindQueuedAsync(new(Recipient: "nobody@example.net"), "", s_first, 10, Store.Time.GetUtcNow(), default);
        Assert.Equal((0, WaitingListStore.Page), (first.Ids.Count, (int)first.Looked));
        Assert.Equal(
            (0, 5, null), (await Store.WaitingList.FindQueuedAsync(new(Recipient: "nobody@example.net"), "", first.Next!, 10, Store.Time.GetUtcNow(), default)) is var last
                ? (last.Ids.Count, (int)last.Looked, last.Next) : default);
    }

    [Fact]
    public async Task Those_whose_messages_stand_under_a_term_are_found_a_page_at_a_time()
    {
        var made = new List<long>();
        for (var i = 0; i < 5; i++)
            made.Add(await SearchableAsync("ann@example.org", "", [("Bob@example.net", ""), ("carl@example.net", "")]));
        await SearchableAsync("ann@example.org", "", [("carl@example.net", "")]);
        await Store.Operator.HoldAsync(made[1], new("joe"));
        // Not one of those that wait.
        await Store.Operator.RemoveAsync(made[2], new("joe"));
        made.RemoveAt(2);

        foreach (var page in (int[])[2, 3, 100])
        {
            var found = new List<long>();
            var place = s_first with { RecipientId = 0 };
            for (var pages = 0; place is not null; pages++)
            {
                var one = await FindAsync(new(Recipient: "BOB@example.net"), "", place, page);
                found.AddRange(one.Ids);
                place = one.Next;
                Assert.InRange(pages, 0, 8);
            }
            Assert.Equal(made.Select(id => RecipientIds.Of(id, 0)), found);
        }
        Assert.Empty((await FindAsync(new(Recipient: "bob@example.net"), "example.com", s_first with { RecipientId = 0 }, 100)).Ids);
        Assert.Equal(2, (await FindAsync(new(Recipient: "bob@example.net"), "example.net", s_first with { RecipientId = 0 }, 100)).Ids.Count);
        // The others, as they are looked through.
        var term = WaitingListStore.TermOfRecipient("bob@example.net");
        Assert.Single(await FindWaitingAsync(new() { ExceptTerm = term }));

        Task<WaitingPage> FindAsync(WaitingFilter filter, string domain, WaitingPlace place, int page) => Store.WaitingList.FindByTermAsync(
            filter, WaitingListStore.TermOfRecipient("bob@example.net"), domain, "", "", place, 2, Store.Time.GetUtcNow(), default, page);
    }

    [Fact]
    public async Task What_is_held_is_found_by_who_holds_it_and_what_is_not_routed_by_its_envelope()
    {
        var held = await QueueFromAsync("ann@example.org", "a@one.example", "b@sub.one.example");
        await Store.Operator.HoldAsync(held[0].MessageId, new("ann"));
        var other = await QueueFromAsync("bob@example.com", "c@two.example");
        await Store.Operator.HoldAsync(other[0].MessageId, new("joe"));
        await Store.RunAsync($"UPDATE recipients SET hold_reason = 'three deaths' WHERE id = {other[0].RecipientId}");
        var unrouted = await Store.AcceptAsync("x"u8.ToArray(), "d@one.example", "e@two.example");

        Assert.Equal(IdsOf(held[0], held[1], other[0]), await HeldAsync());
        Assert.Equal(IdsOf(held[0]), await HeldAsync(domain: "one.example"));
        Assert.Equal(IdsOf(held[1]), await HeldAsync(below: "one.example"));
        Assert.Equal(IdsOf(other[0]), await HeldAsync(bySystem: true));
        Assert.Equal(IdsOf(held[0], held[1]), await HeldAsync(bySystem: false));
        Assert.Equal(IdsOf(other[0]), await HeldAsync(new(Flow: "example.com")));
        Assert.Equal([("ann", held[0].MessageId), ("joe", other[0].MessageId)],
            (await Store.WaitingList.FindHoldersAsync([held[0].MessageId, other[0].MessageId], default)).Select(holder => (holder.Value, holder.Key)).Order());
        var message = Assert.Single(await Store.WaitingList.ListUnroutedAsync(0, 10, default));
        Assert.Equal((unrouted.MessageId, "sender@example.org", null), (message.MessageId, message.Sender, message.ReleaseAt));
        Assert.Equal(["d@one.example", "e@two.example"], message.Recipients);
        Assert.Empty(await Store.WaitingList.ListUnroutedAsync(unrouted.MessageId, 10, default));

        async Task<IReadOnlyList<long>> HeldAsync(WaitingFilter? filter = null, string domain = "", string below = "", bool? bySystem = null) =>
            (await Store.WaitingList.FindHeldAsync(filter ?? new(), domain, below, bySystem, s_first with { RecipientId = 0 }, 10, default)).Ids;
    }

    [Fact]
    public async Task Domains_are_listed_by_what_is_known_of_them()
    {
        var now = Store.Time.GetUtcNow();
        var recipients = await QueueFromAsync("ann@example.org", "a@one.example", "b@sub.one.example", "c@x_one.example");
        await QueueFromAsync("bob@example.com", "d@two.example");
        await DeferAsync(recipients[2], 1, "452 no", now.AddHours(1));
        await Store.Queue.SettleAsync("x_one.example");
        await Store.Queue.SetBackoffAsync("two.example", new DomainBackoff(1, now.AddHours(1), "no route"));
        await Store.TakeAsync(2, "one.example", [recipients[0]], begun: true, default);

        Assert.Equal(["one.example", "sub.one.example", "two.example", "x_one.example"], await ListAsync(new()));
        Assert.Equal(["sub.one.example"], await ListAsync(new(Below: "one.example")));
        Assert.Equal(["two.example"], await ListAsync(new(BacksOff: true)));
        Assert.Equal(["one.example"], await ListAsync(new(HasClaims: true)));
        Assert.Equal(["one.example", "sub.one.example"], await ListAsync(new(BacksOff: false, IsDue: true)));
        Assert.Equal(["two.example"], await ListAsync(new(), "example.com"));
        Assert.Equal(["two.example", "x_one.example"], await ListAsync(new(), from: "two.example"));

        async Task<IEnumerable<string>> ListAsync(DomainFilter filter, string flow = "", string from = "") =>
            (await Store.WaitingList.ListDomainsAsync(filter, flow, from, 10, now, default)).Order(StringComparer.Ordinal);
    }

    private async Task<IReadOnlyList<long>> FindWaitingAsync(WaitingFilter filter, string domain = "")
    {
        var page = await Store.WaitingList.FindQueuedAsync(filter, domain, s_first with { Domain = domain }, 10, Store.Time.GetUtcNow(), default);
        Assert.Null(page.Next);
        return page.Ids;
    }

    private static IEnumerable<long> IdsOf(params Recipient[] recipients) => recipients.Select(recipient => recipient.RecipientId);
}
