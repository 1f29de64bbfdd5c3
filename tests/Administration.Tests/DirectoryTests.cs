using MailPipeline.Mail;

namespace MailPipeline.Administration.Tests;

/// <summary>Domains, accounts and aliases, and what a change of one does to the others.</summary>
public sealed class DirectoryTests : IAsyncLifetime
{
    private const string Password = "s3cret-words";

    private AdministrationFixture _operator = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _operator = await AdministrationFixture.OpenAsync();

    public ValueTask DisposeAsync() => _operator.DisposeAsync();

    [Fact]
    public async Task A_domain_is_added_once_and_removed_when_its_accounts_are_gone()
    {
        Same(new DomainAdded("example.org", HasPostmaster: false, []), await _operator.Domains.AddAsync("Example.ORG.", AdministrationFixture.By, Cancellation));
        Same(new DomainAlreadyThere("example.org"), await _operator.Domains.AddAsync("example.org", AdministrationFixture.By, Cancellation));
        await _operator.Accounts.AddAsync("ann@example.org", Password, AdministrationFixture.By, Cancellation);
        Same(new HasAccounts("example.org", 1), await _operator.Domains.RemoveAsync("example.org", AdministrationFixture.By, Cancellation));
        await _operator.Accounts.RemoveAsync("ann@example.org", AdministrationFixture.By, Cancellation);
        Same(
            new DomainRemoved("example.org", [new("postmaster@example.org", "ann@example.org")], []),
            await _operator.Domains.RemoveAsync("example.org", AdministrationFixture.By, Cancellation));
        Same(new NoSuchDomain("example.org"), await _operator.Domains.RemoveAsync("example.org", AdministrationFixture.By, Cancellation));
    }

    [Fact]
    public async Task A_domain_that_comes_back_has_its_aliases_and_so_its_postmaster()
    {
        await _operator.Domains.AddAsync("example.org", AdministrationFixture.By, Cancellation);
        await _operator.Aliases.AddAsync("postmaster@example.org", "joe@example.com", AdministrationFixture.By);
        await _operator.Domains.RemoveAsync("example.org", AdministrationFixture.By, Cancellation);

        Same(new DomainAdded("example.org", HasPostmaster: true, []), await _operator.Domains.AddAsync("example.org", AdministrationFixture.By, Cancellation));
    }

    [Fact]
    public async Task Aliases_that_mean_something_else_without_a_domain_are_named()
    {
        foreach (var domain in (string[])["example.org", "example.net"])
            await _operator.Domains.AddAsync(domain, AdministrationFixture.By, Cancellation);
        await _operator.Accounts.AddAsync("bob@example.org", Password, AdministrationFixture.By, Cancellation);
        await _operator.Aliases.AddAsync("sales@example.net", "bob@example.org", AdministrationFixture.By);
        await _operator.Aliases.AddAsync("c1@example.org", "sales@example.net", AdministrationFixture.By);

        Same(
            new DomainRemoved("example.net", [new("sales@example.net", "bob@example.org")], [new("c1@example.org", "sales@example.net")]),
            await _operator.Domains.RemoveAsync("example.net", AdministrationFixture.By, Cancellation));
        await _operator.Aliases.RemoveAsync("sales@example.net", "bob@example.org", AdministrationFixture.By, Cancellation);
        Same(
            new DomainAdded("example.net", HasPostmaster: false, [new("c1@example.org", "sales@example.net")]),
            await _operator.Domains.AddAsync("example.net", AdministrationFixture.By, Cancellation));
    }

