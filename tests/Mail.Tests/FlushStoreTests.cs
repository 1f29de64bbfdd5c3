namespace MailPipeline.Mail.Tests;

/// <summary>A flush: what waits for a domain is due now.</summary>
public abstract partial class StoreTests
{
    private static readonly FlushBounds s_bounds = new(TimeSpan.FromMinutes(1), MostByCaller: 2);

    [Fact]
    public async Task A_flush_makes_all_that_waits_for_a_domain_due_through_its_backoff_and_nothing_else()
    {
        var first = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net", "c@example.org");
        var second = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "d@example.net");
        var held = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "e@example.net");
        await Store.Operator.HoldAsync(held[0].MessageId, new("ann"));
        await Store.TakeAsync(7, "example.net", [second[0]], begun: true, default);
        var later = Store.Time.GetUtcNow().AddHours(4);
        await Store.RunAsync($"UPDATE recipients SET next_attempt_at = {later.ToUnixTimeMilliseconds()}");
        await Store.Queue.SetBackoffAsync("example.net", new DomainBackoff(3, later, "down"));
        await Store.Queue.SettleAsync("example.net");
        await Store.Queue.SettleAsync("example.org");
        Store.Time.Advance(TimeSpan.FromMinutes(5));
        Assert.Empty(await DueDomainsAsync());

        Assert.Equal(new QueueFlush(FlushEnd.Started, 2), await Store.Flushes.FlushAsync("example.net", new("ann", "here"), bounds: null));
        var now = Store.Time.GetUtcNow();
        Assert.Equal(new DueDomain("example.net", now), Assert.Single(await DueDomainsAsync()));
        Assert.Equal(
            ["a@example.net", "b@example.net"],
            (await Store.Queue.ListDueAsync("example.net", now, 10, default)).Select(recipient => recipient.Address));
        // It has not been reached for all that.
        Assert.Equal(new DomainBackoff(3, now, "down"), await Store.Queue.FindBackoffAsync("example.net", default));
        Assert.Empty(await Store.Queue.ListDueAsync("example.org", now, 10, default));
        Assert.Single(await Store.Operator.ListHeldAsync(10, default));
        Assert.Equal(
            new AuditEntry(OperatorAction.DomainFlushed, "ann", now, 3) { Host = "here", Subject = "example.net" },
            (await new AuditLog(Store.Database).ListAsync(now, 10, default))[0]);
        Assert.Equal(4, first.Concat(second).Count());
    }

    [Fact]
    public async Task What_is_more_than_one_transaction_may_change_is_flushed_whole()
    {
        string[] recipients = [.. Enumerable.Range(0, FlushStore.Piece + 1).Select(i => $"r{i}@example.net")];
        await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, recipients);
        await Store.RunAsync($"UPDATE recipients SET next_attempt_at = {Store.Time.GetUtcNow().AddHours(4).ToUnixTimeMilliseconds()}");
        Assert.Equal(new QueueFlush(FlushEnd.Started, 1), await Store.Flushes.FlushAsync("example.net", new("ann"), bounds: null));
        Assert.Equal(recipients.Length, (await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 2 * recipients.Length, default)).Count);
    }

    [Fact]
    public async Task A_flush_of_nothing_or_while_delivery_is_paused_changes_and_notes_nothing()
    {
        Assert.Equal(new QueueFlush(FlushEnd.NothingWaits, 0), await Store.Flushes.FlushAsync("example.net", new("ann"), s_bounds));
        await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        await Store.Operator.PauseDeliveryAsync(new("ann"));
        Assert.Equal(new QueueFlush(FlushEnd.Paused, 0), await Store.Flushes.FlushAsync("example.net", new("ann"), s_bounds));
        Assert.DoesNotContain(
            await new AuditLog(Store.Database).ListAsync(DateTimeOffset.UnixEpoch, 10, default), entry => entry.Action == OperatorAction.DomainFlushed);
    }

    [Fact]
    public async Task Who_is_bounded_flushes_a_domain_once_in_an_interval_and_so_many_of_them()
    {
        await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@a.example", "a@b.example", "a@c.example");
        Assert.Equal(FlushEnd.Started, await FlushAsync("a.example", "ann"));
        Assert.Equal(FlushEnd.TooSoon, await FlushAsync("a.example", "bob"));
        Assert.Equal(FlushEnd.Started, await FlushAsync("b.example", "ann"));
        Assert.Equal(FlushEnd.TooSoon, await FlushAsync("c.example", "ann"));
        Assert.Equal(FlushEnd.Started, await FlushAsync("c.example", "bob"));
        Assert.Equal(FlushEnd.Started, (await Store.Flushes.FlushAsync("c.example", new("carl"), bounds: null)).End);
        Store.Time.Advance(s_bounds.Interval);
        Assert.Equal(FlushEnd.Started, await FlushAsync("a.example", "ann"));

        async Task<FlushEnd> FlushAsync(string domain, string by) => (await Store.Flushes.FlushAsync(domain, new(by), s_bounds)).End;
    }

    [Fact]
    public async Task Domains_below_one_are_found_by_their_names_alone()
    {
        await Store.QueueAsync(
            "x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "a@mx.example.net", "a@a.mx.example.net", "a@badexample.net", "a@example.org", "a@x_y.example",
            "a@mx.xzy.example", "a@mx.x_y.example");
        Assert.Equal(["a.mx.example.net", "example.net", "mx.example.net"], await Store.Flushes.ListDomainsAsync("example.net", 10, default));
        Assert.Equal(["mx.x_y.example", "x_y.example"], await Store.Flushes.ListDomainsAsync("x_y.example", 10, default));
        Assert.Empty(await Store.Flushes.ListDomainsAsync("%", 10, default));
        Assert.Equal(["a.mx.example.net", "example.net"], await Store.Flushes.ListDomainsAsync("example.net", 2, default));
    }
}
