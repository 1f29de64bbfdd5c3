using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.RegularExpressions;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Smtp;
using MailPipeline.Delivery.Tls;
using MailPipeline.MtaSts;

namespace MailPipeline.Delivery.Tests;

/// <summary>Why a host could not be spoken to is said in a sentence with its name and address.</summary>
public sealed class ConnectionFaultTests
{
    private const string Peer = "mx.example.net[192.0.2.1]:25";

    private static readonly DateTimeOffset s_now = TimeProvider.System.GetUtcNow();

    [Theory]
    [InlineData(SocketError.ConnectionRefused, $"{Peer} refused the connection")]
    [InlineData(SocketError.ConnectionReset, $"{Peer} reset the connection without a greeting")]
    [InlineData(SocketError.TimedOut, $"{Peer} timed out: no answer to the connection")]
    [InlineData(SocketError.HostUnreachable, $"No route to {Peer}")]
    [InlineData(SocketError.NetworkUnreachable, $"No route to {Peer}")]
    [InlineData(SocketError.AccessDenied, $"A firewall of this machine forbids the connection to {Peer}")]
    [InlineData(SocketError.AddressNotAvailable, $"This machine has no address or port left to reach {Peer} from")]
    [InlineData(SocketError.TooManyOpenSockets, $"This machine has too many connections open to make one to {Peer}")]
    [InlineData(SocketError.Fault, $"Cannot connect to {Peer}: Fault")]
    public void A_connection_that_cannot_be_made_has_a_cause(SocketError error, string expected) =>
        Assert.Equal(expected, ConnectionFault.OfConnect(new SocketException((int)error), Peer));

    [Theory]
    [InlineData("! close", "closed the connection without a greeting")]
    [InlineData("! reset", "reset the connection without a greeting")]
    [InlineData("S: 220 mx\n* EHLO\n! close", "closed the connection without an answer to EHLO")]
    [InlineData("S: 220 mx\n* EHLO\nS: 250 mx\n* MAIL\n! reset", "reset the connection without an answer to MAIL")]
    [InlineData("! raw 220-mx\n! close", "closed the connection before the end of its greeting, which began: 220 mx")]
    [InlineData("S: 220 mx\n* EHLO\nS: 250 mx\n* MAIL\n! raw 25\n! close", "closed the connection before the end of its answer to MAIL, which began: 25")]
    public async Task A_connection_that_ends_has_a_cause(string script, string cause)
    {
        // A message that breaks a connection is tried over another once.
        await using var server = new ScriptedServer([script, script, script]);
        await using var bench = new Bench(options => options.Port = server.Port);
        bench.Dns.WithMx(Bench.Domain, (10, "mx.example.net")).WithAddress("mx.example.net", "127.0.0.1");
        var result = Assert.Single((await bench.RunAsync(bench.Message("one\r\n"))).Results);
        Assert.Equal($"mx.example.net[127.0.0.1]:{server.Port} {cause}", result.Reply);
        Assert.Equal($"mx.example.net[127.0.0.1]:{server.Port}", result.RemoteHost);
    }

    [Theory]
    [InlineData("S: 250-Taken, but\n! close", "250 Taken, but")]
    [InlineData("S: 250-2.0.0 Taken,\nS: 250-2.0.0 but\n! raw 451-not \n! close", "250 2.0.0 Taken, but 451 not")]
    [InlineData("S: 250-\u0007\u001b[2J\nS: free text\n! raw 25\n! close", "250 ??[2J free text 25")]
    [InlineData("! raw 250-\n! bytes 1000\n! close", "250 {x}...")]
    public async Task Of_an_answer_to_the_dot_that_breaks_off_its_beginning_is_reported(string answer, string began)
    {
        const string ToTheDot = "S: 220 mx\n* EHLO\nS: 250 mx\n* MAIL\nS: 250 Ok\n* RCPT\nS: 250 Ok\n* DATA\nS: 354 Go on\nC: one\nC: .\n";
        await using var server = new ScriptedServer(ToTheDot + answer);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(["Uncertain 4.4.2"], Bench.Outcomes(report));
        // Half as much as of a whole reply.
        began = began.Replace("{x}", new string('x', 250 - "250 ".Length), StringComparison.Ordinal);
        Assert.Equal(
            $"127.0.0.1:{server.Port} closed the connection before the end of its answer to the final dot, which began: {began}", report.Results[0].Reply);
    }

