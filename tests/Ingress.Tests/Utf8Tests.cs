using System.Text;
using MailPipeline.Mail;

namespace MailPipeline.Ingress.Tests;

/// <summary>SMTPUTF8 (RFC 6531) at the door: what of it is kept with a message, and what needs it.</summary>
public sealed class Utf8Tests
{
    /// <summary>RFC 6531 §3.6: what was said with SMTPUTF8 and needs it not is a message like any other.</summary>
    [Theory]
    [InlineData("Subject: x\r\n\r\nText", BodyType.SevenBit)]
    [InlineData("Subject: x\r\n\r\nText \u00e9", BodyType.EightBitMime)]
    [InlineData("Subject: \u00e9\r\n\r\nText", BodyType.EightBitMime | BodyType.SmtpUtf8)]
    [InlineData("Subject: x\r\n\r\n--a\r\nContent-Disposition: attachment; filename=\u00e9\r\n\r\nText", BodyType.EightBitMime | BodyType.SmtpUtf8)]
    public async Task A_message_needs_SMTPUTF8_where_its_fields_do(string content, BodyType body)
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net> BODY=8BITMIME SMTPUTF8", "250");
        await client.SayAsync("RCPT TO:<ann@example.com>", "250");
        await client.SayAsync("DATA", "354");
        await client.SendAsync(Encoding.UTF8.GetBytes(content + "\r\n.\r\n"));
        await client.ExpectAsync("250 2.0.0");
        var message = await host.NextHintAsync();
        Assert.Equal(body | BodyType.EightBitMime, message.Body | BodyType.EightBitMime);
        Assert.Contains("with UTF8SMTP id", Encoding.UTF8.GetString(await host.ContentAsync(message.MessageId)), StringComparison.Ordinal);
    }

    /// <summary>As it comes from most of the world's old programs: nobody asked for it, and no host is asked for it.</summary>
    [Fact]
    public async Task Without_the_parameter_no_octet_of_the_header_needs_it()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("Subject: gr\u00fc\u00dfe\r\n\r\nText");
        Assert.Equal(BodyType.EightBitMime, (await host.NextHintAsync()).Body);
    }

    /// <summary>By chunks, and from a user whose own name is one of them.</summary>
    [Fact]
    public async Task Addresses_of_ours_are_found_however_they_are_typed()
    {
        await using var host = await IngressHost.StartAsync();
        await host.Directory.AddDomainAsync("b\u00fccher.example");
        await host.Directory.AddAccountAsync("jos\u00e9@b\u00fccher.example", "hash");
        await using var client = await Client.GreetedAsync(host.Mx);
        await SayAsync(client, "MAIL FROM:<zo\u00eb@caf\u00e9.example> SMTPUTF8", "250");
        foreach (var same in (string[])["jos\u00e9@b\u00fccher.example", "Jose\u0301@xn--bcher-kva.example", "JOS\u00c9@BU\u0308CHER.example"])
            await SayAsync(client, $"RCPT TO:<{same}>", "250");
        foreach (var other in (string[])["jose@b\u00fccher.example", "jos\u0435\u0301@b\u00fccher.example", "j\uff4fs\u00e9@b\u00fccher.example"])
            await SayAsync(client, $"RCPT TO:<{other}>", "550 5.1.1");
        await SayAsync(client, "RCPT TO:<jos\u00e9@bucher.example>", "550 5.7.1");
        await SayAsync(client, "RCPT TO:<jos\u00e9@b\u00fc\u202echer.example>", "501 5.1.3");
        const string Content = "Subject: \u00e9\r\n\r\nText\r\n";
        await client.SendAsync(Encoding.UTF8.GetBytes($"BDAT {Encoding.UTF8.GetByteCount(Content)} LAST\r\n{Content}"));
        await client.ExpectAsync("250 2.0.0");

        var message = await host.NextHintAsync();
        Assert.Equal("zo\u00eb@xn--caf-dma.example", message.Sender);
        Assert.All(message.Recipients, recipient => Assert.EndsWith("@xn--bcher-kva.example", recipient, StringComparison.OrdinalIgnoreCase));
        Assert.Equal(BodyType.EightBitMime | BodyType.SmtpUtf8, message.Body);
    }

    [Fact]
    public async Task The_operator_turns_it_off()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:SmtpUtf8"] = "false" });
        await using var client = await Client.ConnectAsync(host.Mx);
        Assert.DoesNotContain("SMTPUTF8", await client.SayAsync("EHLO client.example.net", "250"), StringComparison.Ordinal);
        await client.SayAsync("MAIL FROM:<bob@example.net> SMTPUTF8", "555 5.5.4");
        await SayAsync(client, "MAIL FROM:<jos\u00e9@example.net>", "501 5.1.7");
    }

    private static async Task SayAsync(Client client, string command, string start)
    {
        await client.SendAsync(Encoding.UTF8.GetBytes(command + "\r\n"));
        await client.ExpectAsync(start);
    }
}
