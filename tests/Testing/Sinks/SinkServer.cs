using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MailPipeline.Testing;

/// <summary>
/// A far-end SMTP server that behaves as its <see cref="SinkScript"/> says. A message that gets 250 is in the ledger,
/// synced, before that; a message whose dot was seen and that gets no answer is in the ledger as such.
/// </summary>
public sealed class SinkServer : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentDictionary<string, int> _tries = new();
    private readonly ConcurrentDictionary<Task, bool> _sessions = new();
    private readonly LedgerFile _ledger;
    private readonly TcpListener _listener;
    private readonly Task _accepting;
    private int _connections;
    private int _openConnections;
    private int _peakConnections;
    private int _kept;

    public SinkServer(string name, SinkScript script, LedgerFile ledger, IPAddress? address = null, int port = 0)
    {
        Name = name;
        Script = script;
        _ledger = ledger;
        _listener = new TcpListener(address ?? IPAddress.Loopback, port);
        _listener.Start(1024);
        EndPoint = (IPEndPoint)_listener.LocalEndpoint;
        _accepting = Task.Run(AcceptAsync);
    }

    public string Name { get; }

    public IPEndPoint EndPoint { get; }

    /// <summary>May be replaced while the server runs.</summary>
    public SinkScript Script { get; set; }

    /// <summary>Connections taken so far.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <summary>The most connections that were open at once.</summary>
    public int PeakConnections => Volatile.Read(ref _peakConnections);

    /// <summary>Messages answered with 250 after the dot.</summary>
    public int Kept => Volatile.Read(ref _kept);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_sessions.Keys);
        _stopping.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                var socket = await _listener.AcceptSocketAsync(_stopping.Token);
                socket.NoDelay = true;
                var session = Task.Run(() => ServeAsync(socket));
                _sessions[session] = true;
                _ = session.ContinueWith(done => _sessions.TryRemove(done, out _), TaskScheduler.Default);
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
            }
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        var number = Interlocked.Increment(ref _connections);
        var open = Interlocked.Increment(ref _openConnections);
        for (var peak = _peakConnections; open > peak; peak = _peakConnections)
            Interlocked.CompareExchange(ref _peakConnections, open, peak);
        await using var wire = new WireStream(new NetworkStream(socket, ownsSocket: true));
        var session = new Session(this, wire, _stopping.Token);
        try
        {
            await session.RunAsync(number);
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or InvalidDataException)
        {
        }
        finally
        {
            session.CountEnded();
        }
    }

    private int CountTry(string what) => _tries.AddOrUpdate(what, 1, (_, tries) => tries + 1);

    /// <summary>One connection.</summary>
    private sealed class Session(SinkServer server, WireStream wire, CancellationToken stopping)
    {
        private readonly List<string> _recipients = [];
        private string? _sender;
        private bool _hasEnded;

        /// <summary>Counts the connection as open no longer, the first time.</summary>
        public void CountEnded()
        {
            if (!_hasEnded)
                Interlocked.Decrement(ref server._openConnections);
            _hasEnded = true;
        }

        public async Task RunAsync(int number)
        {
            if (!await PlayAsync(server.Script.AtConnect(number)))
                return;
            while (await wire.ReadLineAsync(stopping) is { } line)
            {
                var command = Encoding.UTF8.GetString(line.Span);
                if (!await ObeyAsync(command))
                    return;
            }
        }

        /// <summary>False when the connection is over.</summary>
        private async Task<bool> ObeyAsync(string command)
        {
            switch (command.Split(' ', ':')[0].ToUpperInvariant())
            {
                case "EHLO":
                    Reset();
                    await wire.WriteAsync(
                        "250-sink.example\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n", stopping);
                    return true;
                case "HELO" or "RSET":
                    Reset();
                    return await SayAsync("250 2.0.0 OK");
                case "NOOP":
                    return await SayAsync("250 2.0.0 OK");
                case "MAIL" when _sender is null:
                    _sender = PathIn(command);
                    return await SayAsync("250 2.1.0 OK");
                case "RCPT" when _sender is not null:
                    return await RecipientAsync(PathIn(command));
                case "DATA" when _recipients.Count > 0:
                    await SayAsync("354 Go ahead");
                    return await ContentAsync();
                case "DATA":
                    // RFC 5321 §3.3: no valid recipients.
                    return await SayAsync("554 5.5.1 No valid recipients");
                case "QUIT":
                    // The client may open another one when it has the reply, before this task goes on.
                    CountEnded();
                    await SayAsync("221 2.0.0 Bye");
                    return false;
                default:
                    // Also a second MAIL before the first one's end (RFC 5321 §4.1.4).
                    return await SayAsync("503 5.5.1 Not now");
            }
        }

        private async Task<bool> RecipientAsync(string recipient)
        {
            var step = server.Script.AtRecipient(recipient, server.CountTry("rcpt " + recipient));
            if (step.IsAccepted)
                _recipients.Add(recipient);
            return await PlayAsync(step);
        }

        private async Task<bool> ContentAsync()
        {
            using var message = new ReceivedMessage();
            while (true)
            {
                // A connection that ends here ends a message that never came to its dot: nothing is kept of it.
                if (await wire.ReadLineAsync(stopping) is not { } line)
                    return false;
                if (line.Span.SequenceEqual("."u8))
                    break;
                message.Append(DotStuffing.Unstuff(line.Span));
            }
            var dsn = message.ReadDsn();
            var name = message.Token.Length > 0 ? message.Token : dsn?.MessageId ?? "";
            var step = server.Script.AtDot(_recipients, message.Token, server.CountTry("dot " + name));
            if (step.IsAccepted || step.Reply.Length == 0)
            {
                await server._ledger.AppendAsync(new Arrival(
                    TimeProvider.System.GetUtcNow(), server.Name, message.Token, _sender!, [.. _recipients], message.TakeBodyHash(),
                    message.SizeBytes, step.IsAccepted, dsn));
            }
            if (step.IsAccepted)
                Interlocked.Increment(ref server._kept);
            Reset();
            return await PlayAsync(step);
        }

        private async Task<bool> PlayAsync(SinkStep step)
        {
            if (step.After > TimeSpan.Zero)
                await Task.Delay(step.After, TimeProvider.System, stopping);
            if (step.When is { } when)
                await when.WaitAsync(stopping);
            if (step.Reply.Length > 0)
                await SayAsync(step.Reply);
            if (step.Then == SinkEnd.Hang)
            {
                // Until the other side closes; what it still sends is read and left.
                while (await wire.ReadLineAsync(stopping) is not null)
                {
                }
            }
            return step.Then == SinkEnd.GoOn;
        }

        private async Task<bool> SayAsync(string reply)
        {
            await wire.WriteAsync(reply + "\r\n", stopping);
            return true;
        }

        private void Reset()
        {
            _recipients.Clear();
            _sender = null;
        }

        private static string PathIn(string command)
        {
            var start = command.IndexOf('<', StringComparison.Ordinal);
            var end = command.IndexOf('>', StringComparison.Ordinal);
            return start >= 0 && end > start ? command[(start + 1)..end] : "";
        }
    }
}
