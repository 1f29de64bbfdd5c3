using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using MailPipeline.Mail;
using MailPipeline.Mailbox.Tests.Kit;
using MailPipeline.ServiceDefaults;
using MailPipeline.Testing;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mailbox.Tests;

/// <summary>Real sockets and real TLS.</summary>
public sealed class KestrelTests
{
    [Fact]
    public async Task Plaintext_sent_behind_STLS_is_dropped_and_what_was_said_before_is_forgotten()
    {
        await using var host = await MailboxHost.StartAsync(new() { ["Mailbox:AllowCleartextLogin"] = "Always" });
        await host.AddAccountAsync("ann@example.org");
        await using var client = await Client.ConnectAsync(host, listener: 0);
        Assert.StartsWith("+OK", await client.LineAsync(), StringComparison.Ordinal);
        await client.SendAsync("USER ann@example.org\r\nSTLS\r\nUSER mallory@example.org\r\nCAPA\r\n");
        Assert.Equal("+OK send PASS", await client.LineAsync());
        Assert.Equal("+OK start TLS", await client.LineAsync());

        await client.SecureAsync();

        // Had the injected USER, or the USER before TLS, been kept, this would be a login.
        Assert.Equal("-ERR send USER first", await client.AskAsync("PASS secret"));
        Assert.Equal("+OK send PASS", await client.AskAsync("USER ann@example.org"));
        Assert.StartsWith("+OK", await client.AskAsync("PASS secret"), StringComparison.Ordinal);
        Assert.Equal("+OK bye", await client.AskAsync("QUIT"));
        Assert.Null(await client.LineOrEndAsync());
    }

    [Fact]
    public async Task The_implicit_listener_speaks_TLS_from_the_first_octet_and_offers_no_STLS()
    {
        await using var host = await MailboxHost.StartAsync();
        await host.AddAccountAsync("ann@example.org");
        await using var client = await Client.ConnectAsync(host, listener: 1);
        await client.SecureAsync();
        Assert.StartsWith("+OK", await client.LineAsync(), StringComparison.Ordinal);
        Assert.Equal("-ERR TLS is on already", await client.AskAsync("STLS"));
        await client.AskAsync("USER ann@example.org");
        Assert.Equal("+OK 0 messages (0 octets)", await client.AskAsync("PASS secret"));
    }

    [Fact]
    public async Task A_stop_ends_sessions_under_TLS_in_order_and_deletes_nothing()
    {
        await using var host = await MailboxHost.StartAsync();
        var account = await host.AddAccountAsync("ann@example.org");
        await host.StoreAsync(await host.QueueAsync("Subject: x\r\n\r\nx\r\n"u8.ToArray(), "bob@example.net", "ann@example.org"));
        await using var stranger = await Client.ConnectAsync(host, listener: 1);
        await stranger.SecureAsync();
        await stranger.LineAsync();
        await using var user = await Client.ConnectAsync(host, listener: 1);
        await user.SecureAsync();
        await user.LineAsync();
        await user.AskAsync("USER ann@example.org");
        Assert.StartsWith("+OK 1 ", await user.AskAsync("PASS secret"), StringComparison.Ordinal);
        Assert.StartsWith("+OK", await user.AskAsync("DELE 1"), StringComparison.Ordinal);

        await host.StopAsync().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        // An end, and no reset. RFC 1939 §6: only QUIT deletes.
        Assert.Null(await stranger.LineOrEndAsync());
        Assert.Null(await user.LineOrEndAsync());
        Assert.Single(await host.Maildrops.ListAsync(account.Id, default));
    }

