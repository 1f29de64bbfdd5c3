using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace MailPipeline.Ingress.Tests;

/// <summary>Somebody between a client and a server of implicit TLS: reads all that passes, and shows the client a certificate of his own.</summary>
internal sealed class TlsBetween : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly IPEndPoint _server;
    private readonly Task _serving;

    public TlsBetween(IPEndPoint server)
    {
        _server = server;
        _listener.Start();
        _serving = ServeAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _serving;
        _stop.Dispose();
    }

    private async Task ServeAsync()
    {
        using var key = ECDsa.Create();
        using var made = new CertificateRequest("CN=mx.example.com", key, HashAlgorithmName.SHA256)
            .CreateSelfSigned(DateTimeOffset.UnixEpoch, new DateTimeOffset(2100, 1, 1, 0, 0, 0, TimeSpan.Zero));
        using var certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                using var client = await _listener.AcceptTcpClientAsync(_stop.Token);
                using var server = new TcpClient();
                await server.ConnectAsync(_server, _stop.Token);
                await using var toClient = new SslStream(client.GetStream());
                await toClient.AuthenticateAsServerAsync(certificate);
#pragma warning disable CA5359 // It wants to hear everybody.
                await using var toServer = new SslStream(server.GetStream(), false, (_, _, _, _) => true);
#pragma warning restore CA5359
                await toServer.AuthenticateAsClientAsync("mx.example.com");
                await Task.WhenAny(toClient.CopyToAsync(toServer, _stop.Token), toServer.CopyToAsync(toClient, _stop.Token));
            }
            catch (Exception error) when (error is OperationCanceledException or SocketException or IOException or InvalidOperationException)
            {
            }
        }
    }
}
