using System.Security.Cryptography;
using System.Text;
using MailPipeline.Mail;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Ingress.Tests;

public sealed class ReceivingTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Long_local_parts_of_forwarders_and_mailing_lists_are_taken()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        var sender = $"SRS0=hash=tt=example.net={new string('b', 100)}@example.net";
        var recipient = $"{new string('r', 256)}@example.org";
        await client.BeginAsync(sender, recipient);
        await client.SayAsync("x: y\r\n\r\n.", "250 2.0.0");
        var message = await host.NextHintAsync();
        Assert.Equal(sender, message.Sender);
        Assert.Equal([recipient], message.Recipients);
    }

    [Fact]
    public async Task An_accepted_message_is_in_storage_byte_for_byte_behind_a_trace_field()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        var reply = await client.MessageAsync("Subject: test\r\n\r\n..dots\r\n\u00e9ight bits");
        var message = await host.NextHintAsync();

        Assert.Equal($"250 2.0.0 Ok: queued as {MessageIds.ToText(message.MessageId)}", reply);
        Assert.Equal("bob@example.net", message.Sender);
        Assert.Equal(["ann@example.com"], message.Recipients);
        Assert.Equal(BodyType.EightBitMime, message.Body);
        var content = await host.ContentAsync(message.MessageId);
        Assert.Equal(message.SizeBytes, content.Length);
        Assert.Equal("Subject: test\r\n\r\n.dots\r\n\u00e9ight bits\r\n", Encoding.Latin1.GetString(await host.ReceivedContentAsync(message.MessageId)));
        var trace = Encoding.Latin1.GetString(content).Split("\r\nSubject")[0];
        Assert.Matches(@"\AReceived: from client\.example\.net \(\[127\.0\.0\.1\]\)\r\n\tby mx\.example\.com with ESMTP id [0-9A-F]+\r\n\tfor <ann@example\.com>;\r\n\t\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\z", trace);
        await client.SayAsync("QUIT", "221");
        await client.ExpectEndAsync();
    }

    /// <summary>RFC 3461: with the hint where it stays in the process, and from storage where it does not arrive.</summary>
    [Fact]
    public async Task What_a_sender_wants_to_be_told_is_kept_with_the_message()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net> RET=HDRS ENVID=QQ1", "250");
        await client.SayAsync("RCPT TO:<ann@example.com> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;first@example.org", "250");
        await client.SayAsync("RCPT TO:<sales@example.com>", "250");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("x: y\r\n\r\n.", "250");

        const string Dsn = "RET=HDRS ENVID=QQ1\nNOTIFY=SUCCESS,DELAY ORCPT=rfc822;first@example.org\n";
        var message = await host.NextHintAsync();
        Assert.Equal(Dsn, message.Dsn!.ToText());
        Assert.Equal(BodyType.Dsn, message.Body);
        var queue = host.Services.GetRequiredService<QueueStore>();
        Assert.Equal(Dsn, Assert.Single(await queue.FindUnroutedAsync([message.MessageId], Cancellation)).Dsn!.ToText());
    }

    [Fact]
    public async Task Several_recipients_are_not_told_of_each_other_and_each_is_named_once()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<>", "250");
        await client.SayAsync("RCPT TO:<ann@example.com>", "250");
        await client.SayAsync("RCPT TO:<sales@example.com>", "250");
        await client.SayAsync("RCPT TO:<ann@EXAMPLE.com>", "250");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("x: y\r\n\r\n.", "250");
        var message = await host.NextHintAsync();
        Assert.Equal("", message.Sender);
        Assert.Equal(["ann@example.com", "sales@example.com"], message.Recipients);
        Assert.DoesNotContain("for <", Encoding.Latin1.GetString(await host.ContentAsync(message.MessageId)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_pipelined_conversation_gets_its_replies_in_order()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.ConnectAsync(host.Mx);
        await client.SendAsync("EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<nobody@example.com>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\nx: y\r\n\r\nfirst\r\n.\r\n" +
            "MAIL FROM:<a@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\nx: y\r\n\r\nsecond\r\n.\r\nQUIT\r\n");
        foreach (var start in (string[])["250", "250 2.1.0", "550 5.1.1", "250 2.1.5", "354", "250 2.0.0 Ok: queued as", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0 Ok: queued as", "221"])
            await client.ExpectAsync(start);
        await client.ExpectEndAsync();
        Assert.Contains("first", Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId)), StringComparison.Ordinal);
        Assert.Contains("second", Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_has_said_everything_and_closes_its_side_still_gets_its_replies()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.ConnectAsync(host.Mx);
        await client.SendAsync("HELO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\nx: y\r\n\r\n" +
            string.Concat(Enumerable.Repeat("12345678\r\n", 100_000)) + ".\r\nMAIL FROM:<>\r\nQUIT\r\n");
        client.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        foreach (var start in (string[])["250", "250", "250", "354", "250 2.0.0 Ok: queued as", "250", "221"])
            await client.ExpectAsync(start);
        await client.ExpectEndAsync();
    }

    [Fact]
    public async Task What_stands_behind_the_first_message_of_who_has_said_everything_is_done_too()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.ConnectAsync(host.Mx);
        const string Message = "MAIL FROM:<a@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\nx: y\r\n\r\nbody\r\n.\r\n";
        await client.SendAsync("EHLO x\r\n" + Message + Message + "QUIT\r\n");
        client.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        foreach (var start in (string[])["250", "250", "250", "354", "250 2.0.0 Ok: queued as", "250", "250", "354", "250 2.0.0 Ok: queued as", "221"])
            await client.ExpectAsync(start);
        await client.ExpectEndAsync();
    }

    [Fact]
    public async Task A_message_is_acknowledged_though_more_are_pipelined_behind_it()
    {
        const int Messages = 1000;
        await using var host = await IngressHost.StartAsync();
        var accepted = host.Metric<long>("mailpipeline.ingress.accepted");
        await using var client = await Client.GreetedAsync(host.Mx);
        var sending = client.SendAsync(string.Concat(Enumerable.Repeat(
            "MAIL FROM:<a@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\nx: y\r\n\r\nbody\r\n.\r\n", Messages)));
        for (var message = 0; message < Messages; message++)
        {
            foreach (var start in (string[])["250 2.1.0", "250 2.1.5", "354", "250 2.0.0 Ok: queued as"])
                await client.ExpectAsync(start);
            if (message == 0)
                Assert.InRange(accepted.GetMeasurementSnapshot().Sum(measurement => measurement.Value), 1, Messages / 4);
        }

        await sending;
    }

    [Fact]
    public async Task One_octet_at_a_time_is_the_same_conversation()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.ConnectAsync(host.Mx);
        foreach (var octet in "HELO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\nx: y\r\n\r\n..\r\n...\r\n.\r\nQUIT\r\n")
            await client.SendAsync(octet.ToString());
        foreach (var start in (string[])["250", "250", "250", "354", "250 2.0.0 Ok: queued as", "221"])
            await client.ExpectAsync(start);
        Assert.Equal("x: y\r\n\r\n.\r\n..\r\n", Encoding.Latin1.GetString(await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId)));
    }

    [Fact]
    public async Task Large_content_of_any_octets_arrives_whole()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        // Every octet but NUL, CR and LF, in lines that begin with dots now and then.
        var random = new Random(17);
        var content = new MemoryStream();
        while (content.Length < 25 << 20)
        {
            var line = new byte[random.Next(0, 1500)];
            random.NextBytes(line);
            for (var i = 0; i < line.Length; i++)
                line[i] = line[i] is 0 or 10 or 13 ? (byte)'.' : line[i];
            content.Write(line);
            content.Write("\r\n"u8);
        }

        await client.BeginAsync();
        await client.SendAsync(MailPipeline.Testing.DotStuffing.Stuff(content.ToArray()));
        await client.SayAsync(".", "250 2.0.0 Ok: queued as ");
        var received = await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId);
        Assert.Equal(Convert.ToHexString(SHA256.HashData(content.ToArray())), Convert.ToHexString(SHA256.HashData(received)));
    }

    [Fact]
    public async Task Twenty_clients_at_once_lose_and_mix_nothing()
    {
        await using var host = await IngressHost.StartAsync();
        var counted = host.Metric<long>("mailpipeline.ingress.accepted");
        await Task.WhenAll(Enumerable.Range(0, 20).Select(async number =>
        {
            await using var client = await Client.GreetedAsync(host.Mx);
            for (var i = 0; i < 25; i++)
                await client.MessageAsync($"Token: {number}-{i}\r\n\r\n{new string((char)('a' + number), 2000)}");
            await client.SayAsync("QUIT", "221");
        }));

        var tokens = new HashSet<string>();
        for (var i = 0; i < 500; i++)
        {
            var message = await host.NextHintAsync();
            var text = Encoding.Latin1.GetString(await host.ReceivedContentAsync(message.MessageId));
            var token = text[7..text.IndexOf("\r\n", StringComparison.Ordinal)];
            Assert.EndsWith("\r\n\r\n" + new string((char)('a' + int.Parse(token.Split('-')[0], System.Globalization.CultureInfo.InvariantCulture)), 2000) + "\r\n", text, StringComparison.Ordinal);
            Assert.True(tokens.Add(token));
        }

        Assert.Equal(500, counted.GetMeasurementSnapshot().Sum(measurement => measurement.Value));
    }

    [Theory]
    [InlineData("RCPT TO:<ann@example.com>", "250 2.1.5")]
    [InlineData("RCPT TO:<\"ann\"@Example.Com>", "250 2.1.5")]
    [InlineData("RCPT TO:<SALES@example.com>", "250 2.1.5")]
    [InlineData("RCPT TO:<anybody@example.org>", "250 2.1.5")]
    [InlineData("RCPT TO:<nobody@example.com>", "550 5.1.1")]
    [InlineData("RCPT TO:<ann@example.net>", "550 5.7.1 Relaying denied")]
    [InlineData("RCPT TO:<ann@[127.0.0.1]>", "550 5.7.1 Relaying denied")]
    [InlineData("RCPT TO:<ann%example.net@example.com>", "550 5.1.1")]
    [InlineData("RCPT TO:<@example.com:ann@example.net>", "550 5.7.1 Relaying denied")]
    [InlineData("RCPT TO:<postmaster@example.com>", "550 5.1.1")]
    [InlineData("RCPT TO:<Postmaster>", "250 2.1.5")]
    public async Task A_stranger_reaches_recipients_of_ours_only(string command, string reply)
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync(command, reply);
    }

    [Theory]
    [InlineData("dead@example.com", "550 5.1.1 No such user here")]
    [InlineData("deader@example.com", "550 5.1.1 No such user here")]
    [InlineData("loop@example.com", "550 5.4.6 The address leads back to itself")]
    [InlineData("step0@example.com", "550 5.4.6 The address leads back to itself")]
    [InlineData("step1@example.com", "250 2.1.5")]
    // Somebody is left who reads it; of whom is gone the sender is told.
    [InlineData("list@example.com", "250 2.1.5")]
    public async Task An_alias_that_leads_to_nobody_is_refused_while_the_sender_listens(string recipient, string reply)
    {
        await using var host = await IngressHost.StartAsync();
        foreach (var (alias, target) in new[]
        {
            ("dead@example.com", "gone@example.com"), ("deader@example.com", "dead@example.com"),
            ("loop@example.com", "pool@example.com"), ("pool@example.com", "loop@example.com"),
            ("list@example.com", "dead@example.com"), ("list@example.com", "ann@example.com"),
        })
        {
            await host.Directory.AddAliasAsync(alias, target);
        }
        for (var i = 0; i <= 10; i++)
            await host.Directory.AddAliasAsync($"step{i}@example.com", i == 10 ? "ann@example.com" : $"step{i + 1}@example.com");
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync($"RCPT TO:<{recipient}>", reply);
    }

    [Fact]
    public async Task Postmaster_mail_goes_to_whom_the_operator_named()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:Postmaster"] = "ann@example.com" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("x: y\r\n", recipient: "PostMaster@example.com");
        Assert.Equal(["ann@example.com"], (await host.NextHintAsync()).Recipients);
        await client.MessageAsync("x: y\r\n", recipient: "Postmaster");
        Assert.Equal(["ann@example.com"], (await host.NextHintAsync()).Recipients);
    }

    /// <summary>Reports come from MAILER-DAEMON of this host; people answer them.</summary>
    [Theory]
    [InlineData("MAILER-DAEMON@mx.example.com")]
    [InlineData("mailer-daemon@MX.example.com")]
    [InlineData("postmaster@mx.example.com")]
    public async Task Mail_to_the_host_itself_goes_to_the_postmaster(string recipient)
    {
        await using var host = await IngressHost.StartAsync();
        await using (var stranger = await Client.GreetedAsync(host.Mx))
        {
            await stranger.MessageAsync("x: y\r\n", recipient: recipient);
            // Of our first domain that has one, by its catch-all.
            Assert.Equal(["postmaster@example.org"], (await host.NextHintAsync()).Recipients);
            await stranger.SayAsync("MAIL FROM:<bob@example.net>", "250");
            await stranger.SayAsync("RCPT TO:<ann@mx.example.com>", "550 5.7.1");
        }
        await using (var user = await Client.AuthenticatedAsync(host.Submission))
        {
            await user.BeginAsync("ann@example.com", recipient);
            await user.SayAsync("x: y\r\n.", "250 2.0.0");
            Assert.Equal(["postmaster@example.org"], (await host.NextHintAsync()).Recipients);
            // To be read there is not to write as it.
            await user.SayAsync($"MAIL FROM:<{recipient}>", "553 5.7.1");
        }
        await host.Directory.RemoveAliasAsync("@example.org", "ann@example.com");
        await using var last = await Client.GreetedAsync(host.Mx);
        await last.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await last.SayAsync($"RCPT TO:<{recipient}>", "550 5.1.1 No such user here");
        await last.SayAsync("RCPT TO:<Postmaster>", "550 5.1.1 No such user here");
    }

    [Fact]
    public async Task Mail_to_the_host_itself_goes_to_whom_the_operator_named()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:Postmaster"] = "ann@example.com" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("x: y\r\n", recipient: "MAILER-DAEMON@mx.example.com");
        Assert.Equal(["ann@example.com"], (await host.NextHintAsync()).Recipients);
    }

    [Fact]
    public async Task A_host_called_like_a_domain_of_ours_leaves_its_accounts_their_mail()
    {
        await using var host = await IngressHost.StartAsync(
            new Dictionary<string, string> { ["Ingress:HostName"] = "example.com", ["Ingress:Postmaster"] = "sales@example.com" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("x: y\r\n", recipient: "MAILER-DAEMON@example.com");
        Assert.Equal(["sales@example.com"], (await host.NextHintAsync()).Recipients);
        await host.Directory.AddAliasAsync("postmaster@example.com", "ann@example.com");
        await client.MessageAsync("x: y\r\n", recipient: "MAILER-DAEMON@example.com");
        Assert.Equal(["postmaster@example.com"], (await host.NextHintAsync()).Recipients);
        await host.Directory.AddAccountAsync("mailer-daemon@example.com", "hash");
        await client.MessageAsync("x: y\r\n", recipient: "MAILER-DAEMON@example.com");
        Assert.Equal(["MAILER-DAEMON@example.com"], (await host.NextHintAsync()).Recipients);
    }

    [Fact]
    public async Task Listed_clients_relay()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:RelayClients:0"] = "127.0.0.0/8" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("x: y\r\n", recipient: "carol@example.net");
        Assert.Equal(["carol@example.net"], (await host.NextHintAsync()).Recipients);
    }

    [Fact]
    public async Task MailKit_hands_in_mail()
    {
        await using var host = await IngressHost.StartAsync();
        using var client = new MailKit.Net.Smtp.SmtpClient();
#pragma warning disable CA5359 // The certificate is self-signed.
        client.ServerCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
        await client.ConnectAsync("127.0.0.1", host.Submission.Port, MailKit.Security.SecureSocketOptions.StartTls, Cancellation);
        await client.AuthenticateAsync("ann@example.com", IngressHost.Password, Cancellation);
        using var message = new MimeKit.MimeMessage();
        message.From.Add(new MimeKit.MailboxAddress("Ann", "ann@example.com"));
        message.To.Add(new MimeKit.MailboxAddress("Bob", "bob@example.net"));
        message.Body = new MimeKit.TextPart("plain") { Text = "Hello\r\n.\r\n" };
        Assert.Contains("queued as", await client.SendAsync(message, Cancellation), StringComparison.Ordinal);
        await client.DisconnectAsync(true, Cancellation);
        var accepted = await host.NextHintAsync();
        Assert.Equal(["bob@example.net"], accepted.Recipients);
        Assert.Contains("with ESMTPSA id", Encoding.Latin1.GetString(await host.ContentAsync(accepted.MessageId)), StringComparison.Ordinal);
    }
}
