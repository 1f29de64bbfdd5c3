using System.Net;
using MailKit.Net.Pop3;
using MailKit.Security;
using MailPipeline.Mailbox.Tests.Kit;

namespace MailPipeline.Mailbox.Tests;

/// <summary>SCRAM-SHA-256 (RFC 5802, 7677) in POP3: where it is offered, and with a client that others have written.</summary>
public sealed class Pop3ScramTests
{
    private static readonly Dictionary<string, string?> s_offered = new()
    {
        ["Mailbox:Listeners:0:AuthMechanisms"] = "SCRAM-SHA-256 PLAIN",
        ["Mailbox:Listeners:1:AuthMechanisms"] = "SCRAM-SHA-256 PLAIN",
    };

    [Theory]
    [InlineData(0, SecureSocketOptions.StartTls)]
    [InlineData(1, SecureSocketOptions.SslOnConnect)]
    public async Task MailKit_logs_in_by_a_proof_and_not_with_a_wrong_password(int listener, SecureSocketOptions tls)
    {
        await using var host = await MailboxHost.StartAsync(s_offered);
        await host.AddAccountAsync("ann@example.org");
        using var client = new Pop3Client();
#pragma warning disable CA5359 // The server's certificate is its own.
        client.ServerCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
        await client.ConnectAsync(IPAddress.Loopback.ToString(), host.EndPoints[listener].Port, tls, TestContext.Current.CancellationToken);
        Assert.Contains("SCRAM-SHA-256", client.AuthenticationMechanisms);
        await Assert.ThrowsAsync<AuthenticationException>(
            () => client.AuthenticateAsync(new SaslMechanismScramSha256("ann@example.org", "wrong"), TestContext.Current.CancellationToken));
        await Assert.ThrowsAsync<AuthenticationException>(
            () => client.AuthenticateAsync(new SaslMechanismScramSha256("bob@example.org", "secret"), TestContext.Current.CancellationToken));
        await client.AuthenticateAsync(new SaslMechanismScramSha256("ann@example.org", "secret"), TestContext.Current.CancellationToken);
        Assert.Equal(0, client.Count);
        await client.DisconnectAsync(true, TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData(0, SecureSocketOptions.StartTls)]
    [InlineData(1, SecureSocketOptions.SslOnConnect)]
    public async Task MailKit_binds_its_login_to_the_connection(int listener, SecureSocketOptions tls)
    {
        await using var host = await MailboxHost.StartAsync(new Dictionary<string, string?>
        {
            ["Mailbox:Listeners:0:AuthMechanisms"] = "SCRAM-SHA-256-PLUS SCRAM-SHA-256",
            ["Mailbox:Listeners:1:AuthMechanisms"] = "SCRAM-SHA-256-PLUS SCRAM-SHA-256",
        });
        await host.AddAccountAsync("ann@example.org");
        using var client = new Pop3Client();
#pragma warning disable CA5359 // The server's certificate is its own.
        client.ServerCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
        await client.ConnectAsync(IPAddress.Loopback.ToString(), host.EndPoints[listener].Port, tls, TestContext.Current.CancellationToken);
        Assert.Contains("SCRAM-SHA-256-PLUS", client.AuthenticationMechanisms);
        await Assert.ThrowsAsync<AuthenticationException>(
            () => client.AuthenticateAsync(new SaslMechanismScramSha256Plus("ann@example.org", "wrong"), TestContext.Current.CancellationToken));
        await client.AuthenticateAsync(new SaslMechanismScramSha256Plus("ann@example.org", "secret"), TestContext.Current.CancellationToken);
        Assert.Equal(0, client.Count);
        await client.DisconnectAsync(true, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Where_it_is_not_offered_it_is_unknown_and_CAPA_names_what_is()
    {
        using var harness = new Pop3Harness();
        var wire = harness.Connect();
        await wire.LineAsync();
        Assert.Equal("-ERR unknown authentication mechanism", await wire.AskAsync("AUTH SCRAM-SHA-256"));
        Assert.Equal("+OK capabilities follow", await wire.AskAsync("CAPA"));
        var lines = new List<string>();
        while (await wire.LineAsync() is var line and not ".")
            lines.Add(line);
        Assert.Contains("SASL LOGIN PLAIN", lines);
    }
}
