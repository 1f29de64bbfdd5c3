using MailPipeline.Mail;

namespace MailPipeline.Administration.Tests;

/// <summary>Each that waits is found by what is known of it, with its one reason.</summary>
public sealed class QueueListTests : IAsyncLifetime
{
    private AdministrationFixture _operator = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private DateTimeOffset Now => _operator.Time.GetUtcNow();

    public async ValueTask InitializeAsync() => _operator = await AdministrationFixture.OpenAsync();

    public ValueTask DisposeAsync() => _operator.DisposeAsync();

    [Fact]
    public async Task Each_reason_is_reached_and_found_by_its_word()
    {
        await _operator.Get<QueueStateStore>().UpdateAsync(new(InitialConcurrency: 1, WindowRecipients: 2, null, [new("deliver-retry", false, Now)]), Cancellation);
        var limited = await _operator.QueueAsync("a@limit.example", "b@limit.example", "c@limit.example", "d@limit.example");
        await _operator.ClaimAsync(1, limited[0]);
        await _operator.QueueAsync("a@rest.example");
        await _operator.Get<QueueStore>().SetBackoffAsync("rest.example", new DomainBackoff(2, Now.AddMinutes(5), "no route"));
        await _operator.QueueAsync("a@failing.example");
        await _operator.Get<QueueStore>().SetBackoffAsync("failing.example", new DomainBackoff(2, Now, "no route"));
        var later = await _operator.QueueAsync("a@later.example");
        await DeferAsync(later[0], Now.AddHours(1));
        await _operator.QueueAsync("a@due.example");
        var held = await _operator.QueueAsync("a@held.example");
        await _operator.Messages.HoldAsync(MessageIds.ToText(held[0].MessageId), new("joe"), Cancellation);
        await _operator.AcceptAsync("a@unrouted.example");

        var reasons = new Dictionary<WaitKind, WaitReason>();
        foreach (var kind in Enum.GetValues<WaitKind>())
        {
            var listing = await ListAsync(new() { Reason = kind });
            Assert.Null(listing.Next);
            Assert.All(listing.Entries, entry => Assert.Equal(kind, entry.Wait.Kind));
            if (listing.Entries.Count > 0)
                reasons.Add(kind, listing.Entries[0].Wait);
        }
        Assert.Equal(
            [
                new NotRouted(), new BeingTried(), new Due(), new NextAttempt(Now.AddHours(1), new("4.2.2", "452 4.2.2 full", "mx.later.example")),
                new BacksOff(Now.AddMinutes(5), "no route", Now.AddMinutes(5)), new DomainLimit(1), new SenderTurn(), new NoWorker("deliver-retry", false, Now),
                new HeldByOperator(Now, "joe"),
            ],
            reasons.OrderBy(reason => reason.Key).Select(reason => reason.Value));
        // What is counted by reason is what is found by it.
        var groups = await _operator.Queue.GroupAsync(WaitingBy.Reason, 20, Cancellation);
        foreach (var group in groups.Groups)
            Assert.Equal(group.Waiting, (await ListAsync(new() { Reason = WaitWords.Find(group.Key) })).Entries.Count);
        Assert.Equal((reasons.Count, 10), (groups.Groups.Count, (int)groups.Waiting));
        // And what a message says of its recipients.
        var found = Assert.IsType<MessageFound>(await _operator.Messages.FindAsync(MessageIds.ToText(limited[0].MessageId), Cancellation));
        Assert.Equal([WaitKind.BeingTried, WaitKind.DomainLimit, WaitKind.DomainLimit, WaitKind.SenderTurn], found.Recipients.Select(recipient => recipient.Wait!.Kind).Order());

        await _operator.Queue.PauseAsync(new("ann"));
        Assert.Equal(7, (await ListAsync(new() { Reason = WaitKind.Paused })).Entries.Count);
        Assert.Empty((await ListAsync(new() { Reason = WaitKind.BacksOff })).Entries);
        Assert.Single((await ListAsync(new() { Reason = WaitKind.BeingTried })).Entries);
    }

    [Fact]
    public async Task Filters_narrow_and_all_of_them_count()
    {
        await _operator.Domains.AddAsync("ours.example", AdministrationFixture.By, Cancellation);
        await _operator.QueueAsync("bob@one.example", "Bob@sub.one.example", "joe@two.example");
        _operator.Time.Advance(TimeSpan.FromHours(3));
        var young = await _operator.QueueAsync("bob@two.example");
        await DeferAsync(young[0], Now.AddHours(1));
        await _operator.AcceptAsync("bob@one.example", "x@two.example");

        Assert.Equal(["bob@one.example", "bob@one.example, x@two.example"], await FoundAsync(new() { Domain = "ONE.example" }));
        Assert.Equal(["Bob@sub.one.example"], await FoundAsync(new() { Domain = "*.one.example" }));
        Assert.Equal(["bob@two.example"], await FoundAsync(new() { Domain = "two.example", Reply = "4.2.2 FULL" }));
        Assert.Equal(["Bob@sub.one.example", "bob@one.example", "joe@two.example"], await FoundAsync(new() { Older = TimeSpan.FromHours(2) }));
        Assert.Equal(["joe@two.example"], await FoundAsync(new() { Older = TimeSpan.FromHours(2), Domain = "two.example", Sender = "ann@example.org" }));
        Assert.Empty(await FoundAsync(new() { Sender = "joe@example.org" }));
        Assert.Equal(["Bob@sub.one.example"], await FoundAsync(new() { Recipient = "bob@sub.one.example" }));
        Assert.Empty(await FoundAsync(new() { Domain = "two.example", Reason = WaitKind.BacksOff }));
        Assert.Empty(await FoundAsync(new() { Domain = "nobody.example" }));
    }