    [Fact]
    public async Task Where_too_many_passwords_wait_it_is_SYS_TEMP_and_the_session_goes_on()
    {
        await using var host = await MailboxHost.StartAsync(
            new() { ["Mailbox:AllowCleartextLogin"] = "Always", ["Mailbox:MaxLoginFailures"] = "100" }, logins: 1);
        await host.AddAccountAsync("ann@example.org");
        await using var client = await Client.ConnectAsync(host, listener: 0);
        await client.LineAsync();
        using var end = new CancellationTokenSource();
        var crowd = new Crowd();
        var guessing = crowd.AskAsync(
            (Environment.ProcessorCount / 2) + 6, async (guesser, times) => (await VerifyAsync(host, guesser, $"guess{guesser}-{times}")).IsBusy, end.Token);
        string answer;
        var asked = 0;
        do
        {
            asked++;
            await client.AskAsync($"USER user{asked}@example.org");
            answer = await client.AskAsync("PASS wrong");
            crowd.NoteAnswer();
        }
        while (answer.StartsWith("-ERR [AUTH]", StringComparison.Ordinal) && asked < 50);
        Assert.StartsWith("-ERR [SYS/TEMP]", answer, StringComparison.Ordinal);

        await end.CancelAsync();
        await guessing;
        await client.AskAsync("USER ann@example.org");
        Assert.StartsWith("+OK", await client.AskAsync("PASS secret"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_has_said_everything_and_closes_its_side_gets_the_answer_to_PASS()
    {
        await using var host = await MailboxHost.StartAsync(new() { ["Mailbox:AllowCleartextLogin"] = "Always" });
        await host.AddAccountAsync("ann@example.org");
        await using var client = await Client.ConnectAsync(host, listener: 0);
        await client.LineAsync();
        var others = Task.WhenAll(
            Enumerable.Range(0, 30 * Math.Max(1, Environment.ProcessorCount / 2)).Select(number => VerifyAsync(host, number, $"guess{number}")));
        await client.SendAsync("USER ann@example.org\r\nPASS secret\r\nQUIT\r\n");
        client.HalfClose();
        Assert.Equal("+OK send PASS", await client.LineAsync());
        Assert.Equal("+OK 0 messages (0 octets)", await client.LineAsync());
        Assert.Equal("+OK bye", await client.LineAsync());
        await others;
    }

    [Theory]
    [InlineData(null, false)]
    [InlineData("pop3", false)]
    [InlineData(null, true)]
    [InlineData("pop3", true)]
    public async Task TLS_with_CBC_is_spoken_where_the_operator_allows_it(string? startTls, bool allowed)
    {
        await using var host = await MailboxHost.StartAsync(new() { ["Tls:AllowCbc"] = allowed ? "true" : "false" });
        var server = host.EndPoints[startTls is null ? 1 : 0];
        var agreed = await OpenSslClient.HandshakeAsync(
            server, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA", startTls,
            TestContext.Current.CancellationToken);
        Assert.Equal(allowed, agreed is not null);
        Assert.Equal(
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            await OpenSslClient.HandshakeAsync(server, "ECDHE-ECDSA-AES128-GCM-SHA256", startTls, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_reset_in_the_middle_of_a_message_frees_the_maildrop()
    {
        await using var host = await MailboxHost.StartAsync(new() { ["Mailbox:AllowCleartextLogin"] = "Always" });
        await host.AddAccountAsync("ann@example.org");
        var content = Encoding.ASCII.GetBytes("Subject: big\r\n\r\n" + new string('x', 20_000_000) + "\r\n");
        await host.StoreAsync(await host.QueueAsync(content, "bob@example.net", "ann@example.org"));
        var first = await Client.ConnectAsync(host, listener: 0);
        await first.LineAsync();
        await first.AskAsync("USER ann@example.org");
        await first.AskAsync("PASS secret");
        Assert.StartsWith("+OK", await first.AskAsync("RETR 1"), StringComparison.Ordinal);
        first.Reset();

        await using var second = await Client.ConnectAsync(host, listener: 0);
        await second.LineAsync();
        string answer;
        do
        {
            await second.AskAsync("USER ann@example.org");
            answer = await second.AskAsync("PASS secret");
            if (await second.ReconnectIfClosedAsync(answer, host))
                continue;
        }
        while (answer.StartsWith("-ERR [IN-USE]", StringComparison.Ordinal));
        Assert.StartsWith("+OK 1 message ", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Mailbox:InactivityTimeout", "0:09:59", "Mailbox:InactivityTimeout")]
    [InlineData("Mailbox:Listeners:0:Port", "70000", "Mailbox:Listeners:0:Port is 70000; allowed is 0 to 65535")]
    [InlineData("Mailbox:Listeners:1:Address", "localhost", "Mailbox:Listeners:1:Address is 'localhost'")]
    [InlineData("Mailbox:Listeners:1:Tls", "Maybe", "Mailbox:Listeners:1:Tls")]
    [InlineData("Mailbox:MaxLoginFailures", "0", "MaxLoginFailures")]
    [InlineData("Mailbox:MaxLoginFailure", "3", "MaxLoginFailure")]
    [InlineData("Mailbox:LeaseRenewalInterval", "1.00:00:01", "Mailbox:LeaseRenewalInterval")]
    public async Task A_bad_setting_stops_the_start_and_is_named(string setting, string value, string expected)
    {
        var failure = await Assert.ThrowsAnyAsync<Exception>(() => MailboxHost.StartAsync(new() { [setting] = value }));
        Assert.Contains(expected, Assert.IsType<OptionsValidationException>(failure).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_of_its_own_that_would_listen_nowhere_does_not_start()
    {
        var (exitCode, output) = await ServiceProcess.EndsAsync(ServiceKind.Mailbox, TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Equal(2, exitCode);
        Assert.StartsWith("Mailbox:Listeners has no entry", Assert.Single(output), StringComparison.Ordinal);
    }

    private static async Task<Verification> VerifyAsync(MailboxHost host, int guesser, string name) =>
        await host.Get<CredentialVerifier>().VerifyAsync(
            $"{name}@example.org", "wrong", new LoginClient(new IPAddress([192, 0, 2, (byte)guesser]), CancellationToken.None, CancellationToken.None));

    /// <summary>A client on a socket, with TLS when it is asked for.</summary>
    private sealed class Client : IAsyncDisposable
    {
        private readonly string _certificate;
        private TcpClient _socket;
        private Stream _stream;

        private Client(TcpClient socket, string certificate)
        {
            _socket = socket;
            _stream = socket.GetStream();
            _certificate = certificate;
        }

        public static async Task<Client> ConnectAsync(MailboxHost host, int listener)
        {
            var socket = new TcpClient();
            await socket.ConnectAsync(host.EndPoints[listener], TestContext.Current.CancellationToken);
            return new Client(socket, host.Get<ServerCertificate>().Current.GetCertHashString());
        }

        public async Task SecureAsync()
        {
            var secure = new SslStream(_stream, false, (_, shown, _, _) => shown?.GetCertHashString() == _certificate);
            await secure.AuthenticateAsClientAsync("localhost");
            _stream = secure;
        }

        public async Task SendAsync(string text) =>
            await _stream.WriteAsync(Encoding.ASCII.GetBytes(text), TestContext.Current.CancellationToken);

        public async Task<string> AskAsync(string command)
        {
            await SendAsync(command + "\r\n");
            return await LineAsync();
        }

        public async Task<string> LineAsync() => await LineOrEndAsync() ?? throw new EndOfStreamException();

        public async Task<string?> LineOrEndAsync()
        {
            var line = new StringBuilder();
            var octet = new byte[1];
            while (await _stream.ReadAsync(octet, TestContext.Current.CancellationToken) == 1)
            {
                if (octet[0] == '\n')
                    return line.ToString().TrimEnd('\r');
                line.Append((char)octet[0]);
            }
            return null;
        }

        public void HalfClose() => _socket.Client.Shutdown(SocketShutdown.Send);

        public void Reset()
        {
            _socket.Client.LingerState = new LingerOption(true, 0);
            _socket.Close();
        }

        /// <summary>The third failed login ends a connection; then a new one is made.</summary>
        public async Task<bool> ReconnectIfClosedAsync(string answer, MailboxHost host)
        {
            if (!answer.StartsWith("-ERR", StringComparison.Ordinal))
                return false;
            await _stream.DisposeAsync();
            _socket = new TcpClient();
            await _socket.ConnectAsync(host.EndPoints[0], TestContext.Current.CancellationToken);
            _stream = _socket.GetStream();
            await LineAsync();
            return true;
        }

        public async ValueTask DisposeAsync()
        {
            await _stream.DisposeAsync();
            _socket.Dispose();
        }
    }
}
