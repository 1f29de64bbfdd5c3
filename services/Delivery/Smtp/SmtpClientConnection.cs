using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using MailPipeline.Delivery.Batches;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Sources;
using MailPipeline.Mail;
using MailPipeline.Sasl;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Smtp;

/// <summary>
/// One connection to a far end, from the greeting on: what is written is collected until it is flushed, each reply is read
/// whole under its deadline. Every failure is a <see cref="SmtpConnectionException"/>; after one the connection is closed.
/// </summary>
internal sealed class SmtpClientConnection : IBufferWriter<byte>, IAsyncDisposable
{
    /// <summary>Names what is waited for first, in the place of a command.</summary>
    public const string Greeting = "the connection";

    /// <summary>Waited for: the reply to AUTH, of which no word is repeated.</summary>
    public const string Auth = "AUTH";

    // Holds a small message with the commands around it; larger content goes out piece by piece.
    private const int OutputBytes = 32 * 1024;
    private const int InputBytes = 4 * 1024;

    private const int Undecided = 0;
    private const int Committed = 1;
    private const int GivenUp = 2;

    private static readonly TimeSpan QuitTime = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan s_longestQuit = TimeSpan.FromSeconds(1);

    private readonly Socket _socket;
    private readonly Deadline _deadline;
    private readonly ReplyParser _parser = new();
    private Stream _stream;
    private byte[] _output = ArrayPool<byte>.Shared.Rent(OutputBytes);
    private byte[] _input = ArrayPool<byte>.Shared.Rent(InputBytes);
    private int _written;
    private int _inputStart;
    private int _inputEnd;
    private int _closed;
    private int _fate;

    /// <summary>Whose mail went over it; null: nobody counts.</summary>
    private HashSet<string>? _domains;

    /// <summary>Why nothing can be said or read any more, although the last reply counts; null while the dialogue goes on.</summary>
    private SmtpConnectionException? _spent;

    public SmtpClientConnection(Socket connected, string remoteHost, string peer, TimeProvider time, SourceLease? source = null)
    {
        _socket = connected;
        _stream = new NetworkStream(connected, ownsSocket: true);
        _deadline = new Deadline(time, Abort);
        RemoteHost = remoteHost;
        Peer = peer;
        Source = source;
        Worker = source is not null ? $"{Environment.MachineName}[{source.Source.Name}]"
            : connected.LocalEndPoint is IPEndPoint local ? $"{Environment.MachineName}[{local.Address}]" : Environment.MachineName;
    }

    /// <summary>Name and address of the far end, e.g. "mx.example.net[192.0.2.1]:25".</summary>
    public string RemoteHost { get; }

    /// <summary>The far end in sentences about failures: name and address; of a host that is known by its address alone, only that.</summary>
    public string Peer { get; }

    /// <summary>This process, and the address that it speaks from, e.g. "delivery-7d4f[10.0.0.7]"; over a Unix socket the process alone.</summary>
    public string Worker { get; }

    /// <summary>Where it comes from, for as long as it lasts; null: from whatever address the system has chosen.</summary>
    public SourceLease? Source { get; }

    /// <summary>The far end speaks LMTP (RFC 2033): behind the final dot each recipient that it took has a reply of its own.</summary>
    public bool IsLmtp { get; init; }

    public EhloCapabilities Capabilities { get; set; } = EhloCapabilities.None;

    /// <summary>Whose it is, with what was demanded of it when it was made.</summary>
    public required TargetHost Host { get; init; }

    /// <summary>Under what TLS it is, and why.</summary>
    public required AttemptTls Security { get; set; }

    /// <summary>
    /// Its certificate is the host's, and the host is one of the domain's, as far as anybody can vouch for either: what REQUIRETLS needs (RFC 8689 §4.2.1).
    /// </summary>
    public bool IsVerified { get; set; }

    /// <summary>Content goes by BDAT (RFC 3030): the far end offers CHUNKING, and nothing speaks against it.</summary>
    public bool TakesChunks { get; set; }

    /// <summary>It has answered a chunk as one that knows what that is.</summary>
    public bool KnowsChunks { get; set; }

    /// <summary>Commands of a group travel in one flight (RFC 2920): the far end offers that, and nothing speaks against it.</summary>
    public bool TakesPipelining { get; set; }

