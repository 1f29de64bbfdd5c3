using MailPipeline.Storage;

namespace MailPipeline.Mail.Tests;

/// <summary>Events of outcomes: what is written for whom, in which order it is given out, and when it is gone.</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task Each_outcome_is_written_for_whoever_asks_for_its_kind_with_what_is_known_of_the_message()
    {
        await TellAsync("all", EventKind.Delivered, EventKind.Deferred, EventKind.Bounced, EventKind.Complained);
        await TellAsync("bounces", EventKind.Bounced);
        await Store.RunAsync("INSERT INTO event_receivers (name, kinds, since, seen_at) VALUES ('later', 30, 0, 0)");
        await MakeOutcomesAsync();

        var events = await Store.Events.ListNextAsync("all", 100, default);
        Assert.Equal(
            [
                ("a@example.net", EventKind.Delivered, 1, EventDetails.None, "2.0.0", "250 ok", ReplyClass.None, false),
                ("b@example.net", EventKind.Deferred, 1, EventDetails.None, "4.2.2", "452 full", ReplyClass.Quota, true),
                ("c@example.net", EventKind.Bounced, 1, EventDetails.None, "5.1.1", "550 who?", ReplyClass.Mailbox, false),
                ("d@example.net", EventKind.Bounced, 1, EventDetails.Expired, "4.4.7", "not in time", ReplyClass.None, false),
                ("e@example.net", EventKind.Deferred, 1, EventDetails.Held | EventDetails.Uncertain, "4.4.2", "gone", ReplyClass.Network, false),
                ("f@example.net", EventKind.Deferred, 1, EventDetails.None, "4.4.2", "the worker that tried it died or lost its lease; no final dot was sent without an answer", ReplyClass.Other, true),
                ("g@ours.example", EventKind.Delivered, 1, EventDetails.None, "2.0.0", "stored in the maildrop", ReplyClass.None, false),
            ],
            events.OrderBy(one => one.Recipient, StringComparer.Ordinal)
                .Select(one => (one.Recipient, one.Kind, (int)one.Number, one.Details, one.Status, one.Reply, one.Class, one.NextAttemptAt is not null)));
        Assert.All(events, one => Assert.Equal(("sender@example.org", one.Recipient.Split('@')[1], ""), (one.Sender, one.Domain, one.HeaderId)));
        Assert.Equal(events.Count, events.DistinctBy(one => one.Id).Count());
        // In the order in which they were recorded.
        Assert.Equal(["a", "b", "c", "d", "e", "f", "g"], events.OrderBy(one => one.WrittenAt).Select(one => one.Recipient[..1]).Distinct().Order(StringComparer.Ordinal));
        Assert.Equal(["c@example.net", "d@example.net"], (await Store.Events.ListNextAsync("bounces", 100, default)).Select(one => one.Recipient).Order(StringComparer.Ordinal));
        // This process has not read of him.
        Assert.Empty(await Store.Events.ListNextAsync("later", 100, default));

        // Each has his own.
        await Store.Events.TakenAsync("all", events);
        Assert.Empty(await Store.Events.ListNextAsync("all", 100, default));
        Assert.Equal(2, (await Store.Events.MeasureAsync("bounces", 100, default)).Waiting);
    }

    [Fact]
    public async Task Where_nobody_is_told_no_statement_asks_for_the_outbox()
    {
        await Store.Subscriptions.ReadAsync(default);
        await Store.RunAsync("DROP TABLE event_outbox");
        await MakeOutcomesAsync();
        var counts = await Store.CountAsync();
        Assert.Equal(0, counts.Claims);
    }

    [Fact]
    public async Task What_is_recorded_again_after_a_doubt_makes_no_second_event()
    {
        await TellAsync("all", EventKind.Delivered, EventKind.Deferred);
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        AttemptResult[] delivered = [Store.Result(recipients[0], AttemptOutcome.Delivered, "2.0.0", "250 ok")];
        RecipientDecision[] deferred = [new(Store.Result(recipients[1], AttemptOutcome.Deferred, "4.0.0", "450 later"), RecipientState.Queued, Store.Time.GetUtcNow().AddMinutes(5))];
        for (var i = 0; i < 2; i++)
        {
            Assert.Single(await Store.Claims.RecordDeliveredAsync(7, delivered, default));
            Assert.Single((await Store.Outcomes.RecordAsync(7, "example.net", deferred, TimeSpan.Zero, afterDoubt: i > 0)).Recorded);
        }

        Assert.Equal([EventKind.Delivered, EventKind.Deferred], (await Store.Events.ListNextAsync("all", 100, default)).Select(one => one.Kind));
    }

    [Fact]
    public async Task Events_of_a_recipient_keep_the_order_of_its_attempts_though_the_clock_of_the_store_was_set_back()
    {
        await TellAsync("all", EventKind.Deferred);
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        await DeferAsync(1, recipients[0]);
        await DeferAsync(2, recipients[0] with { Attempts = 1 });
        await Store.RunAsync("UPDATE event_outbox SET written_at = 1000 - number");

        // However few are read at once.
        var first = Assert.Single(await Store.Events.ListNextAsync("all", 10, default));
        Assert.Equal((1, $"{MessageIds.ToText(recipients[0].MessageId)}-0-1"), (first.Number, first.Id));
        Assert.Equal(first, Assert.Single(await Store.Events.ListNextAsync("all", 1, default)));
        await Store.Events.TakenAsync("all", [first]);
        Assert.Equal(2, Assert.Single(await Store.Events.ListNextAsync("all", 10, default)).Number);

        async Task DeferAsync(int claim, Recipient recipient)
        {
            await Store.TakeAsync(claim, "example.net", [recipient], begun: true, default);
            await Store.Outcomes.RecordAsync(
                claim, "example.net", [new(Store.Result(recipient, AttemptOutcome.Deferred, "4.0.0", "450 later"), RecipientState.Queued, Store.Time.GetUtcNow())], TimeSpan.Zero);
        }
    }

    [Fact]
    public async Task What_is_too_old_or_too_much_is_dropped_and_counted()
    {
        await TellAsync("all", EventKind.Delivered);
        await TellAsync("other", EventKind.Delivered);
        // More than a piece of each.
        const int Count = 1200;
        var numbers = Store.Database.SingleProcess
            ? $"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {Count}) SELECT i FROM n) AS n" : $"generate_series(1, {Count}) AS n(i)";
        await Store.RunAsync(
            $"""
            INSERT INTO event_outbox (recipient_id, number, receiver, kind, details, written_at, at, next_at, status, reply, host, reply_class)
            SELECT i, 1, 'all', 1, 0, CASE WHEN i <= 700 THEN i ELSE 9000000000000 + i END, 0, 0, '', '', '', 0 FROM {numbers}
            """);
        await Store.RunAsync("INSERT INTO event_outbox (recipient_id, number, receiver, kind, details, written_at, at, next_at, status, reply, host, reply_class) VALUES (1, 1, 'other', 1, 0, 0, 0, 0, '', '', '', 0)");
        Assert.Equal(new EventBacklog(1000, HasMore: true, TimeSpan.Zero), await Store.Events.MeasureAsync("all", 1000, default) with { Oldest = TimeSpan.Zero });
        Assert.Equal(700, await Store.Events.DropOldAsync("all", TimeSpan.FromDays(3), default));
        Assert.Equal(0, await Store.Events.DropOldAsync("all", TimeSpan.FromDays(3), default));
        Assert.Equal(100, await Store.Events.DropFirstAsync("all", 100, default));
        Assert.Equal(400, (await Store.Events.MeasureAsync("all", 1000, default)).Waiting);
        Assert.Equal(801, (await Store.Events.ListNextAsync("all", 1, default))[0].RecipientId);
        Assert.Equal([("all", 800L), ("other", 0L)], (await Store.Events.ListReceiversAsync(default)).Select(one => (one.Name, one.Dropped)));
        Assert.Equal(1, (await Store.Events.MeasureAsync("other", 1000, default)).Waiting);
    }

    [Fact]
    public async Task Who_is_named_by_no_settings_for_an_hour_is_told_nothing_more_and_then_forgotten_with_what_waits()
    {
        await TellAsync("gone", EventKind.Delivered);
        await TellAsync("there", EventKind.Delivered);
        await DeliverAsync("a@example.net");
        Assert.Empty(await Store.Events.ForgetUnseenAsync(TimeSpan.FromHours(1), default));

        // First he is told no more, by whomever has read that.
        await Store.RunAsync("UPDATE event_receivers SET seen_at = seen_at - 3610000 WHERE name = 'gone'");
        Assert.Empty(await Store.Events.ForgetUnseenAsync(TimeSpan.FromHours(1), default));
        await Store.Subscriptions.ReadAsync(default);
        await DeliverAsync("b@example.net");
        Assert.Equal((1, 2), (await WaitingAsync("gone"), await WaitingAsync("there")));

        // Named again he is as before; not named he is gone with what waited.
        await Store.Events.RegisterAsync("gone", [EventKind.Delivered]);
        Assert.Empty(await Store.Events.ForgetUnseenAsync(TimeSpan.FromHours(1), default));
        Assert.Equal([EventKind.Delivered], (await Store.Events.ListReceiversAsync(default)).Single(one => one.Name == "gone").Kinds);
        await Store.RunAsync("UPDATE event_receivers SET seen_at = seen_at - 3670000 WHERE name = 'gone'");
        Assert.Equal([("gone", 1L)], await Store.Events.ForgetUnseenAsync(TimeSpan.FromHours(1), default));
        Assert.Equal((0, 2), (await WaitingAsync("gone"), await WaitingAsync("there")));
        Assert.Equal("there", Assert.Single(await Store.Events.ListReceiversAsync(default)).Name);

        async Task<int> WaitingAsync(string name) => (await Store.Events.ListNextAsync(name, 100, default)).Count;
    }

    [Fact]
    public async Task Since_when_and_why_somebody_takes_nothing_is_noted_until_he_does()
    {
        await TellAsync("hook", EventKind.Delivered);
        await Store.Events.NoteAsync("hook", "no route");
        var since = (await Store.Events.ListReceiversAsync(default))[0].AwaySince;
        Assert.NotNull(since);
        await Store.Events.NoteAsync("hook", "503");
        // Naming him again changes nothing of it.
        await Store.Events.RegisterAsync("hook", [EventKind.Delivered]);
        Assert.Equal((since, "503"), ((await Store.Events.ListReceiversAsync(default))[0].AwaySince, (await Store.Events.ListReceiversAsync(default))[0].Reason));
        await Store.Events.NoteAsync("hook", "");
        Assert.Equal((null, ""), ((await Store.Events.ListReceiversAsync(default))[0].AwaySince, (await Store.Events.ListReceiversAsync(default))[0].Reason));
    }

    [Fact]
    public async Task A_message_is_not_forgotten_before_whoever_is_to_be_told_of_it_was()
    {
        await TellAsync("all", EventKind.Delivered);
        await DeliverAsync("a@example.net");
        var later = Store.Time.GetUtcNow().AddDays(30);
        Assert.Equal(0, await Store.History.ForgetAsync(later, default));
        var waiting = Assert.Single(await Store.Events.ListNextAsync("all", 10, default));
        Assert.Equal(("a@example.net", "sender@example.org"), (waiting.Recipient, waiting.Sender));
        await Store.Events.TakenAsync("all", [waiting]);
        Assert.Equal(1, await Store.History.ForgetAsync(later, default));
    }

    [Fact]
    public async Task A_complaint_is_recorded_once_with_its_event_and_stands_in_the_timeline()
    {
        await TellAsync("all", EventKind.Complained);
        var sent = await DeliverAsync("a@example.net", "b@example.net");
        var message = sent[0].MessageId;
        await Store.RunAsync($"UPDATE messages SET header_id = 'news.1@example.org' WHERE id = {message}; UPDATE recipients SET flow = 'ann@example.org' WHERE id = {sent[0].RecipientId}");
        await Store.RunAsync($"INSERT INTO search_terms (term, message_id) VALUES ({SearchTerm.OfHeaderId("news.1@example.org")}, {message}), ({SearchTerm.OfHeaderId("other@example.org")}, {message})");

        Assert.Equal([message], await Store.Complaints.FindMessagesAsync("news.1@example.org", null, idSuffices: false, default));
        Assert.Equal([message], await Store.Complaints.FindMessagesAsync("news.1@example.org", message, idSuffices: false, default));
        Assert.Equal([message], await Store.Complaints.FindMessagesAsync("", message, idSuffices: true, default));
        // An id can be guessed. Both have to be true where both are named; and a term alone, which is a hash, proves nothing.
        Assert.Empty(await Store.Complaints.FindMessagesAsync("", message, idSuffices: false, default));
        Assert.Empty(await Store.Complaints.FindMessagesAsync("news.2@example.org", message, idSuffices: true, default));
        Assert.Empty(await Store.Complaints.FindMessagesAsync("other@example.org", null, idSuffices: true, default));
        Assert.Empty(await Store.Complaints.FindMessagesAsync("\0", null, idSuffices: true, default));
        Assert.Empty(await Store.Complaints.FindMessagesAsync("", null, idSuffices: true, default));

        var recipients = await Store.Complaints.ListSentAsync(message, default);
        Assert.Equal(["a@example.net", "b@example.net"], recipients.Select(one => one.Address));
        var complaint = new Complaint(recipients[0].RecipientId, 77, Store.Time.GetUtcNow(), "abuse", "192.0.2.1", "example.net", "", "mail.example.net");
        Assert.Equal(ComplaintKept.Recorded, await Store.Complaints.RecordAsync(recipients[0], complaint, null));
        Assert.Equal(ComplaintKept.Known, await Store.Complaints.RecordAsync(recipients[0], complaint with { ReportId = 78 }, null));

        var told = Assert.Single(await Store.Events.ListNextAsync("all", 10, default));
        Assert.Equal((EventKind.Complained, complaint, $"{MessageIds.ToText(message)}-0-c", "ann@example.org"), (told.Kind, told.Complaint, told.Id, told.AccountAddress));
        var timeline = await Store.History.FindAsync(message, default);
        Assert.Equal([complaint, null], timeline!.Recipients.Select(one => one.Complaint));
        // It goes with its message.
        await Store.Events.TakenAsync("all", [told]);
        await Store.History.ForgetAsync(Store.Time.GetUtcNow().AddDays(30), default);
        Assert.Equal(0, await Store.CountRowsAsync("complaints"));
    }

    [Fact]
    public async Task Only_a_trusted_complaint_puts_on_a_list_and_once()
    {
        await TellAsync("all", EventKind.Complained);
        var message = (await DeliverAsync("a@example.net"))[0].MessageId;
        var about = Assert.Single(await Store.Complaints.ListSentAsync(message, default));
        var complaint = new Complaint(about.RecipientId, 77, Store.Time.GetUtcNow(), "abuse", "192.0.2.1", "example.net", "", "mail.example.net");
        var trusted = complaint with { ReportId = 78, Reporter = "fbl.example", IsTrusted = true };
        var suppression = new Suppression("lists@example.org", "a@example.net", SuppressionCause.Complaint, "abuse", Store.Time.GetUtcNow(), null);

        Assert.Equal(ComplaintKept.Recorded, await Store.Complaints.RecordAsync(about, complaint, suppression));
        Assert.Equal(0, await Store.CountRowsAsync("suppressions"));
        Assert.Equal(ComplaintKept.Confirmed, await Store.Complaints.RecordAsync(about, trusted, suppression));
        Assert.Equal(1, await Store.CountRowsAsync("suppressions"));
        Assert.Equal([trusted], (await Store.History.FindAsync(message, default))!.Recipients.Select(one => one.Complaint));
        Assert.Equal(trusted, Assert.Single(await Store.Events.ListNextAsync("all", 10, default)).Complaint);

        // An operator takes him off, and the same report comes again, or the other.
        await Store.RunAsync("DELETE FROM suppressions");
        Assert.Equal(ComplaintKept.Known, await Store.Complaints.RecordAsync(about, trusted, suppression));
        Assert.Equal(ComplaintKept.Known, await Store.Complaints.RecordAsync(about, complaint, suppression));
        Assert.Equal(0, await Store.CountRowsAsync("suppressions"));
        Assert.Equal([trusted], (await Store.History.FindAsync(message, default))!.Recipients.Select(one => one.Complaint));
    }

    private async Task TellAsync(string receiver, params EventKind[] kinds)
    {
        await Store.Events.RegisterAsync(receiver, kinds);
        await Store.Subscriptions.ReadAsync(default);
    }

    private long _eventClaims = 1000;

    private async Task<IReadOnlyList<Recipient>> DeliverAsync(params string[] addresses)
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, addresses);
        var claim = ++_eventClaims;
        await Store.TakeAsync(claim, "example.net", recipients, begun: true, default);
        await Store.Claims.RecordLastDeliveredAsync(
            claim, [.. recipients.Select(one => Store.Result(one, AttemptOutcome.Delivered, "2.0.0", "250 ok"))], [.. recipients.Select(one => one.RecipientId)], default);
        return recipients;
    }

    /// <summary>One recipient for each way of ending, or of going on.</summary>
    private async Task MakeOutcomesAsync()
    {
        await Store.Directory.AddDomainAsync("ours.example");
        await Store.Directory.AddAccountAsync("g@ours.example", "hash");
        var all = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, [.. "abcdef".Select(name => $"{name}@example.net")]);
        var now = Store.Time.GetUtcNow();
        await Store.TakeAsync(1, "example.net", [.. all.Take(5)], begun: true, default);
        await Store.Claims.RecordDeliveredAsync(1, [Store.Result(all[0], AttemptOutcome.Delivered, "2.0.0", "250 ok")], default);
        await Store.Outcomes.RecordAsync(
            1, "example.net",
            [
                new(Store.Result(all[1], AttemptOutcome.Deferred, "4.2.2", "452 full") with { Class = ReplyClass.Quota }, RecipientState.Queued, now.AddMinutes(5)),
                new(Store.Result(all[2], AttemptOutcome.Failed, "5.1.1", "550 who?") with { Class = ReplyClass.Mailbox }, RecipientState.Bounced, now),
                new(Store.Result(all[3], AttemptOutcome.Deferred, "4.4.7", "not in time"), RecipientState.Expired, now, WasTried: false),
                new(Store.Result(all[4], AttemptOutcome.Uncertain, "4.4.2", "gone") with { Class = ReplyClass.Network }, RecipientState.Held, now) { HoldReason = HoldRule.Uncertain(3) },
            ],
            TimeSpan.Zero);
        await Store.TakeAsync(2, "example.net", [all[5]], begun: true, default);
        await Store.TakeBackAsync(evenIfLeased: true);
        var local = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Local, "g@ours.example");
        await Store.Maildrops.StoreAsync(3, new BatchCommand(3, "ours.example", [.. local]), _ => "", default);
        // What was not tried is no event.
        var untried = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "h@example.net");
        await Store.TakeAsync(4, "example.net", untried, begun: false, default);
        await Store.Outcomes.RecordAsync(4, "example.net", [new(Store.Result(untried[0], AttemptOutcome.NotAttempted, "4.0.0", ""), RecipientState.Queued, now)], TimeSpan.Zero);
    }
}
