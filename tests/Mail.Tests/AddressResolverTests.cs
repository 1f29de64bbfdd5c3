namespace MailPipeline.Mail.Tests;

/// <summary>Where an address leads, on both engines.</summary>
public abstract partial class StoreTests
{
    private static readonly (string Address, string Target)[] s_aliases =
    [
        ("list@example.org", "ann@example.org"), ("list@example.org", "bob@example.net"), ("list@example.org", "inner@example.org"),
        ("inner@example.org", "ann@example.org"), ("inner@example.org", "dead@example.org"), ("dead@example.org", "gone@example.org"),
        ("loop@example.org", "pool@example.org"), ("pool@example.org", "loop@example.org"),
        ("both@example.org", "both@example.org"), ("both@example.org", "bob@example.net"),
        ("@all.example.org", "ann@example.org"), ("sales@all.example.org", "bob@example.net"), ("@void.example.org", "gone@void.example.org"),
    ];

    [Theory]
    [InlineData("ann@example.org", AddressFault.None, "ann@example.org")]
    [InlineData("ANN@Example.ORG", AddressFault.None, "ANN@Example.ORG")]
    [InlineData("bob@example.net", AddressFault.None, "bob@example.net")]
    [InlineData("both@example.org", AddressFault.None, "bob@example.net both@example.org")]
    [InlineData("list@example.org", AddressFault.None, "ann@example.org bob@example.net gone@example.org?")]
    [InlineData("anybody@all.example.org", AddressFault.None, "ann@example.org")]
    // The catch-all counts only where nothing else has the name.
    [InlineData("sales@all.example.org", AddressFault.None, "bob@example.net")]
    [InlineData("joe@all.example.org", AddressFault.None, "joe@all.example.org")]
    [InlineData("nobody@example.org", AddressFault.NotThere, "nobody@example.org?")]
    [InlineData("dead@example.org", AddressFault.LeadsNowhere, "gone@example.org?")]
    [InlineData("loop@example.org", AddressFault.Loop, "")]
    [InlineData("anybody@void.example.org", AddressFault.LeadsNowhere, "")]
    [InlineData("step1@example.org", AddressFault.None, "ann@example.org")]
    [InlineData("step0@example.org", AddressFault.TooDeep, "step10@example.org?")]
    public async Task An_address_leads_to_the_same_ends_for_everybody(string address, AddressFault fault, string ends)
    {
        var resolver = await ResolverAsync();

        var resolved = await resolver.ResolveAsync(address, default);

        Assert.Equal(fault, resolved.Fault);
        Assert.Equal(ends, string.Join(' ', resolved.Ends.Select(end => end.Address + (end.IsThere ? "" : "?")).Order(StringComparer.Ordinal)));
        Assert.Equal(!address.EndsWith("example.net", StringComparison.Ordinal), resolved.IsLocal);
    }

    [Theory]
    [InlineData("list@example.org", "carl@example.net", AddressFault.None, "")]
    [InlineData("ann@example.org", "ann@example.org", AddressFault.None, "")]
    // Two ways to one list are no loop.
    [InlineData("sales@all.example.org", "step5@example.org", AddressFault.None, "")]
    [InlineData("list@example.org", "nobody@example.org", AddressFault.NotThere, "nobody@example.org")]
    [InlineData("@example.org", "nobody@example.org", AddressFault.NotThere, "nobody@example.org")]
    [InlineData("new@example.org", "dead@example.org", AddressFault.LeadsNowhere, "dead@example.org")]
    // One dead end is enough, though others are alive.
    [InlineData("new@example.org", "list@example.org", AddressFault.LeadsNowhere, "list@example.org")]
    [InlineData("new@example.org", "new@example.org", AddressFault.Loop, "new@example.org")]
    [InlineData("new@example.org", "pool@example.org", AddressFault.Loop, "pool@example.org")]
    [InlineData("ann@example.org", "step3@example.org", AddressFault.Loop, "step3@example.org")]
    [InlineData("ann@example.org", "anybody@all.example.org", AddressFault.Loop, "anybody@all.example.org")]
    [InlineData("new@example.org", "step1@example.org", AddressFault.TooDeep, "step1@example.org")]
    // Its own way is short enough, but not the one that leads to it.
    [InlineData("ann@example.org", "bob@example.net", AddressFault.TooDeep, "step1@example.org")]
    public async Task An_alias_is_checked_with_all_that_leads_to_it(string address, string target, AddressFault fault, string at)
    {
        var resolver = await ResolverAsync();
        if (fault == AddressFault.TooDeep && address.StartsWith("ann", StringComparison.Ordinal))
            await Store.Directory.RemoveAliasAsync("step0@example.org", "step1@example.org");

        Assert.Equal((fault, at), await resolver.CheckAliasAsync(address, target, default));
    }

    /// <summary>step0 -> step1 -> ... -> step10 -> ann: one too many from step0, just right from step1.</summary>
    private async Task<AddressResolver> ResolverAsync()
    {
        foreach (var domain in (string[])["example.org", "all.example.org", "void.example.org"])
            await Store.Directory.AddDomainAsync(domain);
        foreach (var account in (string[])["ann@example.org", "both@example.org", "joe@all.example.org"])
            await Store.Directory.AddAccountAsync(account, "hash");
        foreach (var (address, target) in s_aliases)
            await Store.Directory.AddAliasAsync(address, target);
        for (var i = 0; i <= 10; i++)
            await Store.Directory.AddAliasAsync($"step{i}@example.org", i == 10 ? "ann@example.org" : $"step{i + 1}@example.org");
        return new AddressResolver(Store.Directory);
    }
}
