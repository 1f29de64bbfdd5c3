using MailPipeline.Ingress.Checks;
using MailPipeline.Mail;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Ingress.Tests;

/// <summary>
/// Which recipients are taken, under which name, and how differently the others are refused: <see cref="HostPostmasterCheck"/>, <see cref="RelayCheck"/>,
/// <see cref="LocalRecipientCheck"/>, <see cref="MaildropSpaceCheck"/>.
/// </summary>
public sealed class RecipientTests
{
    [Theory]
    [InlineData("Ann+news@example.com", "250 2.1.5")]
    [InlineData("ann+a+b@example.com", "250 2.1.5")]
    [InlineData("sales+x@example.com", "250 2.1.5")]
    [InlineData("anybody+x@example.org", "250 2.1.5")]
    [InlineData("ann@other.example", "250 2.1.5")]
    [InlineData("ann+x@Other.Example", "250 2.1.5")]
    [InlineData("nobody+x@example.com", "550 5.1.1 No such user here")]
    [InlineData("nobody@other.example", "550 5.1.1 No such user here")]
    [InlineData("+x@example.com", "550 5.1.1 No such user here")]
    public async Task A_detail_and_a_domain_that_stands_for_another_lead_to_the_user(string recipient, string reply)
    {
        await using var host = await IngressHost.StartAsync();
        await host.Directory.AddDomainAsync("other.example", aliasOf: "example.com");
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync($"RCPT TO:<{recipient}>", reply);
    }