    /// <summary>Who logged in takes turns as an account, everybody else as a domain; an account may send under another address.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_sender_is_found_by_address_account_and_domain(bool isSearchable)
    {
        await AcceptFromAsync("", "ann@example.org", "a@one.example");
        await AcceptFromAsync("ann@example.org", "ann@example.org", "b@one.example");
        await AcceptFromAsync("ann@example.org", "sales@example.org", "c@two.example");
        await AcceptFromAsync("joe@example.org", "Ann@example.org", "d@two.example");
        await AcceptFromAsync("", "bob@example.org", "e@two.example");
        await AcceptFromAsync("", "", "f@two.example");

        Assert.Equal(["a@one.example", "b@one.example", "c@two.example", "d@two.example"], await FoundAsync(new() { Sender = "ANN@example.org" }));
        Assert.Equal(["c@two.example", "d@two.example"], await FoundAsync(new() { Sender = "ann@example.org", Domain = "two.example" }));
        Assert.Equal(["a@one.example", "e@two.example"], await FoundAsync(new() { Sender = "example.org" }));
        Assert.Equal(["f@two.example"], await FoundAsync(new() { Sender = "<>" }));
        Assert.Equal(["c@two.example"], await FoundAsync(new() { Sender = "sales@example.org" }));
        Assert.Empty(await FoundAsync(new() { Sender = "two.example" }));
        // Through all sections, one at a time.
        var found = new List<string>();
        for (QueuePlace? place = null; found.Count == 0 || place is not null;)
        {
            var listing = await _operator.Queue.ListAsync(new() { Sender = "ann@example.org" }, place, 1, Cancellation);
            found.AddRange(listing.Entries.Select(entry => entry.Recipients[0]));
            place = listing.Next;
        }
        Assert.Equal(["b@one.example", "c@two.example", "a@one.example", "d@two.example"], found);

        async Task AcceptFromAsync(string account, string sender, string recipient)
        {
            var id = await _operator.Get<MessageStore>().NextMessageIdAsync(Cancellation);
            var message = new Envelope(id, sender, [recipient], 1, BodyType.SevenBit, Now, "", FlowKey.Of(account, sender));
            await using var content = _operator.Get<MessageStore>().CreateContent(id);
            await content.AppendAsync("x"u8.ToArray(), Cancellation);
            await _operator.Get<MessageStore>().AcceptAsync(message, content, Cancellation);
            await _operator.Get<QueueStore>().RouteAsync([new RoutedMessage(message, [new RoutedRecipient(recipient, "", recipient.Split('@')[1], RecipientRoute.Remote)], IsSearchable: isSearchable)]);
        }
    }

    /// <summary>Where all that wait stand under search terms, nothing else is looked through; where some may not, they are found as well.</summary>
    [Fact]
    public async Task Those_under_the_term_come_first_and_the_others_are_looked_through_only_where_it_is_needed()
    {
        await _operator.QueueAsync([.. Enumerable.Range(0, 300).Select(i => $"user{i}@example.net"), "bob@example.net"]);
        await _operator.Get<QueueStateStore>().UpdateAsync(new(1000, 1000, null, []) { SearchableSince = Now }, Cancellation);
        _operator.Time.Advance(TimeSpan.FromHours(2));
        var first = await _operator.QueueSearchableAsync("Bob@example.net", "carl@example.net");
        var held = await _operator.QueueSearchableAsync("bob@example.net");
        await _operator.Messages.HoldAsync(MessageIds.ToText(held[0].MessageId), new("joe"), Cancellation);

        foreach (var filter in (QueueFilter[])[new() { Recipient = "BOB@example.net" }, new() { Recipient = "bob@example.net", Sender = "ann@example.org" }])
        {
            var all = await ListAsync(filter);
            Assert.Equal((3, null), (all.Entries.Count, all.Next));
            Assert.Equal([first[0].MessageId, held[0].MessageId], all.Entries.Take(2).Select(entry => entry.MessageId));
            Assert.True(all.Looked >= 300);
        }
        Assert.Single((await ListAsync(new() { Recipient = "bob@example.net", Reason = WaitKind.HeldByOperator })).Entries);

        // As it is counted where very much waits: all of it came since.
        await _operator.Get<SampleStore>().SaveAsync(
            [new(WaitingBy.Reason, Now, 3, 0, 1, [new("due", 3, 0, 3, null, WaitKind.Due, first[0].RecipientId, 0)])]);
        foreach (var (filter, found) in ((QueueFilter, int)[])[
            (new() { Recipient = "bob@example.net" }, 2), (new() { Recipient = "bob@example.net", Domain = "example.com" }, 0),
            (new() { Recipient = "bob@example.net", Reason = WaitKind.Due }, 1), (new() { Recipient = "nobody@example.net" }, 0), (new() { Sender = "ann@example.org" }, 3)])
        {
            var listing = await ListAsync(filter);
            Assert.Equal((found, null), (listing.Entries.Count, listing.Next));
            Assert.InRange(listing.Looked, 0, 3);
        }
    }

