using System.Net.Sockets;
using System.Text;

namespace MailPipeline.Ingress.Tests;

/// <summary>The permanent hostile set: each gets the right reply, nothing of it is stored, and the next client is served.</summary>
public sealed class HostileTests
{
    private static readonly string[] s_states =
    [
        "", "EHL", "EHLO x\r\n", "EHLO x\r\nMAIL FROM:<a@example.net>\r\n", "EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<ann@example.com>\r\n",
        "EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n",
        "EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\nx: y\r\n\r\nbody\r\n",
        "EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\nx: y\r\n\r\nbody\r\n.",
        "EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\nx: y\r\n\r\nbody\r\n.\r",
        "EHLO x\r\nBDAT 100\r\nx",
        "EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<ann@example.com>\r\nBDAT 100\r\nx: y",
        "EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<ann@example.com>\r\nBDAT 6\r\nx: y\r\nBDAT 10 LAS",
        "EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<ann@example.com>\r\nBDAT 6\r\nx: y\r\nBDAT 10 LAST\r\n\r\nbody",
        "EHLO x\r\nSTARTTLS\r\n", "EHLO x\r\nSTARTTLS\r\n\x16\x03\x01",
    ];

    public static TheoryData<string, bool> States()
    {
        var data = new TheoryData<string, bool>();
        foreach (var state in s_states)
        {
            data.Add(state, false);
            data.Add(state, true);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(States))]
    public async Task A_disconnect_in_any_state_leaves_nothing_behind(string said, bool reset)
    {
        await using var host = await IngressHost.StartAsync();
        var accepted = host.Metric<long>("mailpipeline.ingress.accepted");
        await using (var client = await Client.ConnectAsync(host.Mx))
        {
            await client.SendAsync(said);
            if (reset)
                client.Socket.LingerState = new LingerOption(true, 0);
        }

        await host.NoSessionsAsync();
        Assert.Empty(accepted.GetMeasurementSnapshot());
        await using var next = await Client.GreetedAsync(host.Mx);
        await next.MessageAsync("x: y\r\n");
    }

