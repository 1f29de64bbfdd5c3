using System.Net;
using System.Net.Sockets;
using System.Text;
using MailPipeline.Testing;
using MimeKit;
using MimeKit.Cryptography;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.OpenSsl;

namespace MailPipeline.Ingress.Tests;

/// <summary>Filters that others wrote: rspamd by both of its protocols, opendkim, ClamAV's milter; and an HTTP server that is no rspamd.</summary>
public sealed class RealFilterTests(RspamdFixture rspamd) : IClassFixture<RspamdFixture>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Rspamd_judges_by_its_action(bool byHttp)
    {
        await using var host = await StartAsync(byHttp ? $"http://{rspamd.Server.Http}" : rspamd.Server.Milter.ToString(), byHttp);
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync(Message("hello"));
        var (hello, _) = await NextAsync(host);
        await client.MessageAsync(Message("cheap"));
        var (cheap, received) = await NextAsync(host);
        Assert.DoesNotContain("X-Spam-Flag", hello, StringComparison.Ordinal);
        if (byHttp)
        {
            Assert.StartsWith("X-Spam-Status: no action, score=", hello, StringComparison.Ordinal);
            Assert.Matches("^X-Spam-Flag: YES\r\nX-Spam-Status: add header, score=[0-9.]+ required=15.0", cheap);
            Assert.Matches("symbols=(.|\n)*TEST_CHEAP\\(7.0\\)", cheap.Replace("\r", "", StringComparison.Ordinal));
        }
        else
        {
            Assert.StartsWith("X-Spam: Yes\r\n", cheap, StringComparison.Ordinal);
        }

        Assert.Equal(Message("cheap") + "\r\n", received);
        // Its proxy leaves greylisting to a module of its own, which is off.
        await client.MessageAsync(Message("grey"), byHttp ? "451 4.7.1" : "250");
        await client.MessageAsync(Message("worm"), byHttp ? "550 5.7.1" : "554 5.7.1");
    }

    [Fact]
    public async Task OpenDKIM_signs_what_is_kept()
    {
        await using var opendkim = await OpenDkimServer.StartAsync("example.net", cancellation: Cancellation);
        await using var host = await StartAsync(opendkim.EndPoint.ToString(), byHttp: false);
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync($"From: bob@example.net\r\nTo: ann@example.com\r\nSubject: signed\r\n\tand folded\r\nDate: Sun, 1 Mar 2026 12:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n\r\n{string.Concat(Enumerable.Repeat("..dots and text\r\n", 10_000))}end");
        var message = await host.NextHintAsync();
        var content = await host.ContentAsync(message.MessageId);
        var text = Encoding.Latin1.GetString(content);
        Assert.StartsWith("DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.net; s=test;", text, StringComparison.Ordinal);
        var read = await MimeMessage.LoadAsync(new MemoryStream(content), Cancellation);
        var signature = read.Headers[read.Headers.IndexOf(HeaderId.DkimSignature)];
        Assert.True(await new DkimVerifier(new OneKey(opendkim.PublicKey)).VerifyAsync(FormatOptions.Default, read, signature, Cancellation));
    }

    /// <summary>By what it is told of the login alone: the client is in no network of its own.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task OpenDKIM_signs_for_who_has_logged_in(bool hasLoggedIn)
    {
        await using var opendkim = await OpenDkimServer.StartAsync("example.com", signsForAll: false, Cancellation);
        await using var host = await StartAsync(opendkim.EndPoint.ToString(), byHttp: false);
        await using var client = hasLoggedIn ? await Client.AuthenticatedAsync(host.Submission) : await Client.GreetedAsync(host.Mx);
        await client.BeginAsync(hasLoggedIn ? "ann@example.com" : "bob@example.net");
        await client.SendAsync("From: ann@example.com\r\nDate: Sun, 1 Mar 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\ntext\r\n.\r\n");
        await client.ExpectAsync("250");
        var text = Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId));
        Assert.Equal(hasLoggedIn, text.Contains("DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.com; s=test;", StringComparison.Ordinal));
    }

    [Fact]
    public async Task ClamAV_refuses_worms_marks_what_is_clean_and_defers_what_it_cannot_scan()
    {
        await using var clamav = await ClamAvServer.StartAsync(Cancellation);
        await using var host = await StartAsync(clamav.Socket, byHttp: false);
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync(Message("clean"));
        var (clean, received) = await NextAsync(host);
        Assert.Matches("(?m)^X-Virus-Status: Clean\r\n", clean[..^received.Length]);
        Assert.Matches("(?m)^X-Virus-Scanned: clamav-milter ", clean[..^received.Length]);
        Assert.Equal(Message("clean") + "\r\n", received);
        // In the same session, and behind more than one packet has room for.
        await client.MessageAsync($"{Message("worm")}\r\n{string.Concat(Enumerable.Repeat("lines of text\r\n", 10_000))}{ClamAvServer.Worm}", "550 5.7.1 It has Test.Worm");
        await client.MessageAsync(Message("clean"));
        await clamav.StopScanningAsync();
        await client.MessageAsync(Message("clean"), "451 4.7.1");
    }

    [Theory]
    [InlineData("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", "away")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "garbage")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{\"action\":\"fancy\"}", "garbage")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "away")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n", "away")]
    [InlineData("", "away")]
    public async Task What_is_no_answer_of_rspamd_is_one_that_is_away(string answer, string counted)
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        var serving = ServeAsync(server, answer);
        foreach (var policy in (string[])["Defer", "Accept"])
        {
            await using var host = await StartAsync($"http://{server.LocalEndpoint}", byHttp: true, policy);
            using var away = host.Metric<long>("mailpipeline.ingress.filters_away");
            await using var client = await Client.GreetedAsync(host.Mx);
            await client.MessageAsync(Message("hello"), policy == "Defer" ? "451 4.7.1" : "250");
            Assert.Equal(counted, Assert.Single(away.GetMeasurementSnapshot()).Tags["reason"]);
        }

        server.Stop();
        await serving;
    }

    [Fact]
    public async Task An_rspamd_that_hangs_or_is_not_there_keeps_nobody_for_long()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        foreach (var address in (string[])[$"http://{silent.LocalEndpoint}", "http://127.0.0.1:9"])
        {
            await using var host = await StartAsync(address, byHttp: true);
            await using var client = await Client.GreetedAsync(host.Mx);
            // More than sockets hold.
            await client.MessageAsync($"x: y\r\n\r\n{string.Concat(Enumerable.Repeat(new string('x', 998) + "\r\n", 10_000))}", "451 4.7.1");
            await client.MessageAsync(Message("hello"), "451 4.7.1");
        }
    }

    private static string Message(string subject) => $"From: bob@example.net\r\nSubject: {subject}\r\n\r\nhi";

    private static async Task<(string Content, string Received)> NextAsync(IngressHost host)
    {
        var text = Encoding.Latin1.GetString(await host.ContentAsync((await host.NextHintAsync()).MessageId));
        return (text, text[text.IndexOf("From: bob", StringComparison.Ordinal)..]);
    }

    private static Task<IngressHost> StartAsync(string address, bool byHttp, string whenAway = "Defer") => IngressHost.StartAsync(new Dictionary<string, string>
    {
        ["Ingress:Filters:0:Name"] = "real",
        ["Ingress:Filters:0:Protocol"] = byHttp ? "Rspamd" : "Milter",
        ["Ingress:Filters:0:Address"] = address,
        ["Ingress:Filters:0:WhenAway"] = whenAway,
        ["Ingress:Filters:0:Timeout"] = whenAway == "Defer" && address.Contains("127.0.0.1:9", StringComparison.Ordinal) ? "1s" : "5s",
        ["Ingress:Filters:0:MessageTimeout"] = "5s",
        ["Ingress:Filters:0:Listeners"] = "All",
    });

    private static async Task ServeAsync(TcpListener server, string answer)
    {
        try
        {
            while (true)
            {
                using var client = await server.AcceptTcpClientAsync(Cancellation);
                var stream = client.GetStream();
                var request = new byte[64 * 1024];
                var seen = "";
                while (!seen.Contains("0\r\n\r\n", StringComparison.Ordinal))
                {
                    var length = await stream.ReadAsync(request, Cancellation);
                    if (length == 0)
                        break;
                    seen += Encoding.Latin1.GetString(request, 0, length);
                }

                await stream.WriteAsync(Encoding.ASCII.GetBytes(answer), Cancellation);
            }
        }
        catch (Exception over) when (over is SocketException or ObjectDisposedException or IOException)
        {
            // The test is over.
        }
    }

    private sealed class OneKey(string pem) : IDkimPublicKeyLocator
    {
        public AsymmetricKeyParameter LocatePublicKey(string methods, string domain, string selector, CancellationToken cancellationToken = default)
        {
            using var reader = new StringReader(pem);
            return (AsymmetricKeyParameter)new PemReader(reader).ReadObject();
        }

        public Task<AsymmetricKeyParameter> LocatePublicKeyAsync(string methods, string domain, string selector, CancellationToken cancellationToken = default) =>
            Task.FromResult(LocatePublicKey(methods, domain, selector, cancellationToken));
    }
}

/// <summary>One rspamd for all tests of the class: it takes long to start.</summary>
public sealed class RspamdFixture : IAsyncLifetime
{
    private RspamdServer? _server;

    public RspamdServer Server => _server!;

    public async ValueTask InitializeAsync() => _server = await RspamdServer.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
            await _server.DisposeAsync();
    }
}
