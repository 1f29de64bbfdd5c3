using System.Net;
using System.Runtime.CompilerServices;
using MailPipeline.Authentication;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Ingress.Checks;
using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.Sasl;
using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Ingress;

/// <summary>
/// One SMTP connection: carries lines and replies between the connection and the pure session, and answers its questions.
/// </summary>
internal sealed partial class SmtpConnection : ILineSession, IAsyncDisposable
{
    private readonly SmtpServer _server;
    private readonly LineConnection _connection;
    private readonly SessionPatience _patience;
    private readonly SmtpSession _session;
    private readonly IPAddress? _proxy;
    private CheckContext _context;

    // The last transaction whose content was read: for the log of what is refused.
    private SmtpTransaction? _received;

    // Whose claim the last verified one was; nobody is logged in by that alone.
    private Account? _verified;

    // How the content was judged whose reply is on its way, for a report.
    private DmarcJudgement? _judgement;

    // By which rule of a check the next reply refuses, for the log alone.
    private string? _refusedBy;

    public SmtpConnection(SmtpServer server, LineConnection connection, SmtpListener listener)
    {
        _server = server;
        _connection = connection;
        _patience = new SessionPatience(server.Options, server.Time);
        _session = new SmtpSession(listener.Profile, server.Listed(connection.Client, connection.Client));
        _proxy = connection.Client;
        _context = new CheckContext(_session, connection, server.IsListed(listener, connection.Client, connection.Client))
        {
            MayNameClients = server.Listed(connection.Client, connection.Client).HasFlag(ClientTraits.NamesClients),
            Patience = _patience,
            Filters = server.BeginFilters(listener),
            ListenerName = listener.Name,
            Authentication = listener.Authentication,
        };
        Listener = listener;
    }

    public SmtpListener Listener { get; }

    public IClientPatience Patience => _patience;

    public IPAddress? Client => _connection.Client;

    public string ConnectionId => _connection.ConnectionId;

    /// <summary>What checks know of the session.</summary>
    public CheckContext Checked => _context;

    /// <summary>Who has logged in; null is a stranger.</summary>
    public string? UserName => _context.Account?.Address;

    /// <summary>
    /// Storage is not interrupted when the client goes away: its side is closed as well when it has said everything, QUIT
    /// included, and only waits for our replies. Storage has time-outs of its own.
    /// </summary>
    public static CancellationToken Uninterrupted => CancellationToken.None;

    /// <summary>
    /// RFC 2920 §3.2: the replies to these commands are gathered into one write; those to EHLO, VRFY, NOOP and what is no command are not,
    /// nor is 354 or the reply to the
    /// end of a message. A client that keeps to §3.1 ends its groups with such a command, and waits: to flush at once costs nothing more.
    /// </summary>
    private bool MayWait => _session.LastVerb is "MAIL" or "RCPT" or "RSET" || (_session is { LastVerb: "BDAT", Chunk.IsLast: false });

    public async Task<SessionEnd> RunAsync()
    {
        try
        {
            if (_connection.IsSecure)
                TlsStarted();
            if (await GreetAsync() is { } over)
                return over;
            while (true)
            {
                var read = await _connection.ReadLineAsync(_session.MaxLineBytes);
                if (read.End is { } end)
                    return Over(end);
                if (await ServeAsync(Step(read)) is { } last)
                    return last;
            }
        }
        finally
        {
            _context.AskSpf(null);
            await DisposeAsync();
            if (_context.Filters is { } filters)
                await filters.DisposeAsync();
        }
    }

    /// <summary>RFC 5321 §3.1: 220; or 554, and the client is heard until it says QUIT; or 421 and the end (§3.8). Null to go on.</summary>
    private async ValueTask<SessionEnd?> GreetAsync()
    {
        var refusal = await JudgeClientAsync();
        (refusal ?? Listener.Profile.Greeting).WriteTo(_connection.Output);
        if (refusal is null)
            return null;
        _server.Refused(this, "CONNECT", null, null, refusal, null);
        if (refusal.IsTemporaryFailure)
            return SessionEnd.Refused;
        _session.TurnAway();
        _patience.IsTurnedAway = true;
        return null;
    }

