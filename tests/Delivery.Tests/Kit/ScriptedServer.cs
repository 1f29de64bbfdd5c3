using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace MailPipeline.Delivery.Tests;

/// <summary>How the server's bytes are cut on their way.</summary>
public enum Cut
{
    Whole,
    Lines,
    Bytes,
}

/// <summary>
/// A far end that speaks real bytes by transcripts, one for each connection in order: "S: " lines are sent, "C: " lines must
/// come exactly so, "* " is the client's EHLO or HELO with any name. Directives: "! close", "! reset", "! tls", "! alert" (in the place of TLS), "! hang",
/// "! signal", "! wait" (for the gate), "! raw TEXT" (with \r \n escapes), "! bytes N" (N octets without line end), "! lines N" (N continuation lines).
/// </summary>
internal sealed class ScriptedServer : IAsyncDisposable
{
    private readonly Socket _listener;
    private readonly string[] _scripts;
    private readonly Cut _cut;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _conversations = [];
    private readonly Task _accepting;

    public ScriptedServer(string[] scripts, Cut cut = Cut.Whole, IPAddress? address = null, int port = 0)
    {
        _scripts = scripts;
        _cut = cut;
        _listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _listener.Bind(new IPEndPoint(address ?? IPAddress.Loopback, port));
        _listener.Listen();
        _accepting = AcceptAsync();
    }

    public ScriptedServer(string script, Cut cut = Cut.Whole)
        : this([script], cut)
    {
    }

    /// <summary>Takes one message "one" for the recipient, and says so only when <paramref name="answer"/> completes; then QUIT.</summary>
    public static ScriptedServer SlowToAnswer(string recipient, Task answer) => new(
        $"""
        S: 220 mx.example.net ESMTP
        C: EHLO client.example.com
        S: 250 mx.example.net
        C: MAIL FROM:<sender@example.com>
        S: 250 Ok
        C: RCPT TO:<{recipient}>
        S: 250 Ok
        C: DATA
        S: 354 Go on
        C: one
        C: .
        ! signal
        ! wait
        S: 250 Taken
        C: QUIT
        S: 221 Bye
        """) { Gate = answer };

    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    /// <summary>Connections accepted so far.</summary>
    public int Connections { get; private set; }

    /// <summary>What was sent has not only arrived: the other end has read it all. As Linux says, proc(5), rx_queue.</summary>
    public bool IsReadToEnd => File.ReadLines("/proc/net/tcp").Skip(1)
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Where(fields => fields[2].EndsWith($":{Port:X4}", StringComparison.Ordinal))
        .All(fields => fields[4].EndsWith(":00000000", StringComparison.Ordinal));

