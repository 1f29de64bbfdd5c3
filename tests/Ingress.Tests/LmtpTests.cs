using System.Net.Sockets;
using System.Text;
using MailPipeline.Ingress.Checks;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Tests;

/// <summary>Other servers hand in to our maildrops by LMTP (RFC 2033), over TCP and by a Unix socket: who may, by <see cref="LmtpClientCheck"/>.</summary>
public sealed class LmtpTests
{
    [Fact]
    public async Task What_is_handed_in_is_kept_once_and_answered_for_each()
    {
        await using var host = await StartAsync();
        await using var client = await GreetedAsync(host);
        await client.SendAsync(
            "MAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\nRCPT TO:<nobody@example.com>\r\nRCPT TO:<sales@example.com>\r\nRCPT TO:<x@example.org>\r\nDATA\r\n");
        foreach (var reply in (string[])["250 2.1.0", "250 2.1.5", "550 5.1.1", "250 2.1.5", "250 2.1.5", "354"])
            await client.ExpectAsync(reply);
        // RFC 2920 §3.1: more may come behind the dot.
        await client.SendAsync("x: y\r\n\r\nbody\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nQUIT\r\n");
        var first = await client.ExpectAsync("250 2.0.0 Ok: queued as ");
        Assert.Equal(first, await client.ExpectAsync("250 2.0.0 Ok: queued as "));
        Assert.Equal(first, await client.ExpectAsync("250 2.0.0 Ok: queued as "));
        foreach (var reply in (string[])["250 2.1.0", "250 2.1.5", "221"])
            await client.ExpectAsync(reply);
        await client.ExpectEndAsync();

        var message = await host.NextHintAsync();
        Assert.Equal(["ann@example.com", "sales@example.com", "x@example.org"], message.Recipients);
        Assert.False(host.HasHint);
        Assert.Contains("\r\n\tby mx.example.com with LMTP id ", Encoding.Latin1.GetString(await host.ContentAsync(message.MessageId)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_maildrops_of_ours_are_handed_in_to()
    {
        await using var host = await StartAsync(("Ingress:RelayClients:0", "127.0.0.0/8"));
        await host.Directory.AddDomainAsync(new MailDomain("relayed.example", Relay: "mail.example.net:25"));
        await host.Directory.AddAliasAsync("elsewhere@example.com", "bob@example.net");
        await using var client = await GreetedAsync(host);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync("RCPT TO:<bob@example.net>", "550 5.7.1 Relaying denied");
        await client.SayAsync("RCPT TO:<ann@[127.0.0.1]>", "550 5.7.1 Relaying denied");
        await client.SayAsync("RCPT TO:<bob@relayed.example>", "550 5.7.1 Relaying denied");
        await client.SayAsync("RCPT TO:<nobody@example.com>", "550 5.1.1 No such user here");
        await client.SayAsync("DATA", "503 5.5.1 No valid recipients");
        // An alias is an address of ours, wherever it leads.
        await client.SayAsync("RCPT TO:<elsewhere@example.com>", "250");
        await client.SayAsync("RCPT TO:<ann+detail@example.com>", "250");
        // The listed client of another listener relays there as ever.
        await using var smtp = await Client.GreetedAsync(host.Mx);
        await smtp.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await smtp.SayAsync("RCPT TO:<bob@relayed.example>", "250");
        await smtp.SayAsync("RCPT TO:<carol@example.net>", "250");
    }

    [Fact]
    public async Task A_thousand_recipients_of_which_each_third_fails_have_their_replies()
    {
        await using var host = await StartAsync();
        await using var client = await GreetedAsync(host);
        await client.SendAsync(
            "MAIL FROM:<>\r\n" + string.Concat(Enumerable.Range(0, 1000).Select(i => $"RCPT TO:<{(i % 3 == 2 ? "nobody" : "ann+" + i)}@example.com>\r\n")) + "DATA\r\n");
        await client.ExpectAsync("250");
        for (var i = 0; i < 1000; i++)
            await client.ExpectAsync(i % 3 == 2 ? "550 5.1.1" : "250 2.1.5");
        await client.ExpectAsync("354");
        await client.SendAsync("x: y\r\n.\r\nNOOP\r\n");
        for (var i = 0; i < 667; i++)
            await client.ExpectAsync("250 2.0.0 Ok: queued as ");
        Assert.Equal("250 2.0.0 Ok", await client.ReplyAsync());
        Assert.Equal(667, (await host.NextHintAsync()).Recipients.Length);
    }

    [Fact]
    public async Task Chunks_are_answered_one_by_one_and_the_last_for_each()
    {
        await using var host = await StartAsync();
        await using var client = await GreetedAsync(host);
        await client.SendAsync(
            "MAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\nRCPT TO:<ann@example.com>\r\nBDAT 3\r\nx: BDAT 3 LAST\r\ny\r\nBDAT 3 LAST\r\nabcNOOP\r\n");
        foreach (var reply in (string[])["250", "250", "250", "250 2.0.0 3 octets received", "250 2.0.0 Ok: queued as ", "250 2.0.0 Ok: queued as "])
            await client.ExpectAsync(reply);
        // The chunk behind the end belongs to no message: no recipient, no reply.
        Assert.Equal("250 2.0.0 Ok", await client.ReplyAsync());
        Assert.Equal(["ann@example.com"], (await host.NextHintAsync()).Recipients);
    }

    [Fact]
    public async Task A_full_maildrop_is_told_at_RCPT_of_its_recipient_alone()
    {
        await using var host = await StartAsync(("Ingress:Checks:MaildropSpace:MaxBytes", "1"));
        await host.Directory.AddAccountAsync("full@example.com", "hash");
        await using (var connection = new SqliteConnection($"Data Source={host.DatabasePath};Pooling=False"))
        {
            await connection.OpenAsync(TestContext.Current.CancellationToken);
            await using var command = connection.CreateCommand();
            command.CommandText =
                "INSERT INTO maildrop_messages (account_id, uid, message_id, size_bytes, header, stored_at) SELECT id, 1, 1, 20, '', 1 FROM accounts WHERE address = 'full@example.com'";
            await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }

        await using var client = await GreetedAsync(host);
        await client.SayAsync("MAIL FROM:<>", "250");
        await client.SayAsync("RCPT TO:<full@example.com>", "452 4.2.2");
        await client.SayAsync("RCPT TO:<ann@example.com>", "250");
    }

    [Fact]
    public async Task Nobody_is_served_whom_the_operator_does_not_list()
    {
        await using var host = await StartAsync(("Ingress:LmtpClients:0", "192.0.2.0/24"), ("Ingress:RelayClients:0", "127.0.0.0/8"));
        await using var client = await Client.ConnectAsync(host.Lmtp, "554 5.7.1");
        await client.SayAsync("LHLO x", "503");
        await client.SayAsync("QUIT", "221");
    }

    /// <summary>What a proxy says of its client says nothing about who hands in.</summary>
    [Fact]
    public async Task A_listed_server_names_its_client_and_hands_in()
    {
        await using var host = await StartAsync(("Ingress:XclientFrom:0", "127.0.0.1"));
        await using var client = await GreetedAsync(host);
        await client.SayAsync("XCLIENT ADDR=198.51.100.7", "220 mx.example.com LMTP");
        await client.SayAsync("LHLO x", "250");
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        await client.SayAsync("RCPT TO:<ann@example.com>", "250");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("x: y\r\n.", "250");
        Assert.Contains("([198.51.100.7])", Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stop_lets_the_message_that_comes_end()
    {
        await using var host = await StartAsync();
        await using var client = await GreetedAsync(host);
        await client.SendAsync("MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nRCPT TO:<sales@example.com>\r\nDATA\r\n");
        foreach (var reply in (string[])["250", "250", "250", "354"])
            await client.ExpectAsync(reply);
        await client.SendAsync("x: y\r\n\r\nhalf");
        var stopping = host.StopAsync();
        await client.SayAsync(" and half\r\n.", "250 2.0.0 Ok: queued as ");
        await client.ExpectAsync("250 2.0.0 Ok: queued as ");
        await client.ExpectAsync("421 4.3.2");
        await stopping;
    }

    [Fact]
    public async Task A_unix_socket_is_open_to_whom_its_mode_lets_in_whoever_is_listed()
    {
        using var folder = new TempFolder("lmtp");
        var path = folder["socket"];
        // Somebody was killed, and left his file.
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(path));
            File.Move(path, path + ".stale");
        }

        File.Move(path + ".stale", path);
        await using (var host = await SocketAsync(path, ("Ingress:LmtpClients:0", "192.0.2.0/24"), ("Ingress:Listeners:3:SocketMode", "0620")))
        {
            if (!OperatingSystem.IsWindows())
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupWrite, File.GetUnixFileMode(path));
            await using var client = await Client.ConnectAsync(path);
            await client.SayAsync("LHLO client.example.net", "250");
            await client.SayAsync("MAIL FROM:<>", "250");
            await client.SayAsync("RCPT TO:<ann@example.com>", "250");
            await client.SayAsync("DATA", "354");
            await client.SayAsync("x: y\r\n.", "250");
            Assert.StartsWith(
                "Received: from client.example.net\r\n\tby mx.example.com with LMTP id ",
                Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId)), StringComparison.Ordinal);

            // He is alive, and nobody takes his place.
            var failure = await Assert.ThrowsAnyAsync<Exception>(() => SocketAsync(path));
            Assert.Equal(
                $"Ingress:Listeners:3:Socket is '{path}', a socket on which another process listens; choose another path, or stop that process",
                StartupFailure.Explain(failure, new Microsoft.Extensions.Configuration.ConfigurationManager()));
            await client.SayAsync("NOOP", "250");
        }

        Assert.False(File.Exists(path));
    }

