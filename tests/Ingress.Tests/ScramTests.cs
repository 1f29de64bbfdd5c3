using System.Net;
using MailKit.Net.Smtp;
using MailKit.Security;

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
        await client.SayAsync("AUTH SCRAM-SHA-256 " + Convert.ToBase64String("y,,n=ann@example.com,r=x"u8), "535 5.7.8");
        await client.SayAsync("AUTH SCRAM-SHA-256 " + Convert.ToBase64String("n,,n=ann@example.com,r=x"u8), "334");
    }

    [Fact]
    public async Task Without_TLS_there_is_nothing_to_bind()
    {
        await using var host = await StartBindingAsync();
        await using var client = await Client.ConnectAsync(host.Submission);
        Assert.Contains("250-AUTH SCRAM-SHA-256 PLAIN", await client.SayAsync("EHLO x", "250"), StringComparison.Ordinal);
        await client.SayAsync("AUTH SCRAM-SHA-256-PLUS " + Convert.ToBase64String("p=tls-server-end-point,,n=ann@example.com,r=x"u8), "504 5.5.4");
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
