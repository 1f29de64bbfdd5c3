using MailPipeline.Storage;
using MailPipeline.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace MailPipeline.Mail.Tests;

/// <summary>Changes of the directory made at the same moment by two processes, or twice by one, on both engines.</summary>
public abstract partial class StoreTests
{
    private const int Rounds = 20;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Of_two_changes_that_contradict_each_other_one_is_made(bool byTwoProcesses)
    {
        await using var database = await OpenAnotherAsync();
        var (own, other) = (Store.Directory, byTwoProcesses ? new MailDirectory(database, Store.MailStoreOptions) : Store.Directory);
        await own.AddDomainAsync("example.org");
        for (var i = 0; i < Rounds; i++)
        {
            // Aliases that would lead to each other.
            var (one, two) = ($"one{i}@example.org", $"two{i}@example.org");
            await own.AddAccountAsync(one, "hash");
            await own.AddAccountAsync(two, "hash");
            Assert.Single(await Task.WhenAll(AddCheckedAsync(own, one, two), AddCheckedAsync(other, two, one)), true);

            // A domain goes, or gets an account.
            var domain = $"d{i}.example.org";
            await own.AddDomainAsync(domain);
            Assert.Single(
                await Task.WhenAll(
                    own.ChangeAsync(async change => await change.FindDomainAsync(domain) is not null && await change.AddAccountAsync("ann@" + domain, new StoredPassword("hash"))),
                    other.ChangeAsync(async change => await change.CountAccountsAsync(domain) == 0 && await change.RemoveDomainAsync(domain))),
                true);
        }
    }

    /// <summary>Both wait for the writer together: what of them could share a transaction would.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_alias_to_an_account_that_goes_is_refused_or_is_seen_by_who_removes_it(bool goesFirst)
    {
        await Store.Directory.AddDomainAsync("example.org");
        await Store.Directory.AddAccountAsync("ann@example.org", "hash");
        // The audit has its numbers, and waits for none while the writer is busy.
        Assert.False(await Store.Removal.RemoveAsync("bob@example.org", new OperatorIdentity("ann")));
        Task<bool> removing, adding;
        using (Store.KeepWriterBusy())
        {
            if (goesFirst)
                (removing, adding) = (RemoveAsync(), AddAsync());
            else
                (adding, removing) = (AddAsync(), RemoveAsync());
        }

        Assert.True(await removing);
        Assert.Equal(!goesFirst, (await Store.Directory.ListAliasesAsync(default)).Any(alias => alias.Target == "ann@example.org"));
        Assert.Equal(!goesFirst, await adding);

        Task<bool> RemoveAsync() => Store.Removal.RemoveAsync("ann@example.org", new OperatorIdentity("ann"));

        Task<bool> AddAsync() => AddCheckedAsync(Store.Directory, "alias@example.org", "ann@example.org");
    }

    [Fact]
    public async Task A_change_sees_what_it_has_changed_and_counts_a_domain_s_own_accounts_only()
    {
        foreach (var account in (string[])["ann@example.org", "bob@example.org", "ann@sub.example.org", "a@b"])
            await Store.Directory.AddAccountAsync(account, "hash");

        var (before, there, count, alias) = await Store.Directory.ChangeAsync(async change =>
        {
            var isBefore = await change.FindDomainAsync("Example.ORG") is not null;
            await change.AddDomainAsync(new MailDomain("example.org"));
            await change.AddAliasAsync("Sales@example.org", "ann@example.org");
            return (isBefore, await change.FindDomainAsync("example.org") is not null, await change.CountAccountsAsync("Example.org"), await change.FindAsync("sales@example.org"));
        });

        Assert.Equal((false, true, 2), (before, there, count));
        Assert.Equal(["ann@example.org"], alias.Targets);
        Assert.NotNull(await Store.Directory.FindDomainAsync("example.org", default));
    }

    private protected static Task<bool> AddCheckedAsync(MailDirectory directory, string address, string target) =>
        directory.ChangeAsync(async change =>
            (await change.CheckAliasAsync(address, target)).Fault == AddressFault.None && await change.AddAliasAsync(address, target));

