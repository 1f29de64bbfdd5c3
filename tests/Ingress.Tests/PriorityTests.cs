using System.Text;
using MailPipeline.Mail;

namespace MailPipeline.Ingress.Tests;

/// <summary>What users call urgent (RFC 6710).</summary>
public sealed class PriorityTests
{
    [Fact]
    public async Task It_is_kept_and_stands_in_the_trace()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        Assert.Contains("250-MT-PRIORITY", await client.SayAsync("EHLO x", "250"), StringComparison.Ordinal);
        await client.SayAsync("MAIL FROM:<ann@example.com> MT-PRIORITY=-4", "250 2.1.0");
        await client.SayAsync("RCPT TO:<you@example.net>", "250 2.1.5");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("x: y\r\n\r\n.", "250 2.0.0");
        var message = await host.NextHintAsync();
        Assert.Equal((-4, true), (message.Timing!.Priority, message.Body.HasFlag(BodyType.Timing)));
        Assert.Contains("\tfor <you@example.net>\r\n\tPRIORITY -4;\r\n", Encoding.ASCII.GetString(await host.ContentAsync(message.MessageId)), StringComparison.Ordinal);
        await client.BeginAsync("ann@example.com", "carol@example.net");
        await client.SayAsync("x: y\r\n\r\n.", "250 2.0.0");
        message = await host.NextHintAsync();
        Assert.Null(message.Timing);
        Assert.DoesNotContain("PRIORITY", Encoding.ASCII.GetString(await host.ContentAsync(message.MessageId)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Strangers_have_none()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.ConnectAsync(host.Mx);
        Assert.DoesNotContain("MT-PRIORITY", await client.SayAsync("EHLO x", "250"), StringComparison.Ordinal);
        await client.SayAsync("MAIL FROM:<bob@example.net> MT-PRIORITY=9", "555 5.5.4");
    }
}
