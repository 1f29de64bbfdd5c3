using Microsoft.Extensions.Logging.Abstractions;

namespace MailPipeline.Storage.Tests;

/// <summary>Changes of the directory made at the same moment by two processes, or twice by one, on both engines.</summary>
public abstract partial class StoreTests
{
    private const int Rounds = 20;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Of_two_aliases_that_would_lead_to_each_other_one_is_made(bool byTwoProcesses)
    {
        var (own, other, database) = await TwoDirectoriesAsync(byTwoProcesses);
        await using var _ = database;
        for (var i = 0; i < Rounds; i++)
        {
            var (one, two) = ($"one{i}@example.org", $"two{i}@example.org");
            await own.AddAccountAsync(one, "hash");
            await own.AddAccountAsync(two, "hash");

            var added = await Task.WhenAll(AddCheckedAsync(own, one, two), AddCheckedAsync(other, two, one));

            Assert.Single(added, true);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_alias_to_an_account_that_goes_is_refused_or_is_seen_by_who_removes_it(bool byTwoProcesses)
    {
        var (own, other, database) = await TwoDirectoriesAsync(byTwoProcesses);
        await using var _ = database;
        for (var i = 0; i < Rounds; i++)
        {
            var account = $"ann{i}@example.org";
            await own.AddAccountAsync(account, "hash");
            var adding = AddCheckedAsync(own, $"alias{i}@example.org", account);

            Assert.True(await other.RemoveAccountAsync(account));
            var seen = (await other.ListAliasesAsync(default)).Any(alias => alias.Target == account);

            Assert.Equal(seen, await adding);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_domain_goes_or_gets_an_account_and_not_both(bool byTwoProcesses)
    {
        var (own, other, database) = await TwoDirectoriesAsync(byTwoProcesses);
        await using var _ = database;
        for (var i = 0; i < Rounds; i++)
        {
            var domain = $"d{i}.example.org";
            await own.AddDomainAsync(domain);
            var adding = own.ChangeAsync(async change => await change.IsLocalDomainAsync(domain) && await change.AddAccountAsync("ann@" + domain, "hash"));

            var removed = await other.ChangeAsync(async change => await change.CountAccountsAsync(domain) == 0 && await change.RemoveDomainAsync(domain));

            Assert.NotEqual(removed, await adding);
        }
    }

    [Fact]
    public async Task A_change_sees_what_it_has_changed_and_counts_a_domain_s_own_accounts_only()
    {
        foreach (var account in (string[])["ann@example.org", "bob@example.org", "ann@sub.example.org", "a@b"])
            await Store.Directory.AddAccountAsync(account, "hash");

        var (before, there, count, alias) = await Store.Directory.ChangeAsync(async change =>
        {
            var isBefore = await change.IsLocalDomainAsync("Example.ORG");
            await change.AddDomainAsync("example.org");
            await change.AddAliasAsync("Sales@example.org", "ann@example.org");
            return (isBefore, await change.IsLocalDomainAsync("example.org"), await change.CountAccountsAsync("Example.org"), await change.FindAsync("sales@example.org"));
        });

        Assert.Equal((false, true, 2), (before, there, count));
        Assert.Equal(["ann@example.org"], alias.Targets);
        Assert.True(await Store.Directory.IsLocalDomainAsync("example.org", default));
    }

    private static Task<bool> AddCheckedAsync(MailDirectory directory, string address, string target) =>
        directory.ChangeAsync(async change =>
            (await change.CheckAliasAsync(address, target)).Fault == AddressFault.None && await change.AddAliasAsync(address, target));

    private async Task<(MailDirectory Own, MailDirectory Other, MailDatabase Database)> TwoDirectoriesAsync(bool byTwoProcesses)
    {
        var database = new MailDatabase(Store.Options, new NoMeters(), Store.Time, NullLogger<MailDatabase>.Instance);
        await database.OpenAsync(default);
        await Store.Directory.AddDomainAsync("example.org");
        return (Store.Directory, byTwoProcesses ? new MailDirectory(database) : Store.Directory, database);
    }
}
