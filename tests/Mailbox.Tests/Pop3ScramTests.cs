using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using MailKit.Net.Pop3;
using MailKit.Security;
using MailPipeline.Mailbox.Tests.Kit;
using MailPipeline.ServiceDefaults;
using MailPipeline.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Pop3Client = MailKit.Net.Pop3.Pop3Client;

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
    public async Task A_login_is_bound_by_tls_exporter_to_its_own_connection_and_no_other()
    {
        await using var host = await MailboxHost.StartAsync(new Dictionary<string, string?> { ["Mailbox:Listeners:1:AuthMechanisms"] = "SCRAM-SHA-256-PLUS PLAIN" });
        await host.AddAccountAsync("ann@example.org");
        var (wire, mine) = await ConnectAsync(host.EndPoints[1]);
        var (other, others) = await ConnectAsync(host.EndPoints[1]);
        await using (wire)
        await using (other)
        {
            var (error, reply) = await LogInAsync(wire, "tls-exporter", others);
            Assert.Equal(("channel-bindings-dont-match", "-ERR [AUTH]"), (error, reply[..11]));
            (error, reply) = await LogInAsync(wire, "tls-unique", mine);
            Assert.Equal(("unsupported-channel-binding-type", "-ERR [AUTH]"), (error, reply[..11]));
            (error, reply) = await LogInAsync(wire, "tls-exporter", mine);
            Assert.Equal((null, "+OK"), (error, reply[..3]));
        }
    }

    private static async Task<(WireStream Wire, byte[] Exported)> ConnectAsync(IPEndPoint server)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(server, TestContext.Current.CancellationToken);
        var tls = await TestTls.AsClientAsync(new NetworkStream(socket, ownsSocket: true), TestContext.Current.CancellationToken);
        var exported = new TlsExporter(NullLogger<TlsExporter>.Instance).ChannelBinding((SslStream)tls);
        Assert.NotNull(exported);
        var wire = new WireStream(tls);
        await wire.ReadLineAsync(TestContext.Current.CancellationToken);
        return (wire, exported);
    }

    private static Task<(string? Error, string Reply)> LogInAsync(WireStream wire, string type, byte[] octets) => BoundLogin.TryAsync(
        async line =>
        {
            await wire.WriteAsync(line + "\r\n", TestContext.Current.CancellationToken);
            return Encoding.ASCII.GetString((await wire.ReadLineAsync(TestContext.Current.CancellationToken))!.Value.Span);
        },
        "ann@example.org", "secret", type, octets);

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
