using MailPipeline.Mail;
using MailPipeline.Smtp;
using MailPipeline.Testing;

namespace MailPipeline.Queue.Tests;

/// <summary>Under which sender what an alias leads elsewhere leaves, and to whom reports about it go.</summary>
public sealed class ForwardedSenderTests : IDisposable
{
    private const string OfStranger = "^SRS0=[A-Z2-7]{8}=[A-Z2-7]{2}=stranger\\.example=eve@srs\\.example\\.org$";

    private readonly TempFolder _folder = new("srs");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Only_who_is_forwarded_to_another_system_is_given_another_sender()
    {
        await using var queue = await StartAsync();
        await queue.Directory.AddAliasAsync("both@example.org", "sender@example.org");
        await queue.Directory.AddAliasAsync("both@example.org", "bob@far.example");
        await queue.Directory.AddAliasAsync("@all.example", "carl@far.example");
        await queue.Directory.AddAliasAsync("inside@example.org", "dave@relayed.example");
        var id = await queue.AcceptAsync(
            hint: true, "eve@stranger.example", "both@example.org", "any@all.example", "inside@example.org", "direct@far.example", "ann@relayed.example");
        await queue.OutcomeOfAsync(id);

        var sent = queue.Worker.Commands.SelectMany(command => command.Recipients).ToDictionary(recipient => recipient.Address, recipient => recipient.Sender);
        Assert.Matches(OfStranger, sent["bob@far.example"]);
        Assert.Matches(OfStranger, sent["carl@far.example"]);
        Assert.Equal("eve@stranger.example", sent["direct@far.example"]);
        Assert.Equal("eve@stranger.example", sent["ann@relayed.example"]);
        Assert.Equal("eve@stranger.example", sent["dave@relayed.example"]);
        Assert.Equal(
            [sent["bob@far.example"], sent["carl@far.example"]],
            (await queue.History.FindAsync(id, default))!.Recipients.Where(one => one.ReturnPath.Length > 0).OrderBy(one => one.Address).Select(one => one.ReturnPath));
        Assert.Equal("eve@stranger.example", (await queue.History.FindAsync(id, default))!.Sender);
    }

