using System.Text;
using MailPipeline.Mail;

namespace MailPipeline.Ingress.Tests;

/// <summary>What senders ask of TLS on the way of a message (RFC 8689).</summary>
public sealed class RequireTlsTests
{
    [Fact]
    public async Task REQUIRETLS_is_offered_under_TLS_alone_and_kept()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.ConnectAsync(host.Mx);
        Assert.DoesNotContain("REQUIRETLS", await client.SayAsync("EHLO x", "250"), StringComparison.Ordinal);
        await client.SayAsync("MAIL FROM:<bob@example.net> REQUIRETLS", "555 5.5.4");
        await client.SayAsync("STARTTLS", "220");
        await client.StartTlsAsync();
        Assert.Contains("REQUIRETLS", await client.SayAsync("EHLO x", "250"), StringComparison.Ordinal);
        await client.SayAsync("MAIL FROM:<bob@example.net> REQUIRETLS=1", "501 5.5.4");
        await client.SayAsync("MAIL FROM:<bob@example.net> REQUIRETLS REQUIRETLS", "501 5.5.4");
        await client.SayAsync("MAIL FROM:<bob@example.net> requiretls", "250 2.1.0");
        await client.SayAsync("RCPT TO:<ann@example.com>", "250");
        await client.SayAsync("DATA", "354");
        // RFC 8689 §3: the parameter counts over the field.
        await client.SayAsync("TLS-Required: No\r\n\r\n.", "250 2.0.0");
        Assert.Equal(BodyType.RequireTls, (await host.NextHintAsync()).Body);
    }

    [Fact]
    public async Task The_operator_turns_it_off()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:RequireTls"] = "false" });
        await using var client = await Client.ConnectAsync(host.Mx);
        await client.SayAsync("EHLO x", "250");
        await client.SayAsync("STARTTLS", "220");
        await client.StartTlsAsync();
        Assert.DoesNotContain("REQUIRETLS", await client.SayAsync("EHLO x", "250"), StringComparison.Ordinal);
        await client.SayAsync("MAIL FROM:<bob@example.net> REQUIRETLS", "555 5.5.4");
    }

    [Theory]
    [InlineData("TLS-Required: No\r\n\r\nText", true)]
    [InlineData("Subject: x\r\ntls-required:no\r\nTo: y\r\n\r\nText", true)]
    [InlineData("TLS-Required :\r\n\tNO \r\n\r\nText", true)]
    [InlineData("TLS-Required: No", true)]
    [InlineData("TLS-Required: No way\r\n\r\nText", false)]
    [InlineData("TLS-Required: N\r\n\r\nText", false)]
    [InlineData("TLS-Required:\r\n\r\nText", false)]
    [InlineData("TLS-Required: Yes\r\n\r\nText", false)]
    [InlineData("TLS-Required: No\r\nTLS-Required: No\r\n\r\nText", false)]
    [InlineData("TLS-RequiredX: No\r\n\r\nText", false)]
    [InlineData("X-TLS-Required: No\r\n\r\nText", false)]
    [InlineData("Subject: x\r\n TLS-Required: No\r\n\r\nText", false)]
    [InlineData("Subject: x\r\n\r\nTLS-Required: No\r\n\r\nText", false)]
    public async Task The_field_that_gives_TLS_up_is_found_however_it_comes(string content, bool isOptional)
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        foreach (var piece in (int[])[1, 7, 10_000])
        {
            await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
            await client.SayAsync("RCPT TO:<ann@example.com>", "250");
            await client.SayAsync("DATA", "354");
            foreach (var some in Encoding.ASCII.GetBytes(content + "\r\n.\r\n").Chunk(piece))
                await client.SendAsync(some);
            await client.ExpectAsync("250 2.0.0");
            Assert.Equal(isOptional ? BodyType.TlsOptional : BodyType.SevenBit, (await host.NextHintAsync()).Body);
        }
    }
}
