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

        var check = await resolver.CheckAliasAsync(address, target, default);
        Assert.Equal((fault, at), (check.Fault, check.Address));
        Assert.Equal(fault == AddressFault.Loop, check.Circle.Count > 0);
    }

    /// <summary>RFC 5233: what has the whole name comes first, then its user, the longest first, then the catch-all.</summary>
    [Theory]
    [InlineData("+", "ann+news@example.org", "ann+news@example.org ann@example.org")]
    [InlineData("+", "ANN+News@Example.ORG", "ANN+News@Example.ORG ann@example.org")]
    [InlineData("+", "ann+a+b@example.org", "ann+a+b@example.org ann@example.org")]
    [InlineData("+", "ann+own@example.org", "ann+own@example.org ann+own@example.org")]
    [InlineData("+", "ann+list@example.org", "bob@example.net")]
    // The alias of the user, not its account; a copy that is kept has the detail.
    [InlineData("+", "both+x@example.org", "bob@example.net both+x@example.org both@example.org")]
    [InlineData("+", "to+x@example.org", "ann+to@example.org ann@example.org")]
    [InlineData("+", "joe+x@all.example.org", "joe+x@all.example.org joe@all.example.org")]
    [InlineData("+", "jim+x@all.example.org", "ann@example.org ann@example.org")]
    [InlineData("+", "nobody+x@example.org", "nobody+x@example.org ?")]
    [InlineData("+", "+ann@example.org", "+ann@example.org ?")]
    [InlineData("+", "ann-marie-x@example.org", "ann-marie-x@example.org ?")]
    [InlineData("+-", "ann-marie-x@example.org", "ann-marie-x@example.org ann-marie@example.org")]
    [InlineData("+-", "ann-x+y@example.org", "ann-x+y@example.org ann@example.org")]
    // No more names are asked for than a few.
    [InlineData("+", "ann+1+2+3+4+5+6@example.org", "ann+1+2+3+4+5+6@example.org ann@example.org")]
    [InlineData("+", "\"ann+x y\"@example.org", "\"ann+x y\"@example.org ?")]
    [InlineData("", "ann+news@example.org", "ann+news@example.org ?")]
    public async Task A_detail_belongs_to_its_user_unless_something_has_the_whole_name(string separators, string address, string ends)
    {
        Store.MailStoreOptions.DetailSeparators = separators;
        var resolver = await ResolverAsync();
        await Store.Directory.AddAccountAsync("ann+own@example.org", "hash");
        await Store.Directory.AddAccountAsync("ann-marie@example.org", "hash");
        await Store.Directory.AddAliasAsync("ann+list@example.org", "bob@example.net");
        await Store.Directory.AddAliasAsync("to@example.org", "ann+to@example.org");

        var resolved = await resolver.ResolveAsync(address, default);

        Assert.Equal(ends, string.Join(' ', resolved.Ends.OrderBy(end => end.Address, StringComparer.Ordinal)
            .SelectMany(end => new[] { end.Address, end.IsThere ? end.Account : "?" }).OfType<string>()));
        Assert.Equal(ends.EndsWith('?') ? AddressFault.NotThere : AddressFault.None, resolved.Fault);
    }

    [Fact]
    public async Task A_domain_that_stands_for_another_has_its_addresses()
    {
        var resolver = await ResolverAsync();
        await Store.Directory.AddDomainAsync("example.com", aliasOf: "example.org");
        await Store.Directory.AddDomainAsync("example.edu", aliasOf: "all.example.org");

        Assert.Equal(
            new AddressEnd("Ann+x@example.org", "example.org", RecipientRoute.Local, Account: "ann@example.org"),
            Assert.Single((await resolver.ResolveAsync("Ann+x@Example.COM", default)).Ends));
        Assert.Equal("bob@example.net both@example.org", string.Join(' ', (await resolver.ResolveAsync("both@example.com", default)).Ends.Select(end => end.Address).Order()));
        Assert.Equal("ann@example.org", Assert.Single((await resolver.ResolveAsync("whoever@example.edu", default)).Ends).Address);
        var missing = await resolver.ResolveAsync("nobody@example.com", default);
        Assert.Equal((true, AddressFault.NotThere), (missing.IsLocal, missing.Fault));
        Assert.Equal("ann@example.org", (await resolver.FindAccountAsync("ANN+x@example.com", default))?.Address);
        Assert.Null(await resolver.FindAccountAsync("list@example.com", default));
    }

    /// <summary>What no alias leads elsewhere goes on to the next hop; a domain with listed recipients has those that an alias has.</summary>
    [Theory]
    [InlineData(RelayRecipients.All, "anybody@relay.example", AddressFault.None, "anybody@relay.example")]
    [InlineData(RelayRecipients.All, "Ann@relay.example", AddressFault.None, "Ann@relay.example")]
    [InlineData(RelayRecipients.All, "moved@relay.example", AddressFault.None, "ann@example.org")]
    [InlineData(RelayRecipients.Listed, "anybody@relay.example", AddressFault.NotThere, "anybody@relay.example?")]
    [InlineData(RelayRecipients.Listed, "Ann@relay.example", AddressFault.None, "Ann@relay.example")]
    [InlineData(RelayRecipients.Listed, "ann+x@relay.example", AddressFault.None, "ann+x@relay.example")]
    [InlineData(RelayRecipients.Listed, "moved@relay.example", AddressFault.None, "ann@example.org")]
    [InlineData(RelayRecipients.Listed, "copied@relay.example", AddressFault.None, "ann@example.org copied@relay.example")]
    [InlineData(RelayRecipients.Verify, "anybody@relay.example", AddressFault.None, "anybody@relay.example")]
    [InlineData(RelayRecipients.Verify, "ann+x@relay.example", AddressFault.None, "ann+x@relay.example")]
    [InlineData(RelayRecipients.Verify, "moved@relay.example", AddressFault.None, "ann@example.org")]
    public async Task A_domain_that_we_relay_for_has_its_next_hop(RelayRecipients recipients, string address, AddressFault fault, string ends)
    {
        var resolver = await ResolverAsync();
        await Store.Directory.AddDomainAsync(new MailDomain("relay.example", Relay: "mail.example.net:25", Recipients: recipients));
        foreach (var (alias, target) in new[]
        {
            ("ann@relay.example", "ann@relay.example"), ("moved@relay.example", "ann@example.org"), ("copied@relay.example", "copied@relay.example"),
            ("copied@relay.example", "ann@example.org"),
        })
        {
            var check = await resolver.CheckAliasAsync(alias, target, default);
            Assert.Equal(AddressFault.None, check.Fault);
            await Store.Directory.AddAliasAsync(alias, target);
        }

        var resolved = await resolver.ResolveAsync(address, default);

        Assert.Equal((true, true, fault), (resolved.IsLocal, resolved.IsRelayed, resolved.Fault));
        Assert.Equal(ends, string.Join(' ', resolved.Ends.Select(end => end.Address + (end.IsThere ? "" : "?")).Order(StringComparer.Ordinal)));
        Assert.All(resolved.Ends, end => Assert.Equal(end.Domain == "example.org" ? RecipientRoute.Local : RecipientRoute.Remote, end.Route));
        Assert.Null(await resolver.FindAccountAsync("ann@relay.example", default));
        // Only what no alias has is the next hop's to say.
        Assert.Equal(recipients == RelayRecipients.Verify && address.StartsWith("anybody", StringComparison.Ordinal), resolved.Ends.Any(end => end.IsUnverified));
        Assert.Equal(recipients, (await Store.Directory.FindDomainAsync("relay.example", default))!.Recipients);
        Assert.Equal(["relay.example"], (await Store.Directory.RelayedDomainsAsync(default)).Keys);
    }

    [Theory]
    [InlineData("new@example.org", "new@example.org", "new@example.org -> new@example.org")]
    [InlineData("ann@example.org", "step9@example.org", "ann@example.org -> step9@example.org -> step10@example.org -> ann@example.org")]
    [InlineData("ann@example.org", "anybody@all.example.org", "ann@example.org -> anybody@all.example.org -> @all.example.org -> ann@example.org")]
    [InlineData("new@example.org", "pool@example.org", "pool@example.org -> loop@example.org -> pool@example.org")]
    [InlineData("new@example.org", "new+x@example.org", "new+x@example.org -> new@example.org -> new+x@example.org")]
    [InlineData("new@example.org", "new@example.com", "new@example.org -> new@example.org")]
    public async Task A_circle_is_shown_from_a_name_back_to_itself(string address, string target, string circle)
    {
        var resolver = await ResolverAsync();
        await Store.Directory.AddDomainAsync("example.com", aliasOf: "example.org");

        var check = await resolver.CheckAliasAsync(address, target, default);

        Assert.Equal((AddressFault.Loop, circle), (check.Fault, string.Join(" -> ", check.Circle)));
    }

    /// <summary>Who leads there by a detail, or by another name of the domain, is found as well.</summary>
    [Theory]
    [InlineData("user+x@example.org")]
    [InlineData("user@example.com")]
    public async Task An_alias_that_others_lead_to_by_another_name_does_not_make_them_too_deep(string target)
    {
        var resolver = await ResolverAsync();
        await Store.Directory.AddDomainAsync("example.com", aliasOf: "example.org");
        await Store.Directory.AddAccountAsync("user@example.org", "hash");
        await Store.Directory.AddAliasAsync("up@example.org", target);

        var check = await resolver.CheckAliasAsync("user@example.org", "step2@example.org", default);

        Assert.Equal((AddressFault.TooDeep, "up@example.org"), (check.Fault, check.Address));
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