    /// <summary>Messages that were begun over it.</summary>
    public int Messages { get; set; }

    /// <summary>It may know who submitted a message (RFC 4954 §5): we have logged in there, or the operator says so.</summary>
    public bool IsTrusted { get; set; }

    /// <summary>TLS protocol in use, or "none".</summary>
    public string Tls => _stream is SslStream tls ? tls.SslProtocol.ToString() : "none";

    /// <summary>What a login can be bound to, the best one first; nothing without TLS. To be asked while nothing is awaited of the far end.</summary>
    public IReadOnlyList<ChannelBinding> Bindings(TlsExporter exporter) => _stream is not SslStream tls ? []
        // RFC 9266 §3: with TLS 1.3 it comes first. Before that a host rather knows the other.
        : ChannelBinding.Of(tls.RemoteCertificate, tls.SslProtocol == SslProtocols.Tls13 ? exporter.ChannelBinding(tls) : null);

    /// <summary>STARTTLS was offered, but was refused or TLS failed, and the policy let the dialogue go on in clear.</summary>
    public bool FellBackToClear { get; set; }

    /// <summary>A batch before has left it: a host that ends it says nothing of how many connections it wants.</summary>
    public bool WasKept { get; set; }

    /// <summary>The far end has answered a command of this batch; a kept connection that never did was closed meanwhile.</summary>
    public bool HasAnswered { get; set; }

    /// <summary>As many messages went over it as may.</summary>
    public bool IsFull(int most) => Messages >= most;

    /// <summary>Mail of this domain may go over it, as far as the far end says how many there may be in a session (RFC 9422).</summary>
    public bool TryServe(string domain)
    {
        if (Capabilities.Limits.RecipientDomains == int.MaxValue)
            return true;
        _domains ??= new(StringComparer.OrdinalIgnoreCase);
        return _domains.Contains(domain) || (_domains.Count < Capabilities.Limits.RecipientDomains && _domains.Add(domain));
    }

    /// <summary>A refused transaction may still be open at the far end: RSET goes before the next MAIL.</summary>
    public bool NeedsReset { get; set; }

    /// <summary>The far end has said more than it was asked.</summary>
    public bool HasUnreadInput => _inputEnd > _inputStart;

    /// <summary>The last reply counts but had no end: what would be read next is nobody's answer.</summary>
    public bool IsSpent => _spent is not null;

    public int UnsentBytes => _written;

    private ReadOnlySequence<byte> Unread => new(_input, _inputStart, _inputEnd - _inputStart);

    /// <summary>
    /// Nothing arrived unasked while the connection was idle: a closing reply (421) or the end of the stream would have.
    /// </summary>
    public bool IsQuiet
    {
        get
        {
            try
            {
                return !HasUnreadInput && !_socket.Poll(0, SelectMode.SelectRead);
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                return false;
            }
        }
    }

    /// <summary>Free room in the output, after what is there was sent if it stood in the way.</summary>
    public async ValueTask<int> ReserveAsync(int bytes, TimeSpan timeout)
    {
        if (_output.Length - _written < bytes)
            await FlushAsync(timeout);
        return _output.Length - _written;
    }

    /// <summary>Collects a command line, without CRLF; sends earlier output when it does not fit.</summary>
    public async ValueTask WriteLineAsync(string line, TimeSpan timeout)
    {
        await ReserveAsync(Encoding.UTF8.GetMaxByteCount(line.Length) + 2, timeout);
        var output = _output.AsSpan(_written);
        var length = Encoding.UTF8.GetBytes(line, output);
        "\r\n"u8.CopyTo(output[length..]);
        _written += length + 2;
    }

    public void Advance(int count) => _written += count;

    public Memory<byte> GetMemory(int sizeHint = 0) => _output.AsMemory(_written);

    public Span<byte> GetSpan(int sizeHint = 0) => _output.AsSpan(_written);

    public async ValueTask FlushAsync(TimeSpan timeout)
    {
        if (_written == 0)
            return;
        ThrowIfSpent();
        _deadline.Arm(timeout);
        var bytes = _output.AsMemory(0, _written);
        _written = 0;
        try
        {
            await _stream.WriteAsync(bytes);
        }
        catch (Exception error) when (IsConnectionError(error))
        {
            throw Lost(error, "4.4.2", "what was sent was not taken", () => ConnectionFault.LostDuring(Peer, "the sending", error));
        }
    }

