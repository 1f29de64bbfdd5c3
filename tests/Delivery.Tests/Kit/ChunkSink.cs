using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MailPipeline.Delivery.Tests;

/// <summary>A far end that offers CHUNKING and PIPELINING, takes all by BDAT alone, and keeps the octets that it counted.</summary>
internal sealed class ChunkSink : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _talked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _serving;

    public ChunkSink()
    {
        _listener.Start();
        _serving = ServeAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>The messages taken, as Latin-1.</summary>
    public List<string> Messages { get; } = [];

    /// <summary>The commands for chunks, in order, whether their octets have come or not.</summary>
    public List<string> Commands { get; } = [];

    /// <summary>Octets that came of the last chunk.</summary>
    public int Received { get; private set; }

    /// <summary>The first connection has ended.</summary>
    public Task TalkedAsync() => _talked.Task.WaitAsync(TimeSpan.FromSeconds(20));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _serving;
        _stop.Dispose();
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                using var client = await _listener.AcceptTcpClientAsync(_stop.Token);
                await TalkAsync(client.GetStream());
                _talked.TrySetResult();
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or IOException or InvalidOperationException)
        {
        }
    }

    private async Task TalkAsync(NetworkStream stream)
    {
        using var reader = new StreamReader(stream, Encoding.Latin1);
        var message = new StringBuilder();
        await SayAsync("220 sink.example");
        while (await reader.ReadLineAsync(_stop.Token) is { } line)
        {
            if (!line.StartsWith("BDAT ", StringComparison.Ordinal))
            {
                await SayAsync(line.StartsWith("EHLO", StringComparison.Ordinal) ? "250-sink.example\r\n250-PIPELINING\r\n250 CHUNKING" : "250 Ok");
                continue;
            }

            var words = line.Split(' ');
            var chunk = new char[int.Parse(words[1], CultureInfo.InvariantCulture)];
            Commands.Add(line);
            Received = await reader.ReadBlockAsync(chunk, _stop.Token);
            if (Received < chunk.Length)
                return;
            message.Append(chunk);
            if (words is [_, _, "LAST"])
            {
                Messages.Add(message.ToString());
                message.Clear();
            }

            await SayAsync("250 Ok");
        }

        async Task SayAsync(string text) => await stream.WriteAsync(Encoding.Latin1.GetBytes(text + "\r\n"), _stop.Token);
    }
}
