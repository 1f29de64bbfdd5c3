using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Security;
using System.Runtime.CompilerServices;
using System.Security.Authentication;
using MailPipeline.Contracts;
using MailPipeline.Smtp;
using MailPipeline.Storage;
using Microsoft.AspNetCore.Connections;

namespace MailPipeline.Ingress;

/// <summary>
/// One SMTP connection: carries octets between the pipes and the pure session, and answers its questions. Replies are
/// gathered until the client has to be waited for, and leave in one write (RFC 2920 §3.1).
/// </summary>
internal sealed class SmtpConnection
{
    private const long Never = long.MaxValue;

    private readonly SmtpServer _server;
    private readonly ConnectionContext _connection;
    private readonly SmtpSession _session;
    private readonly bool _isRelayClient;
    private PipeReader _input;
    private PipeWriter _output;
    private SslStream? _tls;
    private LineReader _lines;
    private Account? _account;

    // What the last question was about, and the last transaction whose content was read: for the log of what is refused.
    private SmtpAddress? _asked;
    private SmtpTransaction? _received;
    private bool _hasReplies;
    private bool _hasReadLine;

    // Shared with the registry's timer and with the stop of the host.
    private long _deadline = Never;
    private volatile bool _isWriting;
    private volatile bool _timedOut;
    private volatile bool _stopping;

    public SmtpConnection(SmtpServer server, ConnectionContext connection, SmtpListener listener, IPAddress? client)
    {
        _server = server;
        _connection = connection;
        _session = new SmtpSession(listener.Profile);
        _lines = new LineReader(_session.MaxLineBytes);
        _input = connection.Transport.Input;
        _output = connection.Transport.Output;
        _isRelayClient = server.IsRelayClient(client);
        Listener = listener;
        Client = client;
    }

    public SmtpListener Listener { get; }

    public IPAddress? Client { get; }

    public string ConnectionId => _connection.ConnectionId;

    /// <summary>Who has logged in; null is a stranger.</summary>
    public string? UserName => _account?.Address;

    private IngressOptions Options => _server.Options;

    private bool MayRelay => _account is not null || _isRelayClient;

    private TimeSpan CommandTimeout => _account is null && _server.IsCrowded(Listener) && Options.CrowdedCommandTimeout < Options.CommandTimeout
        ? Options.CrowdedCommandTimeout
        : Options.CommandTimeout;

    /// <summary>
    /// Storage is not interrupted when the client goes away: its side is closed as well when it has said everything, QUIT
    /// included, and only waits for our replies. Storage has time-outs of its own.
    /// </summary>
    private static CancellationToken Uninterrupted => CancellationToken.None;

    /// <summary>Speaks until one side ends it. An I/O exception means that the client is gone.</summary>
    public async Task<SessionEnd> RunAsync()
    {
        try
        {
            return await ConverseAsync();
        }
        finally
        {
            await CloseTlsAsync();
        }
    }

    /// <summary>Greets with 421 (RFC 5321 §3.8) and is done.</summary>
    public async Task TurnAwayAsync()
    {
        Replies.C421TooManyConnections.WriteTo(_output);
        using var timeout = new CancellationTokenSource(Options.TlsTimeout, _server.Time);
        try
        {
            await _output.FlushAsync(timeout.Token);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ConnectionAbortedException)
        {
            // Turned away either way.
        }
    }

    /// <summary>The host stops: an idle session ends now, a message being received may end first.</summary>
    public void Stop()
    {
        _stopping = true;
        // TLS may be replacing the input right now: one of both sees what the other wrote.
        Interlocked.MemoryBarrier();
        _input.CancelPendingRead();
    }

    /// <summary>Called once a second: ends the wait for a client that lets us wait for too long.</summary>
    public void CheckDeadline(long now)
    {
        if (now <= Volatile.Read(ref _deadline))
            return;

        Volatile.Write(ref _deadline, Never);
        _timedOut = true;
        // Who does not read our replies will not read another one.
        if (_isWriting)
            _connection.Abort();
        else
            _input.CancelPendingRead();
    }

    private async Task<SessionEnd> ConverseAsync()
    {
        if (Listener.HasImplicitTls && !await StartTlsAsync())
            return SessionEnd.TlsFailed;

        Write(Listener.Profile.Greeting);
        var deadline = DeadlineAfter(CommandTimeout);
        while (!_stopping)
        {
            // A command has its time as a whole: octets that trickle in prolong nothing.
            if (_hasReadLine)
                deadline = DeadlineAfter(CommandTimeout);
            _hasReadLine = false;
            var result = await ReadAsync(deadline);
            if (_stopping)
                break;
            if (_timedOut)
                return await EndAsync(Replies.C421TimedOut, SessionEnd.TimedOut);
            if (await ServeAsync(result) is not { } end)
                continue;

            await FlushAsync();
            return end;
        }

        return await EndAsync(Replies.C421ShuttingDown, SessionEnd.Stopped);
    }