    [Fact]
    public async Task Without_separators_there_are_no_details()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["MailStore:DetailSeparators"] = "" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync("RCPT TO:<ann+x@example.com>", "550 5.1.1");
    }

    [Fact]
    public async Task What_is_kept_is_the_recipient_as_he_was_written()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("x: y\r\n", recipient: "Ann+News@example.com");
        Assert.Equal(["Ann+News@example.com"], (await host.NextHintAsync()).Recipients);
    }

    [Fact]
    public async Task A_user_may_send_as_himself_with_a_detail_and_in_a_domain_that_stands_for_his()
    {
        await using var host = await IngressHost.StartAsync();
        await host.Directory.AddDomainAsync("other.example", aliasOf: "example.com");
        await host.Directory.AddAccountAsync("bob@example.com", "hash");
        await host.Directory.AddAccountAsync("ann+bob@example.com", "hash");
        await using var user = await Client.AuthenticatedAsync(host.Submission);
        foreach (var own in (string[])["ann+x@example.com", "ann@other.example", "ann+x@other.example", "sales@other.example", "sales+x@example.com"])
        {
            await user.SayAsync($"MAIL FROM:<{own}>", "250");
            await user.SayAsync("RSET", "250");
        }
        foreach (var foreign in (string[])["bob+ann@example.com", "bob@other.example", "ann+bob@example.com", "ann+bob+x@example.com", "nobody@other.example"])
            await user.SayAsync($"MAIL FROM:<{foreign}>", "553 5.7.1");
    }

    /// <summary>RFC 2142: complaints about a domain are read by whoever is named for them, else by its postmaster, else by ours.</summary>
    [Fact]
    public async Task Abuse_is_somebody_s_at_every_domain_of_ours()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:Postmaster"] = "ann@example.com" });
        await host.Directory.AddDomainAsync("other.example", aliasOf: "example.com");
        await using var client = await Client.GreetedAsync(host.Mx);
        await ExpectAsync("Abuse@example.com", "ann@example.com");
        await ExpectAsync("abuse@other.example", "ann@example.com");
        await host.Directory.AddAliasAsync("postmaster@example.com", "sales@example.com");
        await ExpectAsync("abuse@example.com", "postmaster@example.com");
        await ExpectAsync("abuse@other.example", "postmaster@other.example");
        await host.Directory.AddAliasAsync("abuse@example.com", "sales@example.com");
        await ExpectAsync("abuse@example.com", "abuse@example.com");
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync("RCPT TO:<abuse@example.net>", "550 5.7.1");

        async Task ExpectAsync(string asked, string kept)
        {
            await client.MessageAsync("x: y\r\n", recipient: asked);
            Assert.Equal([kept], (await host.NextHintAsync()).Recipients);
        }
    }

    [Fact]
    public async Task Abuse_without_anybody_to_read_it_is_not_there()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync("RCPT TO:<abuse@example.com>", "550 5.1.1 No such user here");
    }

    [Fact]
    public async Task Mail_for_a_domain_that_we_relay_for_is_taken_from_strangers()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:Checks:LocalSender:Policy"] = "Refuse" });
        await host.Directory.AddDomainAsync(new MailDomain("all.example", Relay: "mail.example.net:25"));
        await host.Directory.AddDomainAsync(new MailDomain("listed.example", Relay: "mail.example.net:25", Recipients: RelayRecipients.Listed));
        await host.Directory.AddAliasAsync("ann@listed.example", "ann@listed.example");
        await using var client = await Client.GreetedAsync(host.Mx);
        // Its users send by their own server.
        await client.SayAsync("MAIL FROM:<bob@all.example>", "250");
        await client.SayAsync("RCPT TO:<anybody@all.example>", "250 2.1.5");
        await client.SayAsync("RCPT TO:<ann@listed.example>", "250 2.1.5");
        await client.SayAsync("RCPT TO:<Ann+x@Listed.example>", "250 2.1.5");
        await client.SayAsync("RCPT TO:<bob@listed.example>", "550 5.1.1 No such user here");
        await client.SayAsync("RCPT TO:<bob@other.example>", "550 5.7.1 Relaying denied");
        // What leads on from there, if it trusts us.
        foreach (var way in (string[])["bob%other.example", "other.example!bob", "\"bob@other.example\""])
            await client.SayAsync($"RCPT TO:<{way}@all.example>", "550 5.7.1 Relaying denied");
    }

    /// <summary>Who is not there, who is none of ours, whose maildrop is full, and when nobody can tell.</summary>
    [Fact]
    public async Task Each_reason_to_refuse_a_recipient_has_its_own_reply()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string>
        {
            ["Ingress:Checks:MaildropSpace:MaxBytes"] = "20", ["MailStore:DirectoryCacheTime"] = "0",
        });
        await host.Directory.AddAccountAsync("full@example.com", "hash");
        await host.Directory.AddAliasAsync("all@example.com", "full@example.com");
        await host.Directory.AddAliasAsync("some@example.com", "full@example.com");
        await host.Directory.AddAliasAsync("some@example.com", "ann@example.com");
        await RunAsync(
            "INSERT INTO maildrop_messages (account_id, uid, message_id, size_bytes, header, stored_at) SELECT id, 1, 1, 20, '', 1 FROM accounts WHERE address = 'full@example.com'",
            host);
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync("RCPT TO:<ann@example.com>", "250 2.1.5");
        await client.SayAsync("RCPT TO:<nobody@example.com>", "550 5.1.1 No such user here");
        await client.SayAsync("RCPT TO:<ann@example.net>", "550 5.7.1 Relaying denied");
        await client.SayAsync("RCPT TO:<full@example.com>", "452 4.2.2 The mailbox is full, try again later");
        await client.SayAsync("RCPT TO:<Full+x@example.com>", "452 4.2.2");
        await client.SayAsync("RCPT TO:<all@example.com>", "452 4.2.2");
        // Somebody has room.
        await client.SayAsync("RCPT TO:<some@example.com>", "250 2.1.5");

        await RunAsync("ALTER TABLE domains RENAME TO away", host);
        await client.SayAsync("RCPT TO:<sales@example.com>", "451 4.3.0 Storage unavailable, try again later");
        await client.SayAsync("RCPT TO:<nobody@example.com>", "451 4.3.0");
        await client.SayAsync("RCPT TO:<ann@example.net>", "451 4.3.0");
        await RunAsync("ALTER TABLE away RENAME TO domains", host);
        await client.SayAsync("RCPT TO:<sales@example.com>", "250 2.1.5");
    }

    [Fact]
    public async Task A_maildrop_has_no_bound_unless_the_operator_says_so()
    {
        await using var host = await IngressHost.StartAsync();
        await RunAsync(
            "INSERT INTO maildrop_messages (account_id, uid, message_id, size_bytes, header, stored_at) SELECT id, 1, 1, 1000000000000, '', 1 FROM accounts", host);
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync("RCPT TO:<ann@example.com>", "250 2.1.5");
    }

    private static async Task RunAsync(string sql, IngressHost host)
    {
        await using var connection = new SqliteConnection($"Data Source={host.DatabasePath};Pooling=False");
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }
}
