using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Runtime.CompilerServices;
using System.Security.Authentication;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using Microsoft.AspNetCore.Connections;

namespace MailPipeline.LineServer;

/// <summary>
/// The lines and octets of one connection, in clear or under TLS, and how long its client is waited for. What is written is gathered until
/// the client has to be waited for or there is much of it, and leaves in one write (RFC 2920 §3.2, RFC 2449 §6.6). Used by its session
/// alone, but for <see cref="Abort"/>, which anybody may call.
/// </summary>
public sealed class LineConnection
{
    /// <summary>
    /// With so many octets unflushed the next read flushes first, though the client has sent more: who pipelines and does not read is waited
    /// for, no longer than for any reply. What is said to some hundred commands is less and still leaves in one write; it is as much as one
    /// TLS record holds, and a quarter of what Kestrel takes before it lets a writer wait, so that both together are little more than that.
    /// </summary>
    public const int FlushThreshold = 16 * 1024;

    private readonly ConnectionContext _context;
    private readonly ServerCertificate _certificate;
    private readonly TimeProvider _time;
    private PipeReader _input;
    private PipeWriter _output;
    private DuplexPipeStream? _carrier;
    private SslStream? _tls;
    private LineReader _lines = new(maxBytes: 0);
    private IClientPatience? _patience;
    private SessionPlaces.Place? _place;
    private IPAddress? _local;

    // What was read and holds lines that nobody has taken yet.
    private ReadOnlySequence<byte> _unread;
    private bool _holdsUnread;

    // Shared with the registry's timer and with the stop of the host.
    private long _deadline = WaitEnd.Never;
    private long _crowdedDeadline = WaitEnd.Never;
    private volatile Wait _wait;

    // The number of the wait under way, 0 outside of one. Whoever puts 0 there has ended it: its session or the timer, never both.
    private long _waiting;
    private volatile bool _timedOut;
    private volatile bool _stopping;
    private volatile bool _aborted;
    private bool _unheard;
    private long _waits;

    internal LineConnection(ConnectionContext context, LineListener listener, ServerCertificate certificate, TimeProvider time)
    {
        _context = context;
        _certificate = certificate;
        _time = time;
        _input = context.Transport.Input;
        _output = context.Transport.Output;
        Listener = listener;
        RemoteEndPoint = context.RemoteEndPoint;
        NameClient(context.RemoteEndPoint as IPEndPoint);
    }

    /// <summary>What the session does when its time is up.</summary>
    private enum Wait
    {
        /// <summary>It hears that the read was ended, and can say something.</summary>
        ForOctets,

        /// <summary>Its handshake fails.</summary>
        ForHandshake,

        /// <summary>It is broken off: who does not read our replies will not read another one.</summary>
        ForReader,
    }

    public LineListener Listener { get; }

    public string ConnectionId => _context.ConnectionId;

    /// <summary>Where the client is, IPv4 as such, and behind a load balancer the client that it names.</summary>
    public EndPoint? RemoteEndPoint { get; private set; }

    /// <summary>The address of ours that it came to, IPv4 as such; behind a load balancer the one that the balancer came to, behind a
    /// proxy the one that it says.</summary>
    public IPAddress? Local => _local ?? ((_context.LocalEndPoint as IPEndPoint)?.Address is { } address ? HostAddress.Plain(address) : null);

    /// <summary>Its address; null where nobody knows.</summary>
    public IPAddress? Client { get; private set; }

    public bool IsSecure => _tls is not null;

    /// <summary>What was agreed on when TLS began; null before.</summary>
    public TlsParameters? Tls => _tls is { } tls ? new(tls.SslProtocol, tls.NegotiatedCipherSuite) : null;

    /// <summary>What the client was shown when TLS began; null before.</summary>
    public X509Certificate? ShownCertificate => _tls?.LocalCertificate;

    /// <summary>What a login can be bound to by tls-exporter (RFC 9266): to be asked before anything is read under TLS. Null: nothing.</summary>
    public byte[]? Export(TlsExporter exporter) => _tls is { } tls ? exporter.ChannelBinding(tls) : null;

    /// <summary>A deadline has passed; the read that waited came back without octets.</summary>
    public bool TimedOut => _timedOut;

    /// <summary>What was said lately reached nobody, or nothing will: the client reads no more, or the connection was broken off.</summary>
    public bool IsUnheard => _unheard || _aborted;

    /// <summary>To be written to and, by the next wait for the client, flushed. Another one once TLS is on.</summary>
    public IBufferWriter<byte> Output => _output;

    /// <summary>Octets written and not flushed.</summary>
    public long UnflushedBytes => _output.UnflushedBytes;

    private bool IsOutputFull => _output.UnflushedBytes >= FlushThreshold;

    private IClientPatience Patience => _patience ?? throw new InvalidOperationException("No session has begun.");

    /// <summary>The client has logged in: its place is left to strangers. Again changes nothing.</summary>
    public void LoggedIn() => _place?.LoggedIn();

    /// <summary>Tells whether the client leaves meanwhile; to be disposed of.</summary>
    public ClientDeparture WatchDeparture() => new(_context);

