using System.Security.Cryptography;
using MailPipeline.Storage;

namespace MailPipeline.Mail.Tests;

/// <summary>What the store promises, the same on both engines.</summary>
public abstract partial class StoreTests : IAsyncLifetime
{
    private StoreFixture? _store;

    protected StoreFixture Store => _store!;

    protected abstract Task<StoreFixture> OpenAsync();

    public async ValueTask InitializeAsync() => _store = await OpenAsync();

    public async ValueTask DisposeAsync()
    {
        if (_store is not null)
            await _store.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(16 * 1024)]
    [InlineData(16 * 1024 + 1)]
    [InlineData(256 * 1024)]
    [InlineData(256 * 1024 + 1)]
    [InlineData(3_000_000)]
    public async Task Content_comes_back_byte_for_byte(int size)
    {
        var content = RandomNumberGenerator.GetBytes(size);
        var message = await Store.AcceptAsync(content, "a@example.net");
        Assert.Equal(content, await Store.ReadAsync(message.MessageId));
    }

    [Fact]
    public async Task Content_that_is_not_accepted_leaves_nothing_behind()
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        await using (var writer = Store.Messages.CreateContent(id))
            await writer.AppendAsync(new byte[700_000], default);
        Assert.Empty(await Store.ReadAsync(id));
        Assert.Equal(0, (await Store.CountAsync()).ChunksWithoutOwner);
    }

    [Fact]
    public async Task Accepted_messages_wait_for_the_router_until_they_are_routed_once()
    {
        var message = await Store.AcceptAsync("x"u8.ToArray(), "a@example.net", "b@example.com");
        var waiting = await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow(), 10, default);
        Assert.Equal(message.Recipients, Assert.Single(waiting).Recipients);

        var routed = StoreFixture.Route(message, RecipientRoute.Remote);
        var both = await Task.WhenAll(Store.Queue.RouteAsync([routed]), Store.Queue.RouteAsync([routed]));
        Assert.Equal(2, both.Sum(made => made.Count));
        Assert.Empty(await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow(), 10, default));
        Assert.Single(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
    }

    [Fact]
    public async Task What_waits_is_counted_by_what_it_waits_for()
    {
        var now = Store.Time.GetUtcNow();
        await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@ready.example.net", "b@ready.example.net");
        await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Local, "a@example.org");
        await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@failing.example.net", "b@failing.example.net", "c@failing.example.net");
        await Store.Queue.SetBackoffAsync("failing.example.net", new DomainBackoff(1, now.AddMinutes(5), "no route"));
        var limited = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@limited.example.net", "b@limited.example.net");
        await Store.TakeAsync(1, "limited.example.net", [limited[0]], begun: true, default);
        await Store.AcceptAsync("x"u8.ToArray(), "z@example.com");

        Store.Time.Advance(TimeSpan.FromSeconds(10));
        var measure = await Store.Measures.MeasureAsync(QueueState.Unknown with { InitialConcurrency = 1 }, isPaused: false, default);
        Assert.Equal(1, measure.Unrouted);
        var remote = Assert.Single(measure.Routes, route => route.Route == RecipientRoute.Remote);
        Assert.Equal(new RouteMeasure(RecipientRoute.Remote, 7, 1, 0, 2, 3, 1, now), remote);
        Assert.Equal(new RouteMeasure(RecipientRoute.Local, 1, 0, 0, 1, 0, 0, now), Assert.Single(measure.Routes, route => route.Route == RecipientRoute.Local));

        var roomier = await Store.Measures.MeasureAsync(QueueState.Unknown with { InitialConcurrency = 2 }, isPaused: false, default);
        Assert.Equal(3, Assert.Single(roomier.Routes, route => route.Route == RecipientRoute.Remote).Ready);
    }

    [Fact]
    public async Task A_claim_is_won_by_one_worker_only()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        var won = await Task.WhenAll(Enumerable.Range(1, 8).Select(claim =>
            Store.TakeAsync(claim, "example.net", recipients, begun: true, default)));
        Assert.Equal(1, won.Sum(ids => ids.Count));
        Assert.Empty(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
    }

    [Fact]
    public async Task Delivered_is_recorded_once_and_takes_the_bytes_along()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        var results = recipients.Select(r => Store.Result(r, AttemptOutcome.Delivered, "2.0.0", "250 ok")).ToList();

        Assert.Single(await Store.Claims.RecordDeliveredAsync(7, [results[0]], default));
        Assert.NotEmpty(await Store.ReadAsync(recipients[0].MessageId));
        Assert.Equal([results[0].RecipientId], await Store.Claims.RecordDeliveredAsync(7, [results[0]], default));
        Assert.Empty(await Store.Claims.RecordDeliveredAsync(8, [results[0]], default));
        Assert.NotEmpty(await Store.ReadAsync(recipients[0].MessageId));
        Assert.Single(await Store.Claims.RecordDeliveredAsync(7, [results[1]], default));
        Assert.Empty(await Store.ReadAsync(recipients[0].MessageId));

        var timeline = await Store.History.FindAsync(recipients[0].MessageId, default);
        Assert.All(timeline!.Recipients, r => Assert.Equal(RecipientState.Delivered, r.State));
        Assert.All(timeline.Recipients, r => Assert.Single(r.Attempts));
    }

    [Fact]
    public async Task A_command_delivered_again_after_its_attempt_wins_nothing()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        await DeferAsync(7, recipients[0], Store.Time.GetUtcNow());
        Assert.Empty(await Store.TakeAsync(7, "example.net", recipients, begun: true, default));
        Assert.Equal(1, Assert.Single(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default)).Attempts);
    }

    [Fact]
    public async Task A_holder_whose_claim_was_taken_back_can_record_nothing()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        await Store.Claims.NoteDotsAsync(7, [recipients[0].RecipientId], default);
        Assert.Equal(1, (await Store.TakeBackAsync(evenIfLeased: true)).Uncertain);
        Store.Time.Advance(TimeSpan.FromMinutes(5));

        var delivered = Store.Result(recipients[0], AttemptOutcome.Delivered, "2.0.0", "250 ok");
        Assert.Empty(await Store.Claims.RecordDeliveredAsync(7, [delivered], default));
        Assert.Empty(await Store.Claims.RenewAsync([7], default));
        var due = Assert.Single(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
        Assert.Equal(1, due.Attempts);
        Assert.Equal(1, (await Store.CountAsync()).Uncertain);
    }

    [Fact]
    public async Task A_live_lease_is_not_taken_back()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        Assert.Equal(TakenBack.Nothing, await Store.TakeBackAsync(evenIfLeased: false));
        Assert.Single(await Store.Claims.RenewAsync([7], default));
    }

    [Fact]
    public async Task A_lease_that_ran_out_is_prolonged_as_long_as_nobody_has_taken_the_claim_back()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        // The lease runs on the store's own clock: this one is over as soon as it begins.
        Store.MailStoreOptions.ClaimLease = TimeSpan.FromMilliseconds(-1);
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        Store.MailStoreOptions.ClaimLease = TimeSpan.FromSeconds(15);

        Assert.Equal(TakenBack.Nothing, await Store.TakeBackAsync(evenIfLeased: false, mayTake: () => false));
        Assert.Equal([7], await Store.Queue.ListHeldAsync("example.net", default));
        Assert.Single(await Store.Claims.RenewAsync([7], default));
        Assert.Equal(TakenBack.Nothing, await Store.TakeBackAsync(evenIfLeased: false));
        Assert.Single(await Store.Claims.RecordDeliveredAsync(7, [Store.Result(recipients[0], AttemptOutcome.Delivered, "2.0.0", "250 ok")], default));
    }

    [Fact]
    public async Task The_claims_of_a_domain_are_listed()
    {
        var one = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        var other = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.com");
        await Store.TakeAsync(7, "example.net", [one[0]], begun: true, default);
        await Store.TakeAsync(8, "example.net", [one[1]], begun: true, default);
        await Store.TakeAsync(9, "example.com", other, begun: true, default);
        Assert.Equal([7, 8], (await Store.Queue.ListHeldAsync("example.net", default)).Order());
        await Store.Outcomes.RecordAsync(7, "example.net", [], TimeSpan.Zero);
        Assert.Equal([8], await Store.Queue.ListHeldAsync("example.net", default));
    }

    [Fact]
    public async Task Recipients_released_are_as_they_were_and_their_claim_goes_on_for_the_others()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net", "c@example.net");
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        await Store.Claims.RecordDeliveredAsync(7, [Store.Result(recipients[2], AttemptOutcome.Delivered, "2.0.0", "250 ok")], default);

        await Store.Claims.ReleaseAsync(7, [recipients[1].RecipientId, recipients[2].RecipientId], default);

        var due = Assert.Single(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
        Assert.Equal((recipients[1].RecipientId, 0), (due.RecipientId, due.Attempts));
        // The command comes again, and another worker takes it.
        Assert.Equal([recipients[1].RecipientId], await Store.TakeAsync(8, "example.net", recipients, begun: true, default));
        // What another holds by now is not released by the first holder.
        await Store.Claims.ReleaseAsync(7, [recipients[1].RecipientId], default);
        Assert.Empty(await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
        Assert.Single(await Store.Claims.RecordDeliveredAsync(7, [Store.Result(recipients[0], AttemptOutcome.Delivered, "2.0.0", "250 ok")], default));
    }

    [Fact]
    public async Task A_domain_is_due_no_later_than_its_earliest_recipient()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        Assert.Equal("example.net", Assert.Single(await DueDomainsAsync()).Domain);
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        var later = Store.Time.GetUtcNow().AddMinutes(10);
        await DeferAsync(7, recipients[0], later);

        Assert.Equal(later, await Store.Queue.SettleAsync("example.net"));
        Assert.Empty(await DueDomainsAsync());
        Store.Time.Advance(TimeSpan.FromMinutes(10));
        Assert.Single(await DueDomainsAsync());

        await Store.TakeAsync(8, "example.net", [recipients[0] with { Attempts = 1 }], begun: true, default);
        await Store.Claims.RecordDeliveredAsync(8, [Store.Result(recipients[0], AttemptOutcome.Delivered, "2.0.0", "250 ok")], default);
        Assert.Null(await Store.Queue.SettleAsync("example.net"));
        Assert.Empty(await DueDomainsAsync());
    }

    [Fact]
    public async Task A_domain_that_is_settled_while_mail_for_it_is_routed_stays_due()
    {
        for (var i = 0; i < 50; i++)
        {
            var domain = $"d{i}.example.net";
            var message = await Store.AcceptAsync("x"u8.ToArray(), $"a@{domain}");
            // Behind another write the two wait together, and share a transaction.
            var busy = Store.Queue.SetBackoffAsync("busy.example.net", new DomainBackoff(i, Store.Time.GetUtcNow().AddHours(1), "busy"));
            var settling = Store.Queue.SettleAsync(domain);
            await Task.WhenAll(busy, settling, Store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)]));
            var due = await Store.Queue.ListDueDomainsAsync(Store.Time.GetUtcNow(), new DueDomain("", DateTimeOffset.UnixEpoch), 100, default);
            Assert.Contains(due, one => one.Domain == domain);
        }
    }

    [Fact]
    public async Task Due_domains_are_read_page_by_page()
    {
        for (var i = 0; i < 25; i++)
            await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, $"a@d{i:00}.example.net");
        var seen = new List<string>();
        var after = new DueDomain("", DateTimeOffset.UnixEpoch);
        while (await Store.Queue.ListDueDomainsAsync(Store.Time.GetUtcNow(), after, 10, default) is { Count: > 0 } page)
        {
            seen.AddRange(page.Select(domain => domain.Domain));
            after = page[^1];
        }
        Assert.Equal(25, seen.Distinct().Count());
        Assert.Equal(25, seen.Count);
    }

    [Fact]
    public async Task What_is_due_is_read_page_by_page_though_much_is_due_at_the_same_time()
    {
        var all = new List<Recipient>();
        for (var i = 0; i < 3; i++)
        {
            all.AddRange(await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, [.. Enumerable.Range(0, 7).Select(number => $"u{number}@example.net")]));
            Store.Time.Advance(TimeSpan.FromMilliseconds(i));
        }
        await Store.TakeAsync(7, "example.net", [all[3]], begun: true, default);
        var seen = new List<Recipient>();
        var after = default(DuePlace);
        while (await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 4, default, after) is { Count: > 0 } page)
        {
            seen.AddRange(page);
            after = new DuePlace(page[^1].NextAttemptAt, page[^1].RecipientId);
        }
        Assert.Equal(all.Where(recipient => recipient != all[3]).Select(recipient => recipient.RecipientId), seen.Select(recipient => recipient.RecipientId));
    }

    [Fact]
    public async Task What_is_due_by_one_way_is_read_page_by_page_past_all_that_goes_another()
    {
        var ways = new Dictionary<RecipientRoute, List<long>> { [RecipientRoute.Remote] = [], [RecipientRoute.Local] = [] };
        foreach (var route in (RecipientRoute[])[RecipientRoute.Local, RecipientRoute.Remote, RecipientRoute.Local, RecipientRoute.Remote])
        {
            var queued = await Store.QueueAsync("x"u8.ToArray(), route, [.. Enumerable.Range(0, 7).Select(number => $"u{number}@example.net")]);
            ways[route].AddRange(queued.Select(recipient => recipient.RecipientId));
        }
        foreach (var (route, expected) in ways)
        {
            var seen = new List<long>();
            var after = default(DuePlace);
            while (await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 4, default, after, route) is { Count: > 0 } page)
            {
                seen.AddRange(page.Select(recipient => recipient.RecipientId));
                after = new DuePlace(page[^1].NextAttemptAt, page[^1].RecipientId);
            }
            Assert.Equal(expected, seen);
        }
    }

    [Fact]
    public async Task Backoff_of_a_domain_is_remembered()
    {
        var until = Store.Time.GetUtcNow().AddMinutes(5);
        await Store.Queue.SetBackoffAsync("example.net", new DomainBackoff(3, until, "connection refused"));
        Assert.Equal(new DomainBackoff(3, until, "connection refused"), await Store.Queue.FindBackoffAsync("example.net", default));
        Assert.Equal(DomainBackoff.None, await Store.Queue.FindBackoffAsync("example.com", default));
    }

    [Fact]
    public async Task Local_delivery_is_idempotent_per_message_and_mailbox()
    {
        await Store.Directory.AddAccountAsync("User@Example.org", "hash");
        var account = await Store.Directory.FindAccountAsync("user@example.org", default);
        var recipients = await Store.QueueAsync("body"u8.ToArray(), RecipientRoute.Local, "user@example.org", "USER@example.org");
        var command = new BatchCommand(9, "example.org", [.. recipients]);

        var first = await Store.Maildrops.StoreAsync(command.BatchId, command, _ => "Return-Path: <>\r\n", default);
        Assert.All(first, result => Assert.Equal(AttemptOutcome.Delivered, result.Outcome));
        var again = await Store.Maildrops.StoreAsync(command.BatchId, command, _ => "Return-Path: <>\r\n", default);
        Assert.All(again, result => Assert.Equal(AttemptOutcome.NotAttempted, result.Outcome));

        var message = Assert.Single(await Store.Maildrops.ListAsync(account!.Id, default));
        Assert.Equal("Return-Path: <>\r\nbody".Length, message.SizeBytes);
        var read = new MemoryStream();
        await foreach (var chunk in Store.Maildrops.ReadAsync(message, default))
            read.Write(chunk.Span);
        Assert.Equal("Return-Path: <>\r\nbody"u8.ToArray(), read.ToArray());
    }

    [Fact]
    public async Task A_detail_is_stored_in_the_maildrop_of_its_user()
    {
        await Store.Directory.AddAccountAsync("user@example.org", "hash");
        await Store.Directory.AddAccountAsync("user+own@example.org", "hash");
        var recipients = await Store.QueueAsync("body"u8.ToArray(), RecipientRoute.Local, "User+a+b@example.org", "user+own@example.org", "nobody+a@example.org");

        var results = await Store.Maildrops.StoreAsync(9, new BatchCommand(9, "example.org", [.. recipients]), recipient => $"Delivered-To: {recipient.Address}\r\n", default);

        Assert.Equal(["2.0.0", "2.0.0", "5.1.1"], results.Select(result => result.Status));
        foreach (var (account, address) in new[] { ("user@example.org", "User+a+b@example.org"), ("user+own@example.org", "user+own@example.org") })
        {
            var drop = (await Store.Directory.FindAccountAsync(account, default))!.Id;
            var stored = Assert.Single(await Store.Maildrops.ListAsync(drop, default));
            Assert.Equal($"Delivered-To: {address}\r\n", stored.Header);
            Assert.Equal(stored.SizeBytes, await Store.Maildrops.SizeAsync(drop, default));
        }
        Assert.Equal(0, await Store.Maildrops.SizeAsync(12345, default));
    }

    [Fact]
    public async Task A_recipient_without_account_is_refused_under_a_claim_so_that_the_queue_decides()
    {
        var recipients = await Store.QueueAsync("body"u8.ToArray(), RecipientRoute.Local, "gone@example.org");
        var results = await Store.Maildrops.StoreAsync(9, new BatchCommand(9, "example.org", [.. recipients]), _ => "", default);
        Assert.Equal("5.1.1", Assert.Single(results).Status);
        var recorded = await Store.Outcomes.RecordAsync(9, "example.org", [new(results[0], RecipientState.Bounced, default)], TimeSpan.Zero);
        Assert.Single(recorded.Recorded);
        Assert.Equal(0, (await Store.CountAsync()).Claims);
    }

    [Fact]
    public async Task A_maildrop_belongs_to_one_session_and_loses_only_what_that_session_deletes()
    {
        await Store.Directory.AddAccountAsync("user@example.org", "hash");
        var account = (await Store.Directory.FindAccountAsync("user@example.org", default))!;
        var recipients = await Store.QueueAsync("body"u8.ToArray(), RecipientRoute.Local, "user@example.org");
        await Store.Maildrops.StoreAsync(9, new BatchCommand(9, "example.org", [.. recipients]), _ => "", default);

        var lease = await Store.Maildrops.LockAsync(account.Id, default);
        Assert.Null(await Store.Maildrops.LockAsync(account.Id, default));
        Assert.Equal(LeaseUpdate.Applied, await Store.Maildrops.RenewAsync(lease!, default));
        var uid = (await Store.Maildrops.ListAsync(account.Id, default))[0].Uid;
        Assert.Equal(LeaseUpdate.LeaseLost, await Store.Maildrops.DeleteAsync(lease! with { Fence = lease.Fence + 1 }, [uid], goesOn: false, default));
        Assert.Single(await Store.Maildrops.ListAsync(account.Id, default));
        Assert.Equal(LeaseUpdate.Applied, await Store.Maildrops.DeleteAsync(lease!, [uid], goesOn: false, default));
        Assert.Empty(await Store.Maildrops.ListAsync(account.Id, default));
        Assert.Empty(await Store.ReadAsync(recipients[0].MessageId));
        Assert.NotNull(await Store.Maildrops.LockAsync(account.Id, default));
    }

    [Fact]
    public async Task Removing_an_account_removes_its_maildrop_and_the_bytes()
    {
        await Store.Directory.AddAccountAsync("user@example.org", "hash");
        var recipients = await Store.QueueAsync("body"u8.ToArray(), RecipientRoute.Local, "user@example.org");
        await Store.Maildrops.StoreAsync(9, new BatchCommand(9, "example.org", [.. recipients]), _ => "", default);
        Assert.True(await Store.Removal.RemoveAsync("USER@example.org", new OperatorIdentity("ann")));
        Assert.False(await Store.Removal.RemoveAsync("user@example.org", new OperatorIdentity("ann")));
        Assert.Empty(await Store.ReadAsync(recipients[0].MessageId));
    }

    [Fact]
    public async Task The_directory_forgets_its_answers_after_a_while()
    {
        Assert.Null(await Store.Directory.FindDomainAsync("example.org", default));
        await using var other = new MailDatabase(Store.Options, new NoMeters(), Store.Time, Microsoft.Extensions.Logging.Abstractions.NullLogger<MailDatabase>.Instance);
        await other.OpenAsync(default);
        Assert.True(await new MailDirectory(other, Store.MailStoreOptions).AddDomainAsync("Example.ORG"));
        Assert.Null(await Store.Directory.FindDomainAsync("example.org", default));
        Store.Time.Advance(Store.MailStoreOptions.DirectoryCacheTime);
        Assert.NotNull(await Store.Directory.FindDomainAsync("EXAMPLE.org", default));
    }

    [Fact]
    public async Task History_is_forgotten_only_of_finished_messages()
    {
        var done = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        var open = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "b@example.net");
        await Store.TakeAsync(7, "example.net", done, begun: true, default);
        await Store.Claims.RecordDeliveredAsync(7, [Store.Result(done[0], AttemptOutcome.Delivered, "2.0.0", "250 ok")], default);
        Assert.Equal(1, await Store.History.ForgetAsync(Store.Time.GetUtcNow().AddSeconds(1), default));
        Assert.Null(await Store.History.FindAsync(done[0].MessageId, default));
        Assert.NotNull(await Store.History.FindAsync(open[0].MessageId, default));
    }

    [Fact]
    public async Task Many_callers_at_once_all_get_what_they_wrote()
    {
        var messages = await Task.WhenAll(Enumerable.Range(0, 500).Select(i =>
            Store.AcceptAsync(BitConverter.GetBytes(i), $"user{i}@example.net")));
        for (var i = 0; i < messages.Length; i++)
            Assert.Equal(BitConverter.GetBytes(i), await Store.ReadAsync(messages[i].MessageId));
    }

    [Fact]
    public async Task A_caller_that_fails_does_not_spoil_the_others()
    {
        var good = await Store.AcceptAsync("x"u8.ToArray(), "a@example.net");
        var works = Enumerable.Range(0, 20).Select(i => i % 5 == 0 ? AcceptAgainAsync(good) : Store.AcceptAsync("y"u8.ToArray(), "b@example.net")).ToArray();
        await Task.WhenAll(works.Select(work => work.ContinueWith(_ => { }, TaskScheduler.Default)));
        Assert.Equal(4, works.Count(work => work.IsFaulted));
        Assert.Equal(17, (await Store.CountAsync()).Messages);
    }

    private async Task<Envelope> AcceptAgainAsync(Envelope message)
    {
        await using var writer = Store.Messages.CreateContent(message.MessageId);
        await writer.AppendAsync("z"u8.ToArray(), default);
        await Store.Messages.AcceptAsync(message, writer, default);
        return message;
    }

    private Task DeferAsync(long claimId, Recipient recipient, DateTimeOffset next) =>
        Store.Outcomes.RecordAsync(
            claimId, "example.net", [new(Store.Result(recipient, AttemptOutcome.Deferred, "4.2.0", "450 later"), RecipientState.Queued, next)], TimeSpan.Zero);

    private Task<IReadOnlyList<DueDomain>> DueDomainsAsync() =>
        Store.Queue.ListDueDomainsAsync(Store.Time.GetUtcNow(), new DueDomain("", DateTimeOffset.UnixEpoch), 10, default);

    private sealed class NoMeters : System.Diagnostics.Metrics.IMeterFactory
    {
        public System.Diagnostics.Metrics.Meter Create(System.Diagnostics.Metrics.MeterOptions options) => new(options);

        public void Dispose()
        {
        }
    }
}

public sealed class Sqlite_store : StoreTests
{
    protected override Task<StoreFixture> OpenAsync() => StoreFixture.SqliteAsync();
}