    [Fact]
    public async Task The_first_account_of_a_domain_is_its_postmaster_until_somebody_else_is()
    {
        Same(new DomainNotOurs("example.org"), await _operator.Accounts.AddAsync("ann@example.org", Password, AdministrationFixture.By, Cancellation));
        await _operator.Domains.AddAsync("example.org", AdministrationFixture.By, Cancellation);
        Same(new AccountMayBeAdded("ann@example.org"), await _operator.Accounts.MayAddAsync("Ann@example.org", Cancellation));
        Same(new AccountAdded("ann@example.org", "postmaster@example.org"), await _operator.Accounts.AddAsync("Ann@example.org", Password, AdministrationFixture.By, Cancellation));
        Same(new AccountAdded("bob@example.org", null), await _operator.Accounts.AddAsync("bob@example.org", Password, AdministrationFixture.By, Cancellation));
        Same(new AccountAlreadyThere("bob@example.org"), await _operator.Accounts.MayAddAsync("bob@example.org", Cancellation));
        Same(
            new AccountRemoved("ann@example.org", [new("postmaster@example.org", "ann@example.org")]),
            await _operator.Accounts.RemoveAsync("ann@example.org", AdministrationFixture.By, Cancellation));
        // In the place of who is gone.
        Same(new AccountAdded("joe@example.org", "postmaster@example.org"), await _operator.Accounts.AddAsync("joe@example.org", Password, AdministrationFixture.By, Cancellation));
        Assert.Contains(
            "joe@example.org, with postmaster@example.org -> joe@example.org, without postmaster@example.org -> ann@example.org",
            (await _operator.Get<AuditTrail>().ListAsync(DateTimeOffset.UnixEpoch, 100, Cancellation)).Entries.Select(entry => entry.Subject));
        Assert.Equal(["bob@example.org", "joe@example.org"], await _operator.Accounts.ListAsync(Cancellation));
    }

    [Fact]
    public async Task A_password_has_its_length_whoever_sets_it()
    {
        await _operator.Domains.AddAsync("example.org", AdministrationFixture.By, Cancellation);
        await _operator.Accounts.AddAsync("ann@example.org", Password, AdministrationFixture.By, Cancellation);

        Same(new PasswordEmpty(), await _operator.Accounts.SetPasswordAsync("ann@example.org", "", AdministrationFixture.By, Cancellation));
        Same(new PasswordTooShort(7, 8), await _operator.Accounts.SetPasswordAsync("ann@example.org", "7 chars", AdministrationFixture.By, Cancellation));
        Same(new PasswordWithNul(), await _operator.Accounts.SetPasswordAsync("ann@example.org", "s3cret\0words", AdministrationFixture.By, Cancellation));
        Same(new PasswordTooShort(3, 8), await _operator.Accounts.AddAsync("bob@example.org", "abc", AdministrationFixture.By, Cancellation));
        Same(new NoSuchAccount("bob@example.org"), await _operator.Accounts.SetPasswordAsync("bob@example.org", Password, AdministrationFixture.By, Cancellation));
        Same(new PasswordChanged("ann@example.org"), await _operator.Accounts.SetPasswordAsync("ann@example.org", "other words", AdministrationFixture.By, Cancellation));
        var account = await _operator.Get<MailDirectory>().FindAccountAsync("ann@example.org", Cancellation);
        Assert.True(PasswordHash.Verify("other words", account!.Password.Hash));
    }

    [Fact]
    public async Task An_alias_leads_to_somebody_or_is_not_made()
    {
        await _operator.Domains.AddAsync("example.org", AdministrationFixture.By, Cancellation);
        await _operator.Accounts.AddAsync("ann@example.org", Password, AdministrationFixture.By, Cancellation);
        var sales = new Alias("sales@example.org", "ann@example.org");

        Same(new AliasAdded(sales, PassesOver: false), await _operator.Aliases.AddAsync(sales.Address, sales.Target, AdministrationFixture.By));
        Same(new AliasAlreadyThere(sales), await _operator.Aliases.AddAsync(sales.Address, sales.Target, AdministrationFixture.By));
        Same(
            new AliasFaulty(new("info@example.org", "gone@example.org"), AddressFault.NotThere, "gone@example.org", []),
            await _operator.Aliases.AddAsync("info@example.org", "gone@example.org", AdministrationFixture.By));
        Same(
            new AliasFaulty(new("ann@example.org", "sales@example.org"), AddressFault.Loop, "sales@example.org", ["ann@example.org", "sales@example.org", "ann@example.org"]),
            await _operator.Aliases.AddAsync("ann@example.org", "sales@example.org", AdministrationFixture.By));
        Same(
            new AliasAdded(new("ann@example.org", "bob@example.net"), PassesOver: true), await _operator.Aliases.AddAsync("ann@example.org", "bob@example.net", AdministrationFixture.By));
        Same(new DomainNotOurs("example.com"), await _operator.Aliases.AddAsync("ann@example.com", "bob@example.org", AdministrationFixture.By));
        Same(new NoSuchAlias(new("@example.org", "ann@example.org")), await _operator.Aliases.RemoveAsync("@example.org", "ann@example.org", AdministrationFixture.By, Cancellation));
    }

