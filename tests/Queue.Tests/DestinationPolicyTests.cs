using MailPipeline.Mail;
using MailPipeline.Queue.Policies;
using MailPipeline.Testing;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Tests;

/// <summary>What destinations bear, by a file: whom an entry is about, what is wrong in it, and what becomes of it when it changes.</summary>
public sealed class DestinationPolicyTests
{
    private static readonly DestinationPolicy s_policy = Policy(
        ("gmail.example", 20), ("*.example.org", 1), ("a.example.org", 2), ("mx:mx1.example.net", 3), ("mx:*.example.net", 4), ("mx:192.0.2.1", 5), ("Bücher.example", 6),
        ("mx:relay.example:2525", 7), ("mx:2001:db8::1", 8));

    [Theory]
    [InlineData("gmail.example", 20)]
    [InlineData("x.gmail.example", null)]
    [InlineData("example.org", null)]
    [InlineData("b.example.org", 1)]
    [InlineData("c.b.example.org", 1)]
    // The first that fits.
    [InlineData("a.example.org", 1)]
    [InlineData("xn--bcher-kva.example", 6)]
    [InlineData("mx1.example.net", null)]
    public void A_domain_has_the_first_entry_that_fits(string domain, int? connections) => Assert.Equal(connections, s_policy.OfDomain(domain).Connections);

    [Theory]
    [InlineData("", null)]
    [InlineData("mx.example.com", null)]
    [InlineData("mx1.example.net", 3)]
    [InlineData("mx2.example.net", 4)]
    [InlineData("mx2.example.net,mx.example.com", 4)]
    [InlineData("mx2.example.net,mx1.example.net", 3)]
    [InlineData("mx1.example.net:2525", 3)]
    [InlineData("192.0.2.1:2525", 5)]
    [InlineData("relay.example:2525", 7)]
    [InlineData("relay.example", null)]
    [InlineData("2001:db8::1", 8)]
    [InlineData("[2001:db8::1]:2525", 8)]
    [InlineData("gmail.example", null)]
    public void A_site_has_the_first_entry_that_fits_one_of_its_hosts(string site, int? connections) => Assert.Equal(connections, s_policy.OfSite(site).Connections);

    [Fact]
    public void A_star_is_everybody()
    {
        var policy = Policy(("x.example", 1), ("*", 2), ("mx:*", 3));
        Assert.Equal((1, 2, 3), (policy.OfDomain("x.example").Connections, policy.OfDomain("y.example").Connections, policy.OfSite("localhost").Connections));
    }

    [Theory]
    [InlineData("{", "it is no JSON of settings: ")]
    [InlineData("""{ "Destination": [ { "For": "a.example" } ] }""", "There is no setting 'Policy:Destination'; Policy has Destinations")]
    [InlineData("""{ "Destinations": [ { "For": "a b", "Connections": 1 } ] }""", "Policy:Destinations:0:For is 'a b'; it must be a domain, ")]
    [InlineData("""{ "Destinations": [ { "For": "x.*.example", "Connections": 1 } ] }""", "Policy:Destinations:0:For is 'x.*.example'; it must be a domain, ")]
    [InlineData("""{ "Destinations": [ { "For": "mx:", "Connections": 1 } ] }""", "Policy:Destinations:0:For is 'mx:'; it must be a domain, ")]
    [InlineData("""{ "Destinations": [ { "For": "a.example" } ] }""", "Policy:Destinations:0 says nothing; it must have Connections, ")]
    [InlineData("""{ "Destinations": [ { "For": "a.example", "Connections": -1 } ] }""", "Policy:Destinations:0:Connections is -1; it must be 1 to 10000")]
    [InlineData("""{ "Destinations": [ { "For": "a.example", "MessagesPerSecond": 1e9 } ] }""", "Policy:Destinations:0:MessagesPerSecond is 1000000000; it must be 0.001 to 100000")]
    [InlineData("""{ "Destinations": [ { "For": "a.example", "MessagesPerConnection": 1000000 } ] }""", "Policy:Destinations:0:MessagesPerConnection is 1000000; it must be 1 to 100000")]
    [InlineData("""{ "Destinations": [ { "For": "a.example", "Connections": 1 }, { "For": "A.example", "Connections": 2 } ] }""",
        "Policy:Destinations:1:For is 'A.example', as that of an entry before")]
    public async Task What_is_wrong_stops_the_start_and_is_said_with_its_name(string json, string expected)
    {
        using var folder = new TempFolder("policy");
        var path = folder.Write("policy.json", json);
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => QueueUnderTest.StartAsync(new() { ["Queue:PolicyFile"] = path }));
        Assert.Contains(failure.Failures, said => said.StartsWith($"Queue:PolicyFile is '{path}': {expected}", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_change_counts_without_a_restart_and_what_is_wrong_changes_nothing()
    {
        using var folder = new TempFolder("policy");
        var path = folder.Write("policy.json", "{}");
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:PolicyFile"] = path });
        Assert.Null(queue.Policy.Current.OfDomain("a.example").Connections);
        await File.WriteAllTextAsync(path, """{ "Destinations": [ { "For": "a.example", "Connections": 3, "MessagesPerSecond": 0.5, "MessagesPerConnection": 7 } ] }""", TestContext.Current.CancellationToken);
        await Until.TrueAsync(() => Task.FromResult(queue.Policy.Current.OfDomain("a.example") == new DestinationLimits(3, 0.5, 7)), "the policy is in force");
        await File.WriteAllTextAsync(path, """{ "Destinations": [ { "For": "a.example", "Connections": -3 } ] }""", TestContext.Current.CancellationToken);
        await Until.TrueAsync(() => Task.FromResult(queue.Lines(2121).Count > 0), "the log says that it is not taken");
        Assert.Equal(3, queue.Policy.Current.OfDomain("a.example").Connections);
    }

    private static DestinationPolicy Policy(params (string For, int Connections)[] entries) => new(new QueuePolicyOptions
    {
        Destinations = [.. entries.Select(entry => new DestinationOptions { For = entry.For, Connections = entry.Connections })],
    });
}