    /// <summary>All whole lines that have arrived; null to go on.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<SessionEnd?> ServeAsync(ReadResult result)
    {
        var buffer = result.Buffer;
        while (TryReadLine(ref buffer, out var step))
        {
            _hasReadLine = true;
            _asked = null;
            while (step.Reply is null)
                step = _session.Answer(await DecideAsync(step.Action));
            Write(step);
            switch (step.Action)
            {
                case SmtpAction.Close:
                    _input.AdvanceTo(buffer.Start);
                    return step.Reply.Code == Replies.C221Bye.Code ? SessionEnd.Quit : SessionEnd.Refused;
                case SmtpAction.StartTls:
                    // RFC 3207 §4.2: nothing that was said in the clear may count as said under TLS.
                    _input.AdvanceTo(buffer.End);
                    return await StartTlsAsync() ? null : SessionEnd.TlsFailed;
                case SmtpAction.ReceiveContent:
                    _input.AdvanceTo(buffer.Start);
                    return await ReceiveAsync();
            }
        }

        _input.AdvanceTo(buffer.Start, buffer.End);
        return result.IsCompleted ? SessionEnd.Disconnected : null;
    }

    private bool TryReadLine(ref ReadOnlySequence<byte> buffer, out SmtpStep step)
    {
        _lines.MaxBytes = _session.MaxLineBytes;
        var status = _lines.TryRead(ref buffer, out var line);
        step = status switch
        {
            LineStatus.Incomplete => default,
            LineStatus.Line => _session.Read(line.IsSingleSegment ? line.FirstSpan : line.ToArray()),
            _ => _session.ReadBroken(status, line.FirstSpan),
        };
        return status != LineStatus.Incomplete;
    }

    private async ValueTask<SmtpReply?> DecideAsync(SmtpAction question)
    {
        try
        {
            switch (question)
            {
                case SmtpAction.CheckSender:
                    _asked = _session.ProposedSender;
                    return _server.Backpressure.Refusal ?? await _server.Policy.CheckSenderAsync(_session.ProposedSender, _account, MayRelay, Uninterrupted);
                case SmtpAction.CheckRecipient:
                    _asked = _session.ProposedRecipient;
                    var verdict = await _server.Policy.CheckRecipientAsync(_session.ProposedRecipient!, MayRelay, Uninterrupted);
                    if (verdict.Redirect is { } redirect)
                        _session.RedirectRecipient(redirect);
                    return verdict.Refusal;
                case SmtpAction.Authenticate:
                    return await AuthenticateAsync(_session.ProposedCredentials!);
                default:
                    throw new InvalidOperationException($"Nobody answers {question}.");
            }
        }
        catch (StorageUnavailableException)
        {
            return question == SmtpAction.Authenticate ? Replies.C454AuthUnavailable : Replies.C451StorageUnavailable;
        }
    }

    private async ValueTask<SmtpReply?> AuthenticateAsync(SmtpCredentials offered)
    {
        var verified = await _server.Credentials.VerifyAsync(offered.UserName, offered.Password, Client, _connection.ConnectionClosed);
        if (verified.IsBusy)
            return Replies.C454AuthUnavailable;
        _account = verified.Account;
        if (_account is not null)
        {
            _server.LoggedIn(this);
            return null;
        }

        _server.AuthFailed(this, offered.UserName);
        // Who guesses is kept from guessing fast, and from keeping those busy who check everybody's passwords.
        await Task.Delay(Options.AuthFailureDelay, _server.Time, Uninterrupted);
        return Replies.C535BadCredentials;
    }

    /// <summary>From 354 to the reply to the final dot; null to go on.</summary>
    private async ValueTask<SessionEnd?> ReceiveAsync()
    {
        using var activity = _server.Telemetry.StartReceive(Listener.Kind);
        _received = _session.Transaction;
        await using var content = new IncomingContent(_server.Store, Options, Listener);
        await content.BeginAsync(_session, Client, _server.Time.GetUtcNow(), Uninterrupted);

        var latest = DeadlineAfter(Options.MaxContentTime);
        while (!content.IsEnded)
        {
            var result = await ReadAsync(Math.Min(latest, DeadlineAfter(Options.ContentTimeout)));
            if (_timedOut)
                return await EndAsync(Replies.C421TimedOut, SessionEnd.TimedOut);

            var position = await content.TakeAsync(result.Buffer, Uninterrupted);
            _input.AdvanceTo(position);
            if (content.IsEndless)
                return await EndAsync(Replies.C552TooLarge, SessionEnd.Refused);
            if (result.IsCompleted && !content.IsEnded)
                return SessionEnd.Disconnected;
        }

        if (await AcceptAsync(content, activity?.Id ?? "") is not { } reply)
        {
            // Neither 250 nor 4xx would be true.
            _connection.Abort();
            return SessionEnd.OutcomeUnknown;
        }

        var step = _session.ContentEnded(reply);
        Write(step);
        _received = null;
        return step.Action == SmtpAction.Close ? SessionEnd.Refused : null;
    }