    /// <summary>
    /// Reads one whole reply; <paramref name="waitingFor"/> names the command, for the report. One whose last line is cut short behind its
    /// code, by the end of the connection or of the time, counts as well, and the connection is spent. One whose last line has not come by
    /// then is none.
    /// </summary>
    /// <param name="takesEndless">One that has no last line within the bound of what is read counts too, if all its lines have one code.</param>
    public async ValueTask<SmtpReply> ReadReplyAsync(string waitingFor, TimeSpan timeout, bool takesEndless = false)
    {
        ThrowIfSpent();
        _deadline.Arm(timeout);
        while (true)
        {
            var input = Unread;
            var status = _parser.TryRead(ref input, out var reply);
            _inputStart = _inputEnd - (int)input.Length;
            if (status == ReplyStatus.Malformed)
                throw new SmtpConnectionException("4.5.0", $"The answer to {waitingFor} is not an SMTP reply");
            if (status == ReplyStatus.Endless && !(takesEndless && _parser.TryEndBegun(input, out reply)))
                throw new SmtpConnectionException("4.5.0", $"The answer to {waitingFor} has no end");
            if (status == ReplyStatus.Incomplete)
            {
                try
                {
                    await FillAsync(waitingFor);
                    continue;
                }
                catch (SmtpConnectionException error) when (Volatile.Read(ref _fate) != GivenUp && TryEndReply(out reply))
                {
                    _spent = error;
                }
            }

            if (status is ReplyStatus.Unended or ReplyStatus.Endless)
                _spent = new SmtpConnectionException("4.5.0", $"The answer to {waitingFor} has no end");
            _deadline.Disarm();
            HasAnswered = true;
            return reply!;
        }
    }

    /// <summary>Changes to TLS. What the far end sent in clear behind its 220 would be an injection and ends the connection.</summary>
    public async Task StartTlsAsync(CertificateCheck certificate, TimeSpan timeout)
    {
        ThrowIfSpent();
        if (HasUnreadInput)
            throw new SmtpConnectionException("4.5.0", "The far end sent data in clear behind its answer to STARTTLS");
        _deadline.Arm(timeout);
        var tls = new SslStream(_stream, leaveInnerStreamOpen: false);
        try
        {
            await tls.AuthenticateAsClientAsync(certificate.Options);
        }
        catch (Exception error) when (IsConnectionError(error) || CertificateCheck.IsUnreadable(error))
        {
            await tls.DisposeAsync();
            throw Lost(
                error, "4.7.5", "the TLS handshake did not end",
                () => certificate.Fault ?? (CertificateCheck.IsUnreadable(error)
                    ? $"The certificate of {Peer} cannot be read" : ConnectionFault.LostDuring(Peer, "the TLS handshake", error)));
        }

        _deadline.Disarm();
        _stream = tls;
    }

    /// <summary>Names of protocol and cipher, as OpenSSL and IANA have them; null without TLS.</summary>
    public (string Protocol, string Cipher)? Encryption => _stream is SslStream tls
        ? (tls.SslProtocol switch { SslProtocols.Tls13 => "TLSv1.3", SslProtocols.Tls12 => "TLSv1.2", var other => other.ToString() }, tls.NegotiatedCipherSuite.ToString())
        : null;

    /// <summary>Throws when the last reply had no end.</summary>
    public void ThrowIfSpent()
    {
        if (_spent is { } spent)
            throw new SmtpConnectionException(spent.Status, spent.Reply, spent.IsTimeout, spent);
    }

    /// <summary>Says goodbye in the background of others (RFC 5321 §4.1.1.10) and closes; never throws.</summary>
    public async Task QuitAsync()
    {
        try
        {
            _written = 0;
            await WriteLineAsync("QUIT", QuitTime);
            await FlushAsync(QuitTime);
            await ReadReplyAsync("QUIT", QuitTime);
        }
        catch (SmtpConnectionException)
        {
            // It is gone already.
        }

        await DisposeAsync();
    }

