using System.Net;
using System.Text;
using MailKit.Net.Smtp;
using MailKit.Security;
using MailPipeline.Sasl;
using MailPipeline.ServiceDefaults;
using MailPipeline.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace MailPipeline.Ingress.Tests;

/// <summary>SCRAM-SHA-256 (RFC 5802, 7677) at submission, with a client that others have written, and with what clients do wrong.</summary>
public sealed class ScramTests
{
    [Fact]
    public async Task MailKit_logs_in_by_a_proof_and_not_with_a_wrong_password()
    {
        await using var host = await StartAsync();
        using var client = new SmtpClient();
#pragma warning disable CA5359 // The server's certificate is its own.
        client.ServerCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
        await client.ConnectAsync(IPAddress.Loopback.ToString(), host.Submissions.Port, SecureSocketOptions.SslOnConnect, TestContext.Current.CancellationToken);
        Assert.Contains("SCRAM-SHA-256", client.AuthenticationMechanisms);
        foreach (var (name, password) in new[] { ("ann@example.com", "wrong"), ("nobody@example.com", "secret") })
        {
            await Assert.ThrowsAsync<AuthenticationException>(
                () => client.AuthenticateAsync(new SaslMechanismScramSha256(name, password), TestContext.Current.CancellationToken));
        }

        await client.AuthenticateAsync(new SaslMechanismScramSha256("ann@example.com", "secret"), TestContext.Current.CancellationToken);
        await client.SendAsync(
            MimeKit.MimeMessage.Load(new MemoryStream("From: ann@example.com\r\nTo: carol@example.net\r\nSubject: x\r\n\r\ny\r\n"u8.ToArray()), TestContext.Current.CancellationToken),
            TestContext.Current.CancellationToken);
        Assert.Equal("ann@example.com", (await host.NextHintAsync()).Sender);
        await client.DisconnectAsync(true, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Nobody_is_logged_in_before_the_client_has_heard_the_servers_proof()
    {
        await using var host = await StartAsync();
        await using var client = await Client.GreetedAsync(host.Submission);
        var mechanism = new SaslMechanismScramSha256("ann@example.com", "secret");
        var first = await client.SayAsync($"AUTH SCRAM-SHA-256 {await mechanism.ChallengeAsync("", TestContext.Current.CancellationToken)}", "334");
        var proof = await mechanism.ChallengeAsync(first[4..].Trim(), TestContext.Current.CancellationToken);
        await client.SayAsync(proof, "334");
        // It did not believe it.
        await client.SayAsync("*", "501 5.7.0");
        await client.SayAsync("MAIL FROM:<ann@example.com>", "530");
        // What was proven once proves nothing again: the nonce is another.
        await client.SayAsync("AUTH SCRAM-SHA-256 " + Convert.ToBase64String("n,,n=ann@example.com,r=x"u8), "334");
        await client.SayAsync(proof, "535 5.7.8");
        await client.SayAsync("MAIL FROM:<ann@example.com>", "530");
    }

    /// <summary>MailKit takes what it binds by from the platform, which reads certificates by itself.</summary>
    [Theory]
    [InlineData(1, SecureSocketOptions.StartTls)]
    [InlineData(2, SecureSocketOptions.SslOnConnect)]
    public async Task MailKit_binds_its_login_to_the_connection(int listener, SecureSocketOptions tls)
    {
        await using var host = await StartBindingAsync();
        using var client = Client256Plus();
        await client.ConnectAsync(IPAddress.Loopback.ToString(), (listener == 1 ? host.Submission : host.Submissions).Port, tls, TestContext.Current.CancellationToken);
        Assert.Contains("SCRAM-SHA-256-PLUS", client.AuthenticationMechanisms);
        await Assert.ThrowsAsync<AuthenticationException>(
            () => client.AuthenticateAsync(new SaslMechanismScramSha256Plus("ann@example.com", "wrong"), TestContext.Current.CancellationToken));
        await client.AuthenticateAsync(new SaslMechanismScramSha256Plus("ann@example.com", "secret"), TestContext.Current.CancellationToken);
        Assert.True(client.IsAuthenticated);
        await client.DisconnectAsync(true, TestContext.Current.CancellationToken);
    }

    /// <summary>Whoever sits between has a certificate of his own. Without the binding he carries the login, and with it he does not.</summary>
    [Fact]
    public async Task A_login_is_not_carried_by_whom_sits_between()
    {
        await using var host = await StartBindingAsync();
        await using var between = new TlsBetween(host.Submissions);
        using (var fooled = Client256Plus())
        {
            await fooled.ConnectAsync(IPAddress.Loopback.ToString(), between.Port, SecureSocketOptions.SslOnConnect, TestContext.Current.CancellationToken);
            await fooled.AuthenticateAsync(new SaslMechanismScramSha256("ann@example.com", "secret"), TestContext.Current.CancellationToken);
            Assert.True(fooled.IsAuthenticated);
        }

        using var client = Client256Plus();
        await client.ConnectAsync(IPAddress.Loopback.ToString(), between.Port, SecureSocketOptions.SslOnConnect, TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<AuthenticationException>(
            () => client.AuthenticateAsync(new SaslMechanismScramSha256Plus("ann@example.com", "secret"), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Who_was_not_told_that_he_may_bind_does_not_log_in()
    {
        await using var host = await StartBindingAsync();
        await using var client = await Client.OpenAsync(host.Submissions);
        await client.StartTlsAsync();
        await client.ExpectAsync("220");
        Assert.Contains("250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN", await client.SayAsync("EHLO x", "250"), StringComparison.Ordinal);
        await client.SayAsync("AUTH SCRAM-SHA-256 " + Convert.ToBase64String("y,,n=ann@example.com,r=x"u8), "334 " + Convert.ToBase64String("e=server-does-support-channel-binding"u8));
        await client.SayAsync("", "535 5.7.8");
        await client.SayAsync("AUTH SCRAM-SHA-256 " + Convert.ToBase64String("n,,n=ann@example.com,r=x"u8), "334");
    }

    [Fact]
    public async Task Without_TLS_there_is_nothing_to_bind()
    {
        await using var host = await StartBindingAsync();
        await using var client = await Client.ConnectAsync(host.Submission);
        Assert.Contains("250-AUTH SCRAM-SHA-256 PLAIN", await client.SayAsync("EHLO x", "250"), StringComparison.Ordinal);
        foreach (var type in new[] { "tls-server-end-point", "tls-exporter" })
            await client.SayAsync("AUTH SCRAM-SHA-256-PLUS " + Convert.ToBase64String(Encoding.ASCII.GetBytes($"p={type},,n=ann@example.com,r=x")), "504 5.5.4");
    }

    /// <summary>GNU SASL over GnuTLS: neither of both is ours, or OpenSSL's.</summary>
    [Fact]
    public async Task GNU_SASL_binds_its_login_to_TLS_1_3_by_tls_exporter()
    {
        await using var host = await StartBindingAsync();
        Assert.Equal((0, "tls-exporter"), await GnuSaslAsync(host, "secret", "NORMAL:-VERS-ALL:+VERS-TLS1.3"));
        Assert.Equal((1, "tls-exporter"), await GnuSaslAsync(host, "wrong", "NORMAL:-VERS-ALL:+VERS-TLS1.3"));
    }

    /// <summary>A client that binds to TLS 1.2 by what is not known here is told that it is not.</summary>
    [Fact]
    public async Task GNU_SASL_is_told_that_tls_unique_is_not_known()
    {
        await using var host = await StartBindingAsync();
        Assert.Equal((1, "tls-unique"), await GnuSaslAsync(host, "secret", "NORMAL:-VERS-ALL:+VERS-TLS1.2"));
    }

    [Fact]
    public async Task A_login_is_bound_by_tls_exporter_to_its_own_connection_and_no_other()
    {
        await using var host = await StartBindingAsync();
        await using var client = await SecuredAsync(host);
        await using var other = await SecuredAsync(host);
        var (mine, others) = (Exported(client), Exported(other));
        byte[] spoilt = [.. mine[..31], (byte)(mine[31] ^ 1)];
        var endPoint = ChannelBinding.Of(client.Tls!.RemoteCertificate, null)[0].Octets;
        const string mismatch = "channel-bindings-dont-match";
        Assert.Equal((mismatch, "535"), await LogInAsync(client, "tls-exporter", others));
        Assert.Equal((mismatch, "535"), await LogInAsync(client, "tls-exporter", spoilt));
        Assert.Equal((mismatch, "535"), await LogInAsync(client, "tls-exporter", Array.Empty<byte>()));
        Assert.Equal((mismatch, "535"), await LogInAsync(client, "tls-exporter", endPoint));
        Assert.Equal((mismatch, "535"), await LogInAsync(client, "tls-server-end-point", mine));
        Assert.Equal(("unsupported-channel-binding-type", "535"), await LogInAsync(client, "tls-unique", mine));
        Assert.Equal(("unsupported-channel-binding-type", "535"), await LogInAsync(client, "TLS-EXPORTER", mine));
        await client.SayAsync("MAIL FROM:<ann@example.com>", "530");
        Assert.Equal((null, "235"), await LogInAsync(client, "tls-exporter", mine));
        Assert.Equal((null, "235"), await LogInAsync(other, "tls-server-end-point", endPoint));
    }

    /// <summary>RFC 9266 §4: of such a connection whoever sits between may know the same secret on both of his sides.</summary>
    [Fact]
    public async Task Without_an_extended_master_secret_TLS_1_2_is_bound_by_the_certificate_alone()
    {
        await using var host = await StartBindingAsync();
        using var folder = new TempFolder("scram");
        var configuration = folder.Write("openssl.cnf", "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nOptions = -ExtendedMasterSecret\n");
        Assert.Equal(("334", "334"), await BeginAsync(null));
        Assert.Equal(("334 ZT11bnN1cHBvcnRlZC1jaGFubmVsLWJpbmRpbmctdHlwZQ==", "334"), await BeginAsync(configuration));

        // What is said to tls-exporter, and to tls-server-end-point; where that is a challenge of the server's, its code alone.
        async Task<(string Exporter, string EndPoint)> BeginAsync(string? configuration)
        {
            var said = await ServerProcess.RunAsync(
                DebianProgram.Find("openssl", "openssl"),
                ["s_client", "-connect", host.Submissions.ToString(), "-tls1_2", "-quiet", "-ign_eof"],
                environment: configuration is null ? null : new Dictionary<string, string?> { ["OPENSSL_CONF"] = configuration },
                input: $"EHLO x\r\nAUTH SCRAM-SHA-256-PLUS {First("tls-exporter")}\r\n*\r\nAUTH SCRAM-SHA-256-PLUS {First("tls-server-end-point")}\r\n*\r\nQUIT\r\n",
                cancellation: TestContext.Current.CancellationToken);
            var challenges = said.Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith("334 ", StringComparison.Ordinal)).ToArray();
            Assert.True(challenges.Length == 2, said);
            return (Code(challenges[0]), Code(challenges[1]));
        }

        static string First(string type) => Convert.ToBase64String(Encoding.ASCII.GetBytes($"p={type},,n=ann@example.com,r=x"));
        static string Code(string line) => Encoding.ASCII.GetString(Convert.FromBase64String(line[4..])).StartsWith("r=x", StringComparison.Ordinal) ? line[..3] : line;
    }

    private static async Task<Client> SecuredAsync(IngressHost host)
    {
        var client = await Client.OpenAsync(host.Submissions);
        await client.StartTlsAsync();
        await client.ExpectAsync("220");
        await client.SayAsync("EHLO x", "250");
        return client;
    }

    private static byte[] Exported(Client client)
    {
        var octets = new TlsExporter(NullLogger<TlsExporter>.Instance).ChannelBinding(client.Tls!);
        Assert.NotNull(octets);
        return octets;
    }

    private static async Task<(string? Error, string Code)> LogInAsync(Client client, string type, ReadOnlyMemory<byte> octets)
    {
        var (error, reply) = await BoundLogin.TryAsync(client.AskAsync, "ann@example.com", "secret", type, octets);
        return (error, reply[..3]);
    }

    /// <summary>How it ended, and by what it has bound its login.</summary>
    private static async Task<(int ExitCode, string Type)> GnuSaslAsync(IngressHost host, string password, string priority)
    {
        await using var client = ServerProcess.Start(
            DebianProgram.Find("gsasl", "gsasl"),
            [
                "--smtp", $"--connect={host.Submission}", "--starttls", "--x509-ca-file=", $"--priority={priority}", "--mechanism=SCRAM-SHA-256-PLUS",
                "--authentication-id=ann@example.com", $"--password={password}", "--no-client-first", "--verbose",
            ]);
        await client.WaitForExitAsync(TestContext.Current.CancellationToken);
        var said = client.Output.Split('\n').Select(line => line.Trim()).FirstOrDefault(line => line.StartsWith("cD1", StringComparison.Ordinal));
        Assert.True(said is not null, client.Output);
        return (client.ExitCode, Encoding.ASCII.GetString(Convert.FromBase64String(said))[2..].Split(',')[0]);
    }

    private static SmtpClient Client256Plus() => new()
    {
#pragma warning disable CA5359 // The server's certificate is its own.
        ServerCertificateValidationCallback = (_, _, _, _) => true,
#pragma warning restore CA5359
    };

    private static Task<IngressHost> StartBindingAsync() => IngressHost.StartAsync(new Dictionary<string, string>
    {
        ["Ingress:AllowCleartextAuth"] = "true",
        ["Ingress:AuthFailureDelay"] = "00:00:00",
        ["Ingress:MaxAuthFailures"] = "20",
        ["Ingress:Listeners:1:AuthMechanisms"] = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN",
        ["Ingress:Listeners:2:AuthMechanisms"] = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN",
    });

    private static Task<IngressHost> StartAsync() => IngressHost.StartAsync(new Dictionary<string, string>
    {
        ["Ingress:AllowCleartextAuth"] = "true",
        ["Ingress:AuthFailureDelay"] = "00:00:00",
        ["Ingress:Listeners:1:AuthMechanisms"] = "LOGIN PLAIN SCRAM-SHA-256",
        ["Ingress:Listeners:2:AuthMechanisms"] = "LOGIN PLAIN SCRAM-SHA-256",
    });
}
