using MailPipeline.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>
/// RFC 5321 §5.1: where we are an MX ourselves, no host of our preference or a higher number is used, whatever was tried or has failed before.
/// </summary>
public sealed class OwnPreferenceTests
{
    /// <summary>Ours where a test says so.</summary>
    private const string Declared = "203.0.113.5";

    [Theory]
    [InlineData("localhost")]
    [InlineData("127.0.0.1")]
    [InlineData("alias.example.net")]
    [InlineData("interface.example.net")]
    public async Task A_host_as_good_as_ourselves_is_never_used(string own)
    {
        for (var i = 0; i < 20; i++)
        {
            await using var bench = Strict(i);
            bench.Dns.WithMx(Bench.Domain, (10, "equal.example.net"), (10, own), (20, "worse.example.net"));
            for (var attempt = 0; attempt < 3; attempt++)
                Assert.Equal(["Failed 5.4.6"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        }
    }

    [Theory]
    [InlineData("localhost")]
    [InlineData("alias.example.net")]
    [InlineData("interface.example.net")]
    public async Task A_better_host_that_DNS_says_nothing_about_is_waited_for_at_each_attempt(string own)
    {
        await using var bench = Strict();
        bench.Dns.WithMx(Bench.Domain, (10, "better.example.net"), (20, own), (30, "worse.example.net")).WithFailure("better.example.net");
        for (var attempt = 0; attempt < 3; attempt++)
            Assert.Equal(["Deferred 4.4.3"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.DoesNotContain(bench.Dns.Questions, question => question.EndsWith("worse.example.net", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("own.example.net")]
    [InlineData("alias.example.net")]
    public async Task A_better_host_that_cannot_be_reached_is_waited_for_at_each_attempt(string own)
    {
        await using var bench = new Bench(options =>
        {
            options.Port = FreePorts.Next();
            options.OwnNames = ["own.example.net"];
            options.OwnAddresses = [Declared];
        });
        bench.Dns.WithMx(Bench.Domain, (10, "better.example.net"), (20, own))
            .WithAddress("better.example.net", "127.0.1.9").WithAddress("alias.example.net", Declared);
        for (var attempt = 0; attempt < 3; attempt++)
            Assert.Equal(["Deferred 4.4.1"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
    }

    [Theory]
    [InlineData("localhost", "5.4.4")]
    [InlineData("alias.example.net", "5.4.6")]
    public async Task Better_hosts_are_used_when_they_are_all_there_is_before_ourselves(string own, string otherwise)
    {
        await using var bench = Strict();
        var better = MachineAddresses.Other(3);
        bench.Dns.WithMx(Bench.Domain, (5, "better"), (10, own), (10, "equal.example.net")).WithAddress("better", better);
        Assert.Equal(better, (await bench.Resolver.ResolveToAddressAsync(Bench.Domain)).First?.ToString());
        // Nobody has to know what stands behind a host that has an address.
        Assert.Equal(["A better", "AAAA better", "MX example.net"], bench.Dns.Questions.Order());

        bench.Dns.WithAddress("gone").WithMx("gone.example.net", (5, "gone"), (10, own));
        Assert.Equal(otherwise, (await bench.Resolver.ResolveToAddressAsync("gone.example.net")).Failure?.Status);
    }

    [Fact]
    public async Task A_host_that_DNS_said_nothing_about_is_ourselves_as_soon_as_DNS_says_so()
    {
        await using var bench = new Bench(options => options.OwnAddresses = [Declared], new FakeTimeProvider());
        bench.Dns.WithMx(Bench.Domain, (10, "alias.example.net"), (20, "worse.example.net"))
            .WithFailure("alias.example.net").WithAddress("worse.example.net", MachineAddresses.Other(2));
        Assert.Equal(MachineAddresses.Other(2), (await bench.Resolver.ResolveToAddressAsync(Bench.Domain)).First?.ToString());

        bench.Clock.Advance(bench.DnsOptions.FailureTime);
        bench.Dns.WithAddress("alias.example.net", Declared);
        Assert.Equal("5.4.6", (await bench.Resolver.ResolveToAddressAsync(Bench.Domain)).Failure?.Status);
    }

    private static Bench Strict(int seed = 1)
    {
        var bench = new Bench(
            options =>
            {
                options.LocalAddresses = AddressRule.Refuse;
                options.OwnAddresses = seed % 2 == 0 ? [] : [Declared];
            },
            random: new Random(seed));
        bench.Dns.WithAddress("alias.example.net", seed % 2 == 0 ? "127.3.2.1" : Declared)
            .WithAddress("interface.example.net", MachineAddresses.First)
            .WithAddress("equal.example.net", MachineAddresses.Other(1)).WithAddress("worse.example.net", MachineAddresses.Other(2));
        return bench;
    }
}