    /// <summary>
    /// The next line, or why there is none; valid until the next read. What was said before it leaves when the client has to be waited
    /// for, or from <see cref="FlushThreshold"/> on. After a stop of the host there is none, though the client has sent more.
    /// </summary>
    /// <param name="maxBytes">Longest line taken, its end included.</param>
    public ValueTask<LineRead> ReadLineAsync(int maxBytes)
    {
        _lines.MaxBytes = maxBytes;
        return !_stopping && !IsOutputFull && TryTakeLine(out var line) ? new(line) : WaitForLineAsync();
    }

    /// <summary>
    /// Octets behind the last line: what has arrived already, or else what comes until the deadline. To be followed by
    /// <see cref="AdvanceTo(SequencePosition)"/>, unless <see cref="TimedOut"/>.
    /// </summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<ReadResult> ReadAsync(WaitEnd end)
    {
        if (_holdsUnread)
            Release(_unread.Start, _unread.Start);
        if (IsOutputFull)
            await FlushAsync();
        if (_input.TryRead(out var ready))
            return ready;

        await FlushAsync();
        BeginWait(end, Wait.ForOctets);
        var result = await _input.ReadAsync();
        EndWait();
        return result;
    }

    /// <summary>Octets come within that time, or have come already; they stay where they are. For a connection without TLS, of which nothing was read.</summary>
    public async ValueTask<bool> SpeaksWithinAsync(TimeSpan time)
    {
        using var end = new CancellationTokenSource(time, _time);
        try
        {
            var read = await _input.ReadAsync(end.Token);
            _input.AdvanceTo(read.Buffer.Start, read.Buffer.Start);
            return !read.Buffer.IsEmpty;
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            return false;
        }
    }

    public void AdvanceTo(SequencePosition consumed) => _input.AdvanceTo(consumed);

    public void AdvanceTo(SequencePosition consumed, SequencePosition examined) => _input.AdvanceTo(consumed, examined);

    /// <summary>Lets go what was written, and waits until there is room for more.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask FlushAsync()
    {
        if (_output.UnflushedBytes > 0)
            await FlushAsync(Patience.ForReplies());
    }

    /// <summary>
    /// Breaks the connection off at that time, until what is returned is disposed of: for a wait in which the client is not read from.
    /// Not to be begun within another wait.
    /// </summary>
    public ClientWait AbortAt(WaitEnd end)
    {
        BeginWait(end, Wait.ForReader);
        return new ClientWait(this);
    }

    /// <summary>Puts TLS on the connection; what was written before leaves in clear.</summary>
    /// <returns>Why there is no TLS; null when there is.</returns>
    public async Task<Exception?> StartTlsAsync()
    {
        // RFC 3207 §4.2, RFC 2595 §4: nothing that was said in the clear may count as said under TLS.
        if (_holdsUnread)
            Release(_unread.End, _unread.End);
        await FlushAsync();
        var carrier = new DuplexPipeStream(_context.Transport);
        var tls = new SslStream(carrier);
        try
        {
            BeginWait(WaitEnd.In(_time, Listener.TlsTimeout), Wait.ForHandshake);
            await tls.AuthenticateAsServerAsync(_certificate.ServerOptions());
            (_carrier, _tls) = (carrier, tls);
        }
        catch (Exception failed) when (failed is AuthenticationException or IOException or OperationCanceledException or InvalidOperationException)
        {
            return failed;
        }
        finally
        {
            EndWait();
            if (_tls is null)
                await tls.DisposeAsync();
        }

        // A line cut off by TLS is no part of the next one.
        _lines = new LineReader(maxBytes: 0);
        // Zero-byte reads: TLS holds no buffer for an idle session.
        _input = PipeReader.Create(tls, new StreamPipeReaderOptions(bufferSize: 16 * 1024, leaveOpen: true, useZeroByteReads: true));
        _output = PipeWriter.Create(tls, new StreamPipeWriterOptions(leaveOpen: true));
        Interlocked.MemoryBarrier();
        if (_stopping)
            _input.CancelPendingRead();
        return null;
    }

    /// <summary>Nothing more is said or heard; what was not flushed is lost.</summary>
    public void Abort()
    {
        _aborted = true;
        _context.Abort();
    }

    /// <summary>A proxy says who its client is, within the protocol; its place stays the proxy's.</summary>
    /// <param name="client">Null: nobody knows.</param>
    /// <param name="local">Where the client came to; null: that is not said.</param>
    /// <param name="port">Null: that is not said.</param>
    public void NameClient(IPAddress? client, int? port, IPAddress? local)
    {
        Client = client is null ? null : HostAddress.Plain(client);
        RemoteEndPoint = Client is null ? null : new IPEndPoint(Client, port ?? (RemoteEndPoint as IPEndPoint)?.Port ?? 0);
        _local = local is null ? _local : HostAddress.Plain(local);
    }

