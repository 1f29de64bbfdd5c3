using MailPipeline.Ingress.Checks;
using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>Who comes for the first time comes back.</summary>
public sealed class GreylistCheckTests
{
    private const string Policy = """
        {
          "Greylisting": {
            "Delay": "5m", "RetryWithin": "4h", "Keep": "10d", "AllowNetworkAfter": 2,
            "ExceptNetworks": [ "198.51.100.0/24" ], "ExceptSenders": [ "known.example" ], "ExceptRecipients": [ "example.org" ],
            "ExceptHosts": [ "hosts.example" ]
          }
        }
        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_first_time_is_too_early_and_so_is_the_second_until_the_time_is_over()
    {
        using var policy = new WrittenPolicy(Policy);
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var dns = await DnsServer.StartAsync("", Cancellation);
        await using var host = await policy.StartAsync(dns.EndPoint, time: time);
        using var results = host.Metric<long>("mailpipeline.ingress.greylist");
        await RcptAsync(host, "203.0.113.9", "451 4.7.1 Not seen before, try again in 300 seconds");
        time.Advance(TimeSpan.FromSeconds(100));
        await RcptAsync(host, "203.0.113.9", "451 4.7.1 Not seen before, try again in 200 seconds");
        time.Advance(TimeSpan.FromSeconds(200));
        // Another one of its network; another sender is not seen yet.
        await RcptAsync(host, "203.0.113.250", "250");
        await RcptAsync(host, "203.0.113.9", "250");
        await RcptAsync(host, "203.0.113.9", "451", sender: "<carl@example.net>");
        await RcptAsync(host, "203.0.112.9", "451");
        await RcptAsync(host, "2001:db8::1", "451");
        Assert.Equal(
            ["deferred", "deferred", "passed", "known", "deferred", "deferred", "deferred"],
            results.GetMeasurementSnapshot().Select(said => (string)said.Tags["result"]!));
    }

    [Fact]
    public async Task Who_comes_back_too_late_begins_anew()
    {
        using var policy = new WrittenPolicy(Policy);
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var dns = await DnsServer.StartAsync("", Cancellation);
        await using var host = await policy.StartAsync(dns.EndPoint, time: time);
        await RcptAsync(host, "203.0.113.9", "451");
        time.Advance(TimeSpan.FromHours(5));
        await RcptAsync(host, "203.0.113.9", "451 4.7.1 Not seen before, try again in 300 seconds");
        time.Advance(TimeSpan.FromMinutes(6));
        await RcptAsync(host, "203.0.113.9", "250");
        time.Advance(TimeSpan.FromDays(9));
        await RcptAsync(host, "203.0.113.9", "250");
        // That kept it.
        time.Advance(TimeSpan.FromDays(9));
        await RcptAsync(host, "203.0.113.9", "250");
        time.Advance(TimeSpan.FromDays(11));
        await RcptAsync(host, "203.0.113.9", "451");
    }

    [Fact]
    public async Task A_network_from_which_some_came_back_is_not_put_off_any_more()
    {
        using var policy = new WrittenPolicy(Policy);
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var dns = await DnsServer.StartAsync("", Cancellation);
        await using var host = await policy.StartAsync(dns.EndPoint, time: time);
        await RcptAsync(host, "203.0.113.9", "451");
        await RcptAsync(host, "203.0.113.9", "451", sender: "<>");
        time.Advance(TimeSpan.FromMinutes(6));
        await RcptAsync(host, "203.0.113.9", "250");
        await RcptAsync(host, "203.0.113.9", "451", sender: "<carl@example.net>");
        await RcptAsync(host, "203.0.113.9", "250", sender: "<>");
        await RcptAsync(host, "203.0.113.9", "250", sender: "<carl@example.net>");
        await RcptAsync(host, "203.0.113.200", "250", sender: "<dora@example.net>");
    }

    [Fact]
    public async Task Exceptions_are_not_put_off_and_who_is_not_there_hears_that()
    {
        using var policy = new WrittenPolicy(Policy);
        await using var dns = await DnsServer.StartAsync("""
            7.113.0.203.in-addr.arpa. PTR a.hosts.example.
            a.hosts.example. A 203.0.113.7
            8.113.0.203.in-addr.arpa. PTR a.hosts.example.
            """, Cancellation);
        await using var host = await policy.StartAsync(dns.EndPoint, new Dictionary<string, string> { ["Ingress:RelayClients:0"] = "203.0.113.99" });
        await RcptAsync(host, "198.51.100.9", "250");
        await RcptAsync(host, "203.0.113.9", "250", sender: "<bob@mail.known.example>");
        await RcptAsync(host, "203.0.113.9", "451", sender: "<bob@unknown.example>");
        await RcptAsync(host, "203.0.113.9", "250", recipient: "<anybody@example.org>");
        await RcptAsync(host, "203.0.113.9", "550 5.1.1", recipient: "<nobody@example.com>");
        await RcptAsync(host, "203.0.113.7", "250");
        await RcptAsync(host, "203.0.113.8", "451");
        await RcptAsync(host, "203.0.113.99", "250");
        await RcptAsync(host, "127.0.0.1", "250");
    }

    [Fact]
    public async Task A_list_of_the_good_excepts_its_own()
    {
        using var policy = new WrittenPolicy(
            """{ "Greylisting": { "Delay": "5m" }, "DnsLists": { "Lists": [ { "Zone": "good.example", "Weight": -1 } ] } }""");
        await using var dns = await DnsServer.StartAsync("9.113.0.203.good.example. A 127.0.0.2", Cancellation);
        await using var host = await policy.StartAsync(dns.EndPoint);
        await RcptAsync(host, "203.0.113.9", "250");
        await RcptAsync(host, "203.0.113.10", "451");
    }

    [Fact]
    public async Task A_name_server_that_never_answers_holds_up_nobody_for_long()
    {
        await using var dns = new SilentDnsServer();
        using var policy = new WrittenPolicy("""{ "Greylisting": { "Delay": "5m", "ExceptHosts": [ "hosts.example" ] } }""");
        await using var host = await policy.StartAsync(dns.EndPoint, new Dictionary<string, string> { ["Dns:Timeout"] = "10s" });
        await using var session = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await session.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await session.SayAsync("RCPT TO:<ann@example.com>", "451 4.7.1 Not seen before");
        Assert.True(dns.Questions > 0, "it was not asked");
    }

    [Fact]
    public async Task While_there_is_no_room_for_more_the_unknown_are_let_in_and_not_kept()
    {
        using var policy = new WrittenPolicy("""{ "Greylisting": { "Delay": "5m", "RetryWithin": "4h", "MaxRows": 2, "AllowNetworkAfter": 0 } }""");
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var host = await policy.StartAsync(time: time);
        using var results = host.Metric<long>("mailpipeline.ingress.greylist");
        var store = host.Services.GetRequiredService<GreylistStore>();
        await RcptAsync(host, "203.0.113.9", "451", sender: "<a@example.net>");
        await RcptAsync(host, "203.0.113.9", "451", sender: "<b@example.net>");
        await RcptAsync(host, "203.0.113.9", "250", sender: "<c@example.net>");
        // Who is known is put off as before.
        await RcptAsync(host, "203.0.113.9", "451", sender: "<a@example.net>");
        Assert.Equal(["deferred", "deferred", "full", "deferred"], results.GetMeasurementSnapshot().Select(said => (string)said.Tags["result"]!));
        Assert.Equal(2, await store.CountAsync(10, Cancellation));
        time.Advance(TimeSpan.FromHours(4));
        await store.ForgetAsync(Cancellation);
        await RcptAsync(host, "203.0.113.9", "451", sender: "<c@example.net>");
    }

    [Fact]
    public async Task What_is_over_a_limit_of_recipients_is_not_kept()
    {
        using var policy = new WrittenPolicy(
            """
            {
              "Greylisting": { "Delay": "5m" },
              "Limits": [ { "Name": "recipients", "Of": "Network", "What": "Recipients", "Count": 1, "Window": "1h" } ]
            }
            """);
        await using var host = await policy.StartAsync();
        await RcptAsync(host, "203.0.113.9", "451 4.7.1 Not seen before", sender: "<a@example.net>");
        await RcptAsync(host, "203.0.113.9", "451 4.7.1 Too much", sender: "<b@example.net>");
        Assert.Equal(1, await host.Services.GetRequiredService<GreylistStore>().CountAsync(10, Cancellation));
    }

    [Theory]
    [InlineData(null, 0, "Defer", 300)]
    [InlineData(0, 0, "Defer", 300)]
    [InlineData(299, 0, "Defer", 1)]
    [InlineData(300, 0, "Pass", 0)]
    [InlineData(10, 1, "Known", 0)]
    public void The_rules_by_themselves(int? secondsAgo, int passes, string decision, int seconds)
    {
        var now = TimeProvider.System.GetUtcNow();
        var seen = secondsAgo is { } ago ? new GreylistEntry(now.AddSeconds(-ago), passes, now.AddDays(1)) : null;
        var (decided, wait) = new Greylisting(new GreylistOptions { Delay = TimeSpan.FromMinutes(5) }).Decide(seen, now);
        Assert.Equal((decision, seconds), (decided.ToString(), (int)wait.TotalSeconds));
    }

    private static async Task RcptAsync(
        IngressHost host, string client, string reply, string sender = "<bob@example.net>", string recipient = "<ann@example.com>")
    {
        await using var session = await WrittenPolicy.GreetedAsync(host.Mx, client);
        await session.SayAsync($"MAIL FROM:{sender}", "250");
        await session.SayAsync($"RCPT TO:{recipient}", reply);
    }
}