    private protected async Task<MailDatabase> OpenAnotherAsync()
    {
        var database = new MailDatabase(Store.Options, new NoMeters(), Store.Time, NullLogger<MailDatabase>.Instance);
        await database.OpenAsync(default);
        return database;
    }
}

public sealed partial class Postgres_store
{
    private static readonly Statement s_waitingForLocks = new(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()");

    private static readonly Statement s_anyMaildrop = new("SELECT uid FROM maildrop_messages");

    /// <summary>Both wait for what a third process has locked, one behind the other.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Of_two_processes_the_one_that_removes_an_account_sees_the_alias_of_the_other_or_has_it_refused(bool goesFirst)
    {
        await using var database = await OpenAnotherAsync();
        var other = new MailDirectory(database, Store.MailStoreOptions);
        await Store.Directory.AddDomainAsync("example.org");
        await Store.Directory.AddAccountAsync("ann@example.org", "hash");
        await using var third = new NpgsqlConnection(Store.Options.ConnectionString);
        await third.OpenAsync();
        await using var transaction = await third.BeginTransactionAsync();
        // Locked and not changed: who waits for a changed row does not get it in turn.
        await using (var locking = new NpgsqlCommand("SELECT 1 FROM id_blocks WHERE name = 'account' FOR UPDATE", third))
            await locking.ExecuteNonQueryAsync();
        Task<bool> removing, adding;
        if (goesFirst)
        {
            removing = await BeginAsync(RemoveAsync, 1);
            adding = await BeginAsync(AddAsync, 2);
        }
        else
        {
            adding = await BeginAsync(AddAsync, 1);
            removing = await BeginAsync(RemoveAsync, 2);
        }
        await transaction.CommitAsync();

        Assert.True(await removing);
        Assert.Equal(!goesFirst, (await other.ListAliasesAsync(default)).Any(alias => alias.Target == "ann@example.org"));
        Assert.Equal(!goesFirst, await adding);

        Task<bool> RemoveAsync() => new AccountRemoval(database, other).RemoveAsync("ann@example.org", new OperatorIdentity("ann"));

        Task<bool> AddAsync() => AddCheckedAsync(Store.Directory, "alias@example.org", "ann@example.org");

        async Task<Task<bool>> BeginAsync(Func<Task<bool>> begin, long waiting)
        {
            var begun = begin();
            await WaitingAsync(waiting);
            return begun;
        }
    }

    /// <summary>The mail of an account that goes meanwhile goes with it: nobody would ever forget it in a maildrop without an owner.</summary>
    [Fact]
    public async Task What_is_stored_while_its_account_is_removed_goes_with_it()
    {
        await using var database = await OpenAnotherAsync();
        var other = new MailDirectory(database, Store.MailStoreOptions);
        await Store.Directory.AddAccountAsync("ann@example.org", "hash");
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Local, "ann@example.org");
        await using var third = new NpgsqlConnection(Store.Options.ConnectionString);
        await third.OpenAsync();
        await using var transaction = await third.BeginTransactionAsync();
        await using (var locking = new NpgsqlCommand("SELECT 1 FROM recipients FOR UPDATE", third))
            await locking.ExecuteNonQueryAsync();
        // It has found the account, and waits for the recipient.
        var storing = Store.Maildrops.StoreAsync(7, new BatchCommand(7, "example.org", [.. recipients]), _ => "", default);
        await WaitingAsync(1);
        var removing = new AccountRemoval(database, other).RemoveAsync("ann@example.org", new OperatorIdentity("ann"));
        await Task.WhenAny(removing, WaitingAsync(2));
        await transaction.CommitAsync();

        Assert.Equal(AttemptOutcome.Delivered, Assert.Single(await storing).Outcome);
        Assert.True(await removing);
        Assert.Empty(await Store.Database.QueryAsync(s_anyMaildrop, r => r.GetInt64(0), default));
    }

    private Task WaitingAsync(long count) => Eventually.TrueAsync(
        async () => await Store.Database.QueryAsync(s_waitingForLocks, r => r.GetInt64(0), default) is [var waiting] && waiting == count,
        TimeSpan.FromSeconds(30), () => $"{count} should wait for a lock");
}