    /// <summary>Names the client behind a load balancer.</summary>
    internal void NameClient(IPEndPoint? client)
    {
        if (client is null)
            return;
        // Through a socket for both families an IPv4 client comes as ::ffff:192.0.2.1, which nobody looks for in a log.
        Client = HostAddress.Plain(client.Address);
        RemoteEndPoint = new IPEndPoint(Client, client.Port);
    }

    internal void Begin(ILineSession session, SessionPlaces.Place place) => (_patience, _place) = (session.Patience, place);

    /// <summary>The host stops: an idle session ends now, a command under way is finished.</summary>
    internal void Stop()
    {
        _stopping = true;
        // TLS may be replacing the input right now: one of both sees what the other wrote.
        Interlocked.MemoryBarrier();
        _input.CancelPendingRead();
    }

    /// <summary>Called once a second: ends the wait for a client that lets us wait for too long.</summary>
    internal void CheckDeadline(long now)
    {
        // Read before its deadlines: if they belong to the next wait already, this number is no longer there to be taken.
        var seen = Volatile.Read(ref _waiting);
        if (seen == 0 || (now < Volatile.Read(ref _deadline) && (now < Volatile.Read(ref _crowdedDeadline) || _place?.IsNearlyFull != true)))
            return;

        var wait = _wait;
        if (Interlocked.CompareExchange(ref _waiting, 0, seen) != seen)
            return;
        _timedOut = true;
        switch (wait)
        {
            case Wait.ForReader:
                Abort();
                break;
            case Wait.ForHandshake:
                _input.CancelPendingRead();
                _output.CancelPendingFlush();
                break;
            default:
                _input.CancelPendingRead();
                break;
        }
    }

    internal async ValueTask FlushAsync(WaitEnd end)
    {
        using var wait = AbortAt(end);
        var flushed = await _output.FlushAsync();
        _unheard |= flushed.IsCompleted || _carrier?.IsUnread == true;
    }

    /// <summary>Ends TLS, if it is on, with its own last word.</summary>
    internal async ValueTask CloseTlsAsync()
    {
        if (_tls is not { } tls)
            return;

        try
        {
            using var wait = AbortAt(Patience.ForReplies());
            await _output.CompleteAsync();
            await _input.CompleteAsync();
            // RFC 8446 §6.1: says that nothing was cut off. The client may be gone.
            if (!_aborted && !_context.ConnectionClosed.IsCancellationRequested)
                await tls.ShutdownAsync();
        }
        catch (Exception gone) when (gone is IOException or InvalidOperationException or OperationCanceledException)
        {
            // Then nobody is left to be told.
        }

        await tls.DisposeAsync();
    }

    private bool TryTakeLine(out LineRead read)
    {
        read = default;
        if (!_holdsUnread)
            return false;
        var status = _lines.TryRead(ref _unread, out var line);
        if (status == LineStatus.Incomplete)
        {
            Release(_unread.Start, _unread.End);
            return false;
        }

        read = new LineRead(status, line);
        return true;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<LineRead> WaitForLineAsync()
    {
        // A command has its time as a whole: octets that trickle in prolong nothing.
        var end = Patience.ForCommand();
        while (!_stopping)
        {
            var result = await ReadAsync(end);
            if (_stopping)
                break;
            if (_timedOut)
                return new LineRead(SessionEnd.TimedOut);
            (_unread, _holdsUnread) = (result.Buffer, true);
            if (TryTakeLine(out var line))
                return line;
            // Only now: a client that has said everything is served to the last line, also behind the octets of a content.
            if (result.IsCompleted)
                return new LineRead(SessionEnd.Disconnected);
        }

        return new LineRead(SessionEnd.Stopped);
    }

    private void Release(SequencePosition consumed, SequencePosition examined)
    {
        _holdsUnread = false;
        _unread = default;
        _input.AdvanceTo(consumed, examined);
    }

    private void BeginWait(WaitEnd end, Wait wait)
    {
        _wait = wait;
        Volatile.Write(ref _crowdedDeadline, end.Crowded);
        Volatile.Write(ref _deadline, end.Always);
        Volatile.Write(ref _waiting, ++_waits);
    }

    private void EndWait()
    {
        // The timer was first and is about to say so; what has come in the same moment came too late.
        if (Interlocked.Exchange(ref _waiting, 0) == 0)
            _timedOut = true;
    }

    /// <summary>From <see cref="AbortAt"/> until it is disposed of.</summary>
    public readonly struct ClientWait(LineConnection connection) : IDisposable
    {
        public void Dispose() => connection.EndWait();
    }
}

/// <summary>A line that was read, or why there is none.</summary>
public readonly struct LineRead
{
    internal LineRead(LineStatus status, ReadOnlySequence<byte> line) => (Status, Line) = (status, line);

    internal LineRead(SessionEnd end) => End = end;

    /// <summary>Why no line came; null when one did.</summary>
    public SessionEnd? End { get; }

    public LineStatus Status { get; }

    /// <summary>Without its end; of one too long the first octets. Valid until the next read.</summary>
    public ReadOnlySequence<byte> Line { get; }

    /// <summary>The line in one piece.</summary>
    public ReadOnlySpan<byte> Span => Line.IsSingleSegment ? Line.FirstSpan : Line.ToArray();
}
