using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MailPipeline.Delivery.Tests;

/// <summary>What a far end sees of one message: the address and the name of who brought it, and its sender.</summary>
internal sealed record SeenMessage(string Peer, string Hello, string Sender);

/// <summary>A far end that takes all mail and remembers who brought it.</summary>
internal sealed class PeerSink : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _conversations = [];
    private readonly Task _accepting;
    private int _open;

    public PeerSink(string address = "127.0.0.1", int port = 0)
    {
        _listener = new TcpListener(IPAddress.Parse(address), port);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>What a connection says when it begins; a 4xx ends it.</summary>
    public string Greeting { get; set; } = "220 mx.example.net ESMTP";

    public ConcurrentQueue<SeenMessage> Messages { get; } = [];

    public int Connections { get; private set; }

    /// <summary>The most that were open at once.</summary>
    public int Peak { get; private set; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        await Task.WhenAll(_conversations);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptTcpClientAsync(_stop.Token);
                Connections++;
                Peak = Math.Max(Peak, Interlocked.Increment(ref _open));
                _conversations.Add(TalkAsync(client));
            }
        }
        catch (Exception over) when (over is OperationCanceledException or SocketException or ObjectDisposedException)
        {
        }
    }

    private async Task TalkAsync(TcpClient client)
    {
        using var owned = client;
        try
        {
            var peer = ((IPEndPoint)client.Client.RemoteEndPoint!).Address.ToString();
            var stream = client.GetStream();
            var reader = new ByteLineReader(stream);
            var (hello, sender, inContent) = ("", "", false);
            await SendAsync(stream, Greeting);
            while (await reader.ReadAsync(_stop.Token) is { } line)
            {
                if (inContent)
                {
                    if (line != ".")
                        continue;
                    inContent = false;
                    Messages.Enqueue(new SeenMessage(peer, hello, sender));
                    await SendAsync(stream, "250 Taken");
                    continue;
                }

                var word = line.Split(' ')[0].ToUpperInvariant();
                if (word == "EHLO")
                    hello = line[5..];
                if (word == "MAIL")
                    sender = line.Split('<', '>')[1];
                inContent = word == "DATA";
                if (word == "QUIT")
                    Interlocked.Decrement(ref _open);
                await SendAsync(stream, word switch { "DATA" => "354 Go on", "QUIT" => "221 Bye", _ => "250 Ok" });
                if (word == "QUIT")
                    return;
            }

            Interlocked.Decrement(ref _open);
        }
        catch (Exception gone) when (gone is IOException or SocketException or OperationCanceledException)
        {
            Interlocked.Decrement(ref _open);
        }
    }

    private async Task SendAsync(NetworkStream stream, string line) => await stream.WriteAsync(Encoding.ASCII.GetBytes(line + "\r\n"), _stop.Token);
}
