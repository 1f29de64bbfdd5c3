using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace MailPipeline.MtaSts.Tests;

/// <summary>A host of MTA-STS policies: HTTPS by hand, so that it can answer as no server does.</summary>
internal sealed class PolicyServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly X509Certificate2 _certificate;
    private readonly Task _accepting;
    private readonly List<Task> _answering = [];
    private int _requests;

    public PolicyServer(X509Certificate2 certificate)
    {
        _certificate = certificate;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndpoint;

    /// <summary>Requests that were read.</summary>
    public int Requests => Volatile.Read(ref _requests);

    /// <summary>The head of the last one.</summary>
    public string LastRequest { get; private set; } = "";

    public string Status { get; set; } = "200 OK";

    public string MediaType { get; set; } = "text/plain; charset=utf-8";

    /// <summary>In front of the body, beside its type.</summary>
    public string MoreFields { get; set; } = "";

    public string Body { get; set; } = "";

    /// <summary>It is sent as often, without its length being said.</summary>
    public int Times { get; set; } = 1;

    /// <summary>It takes connections, and says nothing, not in TLS either.</summary>
    public bool IsSilent { get; set; }

    /// <summary>It answers when this completes.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    /// <summary>Octets of the body that were sent.</summary>
    public long Sent { get; private set; }

    public async ValueTask DisposeAsync()
    {
        if (_stop.IsCancellationRequested)
            return;
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        await Task.WhenAll(_answering);
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
                _answering.Add(AnswerAsync(await _listener.AcceptTcpClientAsync(_stop.Token)));
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or InvalidOperationException)
        {
            // The test is over.
        }
    }

    private async Task AnswerAsync(TcpClient client)
    {
        using var owned = client;
        try
        {
            if (IsSilent)
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, _stop.Token);
            await using var tls = new SslStream(client.GetStream());
            await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = _certificate }, _stop.Token);
            using var reader = new StreamReader(tls, Encoding.Latin1, leaveOpen: true);
            var head = new StringBuilder();
            while (await reader.ReadLineAsync(_stop.Token) is { Length: > 0 } line)
                head.AppendLine(line);
            LastRequest = head.ToString();
            Interlocked.Increment(ref _requests);
            await Gate.WaitAsync(_stop.Token);
            await tls.WriteAsync(Encoding.Latin1.GetBytes($"HTTP/1.1 {Status}\r\nContent-Type: {MediaType}\r\nConnection: close\r\n{MoreFields}\r\n"), _stop.Token);
            var body = Encoding.Latin1.GetBytes(Body);
            for (var i = 0; i < Times; i++, Sent += body.Length)
                await tls.WriteAsync(body, _stop.Token);
            await tls.ShutdownAsync();
        }
        catch (Exception error) when (error is OperationCanceledException or IOException or AuthenticationException)
        {
            // The client has had enough, or the test is over.
        }
    }
}

/// <summary>Where hosts of policies are; a name that is not in it has no address.</summary>
internal sealed class FakePolicyHosts : IPolicyHosts
{
    public Dictionary<string, IPEndPoint> Known { get; } = [];

    public Task<IReadOnlyList<IPEndPoint>> FindAsync(string name) => Task.FromResult<IReadOnlyList<IPEndPoint>>(Known.TryGetValue(name, out var known) ? [known] : []);
}
