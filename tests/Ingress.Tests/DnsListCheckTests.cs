using System.Net;
using System.Text;
using MailPipeline.Ingress.Checks;
using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Ingress.Tests;

/// <summary>Lists of addresses in DNS, by a real server with zones of theirs; asked from the connection on (<see cref="ClientInquiryCheck"/>).</summary>
public sealed class DnsListCheckTests
{
    private const string Zones = """
        9.113.0.203.bad.example. A 127.0.0.2
        10.113.0.203.bad.example. A 127.0.0.10
        11.113.0.203.bad.example. A 127.255.255.254
        12.113.0.203.bad.example. A 192.0.2.1
        13.113.0.203.bad.example. A 127.0.0.1
        14.113.0.203.bad.example. A 127.0.0.2
        14.113.0.203.bad.example. A 127.255.255.252
        9.113.0.203.worse.example. A 127.0.0.4
        15.113.0.203.bad.example. A 127.0.0.2
        15.113.0.203.good.example. A 127.0.0.3
        *.every.example. A 127.0.0.2
        9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bad.example. A 127.0.0.3
        """;

    private const string Policy = """
        {
          // What an operator writes beside it is passed over.
          "DnsLists": {
            "RefuseFrom": 10, "TagFrom": 5,
            "Lists": [
              { "Zone": "bad.example", "Weight": 5, "Codes": [ "127.0.0.2-127.0.0.4" ] },
              { "Zone": "bad.example", "Weight": 2, "Codes": [ "127.0.0.8/29" ] },
              { "Zone": "worse.example", "Weight": 6 },
              { "Zone": "every.example", "Weight": 100 },
              { "Zone": "good.example", "Weight": -5 }
            ]
          }
        }
        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("203.0.113.9", "550 5.7.1 No mail", null)] // 5 and 6
    [InlineData("203.0.113.10", "250", null)] // 2
    [InlineData("203.0.113.11", "250", null)] // "you ask too often"
    [InlineData("203.0.113.12", "250", null)] // a parking page
    [InlineData("203.0.113.13", "250", null)]
    [InlineData("203.0.113.14", "250", null)]
    [InlineData("203.0.113.15", "250", null)] // 5, and known to be good
    [InlineData("203.0.113.16", "250", null)] // only the list that has everybody has it
    [InlineData("2001:db8::9", "250", "dns-list")] // 5
    [InlineData("2001:db8::a", "250", null)]
    public async Task The_weights_of_the_lists_that_have_a_client_decide(string client, string reply, string? tag)
    {
        await using var dns = await DnsServer.StartAsync(Zones, Cancellation);
        using var policy = new WrittenPolicy(Policy);
        await using var host = await policy.StartAsync(dns.EndPoint);
        using var verdicts = host.Metric<long>("mailpipeline.ingress.check_verdicts");
        await using var sender = await WrittenPolicy.GreetedAsync(host.Mx, client);
        await sender.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await sender.SayAsync("RCPT TO:<ann@example.com>", reply);
        if (reply != "250")
        {
            var said = Assert.Single(verdicts.GetMeasurementSnapshot());
            Assert.Equal(("dns_list", "reply", "worse.example"), (said.Tags["check"], said.Tags["verdict"], said.Tags["rule"]));
            return;
        }

        await sender.SayAsync("DATA", "354");
        await sender.SayAsync("x: y\r\n.", "250");
        var id = (await host.NextHintAsync()).MessageId;
        Assert.Equal(tag is null ? [] : [tag], (await host.Services.GetRequiredService<MessageHistory>().FindAsync(id, Cancellation))!.Tags);
        if (tag is not null)
            Assert.StartsWith("X-MailPipeline-Tag: dns-list\r\nReceived: ", Encoding.Latin1.GetString(await host.ContentAsync(id)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_listed_client_reaches_postmasters_and_a_user_of_ours_is_not_asked_about()
    {
        await using var dns = await DnsServer.StartAsync(Zones, Cancellation);
        using var policy = new WrittenPolicy(Policy.Replace("\"RefuseFrom\"", "\"Listeners\": \"All\", \"RefuseFrom\"", StringComparison.Ordinal));
        await using var host = await policy.StartAsync(dns.EndPoint, new Dictionary<string, string>
        {
            ["Ingress:Postmaster"] = "ann@example.com",
            ["Ingress:AllowCleartextAuth"] = "true",
            ["Ingress:RelayClients:0"] = "203.0.113.99",
        });
        await using var stranger = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await stranger.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await stranger.SayAsync("RCPT TO:<ann@example.com>", "550 5.7.1");
        await stranger.SayAsync("RCPT TO:<postmaster@example.com>", "250");
        await stranger.SayAsync("RCPT TO:<postmaster>", "250");
        await using var user = await WrittenPolicy.GreetedAsync(host.Submission, "203.0.113.9");
        await user.SayAsync("AUTH PLAIN " + Convert.ToBase64String("\0ann@example.com\0secret"u8), "235");
        await user.SayAsync("MAIL FROM:<ann@example.com>", "250");
        await user.SayAsync("RCPT TO:<bob@example.net>", "250");
        await using var local = await Client.OpenAsync(host.Mx);
        await local.SendAsync("PROXY UNKNOWN\r\n");
        await local.ExpectAsync("220");
    }

    [Fact]
    public async Task Lists_that_do_not_answer_keep_nobody_out_and_nobody_waiting_for_long()
    {
        await using var dns = new SilentDnsServer();
        using var policy = new WrittenPolicy("""{ "DnsLists": { "MaxWait": "250ms", "Lists": [ { "Zone": "bad.example" } ] } }""");
        await using var host = await policy.StartAsync(dns.EndPoint);
        await using var sender = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await sender.MessageAsync("x: y\r\n");
    }

    [Fact]
    public async Task A_list_that_has_everybody_is_told_of_and_counted()
    {
        await using var dns = await DnsServer.StartAsync(Zones, Cancellation);
        using var policy = new WrittenPolicy("""{ "DnsLists": { "Lists": [ { "Zone": "every.example" }, { "Zone": "gone.example" } ] } }""");
        await using var host = await policy.StartAsync(dns.EndPoint);
        using var asked = host.Metric<long>("mailpipeline.ingress.dns_list_questions");
        await using var sender = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.77");
        await sender.MessageAsync("x: y\r\n");
        Assert.Equal(
            ["every.example error", "gone.example not_listed"],
            asked.GetMeasurementSnapshot().Select(said => $"{said.Tags["list"]} {said.Tags["answer"]}").Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("127.0.0.2", "127.0.0.2", true)]
    [InlineData("127.0.0.2", "127.0.0.3", false)]
    [InlineData("127.0.0.2-127.0.0.11", "127.0.0.11", true)]
    [InlineData("127.0.0.2-127.0.0.11", "127.0.0.12", false)]
    [InlineData("127.0.1.0/24", "127.0.1.255", true)]
    [InlineData("127.0.1.0/24", "127.0.2.0", false)]
    [InlineData("127.0.0.0/8", "127.255.0.1", true)]
    public void Codes_are_an_address_a_range_or_a_network(string codes, string answer, bool counts)
    {
        Assert.True(ReturnCodes.TryParse(codes, out var parsed));
        Assert.Equal(counts, parsed.Has(ReturnCodes.NumberOf(IPAddress.Parse(answer))));
    }

    [Theory]
    [InlineData("")]
    [InlineData("127.2")]
    [InlineData("192.0.2.1")]
    [InlineData("127.0.0.3-127.0.0.2")]
    [InlineData("127.0.0.0/7")]
    [InlineData("::1")]
    [InlineData("2")]
    public void Other_text_is_no_code(string text) => Assert.False(ReturnCodes.TryParse(text, out _));
}
