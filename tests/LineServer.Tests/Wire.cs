using System.IO.Pipelines;
using System.Net;
using System.Text;
using MailPipeline.ServiceDefaults;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.LineServer.Tests;

/// <summary>A client's end of a connection over pipes in memory, on a clock of the test.</summary>
internal sealed class Wire
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    // Takes whatever a client pipelines.
    private readonly Pipe _input = new(new PipeOptions(pauseWriterThreshold: 0));
    private readonly Pipe _output = new(new PipeOptions(pauseWriterThreshold: 4096, resumeWriterThreshold: 2048));
    private readonly CancellationTokenSource _stop = new();
    private readonly StringBuilder _heard = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Wire()
    {
    }

    /// <summary>Ends when the server has ended the connection.</summary>
    public Task Served { get; private set; } = Task.CompletedTask;

    public bool IsAborted { get; private set; }

    public static LineAcceptor Acceptor(FakeTimeProvider time, string certificates) => new(
        new SessionRegistry(time), Certificate(time, certificates), time, NullLogger<LineAcceptor>.Instance);

    /// <summary>A connection that nobody serves.</summary>
    public static LineConnection Bare(FakeTimeProvider time, LineListener listener, ServerCertificate certificate)
    {
        var (input, output) = (new Pipe(), new Pipe());
        return new(
            new DefaultConnectionContext("test") { Transport = new DuplexPipe(input.Reader, output.Writer) }, listener, certificate, time);
    }

    public static Wire Connect(LineAcceptor acceptor, LineListener listener, string address = "192.0.2.1")
    {
        var wire = new Wire();
        var context = new DefaultConnectionContext("test")
        {
            Transport = new DuplexPipe(wire._input.Reader, wire._output.Writer),
            RemoteEndPoint = new IPEndPoint(IPAddress.Parse(address), 50_000),
        };
        context.Features.Set<IConnectionLifetimeNotificationFeature>(new StopRequest(wire._stop));
        context.ConnectionClosed.Register(wire.BreakOff);
        wire.Served = wire.ServeAsync(acceptor, context, listener);
        return wire;
    }

    public async Task SendAsync(string text) => await _input.Writer.WriteAsync(Encoding.ASCII.GetBytes(text), Cancellation);

    /// <summary>The next line from the server, or "(end)".</summary>
    public async Task<string> LineAsync()
    {
        var isCompleted = false;
        while (true)
        {
            var heard = _heard.ToString();
            if (heard.IndexOf("\r\n", StringComparison.Ordinal) is >= 0 and var end)
            {
                _heard.Remove(0, end + 2);
                return heard[..end];
            }
            if (isCompleted)
                return heard.Length == 0 ? "(end)" : throw new EndOfStreamException($"The server ended in the midst of '{heard}'");
            var read = await _output.Reader.ReadAsync(Cancellation).AsTask().WaitAsync(s_limit, Cancellation);
            foreach (var segment in read.Buffer)
                _heard.Append(Encoding.ASCII.GetString(segment.Span));
            _output.Reader.AdvanceTo(read.Buffer.End);
            isCompleted = read.IsCompleted;
        }
    }

    public async Task<string> AskAsync(string line)
    {
        await SendAsync(line + "\r\n");
        return await LineAsync();
    }

    /// <summary>The client's end as a stream, for what is no text; in the place of the methods for lines.</summary>
    public Stream Octets() => new DuplexPipeStream(new DuplexPipe(_output.Reader, _input.Writer));

    /// <summary>The client has said everything.</summary>
    public void HalfClose() => _input.Writer.Complete();

    /// <summary>The host stops.</summary>
    public void Stop() => _stop.Cancel();

    public static ServerCertificate Certificate(FakeTimeProvider time, string folder) =>
        new(Options.Create(new TlsOptions { SelfSignedDirectory = folder }), time, NullLogger<ServerCertificate>.Instance);

    private async Task ServeAsync(LineAcceptor acceptor, ConnectionContext context, LineListener listener)
    {
        await Task.Yield();
        await acceptor.ServeAsync(context, listener);
        await _input.Reader.CompleteAsync();
        await _output.Writer.CompleteAsync();
    }

    // What Kestrel does when a connection is broken off.
    private void BreakOff()
    {
        IsAborted = true;
        _input.Writer.Complete(new ConnectionAbortedException());
        _output.Writer.CancelPendingFlush();
    }

    private sealed record DuplexPipe(PipeReader Input, PipeWriter Output) : IDuplexPipe;

    private sealed class StopRequest(CancellationTokenSource stop) : IConnectionLifetimeNotificationFeature
    {
        public CancellationToken ConnectionClosedRequested
        {
            get => stop.Token;
            set => throw new NotSupportedException();
        }

        public void RequestClose() => stop.Cancel();
    }
}
