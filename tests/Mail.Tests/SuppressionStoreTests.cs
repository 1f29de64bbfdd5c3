using MailPipeline.Smtp;

namespace MailPipeline.Mail.Tests;

/// <summary>Who is not sent mail of a sender any more (<see cref="SuppressionStore"/>).</summary>
public abstract partial class StoreTests
{
    private const string Lists = "lists@example.org";

    private SuppressionStore Suppressions => new(Store.Database, Store.MailStoreOptions);

    [Fact]
    public async Task A_list_begins_keeps_who_comes_to_it_for_its_time_and_ends()
    {
        var store = Suppressions;
        Assert.Empty(await store.SendersAsync(default));
        var begun = await store.BeginAsync(Lists, TimeSpan.FromDays(30), s_joe);
        Assert.Equal(new SuppressingSender(Lists, TimeSpan.FromDays(30), Store.Time.GetUtcNow(), "joe"), begun);
        Assert.Equal(begun, (await store.SendersAsync(default))[Lists]);
        // Others know within the time that the directory is remembered for.
        var other = Suppressions;
        Assert.Single(await other.SendersAsync(default));
        Assert.True(await store.EndAsync(Lists, s_joe));
        Assert.False(await store.EndAsync(Lists, s_joe));
        Assert.Single(await other.SendersAsync(default));
        Store.Time.Advance(Store.MailStoreOptions.DirectoryCacheTime);
        Assert.Empty(await other.SendersAsync(default));
        Assert.Equal(
            [(OperatorAction.SuppressionEnded, Lists), (OperatorAction.SuppressionBegun, Lists)],
            (await new AuditLog(Store.Database).ListAsync(default, 10, default)).Select(entry => (entry.Action, entry.Subject)));
    }

    [Fact]
    public async Task Who_is_on_a_list_stays_as_he_is_until_his_time_is_over_and_comes_anew_after_it()
    {
        var store = Suppressions;
        var sender = (await store.BeginAsync(Lists, TimeSpan.FromDays(30), s_joe))!;
        var began = Store.Time.GetUtcNow();
        await NoteAsync(sender, "Ann@Example.NET", "550 5.1.1 no such user");
        Store.Time.Advance(TimeSpan.FromDays(29));
        await NoteAsync(sender, "ann@example.net", "550 5.1.1 somewhat else");
        var first = new Suppression(Lists, "ann@example.net", SuppressionCause.Reply, "550 5.1.1 no such user", began, began.AddDays(30));
        Assert.Equal([first], await store.FindAsync([(Lists, "ANN@example.net"), (Lists, "bob@example.net"), ("other@example.org", "ann@example.net")], default));
        Assert.Equal([first], await store.ListAsync(Lists, "", 10, default));
        Assert.Equal(0, await store.ForgetAsync(default));

        Store.Time.Advance(TimeSpan.FromDays(1));
        Assert.Empty(await store.FindAsync([(Lists, "ann@example.net")], default));
        Assert.Empty(await store.ListAsync(Lists, "", 10, default));
        Assert.Null(await store.RemoveAsync(Lists, "carl@example.net", s_joe));
        await NoteAsync(sender, "ann@example.net", "550 5.1.1 again");
        Assert.Equal("550 5.1.1 again", Assert.Single(await store.ListAsync(Lists, "", 10, default)).Reason);
        Assert.Equal("550 5.1.1 again", (await store.RemoveAsync(Lists, "Ann@example.net", s_joe))!.Reason);
        Assert.Empty(await store.ListAsync(Lists, "", 10, default));

        await NoteAsync(sender, "bob@example.net", "550 5.1.1 no");
        Store.Time.Advance(TimeSpan.FromDays(30));
        Assert.Equal(1, await store.ForgetAsync(default));
        Assert.Equal(0, await Store.CountRowsAsync("suppressions"));
    }

