using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Mail.Tests;

/// <summary>What senders said about reports, what is owed them, and that it is told once.</summary>
public abstract partial class StoreTests
{
    private static readonly RcptDsn s_success = RcptDsn.Parse("NOTIFY=SUCCESS ORCPT=rfc822;Bob@example.org");

    [Fact]
    public async Task What_was_said_about_reports_comes_back_with_the_envelope_and_with_the_recipient()
    {
        var dsn = new EnvelopeDsn(MailDsn.Parse("RET=FULL ENVID=QQ1"), [s_success, RcptDsn.None]);
        var message = await AcceptDsnAsync(dsn, "a@example.net", "b@example.net");
        var plain = await Store.AcceptAsync("y"u8.ToArray(), "c@example.net");

        // A router that knows nothing of it does not see the message, and makes no recipients that lack it.
        Assert.Equal(1, (await Store.CountAsync()).Unrouted - await CountAsync("SELECT COUNT(*) FROM unrouted_dsn"));
        var listed = await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow(), 10, default);
        Assert.Equal([message.MessageId, plain.MessageId], listed.Select(envelope => envelope.MessageId));
        Assert.Equal([message.MessageId], (await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow(), 1, default)).Select(envelope => envelope.MessageId));
        var found = (await Store.Queue.FindUnroutedAsync([message.MessageId, plain.MessageId], default)).OrderBy(envelope => envelope.MessageId).ToList();
        Assert.Equal((dsn.ToText(), null), (found[0].Dsn?.ToText(), found[1].Dsn));
        Assert.Equal(["a@example.net", "b@example.net"], (await Store.History.FindAsync(message.MessageId, default))!.Envelope);
        Assert.Equal(2, (await Store.Measures.MeasureAsync(QueueState.Unknown with { InitialConcurrency = 1 }, isPaused: false, default)).Unrouted);

        var made = await RouteDsnAsync(found[0]);
        Assert.Empty(await RouteDsnAsync(found[0]));
        var kept = await Parameters.FindAsync(made.Select(recipient => recipient.RecipientId), default);
        Assert.Equal(dsn.Mail, kept.Mail);
        Assert.Equal(dsn.Recipients, made.Select(recipient => kept.Recipients[recipient.RecipientId]));
        Assert.All(made, recipient => Assert.True(recipient.Body.HasFlag(BodyType.Dsn)));
    }

    [Fact]
    public async Task The_next_hop_learns_what_the_sender_wrote_where_an_alias_led_on()
    {
        var message = await AcceptDsnAsync(new EnvelopeDsn(MailDsn.None, [RcptDsn.Parse("NOTIFY=DELAY")]), "sales+x@example.org");
        var made = await Store.Queue.RouteAsync([new RoutedMessage(
            message, [new("a@example.net", "sales+x@example.org", "example.net", RecipientRoute.Remote, message.Dsn!.Recipients[0])])]);
        var kept = await Parameters.FindAsync([made[0].Recipient.RecipientId], default);
        Assert.Equal("NOTIFY=DELAY ORCPT=rfc822;sales+2Bx@example.org", kept.Recipients.Values.Single().ToString());
    }

    [Fact]
    public async Task Success_that_is_owed_keeps_the_bytes_until_it_is_told_once()
    {
        var message = await AcceptDsnAsync(new EnvelopeDsn(MailDsn.None, [s_success]), "a@example.net");
        var recipient = (await RouteDsnAsync(message))[0];
        Assert.Empty(await Reports.ListOwedAsync(0, 10, default));
        Assert.False(await Reports.IsCompleteAsync(message.MessageId, default));
        await DeliverAsync(7, recipient, handsOn: false);
        Assert.Equal("x"u8.ToArray(), await Store.ReadAsync(message.MessageId));
        Assert.Equal(1, (await Store.Waiting.SummarizeAsync(10, QueueState.Unknown, isPaused: false, default)).Unreported);

        Assert.Equal(new OwedSuccess(recipient.RecipientId, RecipientState.Delivered, Store.Time.GetUtcNow()), Assert.Single(await Reports.ListOwedAsync(0, 10, default)));
        Assert.True(await Reports.IsCompleteAsync(message.MessageId, default));
        // Two at once: one report.
        var ends = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => TellAsync(message.MessageId)));
        Assert.Equal([0, 1], ends.Select(end => end.Recipients).Order());
        Assert.Equal(0, (await TellAsync(message.MessageId)).Recipients);
        Assert.Empty(await Store.ReadAsync(message.MessageId));
        Assert.Equal(0, (await Store.CountAsync()).ChunksWithoutOwner);
        Assert.Equal(ReportKind.Succeeded, Assert.Single((await Store.History.FindAsync(message.MessageId, default))!.Reports).Kind);
    }

    [Fact]
    public async Task Where_the_next_hop_reports_nothing_is_owed_and_the_bytes_go()
    {
        var message = await AcceptDsnAsync(new EnvelopeDsn(MailDsn.None, [s_success]), "a@example.net");
        var recipient = (await RouteDsnAsync(message))[0];
        await DeliverAsync(7, recipient, handsOn: true);
        // The record again, after a commit of which nobody knew, changes nothing.
        await Store.Claims.RecordDeliveredAsync(7, [Delivered(recipient, handsOn: true)], default);
        Assert.Empty(await Reports.ListOwedAsync(0, 10, default));
        Assert.Empty(await Store.ReadAsync(message.MessageId));
        Assert.Equal(0, (await Store.CountAsync()).Unreported);
    }

    [Theory]
    [InlineData("NOTIFY=FAILURE", 1)]
    [InlineData("", 1)]
    [InlineData("NOTIFY=NEVER", 0)]
    [InlineData("NOTIFY=DELAY", 0)]
    [InlineData("NOTIFY=SUCCESS", 0)]
    public async Task A_failure_is_told_where_it_was_asked_for_and_the_bytes_go_where_it_was_not(string notify, int reports)
    {
        var message = await AcceptDsnAsync(new EnvelopeDsn(MailDsn.None, [RcptDsn.Parse(notify)]), "a@example.net");
        var recipient = (await RouteDsnAsync(message))[0];
        Assert.Equal(reports, (await FailAsync(7, recipient)).Reportable.Count);
        foreach (var owed in await Reports.ListOwedAsync(0, 10, default))
            await Reports.SettleAsync([owed.RecipientId]);
        Assert.Equal(reports, (await ReportAsync(message.MessageId)).Count);
        Assert.Empty(await Store.ReadAsync(message.MessageId));
    }

    [Fact]
    public async Task An_alias_that_led_on_is_told_of_and_holds_the_bytes_no_longer()
    {
        var message = await AcceptDsnAsync(new EnvelopeDsn(MailDsn.None, [s_success]), "list@example.org");
        var made = await Store.Queue.RouteAsync([new RoutedMessage(message,
        [
            new("list@example.org", "", "example.org", RecipientRoute.Local, s_success, IsExpanded: true),
            new("a@example.net", "list@example.org", "example.net", RecipientRoute.Remote, RcptDsn.Parse("NOTIFY=NEVER")),
        ])]);
        var (domain, recipient) = Assert.Single(made);
        Assert.Equal("example.net", domain);
        Assert.Equal(1, (await TellAsync(message.MessageId)).Recipients);
        Assert.Equal("x"u8.ToArray(), await Store.ReadAsync(message.MessageId));
        await DeliverAsync(7, recipient, handsOn: false);
        Assert.Empty(await Store.ReadAsync(message.MessageId));
        Assert.Equal([RecipientState.Expanded, RecipientState.Delivered], (await Store.History.FindAsync(message.MessageId, default))!.Recipients.Select(r => r.State));
    }

    [Fact]
    public async Task What_is_late_is_told_once_of_each_recipient_that_waits()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.com", "c@example.net");
        var before = Store.Time.GetUtcNow();
        Assert.Empty((await Reports.ListLateAsync(before.AddSeconds(-1), WaitingPlace.Start, default)).Messages.Select(late => late.MessageId));
        await Store.TakeAsync(7, "example.net", [recipients[2]], begun: true, default);
        await Store.Claims.RecordDeliveredAsync(7, [Delivered(recipients[2], handsOn: false)], default);
        await Store.Queue.SetBackoffAsync("example.com", new DomainBackoff(2, before.AddHours(1), "no route"));

        Assert.Equal([recipients[0].MessageId], (await Reports.ListLateAsync(before, WaitingPlace.Start, default)).Messages.Select(late => late.MessageId).Distinct());
        var told = new List<TellableRecipient>();
        var ends = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => LateAsync(recipients[0].MessageId, before, told)));
        Assert.Equal([0, 2], ends.Select(end => end.Recipients).Order());
        Assert.Equal(("b@example.com", "no route", before.AddHours(1)), (told[1].Address, told[1].DomainReason, told[1].NextAttemptAt));
        Assert.Empty((await Reports.ListLateAsync(before, WaitingPlace.Start, default)).Messages.Select(late => late.MessageId));
        // They are what they were but for that.
        Assert.Equal(2, (await Store.CountAsync()).Queued);
        Assert.Equal("x"u8.ToArray(), await Store.ReadAsync(recipients[0].MessageId));
    }

    [Fact]
    public async Task A_sender_who_has_had_enough_reports_gets_no_more_for_an_hour()
    {
        for (var i = 0; i < 3; i++)
        {
            var recipient = (await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net"))[0];
            await FailAsync(7 + i, recipient);
            var id = await Store.Messages.NextMessageIdAsync(default);
            var end = await Store.Unreported.ReportAsync(recipient.MessageId, 10, _ => Dsn(id), default, mostAnHour: 2);
            Assert.Equal((1, i == 2), (end.Recipients, end.IsDropped));
            Assert.Equal(i == 2, Assert.Single((await Store.History.FindAsync(recipient.MessageId, default))!.Reports).IsDropped);
            Assert.Empty(await Store.ReadAsync(recipient.MessageId));
            Assert.Equal(i == 2 ? [] : "dsn"u8.ToArray(), await Store.ReadAsync(id));
        }
        await Store.RunAsync("UPDATE reports SET made_at = made_at - 3600001");
        var later = (await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net"))[0];
        await FailAsync(17, later);
        var last = await Store.Messages.NextMessageIdAsync(default);
        Assert.False((await Store.Unreported.ReportAsync(later.MessageId, 10, _ => Dsn(last), default, mostAnHour: 2)).IsDropped);
        // What is not counted any more is kept as long as its message.
        Assert.Equal(0, await Reports.ForgetAsync(DateTimeOffset.MaxValue.AddDays(-1)));
        await Store.RunAsync($"DELETE FROM messages WHERE id = {later.MessageId}");
        Assert.Equal(1, await Reports.ForgetAsync(DateTimeOffset.MaxValue.AddDays(-1)));
    }

    [Fact]
    public async Task Reports_are_looked_for_by_their_indexes()
    {
        await InsertRecipientsAsync(3000);
        if (!Store.Database.SingleProcess)
            await Store.RunAsync("ANALYZE");
        await PlanAsync(ReportStore.s_owed, "recipients_owed", 0, 100);
        await PlanAsync(ReportStore.s_late, "recipients_due", 1, "''", 0, 0, ReportStore.Page);
    }

    [Fact]
    public async Task What_a_host_delivered_itself_stands_beside_what_is_owed()
    {
        var success = RcptDsn.Parse("NOTIFY=SUCCESS");
        var recipients = await RouteDsnAsync(await AcceptDsnAsync(
            new EnvelopeDsn(MailDsn.None, [success, success, RcptDsn.None]), "lmtp@example.net", "smtp@example.net", "silent@example.net"));
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        var delivered = recipients.ConvertAll(recipient => Delivered(recipient, handsOn: false) with { IsFinal = !recipient.Address.StartsWith("smtp", StringComparison.Ordinal) });
        // The same once more changes nothing.
        for (var i = 0; i < 2; i++)
            await Store.Claims.RecordDeliveredAsync(7, delivered, default);

        List<TellableRecipient> told = [];
        var id = await Store.Messages.NextMessageIdAsync(default);
        await Reports.ReportSucceededAsync(
            recipients[0].MessageId, 10,
            owed =>
            {
                told.AddRange(owed);
                return Dsn(id);
            },
            int.MaxValue, default);
        Assert.Equal([("lmtp@example.net", true), ("smtp@example.net", false)], told.Select(recipient => (recipient.Address, recipient.IsDeliveredThere)));
        Assert.Equal(0, await CountAsync("SELECT COUNT(*) FROM recipients WHERE (notify & 16) <> 0"));
    }

    private async Task<long> CountAsync(string sql) => (await Store.Database.QueryAsync(new Statement(sql), r => r.GetInt64(0), default))[0];

    private ReportStore Reports => new(Store.Database);

    private DsnStore Parameters => new(Store.Database);

    private async Task<ReportEnd> TellAsync(long messageId)
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        return await Reports.ReportSucceededAsync(messageId, 10, _ => Dsn(id), int.MaxValue, default);
    }

    private async Task<ReportEnd> LateAsync(long messageId, DateTimeOffset before, List<TellableRecipient> told)
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        return await Reports.ReportLateAsync(
            messageId, before, _ => true, 10,
            late =>
            {
                lock (told)
                {
                    told.Clear();
                    told.AddRange(late);
                }
                return Dsn(id);
            },
            int.MaxValue, default);
    }

    private async Task DeliverAsync(long claimId, Recipient recipient, bool handsOn)
    {
        await Store.TakeAsync(claimId, "example.net", [recipient], begun: true, default);
        await Store.Claims.RecordLastDeliveredAsync(claimId, [Delivered(recipient, handsOn)], [recipient.RecipientId], default);
    }

    private AttemptResult Delivered(Recipient recipient, bool handsOn) =>
        Store.Result(recipient, AttemptOutcome.Delivered, "2.0.0", "250 Ok") with { ReportsHandedOn = handsOn };

    private async Task<Envelope> AcceptDsnAsync(EnvelopeDsn dsn, params string[] recipients)
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        var message = new Envelope(id, "sender@example.org", recipients, 1, BodyType.Dsn, Store.Time.GetUtcNow(), "", Dsn: dsn);
        await using var writer = Store.Messages.CreateContent(id);
        await writer.AppendAsync("x"u8.ToArray(), default);
        await Store.Messages.AcceptAsync(message, writer, default);
        return message;
    }

    private async Task<List<Recipient>> RouteDsnAsync(Envelope message) =>
        [.. (await Store.Queue.RouteAsync([new RoutedMessage(
            message, [.. message.Recipients.Select((address, i) => new RoutedRecipient(address, "", "example.net", RecipientRoute.Remote, message.Dsn!.Recipients[i]))])]))
            .Select(row => row.Recipient)];
}
