using MailPipeline.Delivery.Routing;
using MailPipeline.Dns;
using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Delivery.Tests;

/// <summary>What becomes of mail whose DNS makes no sense, or names as hosts what is none.</summary>
public sealed class HostileDnsTests
{
    /// <summary>A name of octets that no host has.</summary>
    private static readonly byte[] s_noHost = [60, .. Enumerable.Repeat((byte)1, 60), 0];

    [Theory]
    [InlineData("the question itself")]
    [InlineData("garbage")]
    [InlineData("data longer than the message")]
    public async Task Mail_waits_for_a_domain_whose_DNS_makes_no_sense(string kind)
    {
        await using var server = new HostileDnsServer(question => [kind switch
        {
            "the question itself" => question,
            "garbage" => [.. Enumerable.Range(0, 200).Select(i => (byte)(i * 37))],
            _ => DnsWire.Reply(question, DnsWire.Record(DnsWire.Asked, DnsWire.A, DnsWire.Address, length: 400)),
        }]);
        await using var host = await DeliveryHost.StartAsync(new()
        {
            ["Dns:Servers"] = $"{server.EndPoint}",
            ["Dns:Timeout"] = "00:00:00.1",
            ["Dns:Retries"] = "0",
        });
        var report = await host.DeliverAsync(await host.QueueAsync("Subject: x\r\n\r\n"u8.ToArray(), "user@example.net"));
        var result = Assert.Single(report.Results);
        Assert.Equal((AttemptOutcome.Deferred, "4.4.3"), (result.Outcome, result.Status));
        Assert.StartsWith($"DNS gave no answer for the MX of the domain ({server.EndPoint} ", result.Reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_domain_whose_only_MX_can_name_no_host_is_not_its_own_host()
    {
        await using var server = new HostileDnsServer(question => [DnsWire.Reply(question, DnsWire.Record(DnsWire.Asked, DnsWire.Mx, [0, 1, .. s_noHost]))]);
        Assert.Equal(
            (true, "5.4.4"),
            await ResolveAtAsync(server, resolver => resolver.ResolveToAddressAsync(Bench.Domain)) is { Failure: { } failure } ? (failure.IsPermanent, failure.Status) : default);
    }

    [Fact]
    public async Task A_null_MX_beside_a_name_that_is_no_host_does_not_say_that_the_domain_takes_no_mail()
    {
        await using var server = new HostileDnsServer(question => [DnsWire.Reply(
            question, DnsWire.Record(DnsWire.Asked, DnsWire.Mx, [0, 0, 0]), DnsWire.Record(DnsWire.Asked, DnsWire.Mx, [0, 1, .. s_noHost]))]);
        Assert.Equal("5.4.4", (await ResolveAtAsync(server, resolver => resolver.ResolveToAddressAsync(Bench.Domain))).Failure?.Status);
    }

    [Fact]
    public async Task Hosts_come_by_preference_wherever_they_stand_in_the_answer()
    {
        byte[][] exchanges = [.. Enumerable.Range(0, 60).Select(i => DnsWire.Record(DnsWire.Asked, DnsWire.Mx, [0, (byte)(100 - i), .. DnsWire.Name($"h{i}")]))];
        await using var server = new HostileDnsServer(question => [DnsWire.Reply(question, exchanges)]);
        var hosts = (await ResolveAtAsync(server, resolver => resolver.ResolveAsync(Bench.Domain))).Hosts;
        Assert.Equal(Enumerable.Range(0, 60).Reverse().Select(i => $"h{i}"), hosts.Select(host => host.Name));
    }

    private static async Task<Resolution> ResolveAtAsync(HostileDnsServer server, Func<MxResolver, Task<Resolution>> resolveAsync)
    {
        await using var bench = new Bench();
        var settings = new Dictionary<string, string?> { ["Dns:Servers"] = $"{server.EndPoint}", ["Dns:Timeout"] = "30s", ["Dns:Retries"] = "0" };
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(settings).Build());
        services.AddDns();
        await using var provider = services.BuildServiceProvider();
        return await resolveAsync(bench.ResolverFor(provider.GetRequiredService<IDnsLookup>()));
    }
}