    [Fact]
    public async Task A_complaint_counts_for_a_sender_who_has_a_list_and_for_nobody_else()
    {
        var store = Suppressions;
        Assert.Null(await store.OfComplaintAsync(Lists, "ann@example.net", "abuse", default));
        await store.BeginAsync(Lists, keepFor: null, s_joe);
        Assert.Equal(
            new Suppression(Lists, "ann@example.net", SuppressionCause.Complaint, "abuse??X-Forged: 1", Store.Time.GetUtcNow(), null),
            await store.OfComplaintAsync("LISTS@example.org", "Ann@example.net", "abuse\r\nX-Forged: 1", default));
        Assert.Null(await store.OfComplaintAsync(Lists, "a\0nn@example.net", "abuse", default));
        await store.BeginAsync(Lists, TimeSpan.FromDays(30), s_joe);
        Assert.Equal(Store.Time.GetUtcNow().AddDays(30), (await store.OfComplaintAsync(Lists, "ann@example.net", "abuse", default))!.Until);
    }

    [Fact]
    public async Task An_operator_puts_very_many_on_a_list_by_one_act()
    {
        var store = Suppressions;
        var sender = (await store.BeginAsync(Lists, TimeSpan.FromDays(30), s_joe))!;
        await NoteAsync(sender, "user0007@example.net", "550 5.1.1 no");
        var added = Enumerable.Range(0, (2 * SuppressionStore.MostAtOnce) + 5).Select(i =>
            SuppressionStore.Create(sender, $"user{i % 1004:0000}@example.net", SuppressionCause.Operator, "list", Store.Time.GetUtcNow())).ToAsyncEnumerable();
        Assert.Equal(1005, await store.SetAsync(added, OperatorAction.SuppressionsImported, "x", s_joe, default));
        var note = (await new AuditLog(Store.Database).ListAsync(default, 1, default))[0];
        Assert.Equal((OperatorAction.SuppressionsImported, 1005), (note.Action, note.Recipients));
        Assert.Equal(1004, await Store.CountRowsAsync("suppressions"));
        var page = await store.ListAsync(Lists, "user0006@example.net", 2, default);
        Assert.Equal([("user0007@example.net", "list"), ("user0008@example.net", "list")], page.Select(one => (one.Address, one.Reason)));
    }

    [Fact]
    public async Task A_recipient_on_the_list_ends_as_he_begins_and_his_sender_is_owed_a_report()
    {
        var message = await Store.AcceptAsync("x"u8.ToArray(), "ann@example.net", "bob@example.net");
        var suppressed = new List<(long RecipientId, RoutedRecipient Recipient)>();
        var made = await Store.Queue.RouteAsync([Suppressed(message, dsn: null, isOnList: [true, false])], s_reportDelay, suppressed);
        Assert.Equal("bob@example.net", Assert.Single(made).Recipient.Address);
        Assert.Equal([RecipientIds.Of(message.MessageId, 0)], suppressed.Select(one => one.RecipientId));
        // Routed again, he is not suppressed again.
        await Store.Queue.RouteAsync([Suppressed(message, dsn: null, isOnList: [true, false])], s_reportDelay, suppressed);
        Assert.Empty(suppressed);

        var timeline = (await Store.History.FindAsync(message.MessageId, default))!;
        Assert.Equal([RecipientState.Bounced, RecipientState.Queued], timeline.Recipients.Select(recipient => recipient.State));
        var why = Assert.Single(timeline.Recipients[0].Attempts);
        Assert.True(why.IsUntried);
        Assert.Equal(
            (AttemptOutcome.Failed, "5.7.1", $"not tried: on the suppression list of {Lists} since 2026-01-01 until 2026-01-31, because its host has refused it for good: 550 5.1.1 no"),
            (why.Outcome, why.Status, why.Reply));
        Assert.Equal(2, await ReferencesAsync(message.MessageId));
        Assert.Equal("x"u8.ToArray(), await Store.ReadAsync(message.MessageId));

        UnreportedFailure? failure = null;
        await Store.Unreported.ReportAsync(message.MessageId, 10, taken => Dsn(RecipientIds.MessageId((failure = Assert.Single(taken)).Result.RecipientId) + 1000), default);
        Assert.Equal(("ann@example.net", RecipientState.Bounced, false, "5.7.1"), (failure!.Address, failure.State, failure.WasTried, failure.Result.Status));
        Assert.Equal(1, await ReferencesAsync(message.MessageId));
    }