    [Theory]
    [InlineData("-example")]
    [InlineData("ex..org")]
    [InlineData("[192.0.2.1]")]
    [InlineData("")]
    public async Task What_is_no_domain_is_refused(string typed)
    {
        Same(new NotADomain(typed), await _operator.Domains.AddAsync(typed, AdministrationFixture.By, Cancellation));
        Same(new NotADomain(typed), await _operator.Domains.RemoveAsync(typed, AdministrationFixture.By, Cancellation));
    }

    [Fact]
    public async Task What_mail_could_not_be_written_to_is_refused()
    {
        Same(new NotAnAddress("ann"), await _operator.Accounts.RemoveAsync("ann", AdministrationFixture.By, Cancellation));
        foreach (var unfit in (string[])["\"j n\"@example.org", "j\u00a0n@example.org", "j\u034fn@example.org", $"{new string('\u00fc', 33)}@example.org"])
            Same(new NotAnAccountName(unfit, 64, 248), await _operator.Accounts.AddAsync(unfit, Password, AdministrationFixture.By, Cancellation));
        Same(new NotAnAddress("@example.org"), await _operator.Aliases.AddAsync("a@example.org", "@example.org", AdministrationFixture.By));
    }

    /// <summary>RFC 5890 §2.3.2.1; local parts in normal form C and no other.</summary>
    [Fact]
    public async Task A_name_is_the_same_however_its_characters_are_typed()
    {
        const string Domain = "xn--bcher-kva.example";
        const string Account = $"jos\u00e9@{Domain}";
        Same(new DomainAdded(Domain, HasPostmaster: false, []), await _operator.Domains.AddAsync("B\u00dccher.example", AdministrationFixture.By, Cancellation));
        foreach (var same in (string[])["b\u00fccher.example", "bu\u0308cher.example", "b\u00fccher\u3002example", "XN--BCHER-KVA.example."])
            Same(new DomainAlreadyThere(Domain), await _operator.Domains.AddAsync(same, AdministrationFixture.By, Cancellation));
        Same(new AccountAdded(Account, $"postmaster@{Domain}"), await _operator.Accounts.AddAsync("jose\u0301@b\u00fccher.example", Password, AdministrationFixture.By, Cancellation));
        foreach (var same in (string[])["JOS\u00c9@b\u00fccher.example", $"jose\u0301@{Domain}", "jos\u00e9@bu\u0308cher.example"])
            Same(new AccountAlreadyThere(Account), await _operator.Accounts.AddAsync(same, Password, AdministrationFixture.By, Cancellation));
        // Letters that only look the same: of Cyrillic, of full width, without its accent.
        foreach (var other in (string[])["j\u043es\u00e9", "jos\u0435\u0301", "\uff4aos\u00e9", "jose"])
            Assert.IsType<AccountAdded>(await _operator.Accounts.AddAsync($"{other}@{Domain}", Password, AdministrationFixture.By, Cancellation));
        Same(new AliasAdded(new Alias($"b\u00fcro@{Domain}", Account), PassesOver: false), await _operator.Aliases.AddAsync("bu\u0308ro@b\u00fccher.example", "Jos\u00e9@b\u00fccher.example", AdministrationFixture.By));
        Same(new AliasRemoved(new Alias($"b\u00fcro@{Domain}", Account), []), await _operator.Aliases.RemoveAsync($"b\u00fcro@{Domain}", "jose\u0301@B\u00dccher.example", AdministrationFixture.By, Cancellation));
    }

    [Theory]
    [InlineData("b\u00fc cher.example")]
    [InlineData("b\u00fccher.example>")]
    [InlineData("b\u00fccher.\u202eelpmaxe")]
    [InlineData("b\u00fccher\uff20example.org")]
    [InlineData("\u0308ucher.example")]
    [InlineData("b\u00fc--cher.example")]
    [InlineData("\ufb01sch.example")]
    [InlineData("b\u00fccher\u200d.example")]
    public async Task A_domain_that_the_DNS_cannot_hold_is_refused(string typed) =>
        Same(new NotADomain(typed), await _operator.Domains.AddAsync(typed, AdministrationFixture.By, Cancellation));

    // Records compare lists by reference.
    private static void Same(DirectoryResult expected, DirectoryResult actual) => Assert.Equivalent(expected, actual, strict: true);
}
