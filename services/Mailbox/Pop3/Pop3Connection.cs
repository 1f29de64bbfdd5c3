using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using MailPipeline.Storage;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>
/// One connection: reads lines, asks <see cref="Pop3Session"/> what to do, and does it. However it ends, messages are deleted
/// only by a QUIT that storage committed.
/// </summary>
internal sealed class Pop3Connection : IAsyncDisposable
{
    /// <summary>So many login time-outs are all the time that a client has until it is logged in; one, while few places are left.</summary>
    private const int LoginTimeouts = 5;

    private readonly Pop3Server _server;
    private readonly ConnectionContext _connection;
    private readonly ListenerTls _tls;
    private readonly SessionPlaces.Place _place;
    private readonly Pop3Session _session;
    private readonly CancellationTokenSource _activity;
    private readonly CancellationTokenRegistration _stopping;
    private LineReader _lines = new(Pop3Session.MaxLineBytes);
    private PipeReader _input;
    private Pop3Output _output;
    private SslStream? _secure;
    private MaildropLock? _lock;
    private string _userName = "";
    private readonly long _startedAt;
    private bool _ended;

    // For the log line at the end
    private int _messagesSent;
    private long _octetsSent;
    private int _messagesDeleted;

    public Pop3Connection(Pop3Server server, ConnectionContext connection, ListenerTls tls, SessionPlaces.Place place)
    {
        _server = server;
        _connection = connection;
        _tls = tls;
        _place = place;
        _activity = new CancellationTokenSource(server.Options.LoginTimeout, server.Time);
        _startedAt = server.Time.GetTimestamp();
        _input = connection.Transport.Input;
        _output = new Pop3Output(connection.Transport.Output, RestartInactivityTimer);
        _session = new Pop3Session(new Pop3Terms(
            Secure: tls == ListenerTls.Implicit,
            StartTls: tls == ListenerTls.StartTls,
            server.AllowsCleartextLogin(connection.RemoteEndPoint),
            server.Options.MaxLoginFailures,
            server.Options.MaxBadCommands));
        // At a graceful stop a command under way is finished, and none is waited for.
        _stopping = connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested
            .Register(() => Volatile.Read(ref _input).CancelPendingRead()) ?? default;
    }

    private CancellationToken Cancellation => _activity.Token;