    [Fact]
    public async Task A_message_whose_sender_wants_no_report_and_whose_recipients_are_all_on_the_list_leaves_nothing_behind()
    {
        var dsn = new RcptDsn(DsnNotify.Never, "");
        var message = new Envelope(
            await Store.Messages.NextMessageIdAsync(default), "sender@example.org", ["ann@example.net", "bob@example.net"], 1, BodyType.Dsn, Store.Time.GetUtcNow(), "",
            Dsn: new EnvelopeDsn(MailDsn.None, [dsn, dsn]));
        await using (var writer = Store.Messages.CreateContent(message.MessageId))
        {
            await writer.AppendAsync("x"u8.ToArray(), default);
            await Store.Messages.AcceptAsync(message, writer, default);
        }
        Assert.Empty(await Store.Queue.RouteAsync([Suppressed(message, dsn, isOnList: [true, true])], s_reportDelay));
        Assert.Equal(0, await Store.CountRowsAsync("unreported"));
        Assert.Equal((0, 0), ((int)await ReferencesAsync(message.MessageId), (int)await Store.CountRowsAsync("chunks")));
        Assert.Equal(0, (await Store.CountAsync()).ChunksWithoutOwner);
        Store.Time.Advance(TimeSpan.FromDays(1));
        Assert.Equal(1, await Store.History.ForgetAsync(Store.Time.GetUtcNow(), default));
        Assert.Equal(0, await Store.CountRowsAsync("attempts"));
    }

    [Fact]
    public async Task What_comes_to_a_list_comes_with_the_outcome_or_not_at_all()
    {
        var sender = (await Suppressions.BeginAsync(Lists, TimeSpan.FromDays(30), s_joe))!;
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "ann@example.net", "bob@example.net");
        await Store.TakeAsync(7, "example.net", [recipients[0]], begun: true, default);
        // Of who is not under the claim nothing is recorded.
        await Store.Outcomes.RecordAsync(7, "example.net", [.. recipients.Select(recipient =>
            new RecipientDecision(Store.Result(recipient, AttemptOutcome.Failed, "5.1.1", "550 no"), RecipientState.Bounced, default)
            {
                Suppression = SuppressionStore.Create(sender, recipient.Address, SuppressionCause.Reply, "550 no", Store.Time.GetUtcNow()),
            })], s_reportDelay);
        Assert.Equal(["ann@example.net"], (await Suppressions.ListAsync(Lists, "", 10, default)).Select(one => one.Address));
    }

    private RoutedMessage Suppressed(Envelope message, RcptDsn? dsn, bool[] isOnList) => new(
        message,
        [.. message.Recipients.Zip(isOnList, (address, isListed) => new RoutedRecipient(address, "", "example.net", RecipientRoute.Remote, dsn)
        {
            Suppression = isListed
                ? new(Lists, address, SuppressionCause.Reply, "550 5.1.1 no", Store.Time.GetUtcNow(), Store.Time.GetUtcNow().AddDays(30)) : null,
        })]);

    private async Task<long> ReferencesAsync(long messageId)
    {
        await using var connection = Store.Connect();
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = $"SELECT content_refs FROM messages WHERE id = {messageId}";
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private Task NoteAsync(SuppressingSender sender, string address, string reason) => Store.Database.WriteAsync(transaction =>
    {
        SuppressionStore.Note(transaction, SuppressionStore.Create(sender, address, SuppressionCause.Reply, reason, Store.Time.GetUtcNow()));
        return ValueTask.FromResult(true);
    });
}
