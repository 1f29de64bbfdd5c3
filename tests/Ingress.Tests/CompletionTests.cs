using System.Text;
using MailPipeline.Mail;
using MimeKit;

namespace MailPipeline.Ingress.Tests;

/// <summary>Messages of our own users are completed at the submission port, and nobody's at the door for other servers (RFC 6409 §8).</summary>
public sealed class CompletionTests
{
    [Fact]
    public async Task A_submitted_message_gets_date_and_id_behind_the_trace_and_the_users_bytes_stay()
    {
        await using var host = await IngressHost.StartAsync();
        var accepted = await SubmitAsync(host, "From: ann@example.com\r\nSubject:  two  spaces \r\n\r\n..dot\r\n");
        var content = Encoding.Latin1.GetString(await host.ContentAsync(accepted.MessageId));
        Assert.Matches(
            @"\AReceived: [^\r]*(\r\n\t[^\r]*)+\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r\nMessage-ID: <[0-9A-Z]+\.[0-9a-f]+@mx\.example\.com>\r\n" +
            @"From: ann@example\.com\r\nSubject:  two  spaces \r\n\r\n\.dot\r\n\z", content);
        Assert.Equal(content.Length, accepted.SizeBytes);
    }

    [Fact]
    public async Task What_is_no_header_becomes_the_body()
    {
        await using var host = await IngressHost.StartAsync();
        // Quoted trace fields are no hops.
        var text = "Hello Bob,\r\n" + string.Concat(Enumerable.Repeat("Received: this and that\r\n", 200));
        using var message = await ReadAsync(host, await SubmitAsync(host, text));
        Assert.Equal(text, Assert.IsType<TextPart>(message.Body).Text.ReplaceLineEndings("\r\n"));
        Assert.Equal(["Received", "From", "Date", "MessageId"], message.Headers.Select(header => header.Id.ToString()).Where(id => !id.StartsWith("Mime", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task What_follows_the_fields_without_an_empty_line_becomes_the_body()
    {
        await using var host = await IngressHost.StartAsync();
        // Quoted trace fields are no hops here, either.
        var text = "Hello there\r\nDate: in the text\r\n" + string.Concat(Enumerable.Repeat("Received: this and that\r\n", 200));
        using var message = await ReadAsync(host, await SubmitAsync(host, "Subject: no blank\r\n" + text));
        Assert.Equal(text, Assert.IsType<TextPart>(message.Body).Text.ReplaceLineEndings("\r\n"));
        Assert.Equal(["Received", "From", "Date", "MessageId", "Subject"], message.Headers.Select(header => header.Id.ToString()).Where(id => !id.StartsWith("Mime", StringComparison.Ordinal)));
        Assert.NotEqual(default, message.Date);
    }

    [Fact]
    public async Task A_complete_message_gets_nothing_but_the_trace()
    {
        await using var host = await IngressHost.StartAsync();
        const string Complete = "message-id: <1@x>\r\nDATE: x\r\nFROM: ann@example.com\r\n\r\nbody\r\n";
        Assert.Equal(Complete, Encoding.Latin1.GetString(await host.ReceivedContentAsync((await SubmitAsync(host, Complete)).MessageId)));
    }

    [Fact]
    public async Task Bare_line_feeds_of_a_user_become_line_ends_and_smuggle_nothing()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("ann@example.com", "carol@example.net");
        // As Python's smtplib sends a file of this system: dots are stuffed where lines begin for it.
        await client.SendAsync("From: ann@example.com\nMessage-ID: <1@x>\nDate: x\nSubject: y\n\nfirst\n..second\n.\r\nMAIL FROM:<evil@example.com>\n");
        await client.SayAsync("last\r\n.", "250 2.0.0");
        await client.SayAsync("NOOP", "250");
        var accepted = await host.NextHintAsync();
        Assert.Equal("ann@example.com", accepted.Sender);
        Assert.Equal(
            "From: ann@example.com\r\nMessage-ID: <1@x>\r\nDate: x\r\nSubject: y\r\n\r\nfirst\r\n.second\r\n\r\nMAIL FROM:<evil@example.com>\r\nlast\r\n",
            Encoding.Latin1.GetString(await host.ReceivedContentAsync(accepted.MessageId)));
    }

    [Theory]
    [InlineData("a\rb", "550 5.6.0")]
    [InlineData("a\n.\rb", "550 5.6.0")]
    [InlineData("a\0b\n", "550 5.6.0 Message contains NUL")]
    public async Task A_bare_cr_and_nul_are_refused_from_users_too(string text, string reply)
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("ann@example.com", "carol@example.net");
        await client.SayAsync("Subject: x\n\n" + text + "\r\n.", reply);
        // In the header as well, which is held back until it ends.
        await client.BeginAsync("ann@example.com", "carol@example.net");
        await client.SayAsync("Subject: " + text + "\r\n.", reply);
    }

    [Fact]
    public async Task A_header_longer_than_is_held_back_arrives_whole_and_as_it_was()
    {
        await using var host = await IngressHost.StartAsync();
        var content = string.Concat(Enumerable.Range(0, 10_000).Select(i => $"X-Field-{i}: value\r\n")) + "From: ann@example.com\r\n\r\nbody\r\n";
        Assert.Equal(content, Encoding.Latin1.GetString(await host.ReceivedContentAsync((await SubmitAsync(host, content)).MessageId)));
    }

    [Fact]
    public async Task Loops_and_sizes_are_counted_in_what_was_completed()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:MaxMessageBytes"] = "65536" });
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("ann@example.com", "carol@example.net");
        await client.SayAsync(string.Concat(Enumerable.Repeat("Received: x\n", 101)) + "\n\r\n.", "554 5.4.6");
        await client.BeginAsync("ann@example.com", "carol@example.net");
        // 40,000 octets as they come; each line end counts twice.
        await client.SayAsync("Subject: x\n\n" + new string('\n', 40_000) + "\r\n.", "552 5.3.4");
        await client.BeginAsync("ann@example.com", "carol@example.net");
        await client.SayAsync("Subject: x\n\n" + new string('\n', 30_000) + "\r\n.", "250 2.0.0");
    }

    [Fact]
    public async Task The_door_for_other_servers_changes_nothing()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("Hello");
        Assert.Equal("Hello\r\n", Encoding.Latin1.GetString(await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId)));
        await client.MessageAsync("Subject: x\n\nbody", "550 5.6.0 Message contains bare <CR> or <LF>");
    }

    [Fact]
    public async Task An_operator_switches_it_off()
    {
        await using var host = await IngressHost.StartAsync(
            new Dictionary<string, string> { ["Ingress:AddMissingFields"] = "false", ["Ingress:RepairLineEnds"] = "false" });
        var accepted = await SubmitAsync(host, "From: ann@example.com\r\nHello\r\n");
        Assert.Equal("From: ann@example.com\r\nHello\r\n", Encoding.Latin1.GetString(await host.ReceivedContentAsync(accepted.MessageId)));
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("ann@example.com", "carol@example.net");
        await client.SayAsync("Subject: x\n\nbody\r\n.", "550 5.6.0 Message contains bare <CR> or <LF>");
    }

    private static async Task<Envelope> SubmitAsync(IngressHost host, string content)
    {
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("ann@example.com", "carol@example.net");
        await client.SayAsync(content + ".", "250 2.0.0");
        return await host.NextHintAsync();
    }

    private static async Task<MimeMessage> ReadAsync(IngressHost host, Envelope accepted) =>
        await MimeMessage.LoadAsync(new MemoryStream(await host.ContentAsync(accepted.MessageId)), Deadline.Token);
}
