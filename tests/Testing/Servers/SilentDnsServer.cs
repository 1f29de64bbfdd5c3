using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MailPipeline.Testing;

/// <summary>A DNS server that answers nothing; names under a chosen domain may be passed on to one that does.</summary>
public sealed class SilentDnsServer : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly UdpClient _socket = new(new IPEndPoint(IPAddress.Loopback, 0));
    private readonly Task _reading;
    private readonly Func<string, IPEndPoint?> _passOn;
    private int _questions;

    /// <param name="passOn">The server that answers for a name (lower case, without the last dot); null for silence.</param>
    public SilentDnsServer(Func<string, IPEndPoint?>? passOn = null)
    {
        _passOn = passOn ?? (_ => null);
        _reading = Task.Run(ReadAsync);
    }

    public IPEndPoint EndPoint => (IPEndPoint)_socket.Client.LocalEndPoint!;

    /// <summary>Questions that came in so far.</summary>
    public int Questions => Volatile.Read(ref _questions);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _reading;
        _socket.Dispose();
        _stopping.Dispose();
    }

    private async Task ReadAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                var question = await _socket.ReceiveAsync(_stopping.Token);
                Interlocked.Increment(ref _questions);
                if (_passOn(DnsQuestion.NameIn(question.Buffer)) is { } server)
                    _ = PassOnAsync(server, question);
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException)
            {
            }
        }
    }

    private async Task PassOnAsync(IPEndPoint server, UdpReceiveResult question)
    {
        var answer = await DnsQuestion.AskAsync(server, question.Buffer, TimeSpan.FromSeconds(5), _stopping.Token);
        if (answer is not null)
            await _socket.SendAsync(answer, question.RemoteEndPoint, _stopping.Token);
    }
}

/// <summary>As much of the DNS wire form (RFC 1035 §4) as the kit needs.</summary>
internal static class DnsQuestion
{
    public static byte[] SoaOfRoot() => [0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1];

    /// <summary>Of a zone, with the wish for recursion.</summary>
    public static byte[] SoaOf(string zone) => [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, .. DnsWire.Name(zone), 0, 6, 0, 1];

    /// <summary>The name asked for, lower case and without the last dot.</summary>
    public static string NameIn(ReadOnlySpan<byte> message)
    {
        var name = new StringBuilder();
        for (var at = 12; at < message.Length && message[at] is > 0 and < 64; at += 1 + message[at])
        {
            if (name.Length > 0)
                name.Append('.');
            name.Append(Encoding.ASCII.GetString(message.Slice(at + 1, Math.Min(message[at], message.Length - at - 1))));
        }
        return name.ToString().ToLowerInvariant();
    }

    public static async Task<byte[]?> AskAsync(IPEndPoint server, byte[] question, TimeSpan limit, CancellationToken cancellation)
    {
        using var socket = new UdpClient();
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timeout.CancelAfter(limit);
        try
        {
            socket.Connect(server);
            await socket.SendAsync(question, timeout.Token);
            return (await socket.ReceiveAsync(timeout.Token)).Buffer;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            cancellation.ThrowIfCancellationRequested();
            return null;
        }
    }
}