    [Theory]
    [InlineData("a\r\n.\nb", "550 5.6.0")]
    [InlineData("a\n.\nb", "550 5.6.0")]
    [InlineData("a\n.\r\nb", "550 5.6.0")]
    [InlineData("a\r.\rb", "550 5.6.0")]
    [InlineData("a\r.\r\nb", "550 5.6.0")]
    [InlineData("a\0b", "550 5.6.0 Message contains NUL")]
    public async Task Bare_cr_and_lf_and_nul_are_refused_after_the_real_end(string content, string reply)
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("x: y\r\n\r\n" + content + "\r\nMAIL FROM:<evil@example.net>", reply);
        await client.MessageAsync("x: y\r\n");
        Assert.Equal("bob@example.net", (await host.NextHintAsync()).Sender);
    }

    [Fact]
    public async Task An_oversized_line_is_refused_and_the_next_is_heard()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SendAsync(new string('x', 1 << 20) + "\r\nNOOP\r\n");
        await client.ExpectAsync("500 5.5.2 Line too long");
        await client.ExpectAsync("250");
    }

    [Fact]
    public async Task Naming_one_recipient_again_and_again_has_the_bound_of_many_recipients()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:MaxRecipients"] = "100" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        for (var i = 0; i < 100; i++)
            await client.SayAsync("RCPT TO:<ann@example.com>", "250 2.1.5");
        await client.SayAsync("RCPT TO:<ann@example.com>", "452 4.5.3");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("x: y\r\n.", "250 2.0.0");
        Assert.Single((await host.NextHintAsync()).Recipients);
    }

    [Fact]
    public async Task A_declared_size_over_the_limit_is_refused_at_mail()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:MaxMessageBytes"] = "100000" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<a@example.net> SIZE=100001", "552 5.3.4");
        await client.SayAsync("MAIL FROM:<a@example.net> SIZE=100000", "250");
    }

    [Fact]
    public async Task A_size_over_the_limit_is_counted_while_it_streams_whatever_was_declared()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:MaxMessageBytes"] = "100000", ["Ingress:MaxDiscardedBytes"] = "300000" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<a@example.net> SIZE=10", "250");
        await client.SayAsync("RCPT TO:<ann@example.com>", "250");
        await client.SayAsync("DATA", "354");
        await client.SayAsync(Lines(300_000) + ".", "552 5.3.4");
        // Exactly the limit is no more than the limit.
        await client.BeginAsync();
        await client.SayAsync(Lines(100_000) + ".", "250 2.0.0");
        Assert.Equal(100_000, (await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId)).Length);
        await client.BeginAsync();
        await client.SayAsync(Lines(100_010) + ".", "552 5.3.4");
    }

    [Fact]
    public async Task Content_without_end_is_cut_off()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:MaxMessageBytes"] = "100000", ["Ingress:MaxDiscardedBytes"] = "300000" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.BeginAsync();
        var chunk = Lines(100_000);
        try
        {
            for (var i = 0; i < 1000; i++)
                await client.SendAsync(chunk);
            Assert.Fail("A hundred megabytes were taken.");
        }
        catch (IOException)
        {
            // Cut off.
        }

        await host.NoSessionsAsync();
        Assert.False(host.HasHint);
    }

    [Fact]
    public async Task Too_many_recipients_are_put_off_and_the_others_are_kept()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:MaxRecipients"] = "100" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<a@example.net>", "250");
        await client.SendAsync(string.Concat(Enumerable.Range(0, 120).Select(i => $"RCPT TO:<r{i}@example.org>\r\n")) + "DATA\r\n");
        for (var i = 0; i < 120; i++)
            await client.ExpectAsync(i < 100 ? "250" : "452 4.5.3");
        await client.ExpectAsync("354");
        await client.SayAsync("x: y\r\n\r\n.", "250 2.0.0");
        Assert.Equal(100, (await host.NextHintAsync()).Recipients.Length);
    }

    [Fact]
    public async Task A_message_that_has_been_everywhere_is_refused()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        var hop = "Received: from a by b;\r\n\tsome day\r\n";
        await client.MessageAsync(string.Concat(Enumerable.Repeat(hop, 101)) + "\r\n", "554 5.4.6");
        await client.MessageAsync(string.Concat(Enumerable.Repeat(hop, 100)) + "\r\n" + string.Concat(Enumerable.Repeat(hop, 50)));
    }

    [Fact]
    public async Task Sessions_over_a_limit_are_turned_away_until_one_ends()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:MaxSessionsPerAddress"] = "2" });
        var turnedAway = host.Metric<long>("mailpipeline.ingress.sessions_refused");
        await using var first = await Client.ConnectAsync(host.Mx);
        await using (var second = await Client.ConnectAsync(host.Mx))
        {
            await using var third = await Client.ConnectAsync(host.Mx, "421 4.7.0 Too many connections");
            await third.ExpectEndAsync();
            Assert.Equal("address", Assert.Single(turnedAway.GetMeasurementSnapshot()).Tags["limit"]);
        }

        await MailPipeline.Testing.Eventually.TrueAsync(() => host.Sessions == 1, TimeSpan.FromSeconds(20));
        await using var fourth = await Client.ConnectAsync(host.Mx);
    }

    [Fact]
    public async Task A_full_door_for_other_servers_shuts_out_no_user_and_who_has_logged_in_makes_room()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:MaxSessions"] = "2" });
        await using var idle = await Client.ConnectAsync(host.Mx);
        await using var idleToo = await Client.ConnectAsync(host.Mx);
        await using (var turnedAway = await Client.ConnectAsync(host.Mx, "421 4.7.0 Too many connections"))
            await turnedAway.ExpectEndAsync();

        List<Client> users = [];
        for (var i = 0; i < 4; i++)
            users.Add(await Client.AuthenticatedAsync(host.Submission));
        foreach (var user in users)
            await user.DisposeAsync();
    }

    [Fact]
    public async Task Where_TLS_comes_first_nothing_is_said_in_clear_to_who_is_one_too_many()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:MaxSessionsPerAddress"] = "1" });
        await using var first = await Client.OpenAsync(host.Submissions);
        await first.StartTlsAsync();
        await first.ExpectAsync("220");
        using var second = new TcpClient();
        await second.ConnectAsync(host.Submissions, Deadline.Token);
        Assert.Equal(0, await second.GetStream().ReadAsync(new byte[512], Deadline.Token));
    }

    [Fact]
    public async Task The_last_places_for_submission_are_kept_for_networks_that_have_logged_in()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string>
        {
            ["Ingress:MaxSessions"] = "10",
            ["Ingress:ProxyProtocolFrom:0"] = "127.0.0.1",
        });
        await using (var user = await FromAsync("198.51.100.1", "220"))
        {
            await user.SayAsync("EHLO x", "250");
            await user.SayAsync("STARTTLS", "220");
            await user.StartTlsAsync();
            await user.SayAsync("EHLO x", "250");
            await user.SayAsync("AUTH PLAIN " + Convert.ToBase64String("\0ann@example.com\0secret"u8), "235 2.7.0");
            await user.SayAsync("QUIT", "221");
        }

        await host.NoSessionsAsync();
        List<Client> strangers = [];
        for (var i = 1; i <= 9; i++)
            strangers.Add(await FromAsync($"192.0.2.{i}", "220"));
        await using var tooMany = await FromAsync("192.0.2.10", "421 4.7.0 Too many connections");
        await using var again = await FromAsync("198.51.100.1", "220");
        foreach (var stranger in strangers)
            await stranger.DisposeAsync();

        async Task<Client> FromAsync(string address, string greeting)
        {
            var client = await Client.OpenAsync(host.Submission);
            await client.SendAsync($"PROXY TCP4 {address} 127.0.0.1 40000 587\r\n");
            await client.ExpectAsync(greeting);
            return client;
        }
    }

    [Fact]
    public async Task The_door_for_other_servers_takes_no_passwords()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.ConnectAsync(host.Mx);
        Assert.DoesNotContain("AUTH", await client.SayAsync("EHLO x", "250"), StringComparison.Ordinal);
        await client.SayAsync("STARTTLS", "220");
        await client.StartTlsAsync();
        Assert.DoesNotContain("AUTH", await client.SayAsync("EHLO x", "250"), StringComparison.Ordinal);
        await client.SayAsync("AUTH PLAIN AGEAYg==", "50");
    }

    [Fact]
    public async Task A_session_of_errors_is_closed()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        for (var i = 0; i < 20; i++)
            await client.SayAsync("FOO", "500");
        await client.SayAsync("FOO", "421 4.7.0");
        await client.ExpectEndAsync();
    }

    [Fact]
    public async Task A_browser_is_shown_the_door()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.ConnectAsync(host.Mx);
        await client.SendAsync("POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\nMAIL FROM:<a@example.net>\r\n");
        await client.ExpectAsync("421");
        await client.ExpectEndAsync();
    }

    [Fact]
    public async Task Replies_of_pipelined_commands_leave_in_one_write()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SendAsync("MAIL FROM:<a@example.net>\r\nRCPT TO:<ann@example.com>\r\nRCPT TO:<sales@example.com>\r\nDATA\r\n");
        var buffer = new byte[1000];
        var read = await client.Socket.ReceiveAsync(buffer, SocketFlags.None, Deadline.Token);
        Assert.Equal(4, Encoding.ASCII.GetString(buffer, 0, read).Split("\r\n", StringSplitOptions.RemoveEmptyEntries).Length);
    }

    private static string Lines(int bytes) => string.Concat(Enumerable.Repeat("12345678\r\n", bytes / 10));
}