    /// <summary>Serves the connection until it ends.</summary>
    public async Task RunAsync()
    {
        if (_tls == ListenerTls.Implicit)
            await SecureAsync();
        await PerformAsync(Pop3Session.Greeting);
        await _output.FlushAsync(Cancellation);
        while (!_ended)
            await ServeAsync();
        if (_secure is not null)
            await _secure.ShutdownAsync().WaitAsync(Cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.DisposeAsync();
        if (_lock is not null)
            await _lock.DisposeAsync();
        if (_secure is not null)
            await _secure.DisposeAsync();
        _activity.Dispose();
        if (_userName.Length > 0)
            _server.Logger.SessionEnded(
                (_connection.RemoteEndPoint as IPEndPoint)?.Address, _connection.ConnectionId, LogText.Address(_userName), _messagesSent, _octetsSent, _messagesDeleted);
    }

    /// <summary>Answers what has come in, and flushes once (RFC 2449 §6.6: replies to pipelined commands travel together).</summary>
    private async Task ServeAsync()
    {
        var read = await _input.ReadAsync(Cancellation);
        var buffer = read.Buffer;
        while (!_ended && Next(ref buffer) is { } step)
        {
            // RFC 1939 §3: a command restarts the timer, octets do not.
            RestartInactivityTimer();
            if (step is Pop3Step.StartTls startTls)
            {
                await StartTlsAsync(startTls, read);
                return;
            }
            await PerformAsync(step);
            await _output.FlushIfFullAsync(Cancellation);
        }
        await _output.FlushAsync(Cancellation);
        _input.AdvanceTo(buffer.Start, buffer.End);
        _ended |= read.IsCompleted || read.IsCanceled;
    }

    private Pop3Step? Next(ref ReadOnlySequence<byte> buffer) => _lines.TryRead(ref buffer, out var line) switch
    {
        LineStatus.Incomplete => null,
        LineStatus.Line => _session.Command(line.IsSingleSegment ? line.FirstSpan : line.ToArray()),
        LineStatus.BareLineFeed => _session.Malformed(LineFault.BareLineFeed),
        _ => _session.Malformed(LineFault.TooLong),
    };

    private async Task PerformAsync(Pop3Step step)
    {
        switch (step)
        {
            case Pop3Step.Reply reply:
                _output.Line(reply.Line);
                break;
            case Pop3Step.Listing listing:
                _output.Line(listing.Line);
                await _output.LinesAsync(listing.Lines, Cancellation);
                break;
            case Pop3Step.LogIn login:
                await PerformAsync(await LogInAsync(login));
                break;
            case Pop3Step.Send send:
                await SendAsync(send);
                break;
            case Pop3Step.Commit commit:
                await PerformAsync(await CommitAsync(commit));
                break;
            case Pop3Step.Close close:
                _output.Line(close.Line);
                _ended = true;
                break;
            default:
                throw new InvalidOperationException($"No way to perform {step.GetType().Name}");
        }
    }

    private async Task<Pop3Step> LogInAsync(Pop3Step.LogIn login)
    {
        try
        {
            using var departure = new ClientDeparture(_connection);
            using var left = CancellationTokenSource.CreateLinkedTokenSource(Cancellation, departure.Left);
            var client = new LoginClient((_connection.RemoteEndPoint as IPEndPoint)?.Address, departure.Closed, left.Token);
            var verified = await _server.Maildrops.VerifyAsync(login.UserName, login.Password, client);
            if (verified.IsBusy)
            {
                _server.Telemetry.Login(LoginResult.Unavailable);
                return _session.LoginFailed(LoginFailure.Unavailable);
            }
            if (verified.Account is not { } account)
            {
                _server.LoginRefused(_connection, login.UserName);
                await Task.Delay(_server.Options.LoginFailureDelay, _server.Time, Cancellation);
                return _session.LoginFailed(LoginFailure.BadCredentials);
            }
            _lock = await MaildropLock.TakeAsync(
                _server.Maildrops, account, _server.Options.LeaseRenewalInterval, _server.Time, _server.Logger);
            if (_lock is null)
            {
                _server.Telemetry.Login(LoginResult.InUse);
                return _session.LoginFailed(LoginFailure.InUse);
            }
            _lock.Lost.Register(OnLockLost);
            var messages = await _server.Maildrops.ListAsync(account.Id, Cancellation);
            _server.Telemetry.Login(LoginResult.Accepted);
            _userName = account.Address;
            _place.LoggedIn();
            RestartInactivityTimer();
            return _session.LoggedIn(messages);
        }
        catch (StorageUnavailableException failure)
        {
            await UnlockAsync();
            _server.Telemetry.Login(LoginResult.Unavailable);
            _server.Refusals.MaildropUnavailable(_connection.ConnectionId, failure);
            return _session.LoginFailed(LoginFailure.Unavailable);
        }
    }

    private async Task SendAsync(Pop3Step.Send send)
    {
        await using var content = new MessageContent(_server.Maildrops, send.Message, Cancellation);
        try
        {
            // Before the "+OK": now a failure can still be said.
            await content.OpenAsync();
        }
        catch (StorageUnavailableException failure)
        {
            _server.Logger.MessageUnreadable(_connection.ConnectionId, MessageIds.ToText(send.Message.MessageId), failure);
            await PerformAsync(Pop3Session.Unreadable());
            return;
        }

        _output.Line(send.Line);
        _output.BeginMessage();
        var top = new MessageTop(send.BodyLines ?? 0);
        var octets = 0L;
        while (!top.IsComplete && content.Chunk is { } chunk)
        {
            if (send.BodyLines is not null)
                chunk = chunk[..top.Take(chunk.Span)];
            await _output.OctetsAsync(chunk, Cancellation);
            octets += chunk.Length;
            await content.NextAsync();
        }
        _output.EndMessage();

        _octetsSent += octets;
        if (send.BodyLines is null)
            _messagesSent++;
        _server.Telemetry.Sent(octets, isWhole: send.BodyLines is null);
    }

    private async Task<Pop3Step> CommitAsync(Pop3Step.Commit commit)
    {
        // Its number of deletions is asked for when it is unlocked, too.
        var held = _lock!;
        try
        {
            var done = await held.CommitAsync(commit.Uids);
            return Committed(done ? CommitResult.Done : CommitResult.LeaseLost, commit, held.Deleted);
        }
        catch (StorageUnavailableException failure) when (failure.Fault != StorageFault.OutcomeUnknown)
        {
            await UnlockAsync();
            _server.Logger.CommitFailed(_connection.ConnectionId, _userName, held.Deleted, commit.Uids.Count, failure);
            return Committed(CommitResult.Unavailable, commit, held.Deleted);
        }
        catch (StorageUnavailableException)
        {
            // No answer would be known to be true.
            Committed(CommitResult.Unknown, commit, held.Deleted);
            throw;
        }
    }

    private Pop3Step Committed(CommitResult result, Pop3Step.Commit commit, int deleted)
    {
        _messagesDeleted = deleted;
        _server.Telemetry.Committed(result, deleted);
        return _session.Committed(deleted, commit.Uids.Count);
    }

    private async Task UnlockAsync()
    {
        if (_lock is not { } held)
            return;
        _lock = null;
        await held.DisposeAsync();
    }

    private async Task StartTlsAsync(Pop3Step.StartTls step, ReadResult read)
    {
        _output.Line(step.Line);
        await _output.FlushAsync(Cancellation);
        // RFC 2595 §4, RFC 3207 §4.2: whatever came in clear text after the command is dropped, never obeyed.
        _input.AdvanceTo(read.Buffer.End);
        if (read.IsCompleted || read.IsCanceled)
        {
            _ended = true;
            return;
        }
        await SecureAsync();
        _session.TlsStarted();
    }

    private async Task SecureAsync()
    {
        _secure = new SslStream(new DuplexPipeStream(_connection.Transport));
        using var timeout = new CancellationTokenSource(_server.Options.TlsHandshakeTimeout, _server.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, Cancellation);
        try
        {
            await _secure.AuthenticateAsServerAsync(_server.TlsOptions(), either.Token);
        }
        catch (Exception failure) when (failure is AuthenticationException or IOException or OperationCanceledException)
        {
            _server.Telemetry.HandshakeFailed();
            throw new IOException("The TLS handshake failed", failure);
        }
        // An idle session waits without a buffer.
        Volatile.Write(ref _input, PipeReader.Create(_secure, new StreamPipeReaderOptions(leaveOpen: true, useZeroByteReads: true)));
        _output = new Pop3Output(PipeWriter.Create(_secure, new StreamPipeWriterOptions(leaveOpen: true)), RestartInactivityTimer);
    }

    private void OnLockLost()
    {
        _server.Telemetry.LeaseLost();
        _server.Logger.LeaseLost(_connection.ConnectionId, _userName);
        _activity.Cancel();
    }

    private TimeSpan Patience()
    {
        if (_userName.Length > 0)
            return _server.Options.InactivityTimeout;
        var left = (_server.Options.LoginTimeout * (_place.IsNearlyFull ? 1 : LoginTimeouts)) - _server.Time.GetElapsedTime(_startedAt);
        return left < TimeSpan.Zero ? TimeSpan.Zero : left < _server.Options.LoginTimeout ? left : _server.Options.LoginTimeout;
    }

    private void RestartInactivityTimer()
    {
        if (!_activity.IsCancellationRequested)
            _activity.CancelAfter(Patience());
    }
}
