using MailPipeline.Mail;

namespace MailPipeline.Queue.Tests;

/// <summary>Where the recipients of an envelope lead, through aliases too.</summary>
public sealed class RoutingTests
{
    [Theory]
    // Beside a good recipient: nobody who got his 250 may vanish.
    [InlineData("carol@example.org,loop@example.org", "carol@example.org", "loop@example.org")]
    [InlineData("carol@example.org,dangling@example.org", "carol@example.org", "gone@example.org")]
    [InlineData("carol@example.org,dangling@wide.example.org,info@wide.example.org", "carol@example.org", "dangling@wide.example.org", "info@wide.example.org")]
    [InlineData("Bob@example.net,bob@example.net,bob@EXAMPLE.net", "Bob@example.net", "bob@example.net")]
    [InlineData("carol@example.org,CAROL@example.org", "carol@example.org")]
    public async Task No_recipient_vanishes_on_the_way_through_aliases(string envelope, params string[] expected)
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:DeliveryPaused"] = "true" });
        var directory = queue.Directory;
        await directory.AddDomainAsync("example.org");
        await directory.AddDomainAsync("wide.example.org");
        await directory.AddAccountAsync("carol@example.org", "hash");
        await directory.AddAliasAsync("loop@example.org", "pool@example.org");
        await directory.AddAliasAsync("pool@example.org", "loop@example.org");
        await directory.AddAliasAsync("dangling@example.org", "gone@example.org");
        await directory.AddAliasAsync("dangling@wide.example.org", "gone@wide.example.org");
        await directory.AddAliasAsync("@wide.example.org", "gone@wide.example.org");

        var id = await queue.AcceptAsync(hint: true, "sender@example.org", envelope.Split(','));
        await Until.TrueAsync(async () => (await queue.History.FindAsync(id, default))!.Recipients.Count > 0, "the message is routed");