    [Theory]
    [InlineData("sender@example.org")]
    [InlineData("nobody@relayed.example")]
    [InlineData("SRS0=AAAAAAAA=AA=example.net=x@srs.example.org")]
    [InlineData("")]
    [InlineData("eve@[192.0.2.1]")]
    [InlineData("a.very.long.name.of.a.mailing.list-bounces+ann=example.org@stranger.example")]
    public async Task Senders_of_ours_reports_and_whom_no_address_could_hold_stay_as_they_are(string sender)
    {
        await using var queue = await StartAsync();
        await queue.Directory.AddAliasAsync("away@example.org", "bob@far.example");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, sender, "away@example.org"));
        Assert.Equal(sender, Assert.Single(queue.Worker.Commands.SelectMany(command => command.Recipients)).Sender);
    }

    [Fact]
    public async Task A_sender_that_was_rewritten_before_is_rewritten_no_more_where_that_is_switched_off()
    {
        await using var queue = await StartAsync(new() { ["Srs:Rewrite"] = "false" });
        await queue.Directory.AddAliasAsync("away@example.org", "bob@far.example");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "eve@stranger.example", "away@example.org"));
        Assert.Equal("eve@stranger.example", Assert.Single(queue.Worker.Commands.SelectMany(command => command.Recipients)).Sender);
    }

    /// <summary>He keeps it, whatever it takes to reach him: also when his queue was not in memory.</summary>
    [Fact]
    public async Task A_recipient_who_waits_and_one_with_wishes_keep_the_sender_they_were_given()
    {
        await using var queue = await StartAsync();
        await queue.Directory.AddAliasAsync("away@example.org", "bob@far.example");
        var attempts = 0;
        queue.Worker.Answer = _ => Interlocked.Increment(ref attempts) <= 2
            ? (AttemptOutcome.Deferred, "4.3.0", "451 4.3.0 Later") : (AttemptOutcome.Delivered, "2.0.0", "250 2.0.0 Ok");
        var dsn = new EnvelopeDsn(MailDsn.Parse("ENVID=x"), [RcptDsn.Parse("NOTIFY=FAILURE ORCPT=rfc822;first@example.com")]);
        var id = await queue.AcceptAsync(hint: true, "eve@stranger.example", dsn, ["away@example.org"]);
        await queue.OutcomeOfAsync(id);
        var given = queue.Worker.Commands.SelectMany(command => command.Recipients).Select(recipient => recipient.Sender).ToList();
        Assert.Equal(3, given.Count);
        Assert.Matches(OfStranger, Assert.Single(given.Distinct()));
        var handedOn = await queue.Dsn.FindAsync([(await queue.History.FindAsync(id, default))!.Recipients[0].RecipientId], default);
        Assert.Equal("rfc822;first@example.com", Assert.Single(handedOn.Recipients).Value.OriginalRecipient);
    }

    /// <summary>We know whom it was from; the way by our own return path is for others.</summary>
    [Fact]
    public async Task Our_own_report_goes_to_the_sender_himself()
    {
        await using var queue = await StartAsync();
        await queue.Directory.AddAliasAsync("away@example.org", "bob@far.example");
        queue.Worker.Answer = recipient => recipient.Address.StartsWith("bob", StringComparison.Ordinal)
            ? (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 No such user") : (AttemptOutcome.Delivered, "2.0.0", "250 2.0.0 Ok");
        await queue.AcceptAsync(hint: true, "eve@stranger.example", "away@example.org");
        await Until.TrueAsync(
            () => Task.FromResult(queue.Worker.Commands.SelectMany(command => command.Recipients).Any(recipient => recipient.Address == "eve@stranger.example")), "the sender is told");
        Assert.Equal("", queue.Worker.Commands.SelectMany(command => command.Recipients).Single(recipient => recipient.Address == "eve@stranger.example").Sender);
    }

    /// <summary>A report that another host has made, and one that we make ourselves about mail that came back to us.</summary>
    [Fact]
    public async Task What_comes_back_to_a_rewritten_sender_goes_on_to_whom_it_stands_for()
    {
        await using var queue = await StartAsync();
        await queue.Directory.AddAliasAsync("away@example.org", "bob@far.example");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "eve@stranger.example", "away@example.org"));
        var returnPath = Assert.Single(queue.Worker.Commands.SelectMany(command => command.Recipients)).Sender;
        queue.Worker.Commands.Clear();

        var id = await queue.AcceptAsync(hint: true, "", returnPath);
        await queue.OutcomeOfAsync(id);
        var recipient = Assert.Single(queue.Worker.Commands.SelectMany(command => command.Recipients));
        Assert.Equal(("eve@stranger.example", "", returnPath), (recipient.Address, recipient.Sender, recipient.Original));

        // It names nobody that we have sent mail of: it is refused as a user who is not there.
        id = await queue.AcceptAsync(hint: true, "", returnPath.Replace("=eve@", "=ann@", StringComparison.Ordinal));
        await Until.TrueAsync(async () => (await queue.History.FindAsync(id, default))!.Recipients.Count > 0, "the message is routed");
        Assert.Equal(RecipientRoute.Local, Assert.Single((await queue.History.FindAsync(id, default))!.Recipients).Route);
    }

    /// <summary>His domain has become ours since; so has that of a forwarder whose return path we rewrote.</summary>
    [Fact]
    public async Task A_sender_who_is_ours_by_now_is_told_here()
    {
        await using var queue = await StartAsync(new() { ["Queue:DeliveryPaused"] = "true", ["Srs:MaxLocalPartBytes"] = "128" });
        queue.Rewriting.Rewrite("Sender+x@example.org", out var own);
        queue.Rewriting.Rewrite(own, out var twice);
        Assert.StartsWith("SRS1=", twice, StringComparison.Ordinal);
        foreach (var address in (string[])[own, twice])
        {
            var id = await queue.AcceptAsync(hint: true, "", address);
            await Until.TrueAsync(async () => (await queue.History.FindAsync(id, default))!.Recipients.Count > 0, "the message is routed");
            var recipient = Assert.Single((await queue.History.FindAsync(id, default))!.Recipients);
            Assert.Equal(("Sender+x@example.org", RecipientRoute.Local), (recipient.Address, recipient.Route));
        }
    }

    private async Task<QueueUnderTest> StartAsync(Dictionary<string, string?>? settings = null)
    {
        File.WriteAllText(_folder["secrets"], "correct horse battery staple\n");
        settings ??= [];
        settings["Srs:Domain"] = "srs.example.org";
        settings["Srs:SecretFile"] = _folder["secrets"];
        var queue = await QueueUnderTest.StartAsync(settings);
        foreach (var domain in (string[])["example.org", "all.example"])
            await queue.Directory.AddDomainAsync(domain);
        await queue.Directory.AddDomainAsync(new MailDomain("relayed.example", Relay: "mail.example.net:25"));
        await queue.Directory.AddAccountAsync("sender@example.org", "hash");
        return queue;
    }
}