    /// <summary>Completes when a script reaches "! signal" or "! hang".</summary>
    public TaskCompletionSource Signal { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What "! wait" waits for.</summary>
    public Task Gate { get; init; } = Task.CompletedTask;

    /// <summary>Lines a client sent beyond the end of its script.</summary>
    public List<string> Surplus { get; } = [];

    /// <summary>What it shows at "! tls".</summary>
    public X509Certificate2 Certificate { get; init; } = SelfSigned;

    /// <summary>What it shows along with it.</summary>
    public X509Certificate2Collection Chain { get; init; } = [];

    /// <summary>For mx.example.net, until 2100.</summary>
    public static X509Certificate2 SelfSigned { get; } = CreateCertificate();

    /// <summary>The connections made so far have ended, and all that came over them was read.</summary>
    public Task DrainedAsync() => Task.WhenAll([.. _conversations]).WaitAsync(TimeSpan.FromSeconds(20));

    /// <summary>All scripts were spoken to their end, as written.</summary>
    public async Task FinishAsync()
    {
        await DrainedAsync();
        Assert.Equal(_scripts.Length, Connections);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        try
        {
            await Task.WhenAll(_conversations);
        }
        catch (Exception error) when (error is OperationCanceledException or IOException or SocketException)
        {
        }

        _stop.Dispose();
    }

    private static X509Certificate2 CreateCertificate()
    {
        using var key = System.Security.Cryptography.ECDsa.Create();
        var request = new CertificateRequest("CN=mx.example.net", key, System.Security.Cryptography.HashAlgorithmName.SHA256);
        using var made = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, new DateTimeOffset(2100, 1, 1, 0, 0, 0, TimeSpan.Zero));
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var socket = await _listener.AcceptAsync(_stop.Token);
                var script = Connections < _scripts.Length ? _scripts[Connections] : "! close";
                Connections++;
                _conversations.Add(TalkAsync(socket, script));
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException)
        {
        }
    }

    private async Task TalkAsync(Socket socket, string script)
    {
        using var owned = socket;
        socket.NoDelay = true;
        Stream stream = new NetworkStream(socket, ownsSocket: true);
        var reader = new ByteLineReader(stream);
        var number = 0;
        foreach (var raw in script.Split('\n'))
        {
            number++;
            var line = raw.Trim('\r').TrimStart();
            if (line.Length == 0 || line.StartsWith("//", StringComparison.Ordinal))
                continue;
            if (line.StartsWith("S: ", StringComparison.Ordinal))
            {
                await SendAsync(stream, line[3..] + "\r\n");
            }
            else if (line.StartsWith("C:", StringComparison.Ordinal))
            {
                var expected = line.Length > 3 ? line[3..] : "";
                var got = await reader.ReadAsync(_stop.Token);
                Assert.True(expected == got, $"line {number}: expected <{expected}>, got <{got ?? "end of stream"}>");
            }
            else if (line.StartsWith('*'))
            {
                var got = await reader.ReadAsync(_stop.Token);
                Assert.StartsWith(line[1..].Trim(), got);
            }
            else if (line == "! tls")
            {
                var tls = new SslStream(stream);
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
                {
                    ServerCertificateContext = SslStreamCertificateContext.Create(Certificate, Chain, offline: true),
                });
                stream = tls;
                reader = new ByteLineReader(stream);
            }
            else if (line == "! alert")
            {
                Assert.NotEqual(0, await stream.ReadAsync(new byte[4096], _stop.Token));
                // RFC 8446 §6.2: fatal, protocol_version.
                await stream.WriteAsync(new byte[] { 21, 3, 3, 0, 2, 2, 70 }, _stop.Token);
            }
            else if (line == "! close")
            {
                return;
            }
            else if (line == "! reset")
            {
                socket.LingerState = new LingerOption(true, 0);
                socket.Close();
                return;
            }
            else if (line == "! wait")
            {
                await Gate.WaitAsync(_stop.Token);
            }
            else if (line is "! hang" or "! signal")
            {
                Signal.TrySetResult();
                if (line == "! hang")
                    await DrainAsync(reader);
            }
            else if (line.StartsWith("! raw ", StringComparison.Ordinal))
            {
                await SendAsync(stream, line[6..].Replace("\\r", "\r", StringComparison.Ordinal).Replace("\\n", "\n", StringComparison.Ordinal));
            }
            else if (line.StartsWith("! bytes ", StringComparison.Ordinal))
            {
                await FloodAsync(stream, new string('x', 1000), int.Parse(line[8..], null) / 1000);
            }
            else if (line.StartsWith("! lines ", StringComparison.Ordinal))
            {
                await FloodAsync(stream, "250-and so on\r\n", int.Parse(line[8..], null));
            }
            else
            {
                Assert.Fail($"line {number}: not a script line: {line}");
            }
        }

        await DrainAsync(reader);
    }

    private async Task DrainAsync(ByteLineReader reader)
    {
        try
        {
            while (await reader.ReadAsync(_stop.Token) is { } line)
                Surplus.Add(line);
        }
        catch (IOException)
        {
        }
    }

    private async Task FloodAsync(Stream stream, string piece, int times)
    {
        try
        {
            for (var i = 0; i < times; i++)
                await stream.WriteAsync(Encoding.Latin1.GetBytes(piece), _stop.Token);
        }
        catch (IOException)
        {
            // The client has had enough.
        }
    }

    private async Task SendAsync(Stream stream, string text)
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        if (_cut != Cut.Bytes)
        {
            await stream.WriteAsync(bytes, _stop.Token);
            return;
        }

        for (var i = 0; i < bytes.Length; i++)
        {
            await stream.WriteAsync(bytes.AsMemory(i, 1), _stop.Token);
            await Task.Yield();
        }
    }
}

/// <summary>Lines ended by CRLF exactly; Latin-1, so that octets stay visible.</summary>
internal sealed class ByteLineReader(Stream stream)
{
    private readonly byte[] _buffer = new byte[65536];
    private readonly List<byte> _line = [];
    private int _start;
    private int _end;

    public async Task<string?> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            while (_start < _end)
            {
                _line.Add(_buffer[_start++]);
                if (_line.Count >= 2 && _line[^1] == '\n' && _line[^2] == '\r')
                {
                    var text = Encoding.Latin1.GetString(_line.ToArray(), 0, _line.Count - 2);
                    _line.Clear();
                    return text;
                }
            }

            // A read that fails leaves nothing to be read again.
            _start = _end = 0;
            _end = await stream.ReadAsync(_buffer, cancellationToken);
            if (_end == 0)
                return null;
        }
    }
}
