using System.Text;
using MailPipeline.Mail;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Ingress.Tests;

public sealed class ClientNameCheckTests
{
    // The client seems to be elsewhere: what comes from this machine may call itself by its name.
    private static readonly Dictionary<string, string> s_elsewhere = new()
    {
        ["Ingress:ProxyProtocolFrom:0"] = "127.0.0.1",
    };

    [Theory]
    [InlineData("mx.example.com", "550 5.7.1 You")]
    [InlineData("MX.example.com.", "550 5.7.1 You")]
    [InlineData("example.com", "550 5.7.1 You")]
    [InlineData("[192.0.2.1]", "550 5.7.1 You")]
    [InlineData("[127.0.0.1]", "550 5.7.1 You")]
    [InlineData("192.0.2.1", "550 5.7.1 You")]
    [InlineData("127.0.0.1", "550 5.7.1 You")]
    [InlineData("[IPv6:::ffff:192.0.2.1]", "550 5.7.1 You")]
    [InlineData("[ipv6:::FFFF:127.0.0.1]", "550 5.7.1 You")]
    [InlineData("[IPv6:2001:DB8:0:0::1]", "550 5.7.1 You")]
    [InlineData("2001:db8::1", "550 5.7.1 You")]
    [InlineData("friend", "550 5.7.1 Greet")]
    [InlineData("192.0.2.7", "550 5.7.1 Greet")]
    [InlineData("a_b!c.example", "550 5.7.1 Greet")]
    [InlineData("[192.0.2.7]", "250")]
    [InlineData("[IPv6:2001:db8::7]", "250")]
    [InlineData("client.example.net", "250")]
    [InlineData("www.mx.example.com", "250")]
    public async Task A_stranger_with_such_a_name_is_answered(string name, string reply)
    {
        await using var host = await IngressHost.StartAsync(With("Refuse", "Refuse"));
        await using var client = await ConnectAsync(host);
        await client.SayAsync($"EHLO {name}", reply);
        // RFC 5321 §4.1.4: who is refused is where he was, and may greet again.
        if (reply[0] == '5')
        {
            await client.SayAsync("MAIL FROM:<bob@example.net>", "503 5.5.1 Send EHLO");
            await client.SayAsync($"HELO {name}", reply);
            await client.SayAsync("EHLO client.example.net", "250");
        }

        await client.MessageAsync("x: y\r\n");
    }

