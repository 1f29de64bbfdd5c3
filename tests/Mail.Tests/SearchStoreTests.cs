using MailPipeline.Storage;

namespace MailPipeline.Mail.Tests;

/// <summary>How messages are found again, and for how long.</summary>
public abstract partial class StoreTests
{
    private SearchStore Search => new(Store.Database);

    [Fact]
    public async Task A_message_is_found_by_whom_it_is_from_whom_it_is_to_and_its_id()
    {
        var first = await SearchableAsync("ann@example.org", "1@example.org", [("bob@example.net", "")]);
        var second = await SearchableAsync("ann@example.org", "2@example.org", [("bob@example.net", ""), ("carl@example.net", "list@example.com")]);
        var report = await SearchableAsync("", "3@example.org", [("ann@example.org", "")]);

        Assert.Equal([second, first], await FindAsync(new("Ann@EXAMPLE.org", null, null)));
        Assert.Equal([second, first], await FindAsync(new(null, "BOB@example.net", null)));
        Assert.Equal([second], await FindAsync(new(null, "carl@example.net", null)));
        // As its sender wrote it.
        Assert.Equal([second], await FindAsync(new("ann@example.org", "list@example.com", null)));
        Assert.Equal([first], await FindAsync(new("ann@example.org", "bob@example.net", "1@example.org")));
        Assert.Equal([report], await FindAsync(new("", null, null)));
        Assert.Equal([report, second, first], await FindAsync(new(null, null, null)));
        Assert.Empty(await FindAsync(new("bob@example.net", null, null)));
        Assert.Empty(await FindAsync(new("ann@example.org", null, "3@example.org")));
        Assert.Empty(await FindAsync(new(null, null, "1@Example.org")));
    }

    [Fact]
    public async Task What_is_found_comes_in_pages_and_says_how_far_each_message_is()
    {
        var made = new List<long>();
        for (var i = 0; i < 5; i++)
            made.Add(await SearchableAsync("ann@example.org", "", [($"user{i}@example.net", ""), ("bob@example.net", "")]));
        var delivered = (await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default)).First(recipient => recipient.MessageId == made[4]);
        await Store.TakeAsync(7, "example.net", [delivered], begun: true, default);
        await Store.Claims.RecordDeliveredAsync(7, [Store.Result(delivered, AttemptOutcome.Delivered, "2.0.0", "250 ok")], default);

