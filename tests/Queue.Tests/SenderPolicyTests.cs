using MailPipeline.Queue.Policies;
using MailPipeline.Testing;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Tests;

/// <summary>Weights and rates of senders, by a file: whom an entry is about, and what is wrong in it.</summary>
public sealed class SenderPolicyTests
{
    private static readonly SenderPolicy s_policy = new(
    [
        new() { From = "ann@example.org", Weight = 4 },
        new() { From = "*.example.org", Weight = 2, MessagesPerMinute = 30 },
        new() { From = "*@example.org", Weight = 3, MessagesPerHour = 1800 },
        new() { From = "free.example", MessagesPerSecond = 0 },
        new() { From = "<>", Weight = 0.5 },
        new() { From = "Bücher.example", Weight = 6 },
        new() { From = "*", MessagesPerSecond = 9 },
    ]);

    [Theory]
    // An account has what is said of it, and of its domain where nothing is.
    [InlineData("ann@example.org", 4.0, 0.5)]
    [InlineData("bob@example.org", 3.0, 0.5)]
    [InlineData("example.org", 3.0, 0.5)]
    [InlineData("bob@news.example.org", 2.0, 0.5)]
    [InlineData("free.example", 1.0, null)]
    [InlineData("ann@free.example", 1.0, null)]
    [InlineData("", 0.5, 9.0)]
    [InlineData("xn--bcher-kva.example", 6.0, 9.0)]
    public void A_sender_has_of_each_the_first_entry_that_fits_and_says_something_of_it(string flow, double weight, double? perSecond) =>
        Assert.Equal(new SenderShare(weight, perSecond), s_policy.Of(flow));

    [Theory]
    [InlineData("""{ "Senders": [ { "From": "a.example", "Weight": 0 } ] }""", "Policy:Senders:0:Weight is 0; it must be 0.01 to 1000")]
    [InlineData("""{ "Senders": [ { "From": "a.example", "MessagesPerSecond": -1 } ] }""", "Policy:Senders:0:MessagesPerSecond is -1; it must be 0.001 to 100000, or 0 for no limit")]
    [InlineData("""{ "Senders": [ { "From": "a.example", "MessagesPerHour": 1 } ] }""", "Policy:Senders:0:MessagesPerHour is 1; it must be 3.6 to 360000000, or 0 for no limit")]
    [InlineData("""{ "Senders": [ { "From": "a.example", "MessagesPerSecond": 1, "MessagesPerHour": 9 } ] }""", "Policy:Senders:0 has both MessagesPerSecond and MessagesPerHour; it may have one of them")]
    [InlineData("""{ "Senders": [ { "From": "a.example" } ] }""", "Policy:Senders:0 says nothing; it must have Weight, MessagesPerSecond, ")]
    public async Task What_is_wrong_stops_the_start_and_is_said_with_its_name(string json, string expected)
    {
        using var folder = new TempFolder("policy");
        var path = folder.Write("policy.json", json);
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(() => QueueUnderTest.StartAsync(new() { ["Queue:PolicyFile"] = path }));
        Assert.Contains(failure.Failures, said => said.StartsWith($"Queue:PolicyFile is '{path}': {expected}", StringComparison.Ordinal));
    }
}