    [Fact]
    public async Task A_file_that_is_no_socket_stays()
    {
        using var folder = new TempFolder("lmtp");
        folder.Write("letter", "dear");
        folder.CreateFolder("folder");
        foreach (var name in (string[])["letter", "folder"])
        {
            var failure = await Assert.ThrowsAnyAsync<Exception>(() => SocketAsync(folder[name]));
            Assert.StartsWith(
                $"Ingress:Listeners:3:Socket is '{folder[name]}', w",
                StartupFailure.Explain(failure, new Microsoft.Extensions.Configuration.ConfigurationManager()), StringComparison.Ordinal);
        }

        Assert.Equal("dear", await File.ReadAllTextAsync(folder["letter"], TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("Lmtp", "Port", "25", "Ingress:Listeners:3:Port is 25, on which SMTP is expected; LMTP must have another one, such as 24 (RFC 2033 §5)")]
    [InlineData("Mx", "Socket", "/run/x", "Ingress:Listeners:3:Socket is '/run/x'; only a listener with Kind=Lmtp has one")]
    [InlineData("Lmtp", "Socket", "run/x", "Ingress:Listeners:3:Socket is 'run/x'; it must be a full path of up to 107 octets, e.g. /run/mailpipeline/lmtp")]
    [InlineData("Lmtp", "Socket", "/run/x", "Ingress:Listeners:3:Socket is '/run/x' and Ingress:Listeners:3:Port is 24; a listener has one of them", "Port", "24")]
    [InlineData("Lmtp", "Socket", "/run/x", "Ingress:Listeners:3:SocketMode is '0888'; it must be three or four octal digits from 0000 to 0777, e.g. 0660", "SocketMode", "0888")]
    [InlineData("Lmtp", "Socket", "/run/x", "Ingress:Listeners:3:SocketMode is '1777'; it must be three or four octal digits from 0000 to 0777, e.g. 0660", "SocketMode", "1777")]
    [InlineData("Lmtp", "Port", "0", "Ingress:LmtpClients:0 is 'friends'; it must be an IP address or a network such as 192.0.2.0/24", "", "friends")]
    public async Task What_is_wrong_is_said_with_its_name(string kind, string setting, string value, string expected, string? also = null, string also2 = "")
    {
        var settings = new Dictionary<string, string> { ["Ingress:Listeners:3:Kind"] = kind, [$"Ingress:Listeners:3:{setting}"] = value };
        if (also is not null)
            settings[also.Length > 0 ? $"Ingress:Listeners:3:{also}" : "Ingress:LmtpClients:0"] = also2;
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(async () => await IngressHost.StartAsync(settings));
        Assert.Equal([expected], failure.Failures);
    }

    private static Task<IngressHost> StartAsync(params (string Setting, string Value)[] settings) => IngressHost.StartAsync(
        new Dictionary<string, string>(settings.Select(pair => KeyValuePair.Create(pair.Setting, pair.Value)))
        {
            ["Ingress:Listeners:3:Kind"] = "Lmtp",
            ["Ingress:Listeners:3:Port"] = "0",
        });

    private static Task<IngressHost> SocketAsync(string path, params (string Setting, string Value)[] settings) => IngressHost.StartAsync(
        new Dictionary<string, string>(settings.Select(pair => KeyValuePair.Create(pair.Setting, pair.Value)))
        {
            ["Ingress:Listeners:3:Kind"] = "Lmtp",
            ["Ingress:Listeners:3:Socket"] = path,
        });

    private static async Task<Client> GreetedAsync(IngressHost host)
    {
        var client = await Client.ConnectAsync(host.Lmtp, "220 mx.example.com LMTP");
        await client.SayAsync("LHLO client.example.net", "250");
        return client;
    }
}