        var page = await Search.FindAsync(new(null, "bob@example.net", null), null, 3, default);
        Assert.Equal([made[4], made[3], made[2]], page.Messages.Select(message => message.MessageId));
        Assert.Equal([KeyValuePair.Create(RecipientState.Queued, 1), KeyValuePair.Create(RecipientState.Delivered, 1)], page.Messages[0].Recipients);
        Assert.Equal([KeyValuePair.Create(RecipientState.Queued, 2)], page.Messages[1].Recipients);
        Assert.Equal([made[1], made[0]], await FindAsync(new(null, "bob@example.net", null), page.Next));
    }

    /// <summary>A program that knows nothing of terms leaves them when it forgets a message.</summary>
    [Fact]
    public async Task Terms_of_messages_that_are_gone_end_no_page()
    {
        var made = new List<long>();
        for (var i = 0; i < 4; i++)
            made.Add(await SearchableAsync("ann@example.org", "", [("bob@example.net", "")]));
        var numbers = Store.Database.SingleProcess
            ? "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) SELECT i FROM n) AS n" : "generate_series(1, 250) AS n(i)";
        // Later ones, and one between those that are there.
        await Store.RunAsync($"INSERT INTO search_terms (term, message_id) SELECT {SearchTerm.OfRecipient("bob@example.net")}, {made[3]} + i FROM {numbers}");
        await Store.RunAsync($"DELETE FROM messages WHERE id = {made[1]}");

        var page = await Search.FindAsync(new(null, "bob@example.net", null), null, 2, default);
        Assert.Equal([made[3], made[2]], page.Messages.Select(message => message.MessageId));
        page = await Search.FindAsync(new(null, "bob@example.net", null), page.Next, 2, default);
        Assert.Equal([made[0]], page.Messages.Select(message => message.MessageId));
        Assert.Null(page.Next);
    }

    [Fact]
    public async Task What_was_routed_while_nothing_was_to_be_found_is_found_by_its_id_alone()
    {
        var recipient = (await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "bob@example.net"))[0];
        Assert.Empty(await FindAsync(new(null, "bob@example.net", null)));
        Assert.NotNull(await Store.History.FindAsync(recipient.MessageId, default));
    }

    [Fact]
    public async Task A_message_is_remembered_from_its_end_on_and_found_no_more_when_it_is_forgotten()
    {
        var id = await SearchableAsync("ann@example.org", "1@example.org", [("bob@example.net", "list@example.com")]);
        var recipient = (await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default))[0];
        // It was tried for five days.
        Store.Time.Advance(TimeSpan.FromDays(5));
        await Store.TakeAsync(7, "example.net", [recipient], begun: true, default);
        await Store.Claims.RecordDeliveredAsync(7, [Store.Result(recipient, AttemptOutcome.Delivered, "2.0.0", "250 ok")], default);

        Store.Time.Advance(TimeSpan.FromHours(23));
        Assert.Equal(0, await Store.History.ForgetAsync(Store.Time.GetUtcNow() - TimeSpan.FromDays(1), default));
        Assert.Equal([id], await FindAsync(new(null, "bob@example.net", null)));
        Store.Time.Advance(TimeSpan.FromHours(2));
        Assert.Equal(1, await Store.History.ForgetAsync(Store.Time.GetUtcNow() - TimeSpan.FromDays(1), default));
        Assert.Empty(await FindAsync(new(null, null, null)));
        Assert.Equal(0, await Store.CountRowsAsync("search_terms"));
    }

    [Fact]
    public async Task A_timeline_says_who_made_an_attempt()
    {
        var recipient = (await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "bob@example.net"))[0];
        await Store.TakeAsync(7, "example.net", [recipient], begun: true, default);
        await Store.Claims.RecordDeliveredAsync(
            7, [Store.Result(recipient, AttemptOutcome.Delivered, "2.0.0", "250 ok") with { Worker = "delivery-7d4f[10.0.0.7]" }], default);
        var timeline = (await Store.History.FindAsync(recipient.MessageId, default))!;
        Assert.Equal("delivery-7d4f[10.0.0.7]", timeline.Recipients[0].Attempts[0].Worker);
    }

    [Fact]
    public async Task A_search_reads_as_much_as_it_finds()
    {
        var numbers = Store.Database.SingleProcess
            ? "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT i FROM n) AS n" : "generate_series(1, 3000) AS n(i)";
        await Store.RunAsync($"INSERT INTO search_terms (term, message_id) SELECT i % 7, i FROM {numbers}");
        if (!Store.Database.SingleProcess)
            await Store.RunAsync("ANALYZE");
        var index = Store.Database.SingleProcess ? "PRIMARY KEY" : "search_terms_pkey";
        await PlanAsync(SearchStore.s_find, index, 1, 2, 3, 9000000000000, 50);
        await PlanAsync(SearchStore.s_latest, Store.Database.SingleProcess ? "PRIMARY KEY" : "messages_pkey", 9000000000000, 50);
        Assert.DoesNotContain("Sort", await ExplainAsync(SearchStore.s_find, 1, 2, 3, 9000000000000, 50), StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("TEMP B-TREE", await ExplainAsync(SearchStore.s_find, 1, 2, 3, 9000000000000, 50), StringComparison.Ordinal);
    }

    private async Task<long> SearchableAsync(string sender, string headerId, (string Address, string Original)[] recipients)
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        var message = new Envelope(
            id, sender, [.. recipients.Select(recipient => recipient.Address)], 1, BodyType.SevenBit, Store.Time.GetUtcNow(), "", HeaderId: headerId);
        await using (var writer = Store.Messages.CreateContent(id))
        {
            await writer.AppendAsync("x"u8.ToArray(), default);
            await Store.Messages.AcceptAsync(message, writer, default);
        }

        // As the router reads it where it was told the id alone.
        var read = Assert.Single(await Store.Queue.FindUnroutedAsync([id], default));
        Assert.Equal(headerId, read.HeaderId);
        await Store.Queue.RouteAsync([new RoutedMessage(
            read, [.. recipients.Select(to => new RoutedRecipient(to.Address, to.Original, to.Address.Split('@')[1], RecipientRoute.Remote))], IsSearchable: true)]);
        return id;
    }

    private async Task<IEnumerable<long>> FindAsync(MessageSearch search, long? before = null) =>
        (await Search.FindAsync(search, before, 100, default)).Messages.Select(message => message.MessageId);
}