    /// <summary>
    /// Says goodbye and closes, by the machine's clock within a second, whatever the time-outs are: others wait for its place, and the far end has
    /// nothing more to say that matters.
    /// </summary>
    public async Task QuitSoonAsync()
    {
        var quit = QuitAsync();
        if (await Task.WhenAny(quit, Task.Delay(s_longestQuit, TimeProvider.System)) != quit)
            await DisposeAsync();
    }

    /// <summary>
    /// From now on the connection is not given up: a final dot is on its way, and its reply is worth waiting for. False: it has been.
    /// </summary>
    public bool TryCommitToDot() => Interlocked.CompareExchange(ref _fate, Committed, Undecided) != GivenUp;

    /// <summary>The reply to the final dot has come: the connection may be given up again.</summary>
    public void DotAnswered() => Interlocked.CompareExchange(ref _fate, Undecided, Committed);

    /// <summary>It was ended because others wait for its slot.</summary>
    public bool IsGivenUp => Volatile.Read(ref _fate) == GivenUp;

    /// <summary>Ends the connection, from any thread, unless a final dot is on its way: others wait for its slot.</summary>
    public void GiveUp()
    {
        if (Interlocked.CompareExchange(ref _fate, GivenUp, Undecided) == Undecided)
            Abort();
    }

    /// <summary>Ends the connection at once, from any thread; what waits on it fails.</summary>
    public void Abort() => _socket.Dispose();

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _closed, 1) != 0)
            return;
        _deadline.Dispose();
        _socket.Dispose();
        Source?.Dispose();
        try
        {
            await _stream.DisposeAsync();
        }
        catch (Exception error) when (IsConnectionError(error))
        {
            // Closing notices of TLS cannot be sent over a closed socket.
        }

        ArrayPool<byte>.Shared.Return(_output);
        ArrayPool<byte>.Shared.Return(_input);
        _output = _input = [];
    }

    private bool TryEndReply([NotNullWhen(true)] out SmtpReply? reply) =>
        _parser.TryEnd(Unread, out reply);

    private static bool IsConnectionError(Exception error) =>
        error is IOException or SocketException or ObjectDisposedException or OperationCanceledException or InvalidOperationException
            or AuthenticationException;

    private async ValueTask FillAsync(string waitingFor)
    {
        // What is left is part of one line, and the parser refuses lines that this buffer could not hold.
        _input.AsSpan(_inputStart, _inputEnd - _inputStart).CopyTo(_input);
        _inputEnd -= _inputStart;
        _inputStart = 0;
        int read;
        try
        {
            read = await _stream.ReadAsync(_input.AsMemory(_inputEnd));
        }
        catch (Exception error) when (IsConnectionError(error))
        {
            throw NoReply(waitingFor, error);
        }

        if (read == 0)
            throw NoReply(waitingFor, null);
        _inputEnd += read;
    }

    private SmtpConnectionException NoReply(string waitingFor, Exception? cause)
    {
        var missing = waitingFor == Greeting ? "greeting" : $"answer to {waitingFor}";
        // What is begun of an answer to AUTH may repeat our secret (SmarthostLogin).
        var begun = waitingFor != Auth && _parser.Begun(Unread) is { } text ? RemoteReply.Line(text) : null;
        return Lost(
            cause, "4.4.2", begun is null ? $"no {missing}" : $"no end of its {missing}", () => ConnectionFault.Lost(Peer, missing, begun, cause), begun);
    }

    /// <param name="late">What the far end did not do in time, if that ended it.</param>
    /// <param name="lost">The sentence for it otherwise.</param>
    /// <param name="begun">What has come of a reply, in one line; null: nothing.</param>
    private SmtpConnectionException Lost(Exception? cause, string status, string late, Func<string> lost, string? begun = null)
    {
        var began = begun is null ? "" : $"; it began: {begun}";
        return Volatile.Read(ref _fate) == GivenUp
            ? new SmtpConnectionException("4.4.2", ConnectionFault.GivenUp(Peer, late, _deadline.Elapsed) + began, isTimeout: true, cause)
            : _deadline.IsExpired
            ? new SmtpConnectionException(status, ConnectionFault.Timeout(Peer, late, _deadline.Time) + began, isTimeout: true, cause)
            : new SmtpConnectionException(status, lost(), isTimeout: false, cause);
    }
}