        Assert.Equal(expected.Order(StringComparer.Ordinal), (await queue.History.FindAsync(id, default))!.Recipients.Select(r => r.Address).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("list@example.org", "a@example.net", "b@example.com", "carol@example.org")]
    [InlineData("LIST@Example.ORG", "a@example.net", "b@example.com", "carol@example.org")]
    [InlineData("anything@catchall.example.org", "carol@example.org")]
    [InlineData("carol@example.org", "carol@example.org")]
    [InlineData("dave@example.org", "dave@example.org", "a@example.net")]
    [InlineData("loop@example.org", "loop@example.org")]
    [InlineData("stranger@example.com", "stranger@example.com")]
    // Once, whatever detail; the first one is what the user sees.
    [InlineData("Carol+news@example.org,carol+x@example.org,carol@other.example.org,list+x@other.example.org", "Carol+news@example.org", "a@example.net", "b@example.com")]
    [InlineData("CAROL+news@other.example.org", "CAROL+news@example.org")]
    public async Task Aliases_lead_to_each_recipient_once(string address, params string[] expected)
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:DeliveryPaused"] = "true" });
        var directory = queue.Directory;
        await directory.AddDomainAsync("example.org");
        await directory.AddDomainAsync("catchall.example.org");
        await directory.AddDomainAsync("other.example.org", aliasOf: "example.org");
        await directory.AddAccountAsync("carol@example.org", "hash");
        await directory.AddAccountAsync("dave@example.org", "hash");
        foreach (var (alias, target) in new[]
        {
            ("list@example.org", "a@example.net"), ("list@example.org", "inner@example.org"), ("inner@example.org", "b@example.com"),
            ("inner@example.org", "a@example.net"), ("inner@example.org", "carol@example.org"), ("@catchall.example.org", "carol@example.org"),
            ("loop@example.org", "pool@example.org"), ("pool@example.org", "loop@example.org"),
            ("dave@example.org", "dave@example.org"), ("dave@example.org", "a@example.net"),
        })
        {
            await directory.AddAliasAsync(alias, target);
        }
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", address.Split(','));
        await Until.TrueAsync(async () => (await queue.History.FindAsync(id, default))!.Recipients.Count > 0, "the message is routed");
        var routed = (await queue.History.FindAsync(id, default))!.Recipients;
        Assert.Equal(expected.Order(), routed.Select(r => r.Address).Order());
        Assert.All(routed, r => Assert.Equal(
            r.Address.EndsWith("example.org", StringComparison.Ordinal) ? RecipientRoute.Local : RecipientRoute.Remote, r.Route));
    }

    [Fact]
    public async Task Mail_of_a_domain_that_we_relay_for_leaves_by_its_own_queue()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:DeliveryPaused"] = "true" });
        await queue.Directory.AddDomainAsync(new MailDomain("relay.example", Relay: "mail.example.net:25"));
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAliasAsync("list@example.org", "bob@relay.example");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "ann@relay.example", "list@example.org");
        await Until.TrueAsync(async () => (await queue.History.FindAsync(id, default))!.Recipients.Count > 0, "the message is routed");
        Assert.Equal(
            [("ann@relay.example", "relay.example", RecipientRoute.Remote), ("bob@relay.example", "relay.example", RecipientRoute.Remote)],
            (await queue.History.FindAsync(id, default))!.Recipients.Select(r => (r.Address, r.Domain, r.Route)).Order());
    }

    /// <summary>No other system has these names of this host, whatever way leads to them.</summary>
    [Theory]
    [InlineData("MAILER-DAEMON@mail.example.org", "carol@example.org")]
    [InlineData("root@example.org", "carol@example.org", "a@example.net")]
    [InlineData("carol@mail.example.org", "carol@mail.example.org")]
    public async Task The_host_itself_is_its_postmaster(string address, params string[] expected)
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:DeliveryPaused"] = "true" });
        var directory = queue.Directory;
        await directory.AddDomainAsync("example.org");
        await directory.AddAccountAsync("carol@example.org", "hash");
        await directory.AddAliasAsync("postmaster@example.org", "carol@example.org");
        await directory.AddAliasAsync("root@example.org", "mailer-daemon@mail.example.org");
        await directory.AddAliasAsync("root@example.org", "postmaster@mail.example.org");
        await directory.AddAliasAsync("root@example.org", "a@example.net");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", address);
        await Until.TrueAsync(async () => (await queue.History.FindAsync(id, default))!.Recipients.Count > 0, "the message is routed");
        Assert.Equal(expected.Order(), (await queue.History.FindAsync(id, default))!.Recipients.Select(r => r.Address).Order());
    }

    /// <summary>The door takes such mail for whom the operator named; what an alias leads there has not come to another host.</summary>
    [Theory]
    [InlineData("root@example.org")]
    [InlineData("mailer-daemon@mail.example.org")]
    public async Task The_postmaster_of_the_host_is_whom_the_operator_named(string address)
    {
        await using var queue = await QueueUnderTest.StartAsync(
            new() { ["Queue:DeliveryPaused"] = "true", ["Queue:Postmaster"] = "Carol@example.org" });
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("carol@example.org", "hash");
        await queue.Directory.AddAliasAsync("root@example.org", "postmaster@mail.example.org");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", address);
        await Until.TrueAsync(async () => (await queue.History.FindAsync(id, default))!.Recipients.Count > 0, "the message is routed");
        Assert.Equal("Carol@example.org", Assert.Single((await queue.History.FindAsync(id, default))!.Recipients).Address);
    }

    [Fact]
    public async Task The_postmaster_of_the_host_where_there_is_none_is_nobody_here()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:DeliveryPaused"] = "true" });
        await queue.Directory.AddDomainAsync("example.org");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "mailer-daemon@mail.example.org");
        await Until.TrueAsync(async () => (await queue.History.FindAsync(id, default))!.Recipients.Count > 0, "the message is routed");
        Assert.Equal(RecipientRoute.Local, Assert.Single((await queue.History.FindAsync(id, default))!.Recipients).Route);
    }

    [Fact]
    public async Task A_message_that_cannot_be_routed_holds_up_none_of_the_others()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        var routed = await queue.AcceptAsync(hint: false, "sender@example.org", "a@example.net");
        await queue.OutcomeOfAsync(routed);
        // Its recipients are there already: to make them once more fails each time.
        await queue.ExecuteAsync($"INSERT INTO unrouted (message_id, recipients) VALUES ({routed}, 'a@example.net')");
        for (var i = 0; i < 2; i++)
        {
            var id = await queue.AcceptAsync(hint: false, "sender@example.org", $"b{i}@example.net");
            Assert.Equal(RecipientState.Delivered, Assert.Single((await queue.OutcomeOfAsync(id)).Recipients).State);
        }
        Assert.Equal(1, (await queue.CountAsync()).Unrouted);
    }
}