    [Fact]
    public async Task A_list_goes_on_where_it_ended_through_all_sections()
    {
        await _operator.QueueAsync("a@one.example", "b@one.example", "a@two.example");
        var held = await _operator.QueueAsync("a@held.example", "b@held.example");
        await _operator.Messages.HoldAsync(MessageIds.ToText(held[0].MessageId), new("joe"), Cancellation);
        await _operator.AcceptAsync("a@unrouted.example");
        await _operator.AcceptAsync("b@unrouted.example");

        foreach (var filter in (QueueFilter[])[new(), new() { Domain = "*.example" }])
        {
            var found = new List<string>();
            QueuePlace? place = null;
            do
            {
                var listing = await _operator.Queue.ListAsync(filter, place, 1, Cancellation);
                Assert.True(listing.Entries.Count <= 1);
                found.AddRange(listing.Entries.Select(entry => entry.Recipients[0]));
                // As it is typed.
                place = listing.Next is { } next ? QueuePlace.Parse(next.ToString()) : null;
                Assert.Equal(listing.Next, place);
            }
            while (place is not null);
            Assert.Equal(
                ["a@one.example", "b@one.example", "a@two.example", "a@held.example", "b@held.example", "a@unrouted.example", "b@unrouted.example"], found);
        }
        Assert.Null(QueuePlace.Parse("x"));
        Assert.Null(QueuePlace.Parse("not a place"));
    }

    [Fact]
    public async Task A_search_whose_patience_is_over_says_where_it_goes_on()
    {
        await _operator.QueueAsync([.. Enumerable.Range(0, 20).Select(i => $"a@d{i:00}.example")]);
        // Each look at the clock takes a second.
        _operator.Time.AutoAdvanceAmount = TimeSpan.FromSeconds(1);
        QueuePlace? place = null;
        var rounds = 0;
        do
        {
            var listing = await _operator.Queue.ListAsync(new() { Domain = "*.example", Reply = "nothing says so" }, place, 50, Cancellation);
            Assert.Empty(listing.Entries);
            place = listing.Next;
            Assert.InRange(++rounds, 1, 25);
        }
        while (place is not null);
        Assert.InRange(rounds, 2, 25);
    }

    [Fact]
    public async Task Groups_say_how_much_since_when_and_what_was_last_said()
    {
        var first = await _operator.QueueAsync("a@one.example", "b@one.example");
        await DeferAsync(first[0], Now.AddHours(1));
        await _operator.Get<QueueStore>().SetSiteAsync("one.example", "mx.example.net");
        _operator.Time.Advance(TimeSpan.FromMinutes(1));
        await _operator.QueueAsync("c@two.example");

        var domains = await _operator.Queue.GroupAsync(WaitingBy.Domain, 1, Cancellation);
        Assert.Equal((3, true, (DateTimeOffset?)null), ((int)domains.Waiting, domains.HasMore, domains.SampledAt));
        Assert.Equal(
            new QueueGroup("one.example", 2, 0, Now.AddMinutes(-1), new Due(), 1, null, "452 4.2.2 full"), Assert.Single(domains.Groups));
        var sites = await _operator.Queue.GroupAsync(WaitingBy.Site, 10, Cancellation);
        Assert.Equal([("mx.example.net", 2, "452 4.2.2 full"), ("", 1, "")], sites.Groups.Select(group => (group.Key, (int)group.Waiting, group.LastReply)));
        var sender = Assert.Single((await _operator.Queue.GroupAsync(WaitingBy.Sender, 10, Cancellation)).Groups);
        Assert.Equal(("", 3, 2, "452 4.2.2 full"), (sender.Key, (int)sender.Waiting, (int)sender.Due, sender.LastReply));
    }

    private Task<QueueListing> ListAsync(QueueFilter filter) => _operator.Queue.ListAsync(filter, null, 100, Cancellation);

    private async Task<IEnumerable<string>> FoundAsync(QueueFilter filter) =>
        (await ListAsync(filter)).Entries.Select(entry => string.Join(", ", entry.Recipients)).Order(StringComparer.Ordinal);

    private async Task DeferAsync(Recipient recipient, DateTimeOffset next)
    {
        var domain = recipient.Address.Split('@')[1];
        var claim = await _operator.ClaimAsync(99, recipient);
        await _operator.Get<OutcomeStore>().RecordAsync(
            claim.Id, domain,
            [new(new(recipient.RecipientId, AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 full", $"mx.{domain}", Now, Now), RecipientState.Queued, next)], TimeSpan.Zero);
    }
}
