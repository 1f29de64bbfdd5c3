namespace MailPipeline.Mail.Tests;

/// <summary>What operators are told of what waits.</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task The_last_reply_to_a_domain_s_mail_is_known_while_it_waits()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.com");
        Assert.Equal("", (await WaitingForAsync("example.net")).LastReply);
        var now = Store.Time.GetUtcNow();
        for (var attempt = 1; attempt <= 2; attempt++)
        {
            await Store.TakeAsync(attempt, "example.net", [recipients[0] with { Attempts = attempt - 1 }], begun: true, default);
            await Store.Outcomes.RecordAsync(
                attempt, "example.net", [new(new(recipients[0].RecipientId, AttemptOutcome.Deferred, "4.2.2", $"452 no {attempt}", "", now, now.AddSeconds(attempt)), RecipientState.Queued, now)], TimeSpan.Zero);
        }
        Assert.Equal("452 no 2", (await WaitingForAsync("example.net")).LastReply);
        Assert.Equal("", (await WaitingForAsync("example.com")).LastReply);
        await Store.Queue.SetBackoffAsync("example.net", new DomainBackoff(3, now.AddMinutes(5), "connection refused"));
        Assert.Equal("connection refused", (await WaitingForAsync("example.net")).LastReply);
    }

    [Fact]
    public async Task The_site_of_a_domain_is_known_while_its_mail_waits()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        await Store.Queue.SetSiteAsync("example.net", "mx.example.org");
        await Store.Queue.SetBackoffAsync("example.net", new DomainBackoff(1, Store.Time.GetUtcNow(), "no route to host"));
        await Store.Queue.SetSiteAsync("example.com", "mx.example.org");
        Assert.Equal("mx.example.org", (await WaitingForAsync("example.net")).Site);

        await Store.TakeAsync(7, "example.net", [recipients[0]], begun: true, default);
        await Store.Claims.RecordLastDeliveredAsync(7, [Store.Result(recipients[0], AttemptOutcome.Delivered, "2.0.0", "250 ok")], [recipients[0].RecipientId], default);
        var timeline = await Store.History.FindAsync(recipients[0].MessageId, default);
        Assert.Equal(["", "mx.example.org"], timeline!.Recipients.Select(recipient => recipient.Site));
    }

    [Fact]
    public async Task All_that_waits_is_counted_and_the_domains_with_most_are_named()
    {
        Assert.Equivalent(new WaitingSummary(0, 0, 0, 0, 0, []), await Store.Waiting.SummarizeAsync(2, QueueState.Unknown, isPaused: false, default), strict: true);
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net", "c@example.net");
        await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.com", "b@example.com");
        var held = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.org", "b@example.org");
        await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Local, "a@mail.example");
        await Store.AcceptAsync("x"u8.ToArray(), "a@example.org");
        await Store.Operator.HoldAsync(held[0].MessageId, new("ann"));

        var all = await Store.Waiting.SummarizeAsync(2, QueueState.Unknown, isPaused: false, default);
        Assert.Equal((6, 1, 0, 2, 0), (all.Queued, all.Unrouted, all.Claims, all.Held, all.Unreported));
        Assert.Equal([("example.net", 3), ("example.com", 2)], all.Domains.Select(domain => (domain.Domain, domain.Queued)));
    }

    [Fact]
    public async Task What_is_being_tried_is_counted_and_the_next_attempt_is_one_of_the_others()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net", "c@example.net");
        var now = Store.Time.GetUtcNow();
        await Store.TakeAsync(7, "example.net", [recipients[2]], begun: true, default);
        await Store.Outcomes.RecordAsync(
            7, "example.net", [new(Store.Result(recipients[2], AttemptOutcome.Deferred, "4.2.2", "452 no"), RecipientState.Queued, now.AddHours(1))], TimeSpan.Zero);

        await Store.TakeAsync(8, "example.net", [recipients[0], recipients[1]], begun: true, default);
        var trying = await WaitingForAsync("example.net");
        Assert.Equal((3, 2, 0, now.AddHours(1)), (trying.Queued, trying.Claimed, trying.Due, trying.NextAttemptAt));
        Assert.Equal(1, (await Store.Waiting.SummarizeAsync(1, QueueState.Unknown, isPaused: false, default)).Claims);

        // The end of a claim frees whom it held besides.
        await Store.Outcomes.RecordAsync(
            8, "example.net", [new(Store.Result(recipients[0], AttemptOutcome.Delivered, "2.0.0", "250 ok"), RecipientState.Delivered, now)], TimeSpan.Zero);
        Assert.Equal((2, 0), ((await WaitingForAsync("example.net")).Queued, (await WaitingForAsync("example.net")).Claimed));

        var alone = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.com");
        await Store.TakeAsync(9, "example.com", alone, begun: true, default);
        Assert.Equal((1, 1), ((await WaitingForAsync("example.com")).Queued, (await WaitingForAsync("example.com")).Claimed));
    }

    private async Task<DomainSummary> WaitingForAsync(string domain) =>
        (await Store.Waiting.SummarizeAsync(10, QueueState.Unknown, isPaused: false, default)).Domains.Single(waiting => waiting.Domain == domain);
}
