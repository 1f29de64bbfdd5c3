using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MailPipeline.Delivery.Tests;

/// <summary>A far end that takes one message of any size as fast as it comes, and keeps only its length.</summary>
internal sealed class SwallowingServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Task _talk;

    public SwallowingServer()
    {
        _listener.Start();
        _talk = TalkAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Octets of content, without the final dot; nothing in it is stuffed.</summary>
    public long ContentBytes { get; private set; }

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        try
        {
            await _talk;
        }
        catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException)
        {
            // The client broke off.
        }
    }

    private async Task TalkAsync()
    {
        using var client = await _listener.AcceptTcpClientAsync();
        var stream = client.GetStream();
        await SayAsync(stream, "220 mx.example.net");
        foreach (var reply in new[] { "250 mx.example.net", "250 Ok", "250 Ok", "354 Go on" })
        {
            await ReadUntilAsync(stream, "\r\n"u8.ToArray());
            await SayAsync(stream, reply);
        }

        ContentBytes = await ReadUntilAsync(stream, "\r\n.\r\n"u8.ToArray()) - 3;
        await SayAsync(stream, "250 Taken");
        await ReadUntilAsync(stream, "QUIT\r\n"u8.ToArray());
    }

    private static Task SayAsync(NetworkStream stream, string line) => stream.WriteAsync(Encoding.ASCII.GetBytes(line + "\r\n")).AsTask();

    /// <summary>Nothing is sent behind the end before it is answered.</summary>
    private static async Task<long> ReadUntilAsync(NetworkStream stream, byte[] end)
    {
        var buffer = new byte[256 * 1024];
        var kept = 0;
        var total = 0L;
        while (true)
        {
            var read = await stream.ReadAsync(buffer.AsMemory(kept));
            if (read == 0)
                throw new IOException("The client has gone.");
            total += read;
            var length = kept + read;
            if (buffer.AsSpan(0, length).EndsWith(end))
                return total;
            kept = Math.Min(length, end.Length - 1);
            buffer.AsSpan(length - kept, kept).CopyTo(buffer);
        }
    }
}
