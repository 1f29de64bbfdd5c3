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

    private static Task<IngressHost> StartAsync() => IngressHost.StartAsync(new Dictionary<string, string>
    {
        ["Ingress:AllowCleartextAuth"] = "true",
        ["Ingress:AuthFailureDelay"] = "00:00:00",
        ["Ingress:Listeners:1:AuthMechanisms"] = "LOGIN PLAIN SCRAM-SHA-256",
        ["Ingress:Listeners:2:AuthMechanisms"] = "LOGIN PLAIN SCRAM-SHA-256",
    });
}
