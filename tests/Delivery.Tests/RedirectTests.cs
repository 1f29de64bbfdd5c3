using MailPipeline.Delivery.Routing;

namespace MailPipeline.Delivery.Tests;

/// <summary>Mail that an operator leads elsewhere than to the hosts of its domain.</summary>
public sealed class RedirectTests
{
    [Fact]
    public async Task It_is_resolved_to_where_it_is_led_and_never_to_the_hosts_of_the_domain()
    {
        await using var bench = new Bench();
        bench.Dns.WithMx(Bench.Domain, (10, "mx.example.net")).WithAddress("mx.example.net", "192.0.2.10").WithAddress("backup.example", "192.0.2.20");
        var led = await bench.Resolver.ResolveToAddressAsync(Bench.Domain, "backup.example:2525");
        Assert.Equal(("backup.example", 2525, "192.0.2.20"), (led.Hosts[0].Name, led.Hosts[0].Port, led.First!.ToString()));
        // Where that has no address, or is not to be read, it waits.
        Assert.Equal((false, "4.4.4"), await FailureAsync("nowhere.example:25"));
        Assert.Equal((false, "4.4.3"), await FailureAsync("what:is:this"));

        async Task<(bool, string)> FailureAsync(string hop) =>
            await bench.Resolver.ResolveToAddressAsync(Bench.Domain, hop) is { Failure: { } failure, Hosts.Count: 0 } ? (failure.IsPermanent, failure.Status) : default;
    }

    [Fact]
    public async Task A_batch_for_another_next_hop_is_spoken_there_and_reports_no_site()
    {
        await using var server = new ScriptedServer(
            """
            S: 220 backup.example
            C: EHLO client.example.com
            S: 250 backup.example
            C: MAIL FROM:<sender@example.com>
            S: 250 Ok
            C: RCPT TO:<user1@example.net>
            S: 250 Ok
            C: DATA
            S: 354 Go on
            C: one
            C: .
            S: 250 2.0.0 Kept
            C: QUIT
            S: 221 Bye
            """);
        await using var bench = new Bench();
        bench.Commanded = command => command with { RedirectTo = $"127.0.0.1:{server.Port}", EndsConnection = true };
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        await server.FinishAsync();
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.Equal("", report.Site);
        Assert.True(report.IsRedirected);
    }
}