    /// <summary>The reply to the content, 250 only after the commit; null when nobody knows what became of the commit.</summary>
    private async ValueTask<SmtpReply?> AcceptAsync(IncomingContent content, string traceParent)
    {
        if (content.Fault is { } early)
            _server.NotAccepted(this, content.MessageId, early);
        if (content.Refusal is { } refusal)
            return refusal;

        var started = _server.Time.GetTimestamp();
        var message = Envelope(content, traceParent);
        try
        {
            using var commit = _server.BeginCommit(message);
            await _server.Store.AcceptAsync(message, content.Writer, Uninterrupted);
        }
        catch (StorageUnavailableException fault)
        {
            _server.NotAccepted(this, content.MessageId, fault);
            return fault.Fault == StorageFault.OutcomeUnknown ? null : IncomingContent.ReplyTo(fault);
        }

        _server.Accepted(this, message, _server.Time.GetElapsedTime(started));
        return new SmtpReply(250, Replies.C250Ok.Status, $"Ok: queued as {MessageIds.ToText(message.MessageId)}");
    }

    private AcceptedMessage Envelope(IncomingContent content, string traceParent)
    {
        var transaction = _session.Transaction!;
        var recipients = new string[transaction.Recipients.Count];
        for (var i = 0; i < recipients.Length; i++)
            recipients[i] = transaction.Recipients[i].Canonical;

        var body = transaction.Body == SmtpBody.EightBitMime || content.HasEightBitOctets ? BodyType.EightBitMime : BodyType.SevenBit;
        if (transaction.SmtpUtf8)
            body |= BodyType.SmtpUtf8;
        return new AcceptedMessage(
            content.MessageId, transaction.Sender?.Text ?? "", recipients, content.Writer.SizeBytes, body, _server.Time.GetUtcNow(), traceParent);
    }

    private async Task<bool> StartTlsAsync()
    {
        await FlushAsync();
        var tls = new SslStream(new DuplexPipeStream(_connection.Transport));
        using var timeout = new CancellationTokenSource(Options.TlsTimeout, _server.Time);
        try
        {
            await tls.AuthenticateAsServerAsync(
                _server.Certificate.ServerOptions(),
                timeout.Token);
        }
        catch (Exception failed) when (failed is AuthenticationException or IOException or OperationCanceledException or InvalidOperationException)
        {
            _server.TlsFailed(this, failed);
            await tls.DisposeAsync();
            return false;
        }

        _tls = tls;
        // Zero-byte reads: an idle session holds no buffer.
        _input = PipeReader.Create(tls, new StreamPipeReaderOptions(bufferSize: 16 * 1024, leaveOpen: true, useZeroByteReads: true));
        _output = PipeWriter.Create(tls, new StreamPipeWriterOptions(leaveOpen: true));
        Interlocked.MemoryBarrier();
        if (_stopping)
            _input.CancelPendingRead();
        _session.TlsStarted();
        _account = null;
        // A line cut off by TLS is no part of the next one.
        _lines = new LineReader(_session.MaxLineBytes);
        return true;
    }

    private async Task CloseTlsAsync()
    {
        if (_tls is not { } tls)
            return;

        try
        {
            await _output.CompleteAsync();
            await _input.CompleteAsync();
            // RFC 8446 §6.1: says that nothing was cut off. The client may be gone.
            if (!_connection.ConnectionClosed.IsCancellationRequested)
                await tls.ShutdownAsync();
        }
        catch (Exception gone) when (gone is IOException or InvalidOperationException or OperationCanceledException or ConnectionAbortedException)
        {
            // Then nobody is left to be told.
        }

        await tls.DisposeAsync();
    }

    private async Task<SessionEnd> EndAsync(SmtpReply reply, SessionEnd end)
    {
        Write(reply);
        await FlushAsync();
        return end;
    }

    // The farewell refuses nothing; that the session ended is counted by its end.
    private void Write(SmtpStep step)
    {
        Write(step.Reply!);
        step.Farewell?.WriteTo(_output);
    }

    private void Write(SmtpReply reply)
    {
        if (reply.Code >= 400)
            _server.Refused(this, _session.LastVerb, _asked, _session.Transaction ?? _received, reply);
        reply.WriteTo(_output);
        _hasReplies = true;
    }

    /// <summary>What has arrived already, or else what comes until the deadline; replies leave before waiting.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ReadResult> ReadAsync(long deadline)
    {
        if (_input.TryRead(out var ready))
            return ready;

        await FlushAsync();
        Volatile.Write(ref _deadline, deadline);
        var result = await _input.ReadAsync();
        Volatile.Write(ref _deadline, Never);
        return result;
    }

    private async ValueTask FlushAsync()
    {
        if (!_hasReplies)
            return;

        _hasReplies = false;
        _isWriting = true;
        Volatile.Write(ref _deadline, DeadlineAfter(Options.CommandTimeout));
        await _output.FlushAsync();
        Volatile.Write(ref _deadline, Never);
        _isWriting = false;
    }

    private long DeadlineAfter(TimeSpan patience) =>
        _server.Time.GetTimestamp() + (long)(patience.TotalSeconds * _server.Time.TimestampFrequency);
}
