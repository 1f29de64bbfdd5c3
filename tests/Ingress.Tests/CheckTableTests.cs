using MailPipeline.Ingress.Checks;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Ingress.Tests;

/// <summary>The order of the checks, where more than one has something to say.</summary>
public sealed class CheckTableTests
{
    [Fact]
    public async Task Who_is_put_off_anyway_hears_that_first()
    {
        await using var host = await IngressHost.StartAsync(
            new Dictionary<string, string> { ["Ingress:MaxUnrouted"] = "1", ["Ingress:Checks:LocalSender:Policy"] = "Refuse" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<ann@example.com>", "550 5.7.1");
        await client.MessageAsync("one");
        await host.NextHintAsync();
        await host.Services.GetRequiredService<Backpressure>().LookAsync(TestContext.Current.CancellationToken);
        await client.SayAsync("MAIL FROM:<ann@example.com>", "451 4.3.2");
    }

    [Fact]
    public async Task The_host_s_postmaster_is_taken_before_anybody_asks_who_may_relay()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:Postmaster"] = "ann@example.com" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        // mx.example.com is this host's name, and no domain of ours.
        await client.SayAsync("RCPT TO:<ann@mx.example.com>", "550 5.7.1");
        await client.SayAsync("RCPT TO:<nobody@example.com>", "550 5.1.1");
        await client.SayAsync("RCPT TO:<nobody@elsewhere.example>", "550 5.7.1");
        await client.SayAsync("RCPT TO:<ann@[192.0.2.1]>", "550 5.7.1");
        await client.SayAsync("RCPT TO:<postmaster@mx.example.com>", "250");
        await client.SayAsync("RCPT TO:<Postmaster>", "250");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("x: y\r\n.", "250");
        Assert.Equal(["ann@example.com"], (await host.NextHintAsync()).Recipients);
    }
}
