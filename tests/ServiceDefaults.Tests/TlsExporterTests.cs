using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using MailPipeline.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults.Tests;

/// <summary>
/// tls-exporter (RFC 9266) by an inside of the runtime. When these fail behind a new version of .NET, that inside has changed: logins are then
/// bound by the certificate alone, until TlsExporter knows the new one.
/// </summary>
public sealed class TlsExporterTests : IDisposable
{
    private const string Label = "EXPORTER-Channel-Binding";

    private readonly TempFolder _folder = new("exporter");
    private readonly FakeLogger<TlsExporter> _log = new();
    private readonly TlsExporter _exporter;
    private readonly ServerCertificate _listeners;

    public TlsExporterTests()
    {
        _exporter = new TlsExporter(_log);
        var (certificate, key) = SelfSignedCertificate.Create(["mx.example.org"], TimeProvider.System.GetUtcNow());
        var tls = new TlsOptions { CertificatePath = _folder.Write("certificate.pem", certificate), KeyPath = _folder.WriteSecret("key.pem", key) };
        _listeners = new ServerCertificate(Options.Create(tls), TimeProvider.System, NullLogger<ServerCertificate>.Instance);
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(SslProtocols.Tls13)]
    [InlineData(SslProtocols.Tls12)]
    public async Task Both_ends_of_a_connection_have_the_same_and_no_other_connection_has_it(SslProtocols protocol)
    {
        var (server, client) = await ConnectAsync(protocol);
        var (other, otherClient) = await ConnectAsync(protocol);
        await using (server)
        await using (client)
        await using (other)
        await using (otherClient)
        {
            var octets = Octets(server);
            Assert.Equal(32, octets?.Length);
            Assert.Equal(octets, Octets(server));
            Assert.NotEqual(octets, Octets(other));
            Assert.Equal(octets, Octets(client));
        }
    }

    [Theory]
    [InlineData("-tls1_3")]
    [InlineData("-tls1_2")]
    public async Task OpenSSL_as_a_client_has_the_same(string version)
    {
        var (said, octets) = await ServeOpenSslAsync(version, "");
        Assert.Contains($"Keying material: {Convert.ToHexString(octets!)}", said, StringComparison.Ordinal);
    }

    /// <summary>RFC 9266 §4: whoever sits between two such connections could give both the same secret.</summary>
    [Fact]
    public async Task With_TLS_1_2_there_is_none_without_an_extended_master_secret()
    {
        var (said, octets) = await ServeOpenSslAsync("-tls1_2", """
            openssl_conf = all
            [all]
            ssl_conf = tls
            [tls]
            system_default = defaults
            [defaults]
            Options = -ExtendedMasterSecret

            """);
        Assert.Contains("Extended master secret: no", said, StringComparison.Ordinal);
        Assert.Null(octets);
    }

    /// <summary>RFC 9266 §4: there would be another secret. OpenSSL itself would allow it, SslStream does not.</summary>
    [Fact]
    public async Task With_TLS_1_2_our_listeners_allow_no_other_handshake()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        await using var client = ServerProcess.Start(
            DebianProgram.Find("openssl", "openssl"), ["s_client", "-connect", listener.LocalEndpoint.ToString()!, "-tls1_2"], input: "R\n");
        await using var tls = await AsServerAsync(await listener.AcceptSocketAsync(Cancellation));
        await Assert.ThrowsAnyAsync<Exception>(async () => await tls.ReadAtLeastAsync(new byte[1], 1, throwOnEndOfStream: false, Cancellation));
        await tls.DisposeAsync();
        await client.WaitForExitAsync(Cancellation);
        Assert.Contains("RENEGOTIATING", client.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Before_the_handshake_and_behind_the_end_there_is_none()
    {
        var (server, client) = await ConnectAsync(SslProtocols.Tls13);
        await client.DisposeAsync();
        await server.DisposeAsync();
        await using var idle = new SslStream(new MemoryStream());
        Assert.All([server, client, idle], tls => Assert.Null(Octets(tls)));
    }

    /// <summary>The runtime, where the test runs, has the inside that is looked for.</summary>
    private byte[]? Octets(SslStream tls)
    {
        var octets = _exporter.ChannelBinding(tls);
        Assert.Empty(_log.Collector.GetSnapshot());
        return octets;
    }

    private async Task<(string Said, byte[]? Octets)> ServeOpenSslAsync(string version, string configuration)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        await using var client = ServerProcess.Start(
            DebianProgram.Find("openssl", "openssl"),
            ["s_client", "-connect", listener.LocalEndpoint.ToString()!, version, "-keymatexport", Label, "-keymatexportlen", "32"],
            environment: new Dictionary<string, string?> { ["OPENSSL_CONF"] = _folder.Write("openssl.cnf", configuration) });
        await using var tls = await AsServerAsync(await listener.AcceptSocketAsync(Cancellation));
        var octets = Octets(tls);
        await client.WaitForExitAsync(Cancellation);
        return (client.Output, octets);
    }

    private async Task<(SslStream Server, SslStream Client)> ConnectAsync(SslProtocols protocol)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(listener.LocalEndpoint, Cancellation);
        var server = AsServerAsync(await listener.AcceptSocketAsync(Cancellation));
        var client = await AsClientAsync(socket, protocol);
        return (await server, client);
    }

    private async Task<SslStream> AsServerAsync(Socket socket)
    {
        var tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
        await tls.AuthenticateAsServerAsync(_listeners.ServerOptions(), Cancellation);
        return tls;
    }

    private static async Task<SslStream> AsClientAsync(Socket socket, SslProtocols protocol)
    {
#pragma warning disable CA5359 // The server's certificate is its own.
        var tls = new SslStream(new NetworkStream(socket, ownsSocket: true), leaveInnerStreamOpen: false, (_, _, _, _) => true);
#pragma warning restore CA5359
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "mx.example.org", EnabledSslProtocols = protocol }, Cancellation);
        return tls;
    }
}
