using System.Text;

namespace MailPipeline.Ingress.Tests;

/// <summary>Whom a submitted message may say that it is from, what is put in, and that blind copies stay blind (RFC 6409 §8).</summary>
public sealed class OwnAuthorCheckTests
{
    private const string Complete = "Date: x\r\nMessage-ID: <1@x>\r\n";

    [Theory]
    [InlineData("From: ann@example.com", "250")]
    [InlineData("from : ANN@Example.COM", "250")]
    [InlineData("From: \"Ann, of sales\"\r\n <sales@example.com> (that is me)", "250")]
    [InlineData("From: ann+lists@example.com", "250")]
    [InlineData("From: whoever@example.org", "250")]
    [InlineData("From: =?utf-8?q?J=C3=B6rg?= <\"ann\"@example.com>", "250")]
    [InlineData("From: J\u00F6rg M. <ann@example.com>", "250")]
    [InlineData("From: Us: ann@example.com, sales@example.com;", "250")]
    [InlineData("From: ann@example.com, sales@example.com\r\nSender: ann@example.com", "250")]
    [InlineData("From: <@a.example,@b.example:ann@example.com>", "250")]
    [InlineData("From: (c) ann (x) @ (y) example.com", "250")]
    [InlineData("From: ceo@example.com", "550 5.7.1 The From field names ceo@example.com, which is no address of yours")]
    [InlineData("From: \"ann@example.com\" <president@example.net>", "550 5.7.1 The From field names president@example.net, which is no address of yours")]
    [InlineData("From: ann@example.com, bob@example.net", "550 5.7.1 The From field names bob@example.net, which is no address of yours")]
    [InlineData("From: Us: ann@example.com, bob@example.net;", "550 5.7.1 The From field names bob@example.net, which is no address of yours")]
    [InlineData("From: bob@example.net\r\nSender: ann@example.com", "550 5.7.1 The From field names bob@example.net, which is no address of yours")]
    [InlineData("From: bob@example.net\r\nResent-From: ann@example.com", "550 5.7.1 The From field names bob@example.net, which is no address of yours")]
    [InlineData("From: ann@example.com\r\nSender: bob@example.net", "550 5.7.1 The Sender field names bob@example.net, which is no address of yours")]
    [InlineData("From: ann@ex\u00E4mple.com", "550 5.7.1 The From field names ann@xn--exmple-cua.com, which is no address of yours")]
    [InlineData("From: j\u00F6rg@example.com", "550 5.7.1 The From field names j?rg@example.com, which is no address of yours")]
    [InlineData("From: ann@example.com\r\nFrom: ann@example.com", "550 5.7.1 The message has more than one From or Sender field")]
    [InlineData("From: ann@example.com\r\nX: y\r\nfrom\t:bob@example.net", "550 5.7.1 The message has more than one From or Sender field")]
    [InlineData("From: ann@example.com\r\nSender: ann@example.com\r\nSender: ann@example.com", "550 5.7.1 The message has more than one From or Sender field")]
    [InlineData("From: ann@example.com\r\nSender: ann@example.com, sales@example.com", "550 5.7.1 The Sender field must be one address")]
    [InlineData("From: ann@example.com\r\nSender:", "550 5.7.1 The Sender field must be one address")]
    [InlineData("From:", "550 5.7.1 The From field must be one or more addresses")]
    [InlineData("From: undisclosed:;", "550 5.7.1 The From field must be one or more addresses")]
    [InlineData("From: Ann", "550 5.7.1 The From field must be one or more addresses")]
    [InlineData("From: ann@example.com <ann@example.com>", "250")]
    [InlineData("From: bob@example.net <ann@example.com>", "550 5.7.1 The From field names bob@example.net, which is no address of yours")]
    [InlineData("From: ann@example.com <bob@example.net>", "550 5.7.1 The From field names bob@example.net, which is no address of yours")]
    [InlineData("From: ann@example.com, bob@example.net <ann@example.com> x", "550 5.7.1 The From field must be one or more addresses")]
    [InlineData("From: ann@example.com bob@example.net", "550 5.7.1 The From field must be one or more addresses")]
    [InlineData("From: Ann <ann@example.com> <bob@example.net>", "550 5.7.1 The From field must be one or more addresses")]
    // A group that is not ended, or within another: whoever parses forgivingly does not see who is in it.
    [InlineData("From: ann@example.com, CEO: ceo@example.net <ceo@example.net>", "550 5.7.1 The From field must be one or more addresses")]
    [InlineData("From: ann@example.com, A: b: ceo@example.net", "550 5.7.1 The From field must be one or more addresses")]
    [InlineData("From: ((((ann@example.com", "550 5.7.1 The From field must be one or more addresses")]
    public async Task From_and_Sender_are_the_users_own(string fields, string reply)
    {
        await using var host = await StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        var content = Encoding.UTF8.GetBytes($"{Complete}{fields}\r\n\r\ny\r\n");
        await client.BeginAsync("ann@example.com", "joe@example.net");
        await client.SendAsync((byte[])[.. content, .. ".\r\n"u8]);
        await client.ExpectAsync(reply);
        // In chunks it is the same.
        await client.SayAsync("MAIL FROM:<ann@example.com>", "250");
        await client.SayAsync("RCPT TO:<joe@example.net>", "250");
        await client.SendAsync((byte[])[.. "BDAT 20\r\n"u8, .. content[..20]]);
        await client.ExpectAsync("250");
        await client.SendAsync((byte[])[.. Encoding.ASCII.GetBytes($"BDAT {content.Length - 20} LAST\r\n"), .. content[20..]]);
        await client.ExpectAsync(reply);
        if (reply == "250")
        {
            Assert.Equal(content, await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId));
            Assert.Equal(content, await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId));
        }
    }

    [Fact]
    public async Task A_field_too_long_to_be_read_is_refused_and_a_long_header_is_not()
    {
        await using var host = await StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("ann@example.com", "joe@example.net");
        await client.SayAsync($"{Complete}From:{string.Concat(Enumerable.Range(0, 50).Select(i => $" user{i}@example.org,\r\n"))} ann@example.com\r\n\r\ny\r\n.", "550 5.7.1 The From field names more than 50 addresses");
        var many = string.Concat(Enumerable.Repeat(" ann@example.com,\r\n", 1000)) + " ann@example.com";
        await client.BeginAsync("ann@example.com", "joe@example.net");
        await client.SayAsync($"{Complete}From:{many}\r\n\r\ny\r\n.", "550 5.7.1 The From or Sender field is longer than 16384 octets");
        await client.BeginAsync("ann@example.com", "joe@example.net");
        await client.SayAsync($"{Complete}To:{string.Concat(Enumerable.Repeat(" somebody@example.net,\r\n", 5000))} x@example.net\r\nFrom: bob@example.net\r\n\r\ny\r\n.", "550 5.7.1 The From field names bob");
        await client.BeginAsync("ann@example.com", "joe@example.net");
        await client.SayAsync($"{Complete}To:{string.Concat(Enumerable.Repeat(" somebody@example.net,\r\n", 5000))} x@example.net\r\nFrom: ann@example.com\r\n\r\ny\r\n.", "250");
    }

    [Theory]
    [InlineData("ann@example.com", "From: ann@example.com\r\n")]
    [InlineData("sales@example.com", "From: sales@example.com\r\n")]
    [InlineData("", "From: ann@example.com\r\n")]
    public async Task A_message_without_From_gets_the_sender_or_the_user(string sender, string from)
    {
        await using var host = await StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync(sender, "joe@example.net");
        await client.SayAsync($"{Complete}Subject: x\r\n\r\nFrom: text\r\n.", "250");
        var message = await host.NextHintAsync();
        var content = Encoding.Latin1.GetString(await host.ReceivedContentAsync(message.MessageId));
        Assert.Equal($"{from}{Complete}Subject: x\r\n\r\nFrom: text\r\n", content);
        Assert.Equal(message.SizeBytes, (await host.ContentAsync(message.MessageId)).Length);
    }

    [Fact]
    public async Task Where_nothing_is_put_in_a_message_without_From_is_refused()
    {
        await using var host = await StartAsync(("Ingress:AddMissingFields", "false"));
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("ann@example.com", "joe@example.net");
        await client.SayAsync("Subject: x\r\n\r\ny\r\n.", "550 5.7.1 The message has no From field");
        // What a reader takes for a field is one, behind a line that is none.
        await client.BeginAsync("ann@example.com", "joe@example.net");
        await client.SayAsync("From: ann@example.com\r\nno field\r\nFrom: bob@example.net\r\n\r\ny\r\n.", "550 5.7.1 The message has more than one");
        await client.BeginAsync("ann@example.com", "joe@example.net");
        await client.SayAsync("From: ann@example.com\r\nno field\r\nBcc: bob@example.net\r\n\r\ny\r\n.", "250");
        Assert.Equal("From: ann@example.com\r\nno field\r\n\r\ny\r\n", Encoding.Latin1.GetString(await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId)));
    }

    [Theory]
    [InlineData("OwnAuthor", true)]
    [InlineData("OwnSender", true)]
    [InlineData("", false)]
    public async Task Users_write_as_anybody_where_the_operator_allows_it(string check, bool isAllowed)
    {
        await using var host = await StartAsync(isAllowed ? [($"Ingress:Checks:{check}:AllowForeign", "true")] : []);
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("ann@example.com", "joe@example.net");
        await client.SayAsync("From: bob@example.net\r\nFrom: x\r\nBcc: eve@example.net\r\n\r\ny\r\n.", isAllowed ? "250" : "550 5.7.1");
        if (isAllowed)
            Assert.DoesNotContain("eve", Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_may_send_as_anybody_may_still_be_kept_from_writing_as_anybody()
    {
        await using var host = await StartAsync(("Ingress:Checks:OwnSender:AllowForeign", "true"), ("Ingress:Checks:OwnAuthor:AllowForeign", "false"));
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("bob@example.net", "joe@example.net");
        await client.SayAsync("From: bob@example.net\r\n\r\ny\r\n.", "550 5.7.1");
    }

    [Fact]
    public async Task Blind_copies_leave_no_trace_and_the_size_is_what_is_kept()
    {
        await using var host = await StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        const string Content = Complete + "From: ann@example.com\r\nBcc: eve@example.net,\r\n\tb\u00F6b@example.net\r\nTo: joe@example.net\r\nResent-Bcc : eve@example.net\r\n\r\nBcc: text\r\n";
        const string Kept = Complete + "From: ann@example.com\r\nTo: joe@example.net\r\n\r\nBcc: text\r\n";
        await client.BeginAsync("ann@example.com", "joe@example.net");
        foreach (var letter in Content)
            await client.SendAsync($"{letter}");
        await client.SayAsync(".", "250");
        var message = await host.NextHintAsync();
        Assert.Equal(Kept, Encoding.Latin1.GetString(await host.ReceivedContentAsync(message.MessageId)));
        Assert.Equal(message.SizeBytes, (await host.ContentAsync(message.MessageId)).Length);
        Assert.Equal(Mail.BodyType.SevenBit, message.Body);

        await client.SayAsync("MAIL FROM:<ann@example.com>", "250");
        await client.SayAsync("RCPT TO:<joe@example.net>", "250");
        for (var at = 0; at < Content.Length; at += 7)
        {
            var piece = Content[at..Math.Min(at + 7, Content.Length)];
            await client.SendAsync($"BDAT {piece.Length}\r\n{piece}");
            await client.ExpectAsync("250");
        }

        await client.SayAsync("BDAT 0 LAST", "250");
        Assert.Equal(Kept, Encoding.Latin1.GetString(await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId)));
    }

    [Fact]
    public async Task Strangers_mail_stays_as_it_is()
    {
        await using var host = await StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        const string Content = "From: a@example.net\r\nFrom: b\r\nBcc: eve@example.net\r\n\r\ny\r\n";
        await client.MessageAsync(Content[..^2]);
        Assert.Equal(Content, Encoding.Latin1.GetString(await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId)));
        await client.MessageAsync("x: y\r\n\r\nz");
        Assert.Equal("x: y\r\n\r\nz\r\n", Encoding.Latin1.GetString(await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId)));
    }

    private static Task<IngressHost> StartAsync(params (string Key, string Value)[] settings) =>
        IngressHost.StartAsync(settings.ToDictionary(setting => setting.Key, setting => setting.Value));
}
