using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.Sasl;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>
/// One connection: reads lines, asks <see cref="Pop3Session"/> what to do, and does it. However it ends, messages are deleted
/// only by a QUIT that storage committed.
/// </summary>
internal sealed class Pop3Connection : ILineSession
{
    private readonly Pop3Server _server;
    private readonly LineConnection _connection;
    private readonly Pop3Patience _patience;
    private readonly Pop3Session _session;
    private readonly Pop3Output _output;
    private MaildropLock? _lock;

    // Whose claim the last verified one was; nobody is logged in by that alone.
    private Account? _account;
    private string _userName = "";
    private readonly bool _bindsLogins;
    private bool _ended;

    // For the log line at the end
    private int _messagesSent;
    private long _octetsSent;
    private int _messagesDeleted;

    public Pop3Connection(Pop3Server server, LineConnection connection, Pop3Listener listener)
    {
        _server = server;
        _connection = connection;
        _patience = new Pop3Patience(server.Options, server.Time);
        _output = new Pop3Output(connection);
        _bindsLogins = listener.Mechanisms.Any(mechanism => mechanism.BindsChannel);
        _session = new Pop3Session(new Pop3Terms(
            Secure: listener.Tls == ListenerTls.Implicit,
            StartTls: listener.Tls == ListenerTls.StartTls,
            server.AllowsCleartextLogin(connection.Client),
            server.Options.MaxLoginFailures,
            server.Options.MaxBadCommands)
        {
            Mechanisms = listener.Mechanisms,
            TokenIssuer = listener.TokenIssuer,
        });
    }

    public IClientPatience Patience => _patience;

    public async Task<SessionEnd> RunAsync()
    {
        try
        {
            var end = await ConverseAsync();
            await _connection.FlushAsync();
            return end;
        }
        finally
        {
            await UnlockAsync();
            if (_userName.Length > 0)
                _server.Logger.SessionEnded(
                    _connection.Client, _connection.ConnectionId, LogText.Address(_userName), _messagesSent, _octetsSent, _messagesDeleted);
        }
    }

    private async Task<SessionEnd> ConverseAsync()
    {
        if (_connection.IsSecure)
            TlsStarted();
        await PerformAsync(Pop3Session.Greeting);
        while (!_ended)
        {
            var read = await _connection.ReadLineAsync(_session.MaxLineBytes);
            if (read.End is { } over)
                return Over(over);
            // What reaches nobody is not asked for any more.
            if (_connection.IsUnheard)
                return SessionEnd.Disconnected;
            var step = Answer(read);
            if (step is not Pop3Step.StartTls startTls)
                await PerformAsync(step);
            else if (!await StartTlsAsync(startTls))
                return SessionEnd.TlsFailed;
            await _output.FlushIfFullAsync();
        }

        return SessionEnd.Quit;
    }

    private Pop3Step Answer(LineRead read) => read.Status switch
    {
        LineStatus.Line => _session.Command(read.Span),
        LineStatus.BareLineFeed => _session.Malformed(LineFault.BareLineFeed),
        _ => _session.Malformed(LineFault.TooLong),
    };

    /// <summary>No line comes any more. RFC 1939 §3: a session that ends without QUIT deletes nothing and says nothing.</summary>
    private SessionEnd Over(SessionEnd end)
    {
        if (end == SessionEnd.TimedOut)
            _connection.Abort();
        return end;
    }

    private async Task PerformAsync(Pop3Step step)
    {
        switch (step)
        {
            case Pop3Step.Reply reply:
                _output.Line(reply.Line);
                break;
            case Pop3Step.Listing listing:
                _output.Line(listing.Line);
                await _output.LinesAsync(listing.Lines);
                break;
            case Pop3Step.FindKeys find:
                await PerformAsync(await FindKeysAsync(find.UserName));
                break;
            case Pop3Step.Verify verify:
                await PerformAsync(await VerifyAsync(verify.Claim));
                break;
            case Pop3Step.OpenMaildrop:
                await PerformAsync(await OpenMaildropAsync(_account!));
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

    private async Task<Pop3Step> FindKeysAsync(string userName)
    {
        try
        {
            return _session.KeysFound(await _server.Maildrops.FindScramKeysAsync(userName));
        }
        catch (StorageUnavailableException failure)
        {
            return LoginUnavailable(failure);
        }
    }

    private async Task<Pop3Step> VerifyAsync(SaslClaim claim)
    {
        try
        {
            // A password that waits for its turn holds a place: the time of who sent it runs on.
            using var patience = _connection.AbortAt(_patience.ForCommand());
            using var departure = _connection.WatchDeparture();
            var client = new LoginClient(_connection.Client, departure.Closed, departure.Left);
            var verified = await _server.Maildrops.VerifyAsync(claim, client);
            if (verified.IsBusy)
            {
                _server.Telemetry.Login(LoginResult.Unavailable);
                return _session.LoginFailed(LoginFailure.Unavailable);
            }
            if (verified.Account is { } account)
            {
                _account = account;
                return _session.Verified();
            }
            _server.LoginRefused(_connection, claim.UserName, verified.Reason);
            await Task.Delay(_server.Options.LoginFailureDelay, _server.Time, CancellationToken.None);
            return _session.LoginFailed(LoginFailure.BadCredentials);
        }
        catch (StorageUnavailableException failure)
        {
            return LoginUnavailable(failure);
        }
    }

    private async Task<Pop3Step> OpenMaildropAsync(Account account)
    {
        try
        {
            _lock = await MaildropLock.TakeAsync(
                _server.Maildrops, account, _server.Options.LeaseRenewalInterval, _server.Time, _server.Logger);
            if (_lock is null)
            {
                _server.Telemetry.Login(LoginResult.InUse);
                return _session.LoginFailed(LoginFailure.InUse);
            }
            _lock.Lost.Register(OnLockLost);
            var messages = await _server.Maildrops.ListAsync(account.Id, CancellationToken.None);
            _server.Telemetry.Login(LoginResult.Accepted);
            _userName = account.Address;
            _patience.IsLoggedIn = true;
            _connection.LoggedIn();
            return _session.LoggedIn(messages);
        }
        catch (StorageUnavailableException failure)
        {
            await UnlockAsync();
            return LoginUnavailable(failure);
        }
    }

    private Pop3Step LoginUnavailable(StorageUnavailableException failure)
    {
        _server.Telemetry.Login(LoginResult.Unavailable);
        _server.Refusals.MaildropUnavailable(_connection.ConnectionId, failure);
        return _session.LoginFailed(LoginFailure.Unavailable);
    }

    private async Task SendAsync(Pop3Step.Send send)
    {
        await using var content = new MessageContent(_server.Maildrops, send.Message, CancellationToken.None);
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
            await _output.OctetsAsync(chunk);
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

    private async Task<bool> StartTlsAsync(Pop3Step.StartTls step)
    {
        _output.Line(step.Line);
        if (await _connection.StartTlsAsync() is { } failed)
        {
            _server.TlsFailed(_connection, failed);
            return false;
        }
        TlsStarted();
        return true;
    }

    private void TlsStarted() => _session.TlsStarted(_bindsLogins ? ChannelBinding.Of(_connection.ShownCertificate, _connection.Export(_server.Exporter)) : null);

    /// <summary>Another session may have the maildrop now: this one is broken off, wherever it is.</summary>
    private void OnLockLost()
    {
        _server.Telemetry.LeaseLost();
        _server.Logger.LeaseLost(_connection.ConnectionId, _userName);
        _connection.Abort();
    }
}
