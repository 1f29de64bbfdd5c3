using MailPipeline.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

public sealed class ClientNetworkCheckTests
{
    private static readonly Dictionary<string, string> s_refused = new() { ["Ingress:Checks:ClientNetwork:Refused:0"] = "127.0.0.0/8" };

    [Fact]
    public async Task A_listed_network_is_greeted_with_554_and_heard_until_it_quits()
    {
        await using var host = await IngressHost.StartAsync(s_refused);
        using var verdicts = host.Metric<long>("mailpipeline.ingress.check_verdicts");
        await using var client = await Client.ConnectAsync(host.Mx, "554 5.7.1");
        await client.SayAsync("EHLO client.example.net", "503 5.5.1");
        await client.SayAsync("MAIL FROM:<bob@example.net>", "503 5.5.1");
        await client.SayAsync("WHATEVER", "503 5.5.1");
        await client.SayAsync("QUIT", "221");
        await client.ExpectEndAsync();
        var said = Assert.Single(verdicts.GetMeasurementSnapshot());
        Assert.Equal(("client_network", "reply"), (said.Tags["check"], said.Tags["verdict"]));
    }

    [Fact]
    public async Task Who_does_not_quit_is_ended_by_its_errors()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string>(s_refused) { ["Ingress:MaxErrors"] = "2" });
        await using var client = await Client.ConnectAsync(host.Mx, "554 5.7.1");
        await client.SayAsync("EHLO x", "503");
        await client.SayAsync("EHLO x", "503");
        await client.ExpectAsync("421 4.7.0");
        await client.ExpectEndAsync();
    }

    [Theory]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("::ffff:127.0.0.0/104")]
    [InlineData("::ffff:0:0/96")]
    public async Task An_IPv4_network_is_known_in_the_spelling_of_IPv6_too(string network)
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:Checks:ClientNetwork:Refused:0"] = network });
        await using var client = await Client.ConnectAsync(host.Mx, "554 5.7.1");
    }

    [Fact]
    public async Task Who_was_turned_away_is_not_waited_for_as_others_are()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var host = await IngressHost.StartAsync(s_refused, time);
        await using var client = await Client.ConnectAsync(host.Mx, "554 5.7.1");
        // All steps together are far from the five minutes of other sessions.
        await Eventually.EndsAsync(
            client.ExpectAsync("421 4.4.2"), () => time.Advance(TimeSpan.FromSeconds(1)), TestContext.Current.CancellationToken);
        Assert.True(time.GetUtcNow() - time.Start < TimeSpan.FromMinutes(4), "It is waited for.");
        await client.ExpectEndAsync();
    }

    [Theory]
    [InlineData("Ingress:Checks:ClientNetwork:Except:0", "127.0.0.1")]
    [InlineData("Ingress:Checks:ClientNetwork:Except:0", "::ffff:127.0.0.1")]
    [InlineData("Ingress:Checks:ClientNetwork:Listeners", "Submission")]
    [InlineData("Ingress:Checks:ClientNetwork:Listeners", "None")]
    [InlineData("Ingress:Checks:ClientNetwork:Refused:0", "192.0.2.0/24")]
    public async Task Others_are_let_through(string setting, string value)
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string>(s_refused) { [setting] = value });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("x: y\r\n");
    }

    [Theory]
    [InlineData("Submission", "220", "554 5.7.1", "554 5.7.1")]
    [InlineData("Mx Submission", "554 5.7.1", "554 5.7.1", "554 5.7.1")]
    [InlineData("inner", "220", "554 5.7.1", "220")]
    [InlineData("INNER,mx", "554 5.7.1", "554 5.7.1", "220")]
    public async Task A_listener_that_is_named_refuses_and_the_others_do_not(string listeners, string mx, string submission, string submissions)
    {
        await using var host = await IngressHost.StartAsync(
            new Dictionary<string, string>(s_refused)
            {
                ["Ingress:Checks:ClientNetwork:Listeners"] = listeners,
                ["Ingress:Listeners:1:Name"] = "inner",
                ["Ingress:Listeners:2:Name"] = "outer",
                ["Ingress:Listeners:2:Tls"] = "StartTls",
            });
        await using var toMx = await Client.ConnectAsync(host.Mx, mx);
        await using var toInner = await Client.ConnectAsync(host.Submission, submission);
        await using var toOuter = await Client.ConnectAsync(host.Submissions, submissions);
    }
}