    [Fact]
    public async Task A_host_that_swallows_connections_is_said_to_have_timed_out()
    {
        // Whoever connects to a listener whose queue is full hears nothing.
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(0);
        var clients = Enumerable.Range(0, 8).Select(_ => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)).ToList();
        var connects = clients.ConvertAll(client => client.ConnectAsync(listener.LocalEndPoint!));
        await Task.WhenAny(connects);
        await using var bench = new Bench(options => options.Timeouts.Connect = TimeSpan.FromMilliseconds(300));
        bench.RouteTo($"127.0.0.1:{((IPEndPoint)listener.LocalEndPoint!).Port}");
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(["Deferred 4.4.1"], Bench.Outcomes(report));
        Assert.Equal($"{listener.LocalEndPoint} timed out: no answer to the connection within 0.3 s", report.Results[0].Reply);
        clients.ForEach(client => client.Dispose());
        foreach (var connect in connects)
            await connect.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
    }

    [Fact]
    public async Task A_host_that_takes_nothing_of_the_content_leaves_no_doubt()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        await using var bench = new Bench(options =>
        {
            options.Timeouts.Block = TimeSpan.FromSeconds(2);
            options.Timeouts.FinalDot = TimeSpan.FromSeconds(2);
        });
        bench.RouteTo(listener.LocalEndpoint.ToString()!);
        var running = bench.RunAsync(bench.Message(string.Concat(Enumerable.Repeat(new string('x', 1022) + "\r\n", 3 * 1024))));
        using var far = await listener.AcceptSocketAsync(TestContext.Current.CancellationToken);
        var commands = new byte[1000];
        foreach (var reply in new[] { "220 mx", "250 mx", "250 Ok", "250 Ok", "354 Go on" })
        {
            await far.SendAsync(System.Text.Encoding.ASCII.GetBytes(reply + "\r\n"), TestContext.Current.CancellationToken);
            if (!reply.StartsWith("354", StringComparison.Ordinal))
                await far.ReceiveAsync(commands, TestContext.Current.CancellationToken);
        }

        var report = await running;
        Assert.Equal(["Deferred 4.4.2"], Bench.Outcomes(report));
        Assert.Equal($"{listener.LocalEndpoint} timed out: what was sent was not taken within 2 s", report.Results[0].Reply);
        Assert.Empty(bench.Claims.EverNoted);
    }

    [Theory]
    [InlineData("mx.example.net", 1, true, null)]
    [InlineData("mail.example.org", 1, true, "is for mail.example.org and not for mx.example.net")]
    [InlineData("a.example,b.example,c.example,d.example", 1, true, "is for a.example, b.example, c.example and others and not for mx.example.net")]
    [InlineData("mx.example.net", -10, true, "expired on {end}")]
    [InlineData("mx.example.net", 100, true, "is not valid before {start}")]
    [InlineData("mx.example.net", 1, false, "comes from an authority that is not trusted (Test CA)")]
    [InlineData("mail.example.org", -10, false, "is for mail.example.org and not for mx.example.net, and expired on {end}, and comes from an authority that is not trusted (Test CA)")]
    public void What_is_wrong_with_a_certificate_is_said(string names, int endsInDays, bool isTrusted, string? fault)
    {
        using var authority = Authority();
        using var certificate = Issue(authority, names.Split(','), s_now.AddDays(endsInDays - 20), s_now.AddDays(endsInDays));
        using var chain = new X509Chain
        {
            ChainPolicy = { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck },
        };
        if (isTrusted)
            chain.ChainPolicy.CustomTrustStore.Add(authority);
        var errors = (chain.Build(certificate) ? SslPolicyErrors.None : SslPolicyErrors.RemoteCertificateChainErrors)
            | (certificate.MatchesHostname("mx.example.net") ? SslPolicyErrors.None : SslPolicyErrors.RemoteCertificateNameMismatch);

        var check = CheckOf("mx.example.net");
        Assert.Equal(fault is null, check.IsGood(certificate, chain, errors));
        var expected = fault?.Replace("{end}", Day(s_now.AddDays(endsInDays)), StringComparison.Ordinal)
            .Replace("{start}", Day(s_now.AddDays(endsInDays - 20)), StringComparison.Ordinal);
        Assert.Equal(expected is null ? null : $"The certificate of {Peer} {expected}", check.Fault);
    }

    [Fact]
    public void An_authority_that_expired_is_named()
    {
        using var authority = Authority(s_now.AddDays(-1));
        using var certificate = Issue(authority, ["mx.example.net"], s_now.AddDays(-10), s_now.AddDays(-1));
        using var chain = new X509Chain
        {
            ChainPolicy = { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck },
        };
        chain.ChainPolicy.CustomTrustStore.Add(authority);
        Assert.False(chain.Build(certificate));
        var check = CheckOf("mx.example.net");
        check.IsGood(certificate, chain, SslPolicyErrors.RemoteCertificateChainErrors);
        Assert.Equal(
            $"The certificate of {Peer} expired on {Day(s_now.AddDays(-1))}, and was issued by Test CA, whose own expired on {Day(s_now.AddDays(-1))}",
            check.Fault);
    }

    [Theory]
    [InlineData("! tls\n! close", true, "The certificate of {peer} is for mail.example.org and not for mx.example.net, and is self-signed")]
    [InlineData("! tls\n! close", false, "The certificate of {peer} cannot be checked, as the route leads to an address and not to a name, and is self-signed")]
    // Who closes with what the client has sent unread resets.
    [InlineData("! close", true, "{peer} (closed|reset) the connection during the TLS handshake")]
    public async Task What_stands_in_the_way_of_TLS_is_reported(string handshake, bool byName, string expected)
    {
        using var key = ECDsa.Create();
        using var made = Request("mail.example.org", key, ["mail.example.org"]).CreateSelfSigned(s_now.AddDays(-1), s_now.AddDays(100));
        using var certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
        await using var server = new ScriptedServer("S: 220 mx\n* EHLO\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 Go on\n" + handshake)
        {
            Certificate = certificate,
        };
        await using var bench = new Bench(options =>
        {
            options.Port = server.Port;
            options.Tls = TlsPolicy.Verified;
        });
        bench.Dns.WithMx(Bench.Domain, (10, "mx.example.net")).WithAddress("mx.example.net", "127.0.0.1");
        if (!byName)
            bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(["Deferred 4.7.5"], Bench.Outcomes(report));
        var peer = byName ? $"mx.example.net[127.0.0.1]:{server.Port}" : $"127.0.0.1:{server.Port}";
        Assert.Matches($"^{expected.Replace("{peer}", Regex.Escape(peer), StringComparison.Ordinal)}$", report.Results[0].Reply);
    }

    [Fact]
    public async Task A_handshake_that_fails_names_the_cause_of_OpenSSL()
    {
        await using var server = new ScriptedServer(
            "S: 220 mx\n* EHLO\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 Go on\n! alert\n! hang");
        await using var bench = new Bench(options => options.Tls = TlsPolicy.Required);
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(["Deferred 4.7.5"], Bench.Outcomes(report));
        Assert.Matches($"^127\\.0\\.0\\.1:{server.Port}: the TLS handshake failed: .*alert protocol version$", report.Results[0].Reply);
    }

    [Theory]
    // A name that is no IA5String; what is no sequence; what is cut off.
    [InlineData("2.5.29.17", "30058203FFFE41", "has names that cannot be read, and is self-signed")]
    [InlineData("2.5.29.17", "0403010203", "has names that cannot be read, and is self-signed")]
    [InlineData("2.5.29.17", "30058203", null)]
    [InlineData("2.5.29.19", "FFFF", null)]
    [InlineData("2.5.29.30", "FFFF", null)]
    [InlineData("2.5.29.31", "FFFF", null)]
    [InlineData("2.5.29.35", "FFFF", null)]
    [InlineData("2.5.29.37", "FFFF", null)]
    [InlineData("1.3.6.1.5.5.7.1.1", "FFFF", null)]
    public async Task A_certificate_that_cannot_be_read_is_refused_in_words_and_the_next_host_is_tried(string extension, string octets, string? fault)
    {
        using var key = ECDsa.Create();
        var request = new CertificateRequest("CN=mail.example.org", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509Extension(extension, Convert.FromHexString(octets), critical: false));
        using var made = request.CreateSelfSigned(s_now.AddDays(-1), s_now.AddDays(100));
        using var certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
        const string Script = "S: 220 mx\n* EHLO\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 Go on\n! tls\n! close";
        await using var server = new ScriptedServer([Script, Script]) { Certificate = certificate };
        await using var bench = new Bench(options => (options.Port, options.Tls) = (server.Port, TlsPolicy.Verified));
        bench.Dns.WithMx(Bench.Domain, (10, "mx.example.net"), (20, "next.example.net"))
            .WithAddress("mx.example.net", "127.0.0.1").WithAddress("next.example.net", "127.0.0.1");
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(["Deferred 4.7.5"], Bench.Outcomes(report));
        Assert.Contains($"next.example.net[127.0.0.1]:{server.Port}", report.Results[0].Reply, StringComparison.Ordinal);
        if (fault is not null)
            Assert.Equal($"The certificate of next.example.net[127.0.0.1]:{server.Port} {fault}", report.Results[0].Reply);
        Assert.DoesNotContain(bench.Log.Collector.GetSnapshot(), record => record.Exception is not null);
    }

    private static CertificateCheck CheckOf(string host)
    {
        var demand = new TlsDemand(TlsPolicy.Verified);
        return new CertificateCheck(
            new TargetHost(host, 25) { Tls = demand }, Peer, TlsChoice.Of(demand, tlsa: null), new TrustedRoots(""),
            TimeProvider.System);
    }

    private static string Day(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd", null);

    private static CertificateRequest Request(string subject, ECDsa key, string[] names)
    {
        var request = new CertificateRequest($"CN={subject}", key, HashAlgorithmName.SHA256);
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (var name in names)
            alternatives.AddDnsName(name);
        request.CertificateExtensions.Add(alternatives.Build());
        return request;
    }

    private static X509Certificate2 Authority(DateTimeOffset? end = null)
    {
        using var key = ECDsa.Create();
        var request = new CertificateRequest("CN=Test CA", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, critical: true));
        return request.CreateSelfSigned(s_now.AddDays(-1000), end ?? s_now.AddDays(1000));
    }

    private static X509Certificate2 Issue(X509Certificate2 authority, string[] names, DateTimeOffset from, DateTimeOffset to)
    {
        using var key = ECDsa.Create();
        return Request(names[0], key, names).Create(authority, from, to, [1, 2, 3]);
    }
}
