using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Runtime.CompilerServices;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using MailPipeline.Storage;
using Microsoft.AspNetCore.Connections;

namespace MailPipeline.Ingress;

/// <summary>
/// One SMTP connection: carries lines and replies between the transport and the pure session, and answers its questions.
/// </summary>
internal sealed class SmtpConnection
{
    private readonly SmtpServer _server;
    private readonly ConnectionContext _connection;
    private readonly SessionPatience _patience;
    private readonly SmtpTransport _transport;
    private readonly SmtpSession _session;
    private readonly SessionPlaces.Place _place;
    private readonly bool _isRelayClient;
    private LineReader _lines;
    private Account? _account;

    // The last transaction whose content was read: for the log of what is refused.
    private SmtpTransaction? _received;
    private bool _hasReadLine;

    public SmtpConnection(SmtpServer server, ConnectionContext connection, SmtpListener listener, IPAddress? client, SessionPlaces.Place place)
    {
        _server = server;
        _connection = connection;
        _patience = new SessionPatience(server.Options, server.Time);
        _transport = new SmtpTransport(connection, _patience, server.Options, server.Time);
        _session = new SmtpSession(listener.Profile);
        _lines = new LineReader(_session.MaxLineBytes);
        _place = place;
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

    /// <summary>
    /// Storage is not interrupted when the client goes away: its side is closed as well when it has said everything, QUIT
    /// included, and only waits for our replies. Storage has time-outs of its own.
    /// </summary>
    public static CancellationToken Uninterrupted => CancellationToken.None;

    /// <summary>Speaks until one side ends it. An I/O exception means that the client is gone.</summary>
    public async Task<SessionEnd> RunAsync()
    {
        try
        {
            return await ConverseAsync();
        }
        finally
        {
            await _transport.CloseTlsAsync();
        }
    }

    /// <summary>The host stops: an idle session ends now, a message being received may end first.</summary>
    public void Stop() => _transport.Stop();

    /// <summary>Called once a second: ends the wait for a client that lets us wait for too long.</summary>
    public void CheckDeadline(long now) => _transport.CheckDeadline(now, Listener.Places);

    private async Task<SessionEnd> ConverseAsync()
    {
        if (Listener.HasImplicitTls && !await StartTlsAsync())
            return SessionEnd.TlsFailed;

        Write(Listener.Profile.Greeting);
        var end = _patience.ForCommand();
        while (!_transport.IsStopping)
        {
            // A command has its time as a whole: octets that trickle in prolong nothing.
            if (_hasReadLine)
                end = _patience.ForCommand();
            _hasReadLine = false;
            var result = await _transport.ReadAsync(end);
            if (_transport.IsStopping)
                break;
            if (_transport.TimedOut)
                return await EndAsync(Replies.C421TimedOut, SessionEnd.TimedOut);
            if (await ServeAsync(result) is not { } reason)
                continue;

            await _transport.FlushAsync();
            return reason;
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
            while (step.Reply is null)
                step = _session.Answer(await DecideAsync(step.Action));
            Write(step);
            switch (step.Action)
            {
                case SmtpAction.Close:
                    _transport.AdvanceTo(buffer.Start);
                    return step.Reply.Code == Replies.C221Bye.Code ? SessionEnd.Quit : SessionEnd.Refused;
                case SmtpAction.StartTls:
                    // RFC 3207 §4.2: nothing that was said in the clear may count as said under TLS.
                    _transport.AdvanceTo(buffer.End);
                    return await StartTlsAsync() ? null : SessionEnd.TlsFailed;
                case SmtpAction.ReceiveContent:
                    _transport.AdvanceTo(buffer.Start);
                    return await ReceiveAsync();
            }
        }

        _transport.AdvanceTo(buffer.Start, buffer.End);
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
                    using (_patience.BeginStorageWait())
                        return _server.Backpressure.Refusal ?? await _server.Policy.CheckSenderAsync(_session.ProposedSender, _account, MayRelay, Uninterrupted);
                case SmtpAction.CheckRecipient:
                    RecipientVerdict verdict;
                    using (_patience.BeginStorageWait())
                        verdict = await _server.Policy.CheckRecipientAsync(_session.ProposedRecipient!, MayRelay, Uninterrupted);
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
        using var departure = new ClientDeparture(_connection);
        var verified = await _server.Credentials.VerifyAsync(
            offered.UserName, offered.Password, new LoginClient(Client, departure.Closed, departure.Left));
        if (verified.IsBusy)
            return Replies.C454AuthUnavailable;
        _account = verified.Account;
        if (_account is not null)
        {
            _patience.IsLoggedIn = true;
            _place.LoggedIn();
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
        _received = _session.Transaction;
        var (reply, end) = await new MessageReception(_server, this, _transport, _patience, _session.Transaction!).ReceiveAsync(_session);
        if (end == SessionEnd.OutcomeUnknown)
            _connection.Abort();
        if (end is not null)
            return reply is null ? end : await EndAsync(reply, end.Value);

        var step = _session.ContentEnded(reply!);
        Write(step);
        _received = null;
        return step.Action == SmtpAction.Close ? SessionEnd.Refused : null;
    }

    private async Task<bool> StartTlsAsync()
    {
        if (await _transport.StartTlsAsync(_server.Certificate.ServerOptions()) is { } failed)
        {
            _server.TlsFailed(this, failed);
            return false;
        }

        _session.TlsStarted();
        _account = null;
        _patience.IsLoggedIn = false;
        // A line cut off by TLS is no part of the next one.
        _lines = new LineReader(_session.MaxLineBytes);
        return true;
    }

    private async Task<SessionEnd> EndAsync(SmtpReply reply, SessionEnd end)
    {
        Write(reply);
        await _transport.FlushAsync();
        return end;
    }

    // The farewell refuses nothing; that the session ended is counted by its end.
    private void Write(SmtpStep step)
    {
        Write(step.Reply!);
        if (step.Farewell is { } farewell)
            _transport.Write(farewell);
    }

    private void Write(SmtpReply reply)
    {
        if (reply.Code >= 400)
            _server.Refused(this, _session.LastVerb, _session.LastPath, _session.Transaction ?? _received, reply);
        _transport.Write(reply);
    }
}
