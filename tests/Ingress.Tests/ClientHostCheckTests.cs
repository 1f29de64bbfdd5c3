using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Ingress.Tests;

/// <summary>The names of clients, by a real DNS server.</summary>
public sealed class ClientHostCheckTests
{
    private const string Zones = """
        9.113.0.203.in-addr.arpa. PTR mx.sender.example.
        mx.sender.example. A 203.0.113.9
        10.113.0.203.in-addr.arpa. PTR mx.sender.example.
        11.113.0.203.in-addr.arpa. PTR gone.sender.example.
        11.113.0.203.in-addr.arpa. PTR second.sender.example.
        second.sender.example. A 203.0.113.11
        mail.sender.example. MX 10 mx.sender.example.
        9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR six.sender.example.
        six.sender.example. AAAA 2001:db8::9
        six.sender.example. A 203.0.113.66
        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("203.0.113.9", "mx.sender.example", "250", "")]
    [InlineData("203.0.113.10", "mx.sender.example", "550 5.7.25 Your address", "client-name-unconfirmed")]
    [InlineData("203.0.113.11", "second.sender.example", "250", "")]
    [InlineData("203.0.113.12", "mx.sender.example", "550 5.7.25 Your address", "client-no-name")]
    [InlineData("2001:db8::9", "six.sender.example", "250", "")]
    [InlineData("2001:db8::9", "SIX.sender.example.", "250", "")]
    [InlineData("2001:db8::a", "six.sender.example", "550 5.7.25 Your address", "client-no-name")]
    [InlineData("203.0.113.9", "nothing.sender.example", "550 5.7.1 You greet", "client-greeting-unknown")]
    [InlineData("203.0.113.9", "six.sender.example", "550 5.7.1 You greet", "client-greeting-elsewhere")]
    [InlineData("203.0.113.9", "mail.sender.example", "550 5.7.1 You greet", "client-greeting-elsewhere")]
    [InlineData("203.0.113.9", "[203.0.113.9]", "250", "")]
    [InlineData("203.0.113.9", "[203.0.113.10]", "550 5.7.1 You greet", "client-greeting-elsewhere")]
    public async Task Who_has_no_good_name_is_refused_where_the_operator_wants_that(string client, string name, string reply, string rule)
    {
        await using var dns = await DnsServer.StartAsync(Zones, Cancellation);
        using var policy = new WrittenPolicy(
            """{ "ClientHost": { "NoName": "Refuse", "Unconfirmed": "Refuse", "GreetingUnknown": "Refuse", "GreetingElsewhere": "Refuse" } }""");
        await using var host = await policy.StartAsync(dns.EndPoint);
        using var verdicts = host.Metric<long>("mailpipeline.ingress.check_verdicts");
        await using var sender = await WrittenPolicy.GreetedAsync(host.Mx, client, name);
        await sender.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await sender.SayAsync("RCPT TO:<ann@example.com>", reply);
        Assert.Equal(rule.Length == 0 ? [] : [rule], verdicts.GetMeasurementSnapshot().Select(said => (string)said.Tags["rule"]!));
    }

    [Fact]
    public async Task By_choice_its_messages_have_tags_and_who_greets_anew_is_judged_anew()
    {
        await using var dns = await DnsServer.StartAsync(Zones, Cancellation);
        using var policy = new WrittenPolicy("""{ "ClientHost": { "NoName": "Tag", "GreetingUnknown": "Tag", "GreetingElsewhere": "Tag" } }""");
        await using var host = await policy.StartAsync(dns.EndPoint);
        await using var sender = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.12", "nothing.sender.example");
        await sender.MessageAsync("x: y\r\n");
        Assert.Equal(["client-greeting-unknown", "client-no-name"], await TagsOfNextAsync(host));
        await sender.SayAsync("EHLO mx.sender.example", "250");
        await sender.MessageAsync("x: y\r\n");
        Assert.Equal(["client-greeting-elsewhere", "client-no-name"], await TagsOfNextAsync(host));
        // Its address has a name elsewhere, which is not asked about.
        await using var other = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9", "mx.sender.example");
        await other.MessageAsync("x: y\r\n");
        Assert.Empty(await TagsOfNextAsync(host));
    }

    [Fact]
    public async Task DNS_that_does_not_answer_keeps_nobody_out()
    {
        await using var dns = new SilentDnsServer();
        using var policy = new WrittenPolicy("""{ "ClientHost": { "NoName": "Refuse", "GreetingUnknown": "Refuse", "MaxWait": "250ms" } }""");
        await using var host = await policy.StartAsync(dns.EndPoint);
        await using var sender = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await sender.MessageAsync("x: y\r\n");
    }

    private static async Task<IEnumerable<string>> TagsOfNextAsync(IngressHost host) =>
        (await host.Services.GetRequiredService<MessageHistory>().FindAsync((await host.NextHintAsync()).MessageId, Cancellation))!
            .Tags.Order(StringComparer.Ordinal);
}
