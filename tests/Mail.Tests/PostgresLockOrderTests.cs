using Npgsql;

namespace MailPipeline.Mail.Tests;

/// <summary>
/// Two processes that write the same rows, one from the front and one from the back, each for many callers at once: whatever they do,
/// neither locks the other out.
/// </summary>
public sealed partial class Postgres_store
{
    private const int Rows = 40;
    private const int Rounds = 15;

    private long _claim = 1000;

    [Fact]
    public Task Routers_that_meet_at_the_same_domains() => MeetAsync(async (store, other) =>
    {
        var one = await AcceptAsync(store);
        var two = await AcceptAsync(other);
        return (One(one, message => store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)])),
            Two(two, message => other.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)])));
    });

    [Fact]
    public Task Routers_that_are_told_of_the_same_messages() => MeetAsync(async (store, other) =>
    {
        var messages = await AcceptAsync(store);
        return (One(messages.Chunk(5), some => store.Queue.RouteAsync([.. some.Select(message => StoreFixture.Route(message, RecipientRoute.Remote))])),
            Two(messages.Chunk(4), some => other.Queue.RouteAsync([.. some.Reverse().Select(message => StoreFixture.Route(message, RecipientRoute.Remote))])));
    });

    /// <summary>Of domains each has some that it waits for an answer about, and some that it does not.</summary>
    [Fact]
    public Task Processes_of_which_each_routes_and_backs_off() => MeetAsync(async (store, other) =>
    {
        var (one, two) = (await AcceptAsync(store), await AcceptAsync(other));
        return (One(Enumerable.Range(0, one.Length), number => RouteOrBackOff(store, one, number)),
            Two(Enumerable.Range(0, two.Length), number => RouteOrBackOff(other, two, number)));

        static Task RouteOrBackOff(StoreFixture at, Envelope[] messages, int number) => number % 2 == 0
            ? at.Queue.SetBackoffAsync($"d{number}.example.net", DomainBackoff.None)
            : at.Queue.RouteAsync([StoreFixture.Route(messages[number], RecipientRoute.Remote), StoreFixture.Route(messages[number - 1], RecipientRoute.Remote)]);
    });

    [Fact]
    public Task A_router_and_a_queue_that_settles() => MeetAsync(async (store, other) =>
    {
        var messages = await AcceptAsync(store);
        return (One(messages, message => store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)])),
            Two(Enumerable.Range(0, Rows), number => number % 3 == 0
                ? other.Queue.SetBackoffAsync($"d{number}.example.net", DomainBackoff.None) : other.Queue.SettleAsync($"d{number}.example.net")));
    });

    [Fact]
    public Task Workers_that_have_been_given_the_same() => MeetAsync(async (store, other) =>
    {
        var recipients = await QueueAsync(store);
        return (One(recipients.Chunk(5), some => store.TakeAsync(++_claim, "example.net", some, begun: true, default)),
            Two(recipients.Chunk(7), some => other.TakeAsync(++_claim, "example.net", [.. some.Reverse()], begun: true, default)));
    });

    [Fact]
    public Task Two_maildrops_that_take_the_same() => MeetAsync(async (store, other) =>
    {
        await store.Directory.AddAccountAsync("a@example.net", "hash");
        var recipients = await QueueAsync(store);
        return (One(recipients.Chunk(5), some => store.Maildrops.StoreAsync(++_claim, new BatchCommand(_claim, "example.net", some), _ => "", default)),
            Two(recipients.Chunk(7), some => other.Maildrops.StoreAsync(++_claim, new BatchCommand(_claim, "example.net", [.. some.Reverse()]), _ => "", default)));
    });

    [Fact]
    public Task A_worker_that_delivers_and_a_queue_that_gives_up_recipients_of_the_same_messages() => MeetAsync(async (store, other) =>
    {
        var recipients = await QueueAsync(store, "a@example.net", "b@example.com");
        var (delivered, refused) = (await TakeAsync(store, recipients, 0, 3), await TakeAsync(store, recipients, 1, 1));
        return (
            One(delivered, claim => store.Claims.RecordDeliveredAsync(
                claim.Id, [.. claim.Recipients.Select(recipient => store.Result(recipient, AttemptOutcome.Delivered, "2.0.0", "250 ok"))], default)),
            Two(refused, claim => other.Outcomes.RecordAsync(
                claim.Id, "example.net", [.. claim.Recipients.Select(recipient =>
                    new RecipientDecision(store.Result(recipient, AttemptOutcome.Failed, "5.1.1", "550 no"), RecipientState.Bounced, default))], TimeSpan.Zero)));
    });

    [Fact]
    public Task A_worker_that_renews_its_claims_and_a_queue_that_ends_them() => MeetAsync(async (store, other) =>
    {
        var claims = await TakeAsync(store, await QueueAsync(store), 0, 1);
        return (One(claims.Chunk(10), some => store.Claims.RenewAsync([.. some.Select(claim => claim.Id).Reverse()], default)),
            Two(claims, claim => other.Outcomes.RecordAsync(claim.Id, "example.net", [], TimeSpan.Zero)));
    });

    [Fact]
    public Task A_late_worker_and_who_takes_back_what_it_had() => MeetAsync(async (store, other) =>
    {
        store.MailStoreOptions.ClaimLease = TimeSpan.FromMilliseconds(-1);
        var claims = await TakeAsync(store, await QueueAsync(store), 0, 2);
        return (
            [.. One(claims, claim => store.Claims.RecordDeliveredAsync(
                claim.Id, [.. claim.Recipients.Select(recipient => store.Result(recipient, AttemptOutcome.Delivered, "2.0.0", "250 ok"))], default)),
             .. One(claims, claim => store.Claims.NoteDotsAsync(claim.Id, [], default))],
            [.. Enumerable.Range(0, 4).Select<int, Func<Task>>(_ => () => other.TakeBackAsync(evenIfLeased: true)),
             .. Two(claims, claim => other.Outcomes.RecordAsync(claim.Id, "example.net", [], TimeSpan.Zero))]);
    });

    [Fact]
    public Task A_maildrop_that_adds_to_claims_and_a_queue_that_ends_them() => MeetAsync(async (store, other) =>
    {
        var recipients = await QueueAsync(store, "a@example.net", "b@example.net");
        var claims = await TakeAsync(store, recipients, 0, 2);
        // Nobody has their accounts: they join the claim, and the queue decides.
        var joining = claims.Zip(recipients.Where(recipient => RecipientIds.Number(recipient.RecipientId) == 1).Chunk(2), (claim, some) => (claim.Id, Some: some)).ToList();
        return (One(joining, claim => store.Maildrops.StoreAsync(claim.Id, new BatchCommand(claim.Id, "example.net", claim.Some), _ => "", default)),
            Two(joining, claim => other.Outcomes.RecordAsync(
                claim.Id, "example.net", [.. claim.Some.Select(recipient =>
                    new RecipientDecision(store.Result(recipient, AttemptOutcome.Failed, "5.1.1", "no such mailbox"), RecipientState.Bounced, default))], TimeSpan.Zero)));
    });

    [Fact]
    public Task Users_who_delete_what_others_got_as_well_and_an_operator_who_takes_messages_out() => MeetAsync(async (store, other) =>
    {
        var recipients = await QueueAsync(store, "a@example.net", "b@example.net", "c@example.com");
        foreach (var address in (string[])["a@example.net", "b@example.net"])
            await store.Directory.AddAccountAsync(address, "hash");
        await store.Maildrops.StoreAsync(++_claim, new BatchCommand(_claim, "example.net", [.. recipients.Where(recipient => recipient.Address.EndsWith(".net", StringComparison.Ordinal))]), _ => "", default);
        async Task DeleteAsync(StoreFixture at, string address)
        {
            var account = (await at.Directory.FindAccountAsync(address, default))!.Id;
            var lease = await at.Maildrops.LockAsync(account, default);
            long[] uids = [.. (await at.Maildrops.ListAsync(account, default)).Select(message => message.Uid)];
            foreach (var piece in uids.Chunk(10))
                Assert.Equal(LeaseUpdate.Applied, await at.Maildrops.DeleteAsync(lease!, piece, goesOn: true, default));
            await at.Maildrops.UnlockAsync(lease!, default);
        }

        return ([() => DeleteAsync(store, "a@example.net"), .. One(recipients.Select(recipient => recipient.MessageId).Distinct(), id => store.Operator.HoldAsync(id, new("ann")))],
            [() => DeleteAsync(other, "b@example.net"), .. Two(recipients.Select(recipient => recipient.MessageId).Distinct(), id => other.Operator.RemoveAsync(id, new("bob")))]);
    });

    private async Task MeetAsync(Func<StoreFixture, StoreFixture, Task<(IReadOnlyList<Func<Task>> One, IReadOnlyList<Func<Task>> Two)>> prepare)
    {
        await using (var first = await StoreFixture.PostgresAsync(Store.Options.ConnectionString, null, () => ValueTask.CompletedTask))
        await using (var second = await StoreFixture.PostgresAsync(Store.Options.ConnectionString, null, () => ValueTask.CompletedTask))
        {
            for (var round = 0; round < Rounds; round++)
            {
                var (one, two) = await prepare(first, second);
                await Task.WhenAll(Task.Run(() => Task.WhenAll(one.Select(run => run()))), Task.Run(() => Task.WhenAll(two.Select(run => run()))));
            }
        }

        // A session tells of its deadlocks when it ends.
        await using var connection = new NpgsqlConnection(Store.Options.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()", connection);
        Assert.Equal(0L, await command.ExecuteScalarAsync());
    }

    private static IReadOnlyList<Func<Task>> One<T>(IEnumerable<T> items, Func<T, Task> run) => [.. items.Select<T, Func<Task>>(item => () => run(item))];

    private static IReadOnlyList<Func<Task>> Two<T>(IEnumerable<T> items, Func<T, Task> run) => [.. One(items, run).Reverse()];

    private static Task<Envelope[]> AcceptAsync(StoreFixture store) =>
        Task.WhenAll(Enumerable.Range(0, Rows).Select(domain => store.AcceptAsync("x"u8.ToArray(), $"a@d{domain}.example.net")));

    private static async Task<Recipient[]> QueueAsync(StoreFixture store, params string[] addresses) =>
        [.. (await Task.WhenAll(Enumerable.Range(0, Rows).Select(_ => store.QueueAsync("x"u8.ToArray(), RecipientRoute.Local, addresses is [] ? ["a@example.net"] : addresses))))
            .SelectMany(recipients => recipients).OrderBy(recipient => recipient.RecipientId)];

    private async Task<List<(long Id, Recipient[] Recipients)>> TakeAsync(StoreFixture store, Recipient[] recipients, int number, int batch)
    {
        var claims = recipients.Where(recipient => RecipientIds.Number(recipient.RecipientId) == number).Chunk(batch).Select(some => (Id: ++_claim, some)).ToList();
        foreach (var (id, some) in claims)
            Assert.Equal(some.Length, (await store.TakeAsync(id, "example.net", some, begun: true, default)).Count);
        return claims;
    }
}
