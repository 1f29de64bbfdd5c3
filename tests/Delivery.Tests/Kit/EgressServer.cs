using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace MailPipeline.Delivery.Tests;

/// <summary>
/// An egress: what comes in is told where to go, as SOCKS5 or the PROXY protocol have it, and goes there from <see cref="Source"/>. What was read before that is what the
/// client has said to it.
/// </summary>
internal sealed class EgressServer : IAsyncDisposable
{
    private readonly Func<NetworkStream, Task<IPEndPoint?>> _leadAsync;
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _ways = [];
    private readonly Task _accepting;

    private EgressServer(Func<NetworkStream, Task<IPEndPoint?>> leadAsync, int port)
    {
        _leadAsync = leadAsync;
        _listener = new TcpListener(IPAddress.Loopback, port);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>What it connects from.</summary>
    public string Source { get; init; } = "127.0.0.9";

    public int Connections { get; private set; }

    /// <summary>As RFC 1928 has it; with a login, as RFC 1929.</summary>
    public static EgressServer Socks5(string? login = null, int port = 0) => new(
        async stream =>
        {
            var methods = await ReadAsync(stream, (await ReadAsync(stream, 2))[1]);
            var wanted = (byte)(login is null ? 0 : 2);
            await stream.WriteAsync(new byte[] { 5, methods.Contains(wanted) ? wanted : (byte)0xFF });
            if (!methods.Contains(wanted))
                return null;
            if (login is not null)
            {
                var name = await ReadAsync(stream, (await ReadAsync(stream, 2))[1]);
                var password = await ReadAsync(stream, (await ReadAsync(stream, 1))[0]);
                var isRight = $"{System.Text.Encoding.ASCII.GetString(name)}:{System.Text.Encoding.ASCII.GetString(password)}" == login;
                await stream.WriteAsync(new byte[] { 1, (byte)(isRight ? 0 : 1) });
                if (!isRight)
                    return null;
            }

            var request = await ReadAsync(stream, 4);
            Assert.Equal((5, 1, 0), (request[0], request[1], request[2]));
            var address = await ReadAsync(stream, request[3] == 1 ? 4 : 16);
            var host = new IPEndPoint(new IPAddress(address), BinaryPrimitives.ReadUInt16BigEndian(await ReadAsync(stream, 2)));
            // It names what it has bound by a name, which a client has to read over.
            await stream.WriteAsync(new byte[] { 5, 0, 0, 3, 3, (byte)'a', (byte)'.', (byte)'b', 0, 25 });
            return host;
        },
        port);

    /// <summary>Answers with these octets whatever it is told, and closes.</summary>
    public static EgressServer Saying(params byte[][] replies) => new(
        async stream =>
        {
            foreach (var reply in replies)
            {
                var buffer = new byte[512];
                if (await stream.ReadAsync(buffer) == 0)
                    break;
                await stream.WriteAsync(reply);
            }

            return null;
        },
        0);

    /// <summary>The PROXY protocol, version 2, read by its description and not by our writer.</summary>
    public static EgressServer Proxy(Action<IPEndPoint, IPEndPoint> seen) => new(
        async stream =>
        {
            var head = await ReadAsync(stream, 16);
            Assert.Equal("0D0A0D0A000D0A515549540A21", Convert.ToHexString(head.AsSpan(0, 13)));
            var isIPv4 = head[13] == 0x11;
            Assert.True(isIPv4 || head[13] == 0x21);
            var rest = await ReadAsync(stream, BinaryPrimitives.ReadUInt16BigEndian(head.AsSpan(14)));
            var length = isIPv4 ? 4 : 16;
            var from = new IPEndPoint(new IPAddress(rest.AsSpan(0, length)), BinaryPrimitives.ReadUInt16BigEndian(rest.AsSpan(2 * length)));
            var to = new IPEndPoint(new IPAddress(rest.AsSpan(length, length)), BinaryPrimitives.ReadUInt16BigEndian(rest.AsSpan((2 * length) + 2)));
            Assert.Equal((2 * length) + 4, rest.Length);
            seen(from, to);
            return to;
        },
        0);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        await Task.WhenAll(_ways);
        _stop.Dispose();
    }

    private static async Task<byte[]> ReadAsync(NetworkStream stream, int count)
    {
        var bytes = new byte[count];
        await stream.ReadExactlyAsync(bytes);
        return bytes;
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptTcpClientAsync(_stop.Token);
                Connections++;
                _ways.Add(LeadAsync(client));
            }
        }
        catch (Exception over) when (over is OperationCanceledException or SocketException or ObjectDisposedException)
        {
        }
    }

    private async Task LeadAsync(TcpClient client)
    {
        using var owned = client;
        try
        {
            var stream = client.GetStream();
            if (await _leadAsync(stream) is not { } host)
                return;
            using var onward = new TcpClient(new IPEndPoint(IPAddress.Parse(Source), 0));
            await onward.ConnectAsync(host, _stop.Token);
            await Task.WhenAny(stream.CopyToAsync(onward.GetStream(), _stop.Token), onward.GetStream().CopyToAsync(stream, _stop.Token));
        }
        catch (Exception gone) when (gone is IOException or SocketException or OperationCanceledException)
        {
        }
    }
}
