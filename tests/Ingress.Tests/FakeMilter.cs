using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MailPipeline.Ingress.Tests;

/// <summary>A milter that notes what it is told and answers what a test wants, right or wrong.</summary>
internal sealed class FakeMilter : IAsyncDisposable
{
    private readonly Socket _listener;
    private readonly CancellationTokenSource _end = new();
    private readonly ConcurrentBag<Socket> _clients = [];
    private readonly Task _accepting;
    private readonly string? _path;

    private FakeMilter(EndPoint place, string? path)
    {
        _path = path;
        _listener = new Socket(place.AddressFamily, SocketType.Stream, path is null ? ProtocolType.Tcp : ProtocolType.Unspecified);
        _listener.Bind(place);
        _listener.Listen();
        _accepting = AcceptAsync();
    }

    public string Address => _path ?? _listener.LocalEndPoint!.ToString()!;

    /// <summary>What it was told, a letter and its content for each step, the negotiation left out.</summary>
    public ConcurrentQueue<string> Told { get; } = [];

    public int Connections => _clients.Count;

    /// <summary>What it says it wants not to hear, or not to answer.</summary>
    public uint Steps { get; init; }

    public uint Actions { get; init; } = 0x3D;

    /// <summary>Its answers to a step, by its letter and content: whole packets. By default it goes on.</summary>
    public Func<char, string, IEnumerable<byte[]>> Answer { get; init; } = (_, _) => [Packet('c')];

    public static FakeMilter Start(Func<char, string, IEnumerable<byte[]>>? answer = null, uint steps = 0, uint actions = 0x3D, string? path = null) =>
        new(path is null ? new IPEndPoint(IPAddress.Loopback, 0) : new UnixDomainSocketEndPoint(path), path)
        {
            Answer = answer ?? ((_, _) => [Packet('c')]),
            Steps = steps,
            Actions = actions,
        };

    public static byte[] Packet(char reply, string content = "")
    {
        var bytes = Encoding.UTF8.GetBytes(content);
        var packet = new byte[5 + bytes.Length];
        BinaryPrimitives.WriteInt32BigEndian(packet, bytes.Length + 1);
        packet[4] = (byte)reply;
        bytes.CopyTo(packet, 5);
        return packet;
    }

    /// <summary>One whose first number is before its texts.</summary>
    public static byte[] Packet(char reply, uint number, string content)
    {
        var packet = Packet(reply, "0000" + content);
        BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(5), number);
        return packet;
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Dispose();
        foreach (var client in _clients)
            client.Dispose();
        await _accepting;
        _end.Dispose();
        if (_path is not null)
            File.Delete(_path);
    }

    private async Task AcceptAsync()
    {
        var served = new List<Task>();
        try
        {
            while (true)
            {
                var client = await _listener.AcceptAsync(_end.Token);
                _clients.Add(client);
                served.Add(ServeAsync(client));
            }
        }
        catch (Exception over) when (over is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }

        await Task.WhenAll(served);
    }

    private async Task ServeAsync(Socket client)
    {
        await using var stream = new NetworkStream(client, ownsSocket: true);
        var head = new byte[4];
        try
        {
            while (true)
            {
                await stream.ReadExactlyAsync(head, _end.Token);
                var packet = new byte[BinaryPrimitives.ReadInt32BigEndian(head)];
                await stream.ReadExactlyAsync(packet, _end.Token);
                var (step, content) = ((char)packet[0], Encoding.Latin1.GetString(packet, 1, packet.Length - 1));
                if (step == 'O')
                {
                    var negotiated = new byte[12];
                    BinaryPrimitives.WriteUInt32BigEndian(negotiated, 6);
                    BinaryPrimitives.WriteUInt32BigEndian(negotiated.AsSpan(4), Actions);
                    BinaryPrimitives.WriteUInt32BigEndian(negotiated.AsSpan(8), Steps);
                    await stream.WriteAsync((byte[])[0, 0, 0, 13, (byte)'O', .. negotiated], _end.Token);
                    continue;
                }

                Told.Enqueue(content.Length == 0 ? step.ToString() : $"{step} {content.Replace('\0', '|')}");
                if (step is 'Q')
                    return;
                if (step is 'A' or 'D')
                    continue;
                foreach (var answer in Answer(step, content))
                {
                    // An empty one is the end of the connection.
                    if (answer.Length == 0)
                        return;
                    await stream.WriteAsync(answer, _end.Token);
                }
            }
        }
        catch (Exception over) when (over is OperationCanceledException or IOException or SocketException or ObjectDisposedException)
        {
            // The session or the test is over.
        }
    }
}