    [Theory]
    [InlineData("mx.example.com", "client-name-forged")]
    [InlineData("friend", "client-name-unqualified")]
    [InlineData("client.example.net", null)]
    public async Task Where_the_policy_says_so_its_messages_have_a_tag(string name, string? tag)
    {
        await using var host = await IngressHost.StartAsync(With("Tag", "Tag"));
        await using var client = await ConnectAsync(host);
        await client.SayAsync("EHLO mx.example.com", "250");
        // The last greeting counts.
        await client.SayAsync($"EHLO {name}", "250");
        for (var i = 0; i < 2; i++)
        {
            await client.MessageAsync("x: y\r\n");
            var id = (await host.NextHintAsync()).MessageId;
            var tags = (await host.Services.GetRequiredService<MessageHistory>().FindAsync(id, Deadline.Token))!.Tags;
            Assert.Equal(tag is null ? [] : [tag], tags);
            var front = tag is null ? "Received: " : $"X-MailPipeline-Tag: {tag}\r\nReceived: ";
            Assert.StartsWith(front, Encoding.Latin1.GetString(await host.ContentAsync(id)), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_greeting_that_is_refused_changes_nothing_of_what_was_said_of_the_one_before_it()
    {
        await using var host = await IngressHost.StartAsync(With("Tag", "Refuse"));
        await using var client = await ConnectAsync(host);
        await client.SayAsync("EHLO mx.example.com", "250");
        await client.SayAsync("EHLO friend", "550 5.7.1 Greet");
        await client.MessageAsync("x: y\r\n");
        Assert.Equal(["client-name-forged"], await TagsOfNextAsync(host));

        // Within a transaction, which goes on.
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync("RCPT TO:<ann@example.com>", "250");
        await client.SayAsync("EHLO friend", "550 5.7.1 Greet");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("x: y\r\n\r\n.", "250");
        Assert.Equal(["client-name-forged"], await TagsOfNextAsync(host));

        await client.SayAsync("EHLO client.example.net", "250");
        await client.MessageAsync("x: y\r\n");
        Assert.Empty(await TagsOfNextAsync(host));
    }

    [Fact]
    public async Task Who_logs_in_is_not_judged_by_the_name_he_greeted_with()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string>(With("Tag", "Tag"))
        {
            ["Ingress:Checks:ClientName:Listeners"] = "All",
            ["Ingress:AllowCleartextAuth"] = "true",
        });
        await using var user = await ConnectAsync(host, submission: true);
        await user.SayAsync("EHLO friend", "250");
        await user.SayAsync("AUTH PLAIN " + Convert.ToBase64String("\0ann@example.com\0secret"u8), "235 2.7.0");
        await user.BeginAsync("ann@example.com");
        await user.SayAsync("x: y\r\n\r\n.", "250");
        Assert.Empty(await TagsOfNextAsync(host));
    }

    [Fact]
    public async Task By_default_any_name_is_taken_and_our_own_machine_and_relay_clients_may_use_ours()
    {
        await using (var host = await IngressHost.StartAsync(s_elsewhere))
        {
            await using var client = await ConnectAsync(host);
            await client.SayAsync("EHLO mx.example.com", "250");
            await client.SayAsync("EHLO friend", "250");
        }

        await using (var host = await IngressHost.StartAsync(new Dictionary<string, string>(With("Refuse", "Refuse")) { ["Ingress:RelayClients:0"] = "198.51.100.0/24" }))
        {
            await using var client = await ConnectAsync(host);
            await client.SayAsync("EHLO mx.example.com", "250");
        }

        await using (var host = await IngressHost.StartAsync(new Dictionary<string, string>
        {
            ["Ingress:Checks:ClientName:Forged"] = "Refuse",
            ["Ingress:Checks:ClientName:Unqualified"] = "Refuse",
        }))
        {
            await using var client = await Client.ConnectAsync(host.Mx);
            await client.SayAsync("EHLO mx.example.com", "250");
        }
    }

    [Fact]
    public async Task Users_greet_with_what_they_like_unless_the_operator_names_their_listener_too()
    {
        await using (var host = await IngressHost.StartAsync(With("Refuse", "Refuse")))
        {
            await using var user = await ConnectAsync(host, submission: true);
            await user.SayAsync("EHLO friend", "250");
        }

        await using (var host = await IngressHost.StartAsync(
            new Dictionary<string, string>(With("Refuse", "Refuse")) { ["Ingress:Checks:ClientName:Listeners"] = "All" }))
        {
            await using var user = await ConnectAsync(host, submission: true);
            await user.SayAsync("EHLO friend", "550 5.7.1 Greet");
        }
    }

    private static Dictionary<string, string> With(string forged, string unqualified) => new(s_elsewhere)
    {
        ["Ingress:Checks:ClientName:Forged"] = forged,
        ["Ingress:Checks:ClientName:Unqualified"] = unqualified,
        ["Ingress:Checks:ClientName:OwnNames:0"] = "example.com",
        ["Ingress:Checks:ClientName:OwnNames:1"] = "[192.0.2.1]",
        ["Ingress:Checks:ClientName:OwnNames:2"] = "[IPv6:2001:db8::1]",
    };

    private static async Task<IEnumerable<string>> TagsOfNextAsync(IngressHost host)
    {
        var id = (await host.NextHintAsync()).MessageId;
        return (await host.Services.GetRequiredService<MessageHistory>().FindAsync(id, Deadline.Token))!.Tags;
    }

    private static async Task<Client> ConnectAsync(IngressHost host, bool submission = false)
    {
        var client = await Client.OpenAsync(submission ? host.Submission : host.Mx);
        await client.SayAsync("PROXY TCP4 198.51.100.7 192.0.2.1 4711 25", "220");
        return client;
    }
}