    /// <summary>Why the client, by what is known of its connection, is not served; null: it is.</summary>
    private async ValueTask<SmtpReply?> JudgeClientAsync()
    {
        if (!Listener.Checks.HasAny(CheckStage.Connection))
            return null;
        try
        {
            return (await AskAsync(CheckStage.Connection)).Reply;
        }
        catch (StorageUnavailableException)
        {
            return Replies.C421StorageUnavailable;
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Verdict> AskAsync(CheckStage stage)
    {
        using (_patience.BeginStorageWait())
        {
            var verdict = await Listener.Checks.AskAsync(stage, _context, Uninterrupted);
            _refusedBy = verdict.Rule;
            return verdict;
        }
    }

    private SmtpStep Step(LineRead read)
    {
        _session.Now = _server.Time.GetUtcNow();
        return read.Status == LineStatus.Line ? _session.Read(read.Span) : _session.ReadBroken(read.Status, read.Span);
    }

    /// <summary>No line comes any more.</summary>
    private SessionEnd Over(SessionEnd end)
    {
        if (end == SessionEnd.TimedOut)
            Write(Replies.C421TimedOut);
        else if (end == SessionEnd.Stopped)
            Write(Replies.C421ShuttingDown);
        return end;
    }

    /// <summary>Does what a line asks for; null to go on.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<SessionEnd?> ServeAsync(SmtpStep step)
    {
        while (step.Reply is null)
        {
            if (step.Action == SmtpAction.FindKeys)
            {
                step = await FindKeysAsync();
                continue;
            }

            if (step.Action is not (SmtpAction.ReceiveChunk or SmtpAction.SkipChunk))
            {
                step = _session.Answer(await DecideAsync(step.Action));
                continue;
            }

            var isSkipped = step.Action == SmtpAction.SkipChunk;
            var (reply, end) = isSkipped ? await SkipChunkAsync() : await ReceiveChunkAsync();
            if (end is { } over)
                return Broken(reply, over);
            step = isSkipped ? _session.Answer(null) : _session.ChunkEnded(reply);
        }

        // Also behind RSET, EHLO and QUIT, which leave a message without its last chunk.
        if (_chunks is { } chunks && chunks.Transaction != _session.Transaction)
            await DisposeAsync();
        if (step.Action == SmtpAction.LoggedIn)
            LogIn();
        await WriteAsync(step);
        _received = null;
        if (!MayWait && step.Action != SmtpAction.ReceiveContent)
            await _connection.FlushAsync();
        return step.Action switch
        {
            SmtpAction.Close => step.Reply.Code == Replies.C221Bye.Code ? SessionEnd.Quit : SessionEnd.Refused,
            SmtpAction.StartTls => await StartTlsAsync() ? null : SessionEnd.TlsFailed,
            SmtpAction.ReceiveContent => await ReceiveAsync(),
            _ => null,
        };
    }

    private async ValueTask<SmtpReply?> DecideAsync(SmtpAction question)
    {
        try
        {
            switch (question)
            {
                case SmtpAction.CheckClientName:
                    return (await AskAsync(CheckStage.Hello)).Reply;
                case SmtpAction.CheckSender:
                    return (await AskAsync(CheckStage.Sender)).Reply;
                case SmtpAction.CheckRecipient:
                    var verdict = await AskAsync(CheckStage.Recipient);
                    if (verdict.Redirect is { } redirect)
                        _session.RedirectRecipient(redirect);
                    return verdict.Reply;
                case SmtpAction.Authenticate:
                    return await AuthenticateAsync(_session.ProposedClaim!);
                case SmtpAction.StartQueue:
                    return await StartQueueAsync();
                case SmtpAction.NameClient:
                    return await NameClientAsync(_session.ProposedClient!);
                default:
                    throw new InvalidOperationException($"Nobody answers {question}.");
            }
        }
        catch (StorageUnavailableException)
        {
            return question switch
            {
                SmtpAction.Authenticate => Replies.C454AuthUnavailable,
                SmtpAction.StartQueue => Replies.C458StorageUnavailable,
                _ => Replies.C451StorageUnavailable,
            };
        }
    }

    /// <summary>XCLIENT: from now on the session is that of the client that the proxy names, with what is allowed to that one; the proxy may name another.</summary>
    private async ValueTask<SmtpReply?> NameClientAsync(ProxiedClient client)
    {
        var account = client.Login is null ? _context.Account : null;
        if (client.Login is { Length: > 0 } login && (account = await _server.Directory.FindAccountAsync(login, Uninterrupted)) is null)
            return Replies.C550UnknownLogin;
        _connection.NameClient(client.Address is { } address ? Known(address) : Client, client.Port, Known(client.LocalAddress));
        _session.List(_server.Listed(Client, _proxy));
        _context.AskSpf(null);
        if (_context.Filters is { } filters)
            await filters.DisposeAsync();
        _context = new CheckContext(_session, _connection, _server.IsListed(Listener, Client, _proxy))
        {
            Account = account,
            IsNamedByProxy = true,
            Patience = _patience,
            Filters = _server.BeginFilters(Listener),
            ListenerName = Listener.Name,
            Authentication = Listener.Authentication,
        };
        _patience.IsLoggedIn = account is not null;
        _server.ClientNamed(this, _proxy, client);
        if (await JudgeClientAsync() is not { } refusal)
            return null;
        _session.TurnAway();
        _patience.IsTurnedAway = true;
        return refusal;
    }

    private static IPAddress? Known(IPAddress? address) => IPAddress.None.Equals(address) ? null : address;

    private async ValueTask<SmtpReply> StartQueueAsync()
    {
        using var wait = _patience.BeginStorageWait();
        var address = Client?.ToString() ?? "";
        return await _server.Queues.StartAsync(_session.ProposedQueue, new OperatorIdentity(UserName ?? address, address), Uninterrupted);
    }

    private async ValueTask<SmtpStep> FindKeysAsync()
    {
        try
        {
            return _session.KeysFound(await _server.Credentials.FindScramKeysAsync(_session.ProposedUserName!));
        }
        catch (StorageUnavailableException)
        {
            return _session.Answer(Replies.C454AuthUnavailable);
        }
    }

    private async ValueTask<SmtpReply?> AuthenticateAsync(SaslClaim claim)
    {
        if (!await _server.Limits.MayLogInAsync(_context, claim.UserName))
            return Replies.C454AuthUnavailable;
        var isRefused = false;
        Verification verified;
        try
        {
            using var departure = _connection.WatchDeparture();
            verified = await _server.Credentials.VerifyAsync(
                claim, new LoginClient(Client, departure.Closed, departure.Left));
            isRefused = !verified.IsBusy && verified.Account is null;
        }
        finally
        {
            // What nobody has judged, storage being away, is no failure either.
            if (isRefused)
                await _server.Limits.LoginFailedAsync(_context, claim.UserName);
            else
                await _server.Limits.LoginNotFailedAsync(_context, claim.UserName);
        }

        if (verified.IsBusy)
            return Replies.C454AuthUnavailable;
        _verified = verified.Account;
        if (_verified is not null)
            return null;

        _server.AuthFailed(this, claim.UserName, verified.Reason);
        // Who guesses is kept from guessing fast, and from keeping those busy who check everybody's passwords.
        await Task.Delay(_server.Options.AuthFailureDelay, _server.Time, Uninterrupted);
        return Replies.C535BadCredentials;
    }

    private void LogIn()
    {
        _context.Account = _verified;
        _patience.IsLoggedIn = true;
        _connection.LoggedIn();
    }

    /// <summary>Who wants to see the content that comes now; null: nobody.</summary>
    public IContentObserver? ObserveContent() => Listener.Checks.ObserveContent(_context);

    /// <summary>Who reads the content that comes now, to sign what is kept of it; null: it is not signed.</summary>
    public SignableContent? BeginSigning() => _server.Signing.Begin(_context);

    /// <summary>Signs what is stored: the content, and what stands in front of it.</summary>
    /// <param name="signatures">What was found of those that the message came with; null where nobody looked.</param>
    public ValueTask SignAsync(
        SignableContent content, MessagePrefix prefix, MessageNote? note, MessageSignatures? signatures, DateTimeOffset now) =>
        _server.Signing.SignAsync(content, prefix, _context, note, signatures, now);

    /// <summary>The reply with which checks refuse the content, which has ended; null: what they say of it otherwise is in the note.</summary>
    public async ValueTask<(SmtpReply? Refusal, MessageNote? Note, MessageSignatures? Signatures)> CheckContentAsync(ReceivedContent content)
    {
        _context.Receive(content);
        try
        {
            var refusal = (await AskAsync(CheckStage.Content)).Reply;
            // What is put off comes again.
            _judgement = refusal is { IsTemporaryFailure: true } ? null : _context.Judgement;
            if (refusal is not null)
                ReportJudgement();
            return (refusal, refusal is null ? _context.Note : null, _context.Signatures);
        }
        catch (StorageUnavailableException)
        {
            return (Replies.C451StorageUnavailable, null, null);
        }
        finally
        {
            _context.Receive(null);
        }
    }

    private void ReportJudgement()
    {
        if (_judgement is { } judgement)
            _server.Results.Note(judgement);
        _judgement = null;
    }

    /// <summary>
    /// What is kept of a word about who submitted a message (AUTH= of MAIL, RFC 4954 §5): that of a client which the operator lists as one that
    /// relays, and that of a user about himself, or about anybody where he may send as anybody. Of others nobody knows who did.
    /// </summary>
    public async ValueTask<MailSubmitter?> BelievedAsync(MailSubmitter? said)
    {
        if (said?.Mailbox is not { } mailbox)
            return said;
        if (!_context.MayRelay)
            return MailSubmitter.Unknown;
        if (_context.Account is not { } account || _server.Options.Checks.OwnSender.AllowForeign)
            return said;
        try
        {
            return await _server.Own.HasAsync(account, mailbox, Uninterrupted) ? said : MailSubmitter.Unknown;
        }
        catch (StorageUnavailableException)
        {
            return MailSubmitter.Unknown;
        }
    }

    /// <summary>From 354 to the reply to the final dot; null to go on.</summary>
    private async ValueTask<SessionEnd?> ReceiveAsync()
    {
        _received = _session.Transaction;
        ReceptionEnd received;
        await using (var message = new MessageReception(_server, this, _connection, _patience, _session, isChunked: false))
        {
            await message.BeginAsync();
            received = await message.ReceiveAsync();
        }

        if (received.End is { } over)
            return Broken(received.Reply, over);

        var step = _session.ContentEnded(received.Reply!);
        await WriteAsync(step);
        // RFC 2920 §3.2. The reply waits for nothing that was sent behind the dot: a client sends again what it has not heard a 250 for.
        await _connection.FlushAsync();
        _received = null;
        return step.Action == SmtpAction.Close ? SessionEnd.Refused : null;
    }

    /// <summary>The session ends within a message.</summary>
    private SessionEnd Broken(SmtpReply? reply, SessionEnd end)
    {
        if (end == SessionEnd.OutcomeUnknown)
            _connection.Abort();
        else if (reply is not null)
            Write(reply);
        return end;
    }

    private async Task<bool> StartTlsAsync()
    {
        if (await _connection.StartTlsAsync() is { } failed)
        {
            _server.TlsFailed(_connection, failed);
            return false;
        }

        TlsStarted();
        _context.Account = null;
        _patience.IsLoggedIn = false;
        return true;
    }

    private void TlsStarted() => _session.TlsStarted(Listener.BindsLogins ? ChannelBinding.Of(_connection.ShownCertificate, _connection.Export(_server.Exporter)) : null);

    // The closing reply refuses nothing; that the session ended is counted by its end.
    private async ValueTask WriteAsync(SmtpStep step)
    {
        // RFC 2033 §4.3: the last chunk of a message without recipients has no reply.
        if (step.Times > 0)
            Write(step.Reply!);
        for (var said = 1; said < step.Times; said++)
        {
            if (_connection.UnflushedBytes >= LineConnection.FlushThreshold)
                await _connection.FlushAsync();
            step.Reply!.WriteTo(_connection.Output);
        }

        step.ClosingReply?.WriteTo(_connection.Output);
    }

    private void Write(SmtpReply reply)
    {
        if (reply.Code >= 400)
            _server.Refused(this, _session.LastVerb, _session.LastPath, _session.Transaction ?? _received, reply, _refusedBy);
        _refusedBy = null;
        reply.WriteTo(_connection.Output);
    }
}
