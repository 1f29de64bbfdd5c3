using System.Text;
using MailPipeline.Sasl;

namespace MailPipeline.Smtp;

/// <summary>What the host of a session has to do next.</summary>
public enum SmtpAction
{
    /// <summary>Send the reply and read the next line.</summary>
    Continue,

    /// <summary>Decide about <see cref="SmtpSession.ProposedClientName"/> and give an answer.</summary>
    CheckClientName,

    /// <summary>Decide about <see cref="SmtpSession.ProposedSender"/> and give an answer.</summary>
    CheckSender,

    /// <summary>Decide about <see cref="SmtpSession.ProposedRecipient"/> and give an answer.</summary>
    CheckRecipient,

    /// <summary>Find the keys of <see cref="SmtpSession.ProposedUserName"/> and give them to <see cref="SmtpSession.KeysFound"/>.</summary>
    FindKeys,

    /// <summary>Verify <see cref="SmtpSession.ProposedClaim"/> and give an answer.</summary>
    Authenticate,

    /// <summary>The client is whom the last <see cref="Authenticate"/> was about: take note, then send the reply.</summary>
    LoggedIn,

    /// <summary>Start the queue of <see cref="SmtpSession.ProposedQueue"/> and give the reply as an answer.</summary>
    StartQueue,

    /// <summary>Take <see cref="SmtpSession.ProposedClient"/> for the client, and give an answer.</summary>
    NameClient,

    /// <summary>Send the reply, drop what is buffered, negotiate TLS, then call <see cref="SmtpSession.TlsStarted"/>.</summary>
    StartTls,

    /// <summary>Send the reply, read the content, then call <see cref="SmtpSession.ContentEnded"/>.</summary>
    ReceiveContent,

    /// <summary>Read the octets of <see cref="SmtpSession.Chunk"/>, then call <see cref="SmtpSession.ChunkEnded"/>.</summary>
    ReceiveChunk,

    /// <summary>Read the octets of <see cref="SmtpSession.Chunk"/>, throw them away and answer with null.</summary>
    SkipChunk,

    /// <summary>Send the reply and close.</summary>
    Close,
}

/// <summary>The outcome of one line. The reply is null exactly while the host owes an answer.</summary>
/// <param name="ClosingReply">With <see cref="SmtpAction.Close"/>: said after the reply, unasked (RFC 5321 §3.8).</param>
/// <param name="Times">How often the reply is said: the end of a message has one for each accepted RCPT in LMTP (RFC 2033 §4.2, §4.3).</param>
public readonly record struct SmtpStep(SmtpAction Action, SmtpReply? Reply, SmtpReply? ClosingReply = null, int Times = 1);

/// <summary>What ETRN names (RFC 1985 §5.1).</summary>
/// <param name="Domain">A domain or an address literal, in lower case.</param>
/// <param name="WithSubdomains">And all domains below it.</param>
public readonly record struct SmtpQueueName(string Domain, bool WithSubdomains);

/// <summary>
/// The server side of one SMTP connection, without sockets, clock or storage: lines go in, replies and questions to the host
/// come out. Every line gets exactly one reply, but for the end of a message in LMTP; behind the last one of a session that failed too often
/// comes a 421. A question blocks the dialogue until <see cref="Answer"/>.
/// </summary>
/// <param name="listed">What the operator allows the client.</param>
public sealed partial class SmtpSession(SmtpProfile profile, ClientTraits listed = ClientTraits.None)
{
    private ClientTraits _listed = listed;

    // State of the connection: lasts until TLS begins.
    private bool _isTurnedAway;
    private bool _isGreeted;
    private int _authFailures;
    private IReadOnlyList<ChannelBinding> _channel = [];
    private SaslExchange? _sasl;
    private string _loginMechanism = "";

    // State of the transaction: one reference, so that Reset clears all of it.
    private SmtpTransaction? _transaction;

    // The open question.
    private SmtpAction _question = SmtpAction.Continue;
    private SmtpTransaction? _proposed;
    private RcptDsn? _proposedDsn;
    private (string Name, bool IsExtended, bool IsWellFormed) _proposedGreeting = ("", false, false);

    // Abuse counters: since the last accepted message.
    private int _errors;
    private int _commandsWithoutMail;
    private int _recipientsTooMany;

    public SmtpProfile Profile => profile;

    public SmtpSessionState State =>
        _transaction is { } transaction
            ? transaction.IsChunked ? SmtpSessionState.Chunks
            : transaction.Recipients.Count > 0 ? SmtpSessionState.Recipients : SmtpSessionState.Mail
            : _isGreeted ? SmtpSessionState.Greeted : SmtpSessionState.Connected;

    public bool IsTls { get; private set; }

    /// <summary>The client greeted with EHLO or LHLO.</summary>
    public bool IsExtended { get; private set; }

    /// <summary>The time, as far as the host has said it: before a line is read, where something that is offered depends on it.</summary>
    public DateTimeOffset Now { get; set; }

    /// <summary>The argument of EHLO, HELO or LHLO: printable ASCII, unverified; empty before.</summary>
    public string ClientName { get; private set; } = "";

    /// <summary><see cref="ClientName"/> is a domain or address literal by the grammar (RFC 5321 §4.1.1.1).</summary>
    public bool HasWellFormedClientName { get; private set; }

    /// <summary>
    /// The user name of the verified credentials, empty where their token alone said it; null when the client is a stranger.
    /// </summary>
    public string? UserName { get; private set; }

    /// <summary>By which mechanism of AUTH, or "XCLIENT" where a proxy has said who it is; empty where nobody has logged in.</summary>
    public string LoginMechanism => UserName is null ? "" : _loginMechanism;

    /// <summary>The transaction under way; null outside of one.</summary>
    public SmtpTransaction? Transaction => _transaction;

    /// <summary>With <see cref="SmtpAction.CheckClientName"/>: the argument of this EHLO or HELO, printable ASCII; else empty.</summary>
    public string ProposedClientName => _proposedGreeting.Name;

    /// <summary>With <see cref="SmtpAction.CheckSender"/>: the reverse-path, null for the null path.</summary>
    public SmtpAddress? ProposedSender => _proposed?.Sender;

    /// <summary>With <see cref="SmtpAction.CheckRecipient"/>.</summary>
    public SmtpAddress? ProposedRecipient { get; private set; }

    /// <summary>With <see cref="SmtpAction.Authenticate"/>.</summary>
    public SaslClaim? ProposedClaim => _sasl?.Claim;

    /// <summary>With <see cref="SmtpAction.FindKeys"/>.</summary>
    public string? ProposedUserName => _sasl?.UserName;

    /// <summary>With <see cref="SmtpAction.StartQueue"/>.</summary>
    public SmtpQueueName ProposedQueue { get; private set; }

    /// <summary>With <see cref="SmtpAction.NameClient"/>.</summary>
    public ProxiedClient? ProposedClient { get; private set; }

    /// <summary>The name of the client's host, as a proxy says; empty where none does.</summary>
    public string ClientHostName { get; private set; } = "";

    /// <summary>The verb of the last line as the command table has it (a closed set); empty when it has not.</summary>
    public string LastVerb { get; private set; } = "";

    /// <summary>
    /// The path of the last line, where it was a MAIL or RCPT: the address, empty for the null path, or as it was given where it could not
    /// be read. Null where none was given, or the command was refused unread.
    /// </summary>
    public string? LastPath { get; private set; }

    /// <summary>Longest line to read next, CRLF included.</summary>
    public int MaxLineBytes =>
        _sasl is not null ? SaslExchange.MaxLineBytes + 2
        : UserName is null && profile.TakesTokens(IsTls) ? SaslExchange.MaxCommandBytes
        : SmtpLimits.ExtendedCommandLineBytes;

    /// <summary>
    /// The greeting was 554: the client is heard until it says QUIT, and whatever else it says is out of place (RFC 5321 §3.1).
    /// </summary>
    public void TurnAway() => _isTurnedAway = true;

    /// <summary>Takes one line without its CRLF.</summary>
    public SmtpStep Read(ReadOnlySpan<byte> line)
    {
        ThrowIfQuestionOpen();
        if (_sasl is not null)
            return AuthLine(line);
        // Where AUTH may bring a token, no other command may be as long.
        if (line.Length + 2 > SmtpLimits.ExtendedCommandLineBytes && !IsAuth(line))
            return ReadBroken(LineStatus.TooLong, line);

        (LastVerb, LastPath) = ("", null);
        if (line.ContainsAny((byte)0, (byte)'\r'))
            return Unreadable(line, Replies.C500ControlOctets);

        // RFC 5321 §4.1.1: white space before the CRLF is tolerated.
        line = line.TrimEnd(" \t"u8);
        var end = line.IndexOf((byte)' ');
        var verb = end < 0 ? line : line[..end];
        if (SmtpCommands.Find(verb) is not { } command)
            return _isTurnedAway ? Unreadable(verb, Replies.C503TurnedAway) : Unknown(verb);
        LastVerb = command.Name;
        var argument = end < 0 ? default : line[(end + 1)..].TrimStart((byte)' ');
        if (_isTurnedAway && command.Name != "QUIT")
            return Refuse(command, argument, Replies.C503TurnedAway);
        return command.Refusal(State) is { } refusal ? Refuse(command, argument, InLmtp(refusal)) : command.Run(this, argument);
    }

    /// <summary>Takes note of a line that was none (<see cref="LineStatus.TooLong"/>, <see cref="LineStatus.BareLineFeed"/>).</summary>
    /// <param name="start">The first octets of a line too long, as <see cref="LineReader.TryRead"/> gives them.</param>
    public SmtpStep ReadBroken(LineStatus status, ReadOnlySpan<byte> start)
    {
        ThrowIfQuestionOpen();
        var isAuth = _sasl is not null || IsAuth(start);
        (LastVerb, LastPath) = (isAuth ? "AUTH" : "", null);
        if (_sasl is { IsRejected: true })
            _authFailures++;
        _sasl = null;
        // RFC 5321 §2.3.8: only CRLF ends a line.
        if (status != LineStatus.TooLong)
            return Unreadable(start, Replies.C500BareLineFeed);
        // RFC 5321 §4.5.3.1.9; RFC 4954 §4, §6.
        return Unreadable(start, isAuth && profile.AllowsAuth(IsTls) ? Replies.C500AuthLineTooLong : Replies.C500LineTooLong);
    }

    /// <summary>With <see cref="SmtpAction.CheckRecipient"/>: another mailbox takes the recipient's place, if it is accepted.</summary>
    public void RedirectRecipient(SmtpAddress recipient)
    {
        if (_question != SmtpAction.CheckRecipient)
            throw new InvalidOperationException("No recipient is proposed.");
        ProposedRecipient = recipient;
    }

    /// <summary>
    /// Answers the open question: null accepts, a 4xx or 5xx reply refuses. The answer to <see cref="SmtpAction.StartQueue"/> is the reply,
    /// whatever it says.
    /// </summary>
    public SmtpStep Answer(SmtpReply? refusal)
    {
        var question = _question;
        _question = SmtpAction.Continue;
        switch (question)
        {
            case SmtpAction.CheckClientName:
                var greeting = _proposedGreeting;
                _proposedGreeting = ("", false, false);
                // RFC 5321 §4.1.4: who is refused stays in the state he was in.
                return refusal is null ? Greeted(greeting.Name, greeting.IsExtended, greeting.IsWellFormed) : Respond(refusal);
            case SmtpAction.CheckSender:
                _transaction = refusal is null ? _proposed : null;
                _proposed = null;
                return Respond(refusal ?? Replies.C250SenderOk);
            case SmtpAction.CheckRecipient:
                if (refusal is null)
                    _transaction!.Add(ProposedRecipient!, _proposedDsn);
                ProposedRecipient = null;
                _proposedDsn = null;
                // Put off, one after the other, each costs what a recipient costs that is too many.
                return refusal is { IsPermanentFailure: false } && ++_recipientsTooMany >= profile.MaxRecipientOvershoot
                    ? new SmtpStep(SmtpAction.Close, refusal, Replies.C421TooManyRecipients)
                    : Respond(refusal ?? Replies.C250RecipientOk);
            case SmtpAction.FindKeys when refusal is not null:
                return AuthRefused(refusal);
            case SmtpAction.Authenticate:
                return refusal is null ? AuthStep(_sasl!.Verified()) : AuthRejected(refusal);
            case SmtpAction.NameClient:
                var client = ProposedClient!;
                ProposedClient = null;
                return refusal is null ? ClientNamed(client) : Respond(refusal);
            case SmtpAction.StartQueue:
                return Respond(refusal ?? throw new ArgumentNullException(nameof(refusal)));
            case SmtpAction.SkipChunk:
                return ChunkSkipped();
            default:
                throw new InvalidOperationException("No question is open.");
        }
    }

    /// <summary>
    /// The content has been read and this is its reply, positive only if the message is in durable storage. Ends the
    /// transaction either way.
    /// </summary>
    public SmtpStep ContentEnded(SmtpReply reply)
    {
        ArgumentNullException.ThrowIfNull(reply);
        if (_question != SmtpAction.ReceiveContent)
            throw new InvalidOperationException("No content was asked for.");

        _question = SmtpAction.Continue;
        return MessageEnded(reply);
    }

    // RFC 5321 §4.1.1.2
    internal SmtpStep Mail(ReadOnlySpan<byte> argument)
    {
        if (profile.RequiresAuth && UserName is null)
            return Respond(AuthRequired);
        if (!TryReadPath("FROM:"u8, argument, out var sender, out var rest))
            return Respond(Replies.C501BadSender);

        var parameters = new MailParameters();
        if (SmtpParameter<MailParameters>.ReadAll(profile.Offered(Traits).Mail, rest, ref parameters) is { } refusal)
            return Respond(refusal);
        if (sender is { HasDomain: false })
            return Respond(Replies.C501BadSender);
        // RFC 6531 §3.5
        if ((sender is { IsWrittenInUtf8: true } || parameters.NeedsSmtpUtf8) && !parameters.SmtpUtf8)
            return Respond(Replies.C553NeedsUtf8);
        // RFC 1870 §6.1
        if (parameters.SizeBytes > profile.MaxMessageBytes)
            return Respond(Replies.C552TooLarge);
        var timing = parameters.Timing(Now);
        if (timing?.Release?.At > Now + profile.MaxHoldTime)
            return Respond(profile.HeldTooLongReply);
        if (timing is { Release: { } release, By: { } by } && release.At >= by.At)
            return Respond(Replies.C501HeldBeyondBy);

        _hasChunkFailed = false;
        _proposed = new SmtpTransaction
        {
            Sender = sender,
            Body = parameters.Body,
            SmtpUtf8 = parameters.SmtpUtf8,
            RequireTls = parameters.RequireTls,
            DeclaredBytes = parameters.SizeBytes,
            Dsn = parameters.Dsn,
            Timing = timing,
            Submitter = parameters.Submitter,
        };
        return Ask(SmtpAction.CheckSender);
    }

    // RFC 5321 §4.1.1.3
    internal SmtpStep Rcpt(ReadOnlySpan<byte> argument)
    {
        if (!TryReadPath("TO:"u8, argument, out var recipient, out var rest) || recipient is null)
            return Respond(Replies.C501BadRecipient);
        var parameters = new RcptParameters();
        if (SmtpParameter<RcptParameters>.ReadAll(profile.Offered(Traits).Rcpt, rest, ref parameters) is { } refusal)
            return Respond(refusal);
        if ((recipient.IsWrittenInUtf8 || parameters.NeedsSmtpUtf8) && !_transaction!.SmtpUtf8)
            return Respond(Replies.C553NeedsUtf8);
        if (_transaction!.TimesNamed >= profile.MaxRecipients)
            return TooManyRecipients();

        ProposedRecipient = recipient;
        _proposedDsn = parameters.Dsn;
        return Ask(SmtpAction.CheckRecipient);
    }

    // RFC 5321 §4.1.1.4
    internal SmtpStep Data(ReadOnlySpan<byte> argument)
    {
        if (!argument.IsEmpty)
            return Respond(Replies.C501NoArgument);

        _question = SmtpAction.ReceiveContent;
        return new SmtpStep(SmtpAction.ReceiveContent, Replies.C354StartInput);
    }

    // RFC 5321 §4.1.1.5
    internal SmtpStep Rset(ReadOnlySpan<byte> argument)
    {
        if (!argument.IsEmpty)
            return Respond(Replies.C501NoArgument);

        Reset();
        return WithoutMail(Replies.C250Ok);
    }

    // RFC 5321 §4.1.1.6. Who exists is only told at RCPT (RFC 5321 §7.3), so that it makes no difference what SMTPUTF8 (RFC 6531 §3.7.4.2)
    // would let the answer say.
    internal SmtpStep Vrfy(ReadOnlySpan<byte> argument) =>
        WithoutMail(argument.IsEmpty ? Replies.C501BadArgument : Replies.C252CannotVerify);

    // RFC 5321 §4.1.1.8
    internal SmtpStep Help() => WithoutMail(profile.HelpReply);

    // RFC 5321 §4.1.1.9: with or without an argument.
    internal SmtpStep Noop() => WithoutMail(Replies.C250Ok);

    // RFC 5321 §4.1.1.10
    internal SmtpStep Quit(ReadOnlySpan<byte> argument)
    {
        if (!argument.IsEmpty)
            return Respond(Replies.C501NoArgument);

        Reset();
        return new SmtpStep(SmtpAction.Close, Replies.C221Bye);
    }

    // RFC 5321 §4.1.1.2 allows no space behind the colon; so many clients send one that it is taken.
    private bool TryReadPath(ReadOnlySpan<byte> keyword, ReadOnlySpan<byte> argument, out SmtpAddress? path, out ReadOnlySpan<byte> rest)
    {
        path = null;
        rest = default;
        if (argument.Length < keyword.Length || !Ascii.EqualsIgnoreCase(argument[..keyword.Length], keyword))
        {
            LastPath = AsGiven(argument);
            return false;
        }

        var text = argument[keyword.Length..].TrimStart((byte)' ');
        if (!SmtpPath.TryRead(text, profile.OffersSmtpUtf8, out path, out var length))
        {
            LastPath = AsGiven(text);
            return false;
        }

        rest = text[length..];
        LastPath = path?.Text ?? "";
        return true;
    }

    /// <summary>What stands in the place of a path, without its brackets, for people to read.</summary>
    private static string? AsGiven(ReadOnlySpan<byte> text)
    {
        var isOpen = text is [(byte)'<', ..];
        var given = isOpen ? text[1..] : text;
        var end = given.IndexOf(isOpen ? (byte)'>' : (byte)' ');
        return text.IsEmpty ? null : Encoding.UTF8.GetString(end < 0 ? given : given[..end]);
    }

    private SmtpStep MessageEnded(SmtpReply reply)
    {
        var times = IsLmtp ? _transaction!.TimesNamed : 1;
        Reset();
        if (reply.IsSuccess)
        {
            _errors = 0;
            _commandsWithoutMail = 0;
            _recipientsTooMany = 0;
            _chunks = 0;
            _chunkBytes = 0;
        }

        return Respond(reply) with { Times = times };
    }

    private SmtpStep Refuse(SmtpCommands.Row command, ReadOnlySpan<byte> argument, SmtpReply refusal) =>
        command.BringsChunk ? SkipChunk(argument, refusal) : Respond(refusal);

    private SmtpStep Unknown(ReadOnlySpan<byte> verb)
    {
        // A browser that was made to post mail here (cross-protocol attack): nothing it says may be taken for a command.
        if (verb.SequenceEqual("GET"u8) || verb.SequenceEqual("POST"u8) || verb.SequenceEqual("PUT"u8) || verb.SequenceEqual("CONNECT"u8))
            return new SmtpStep(SmtpAction.Close, Replies.C421NotSmtp);
        return Unreadable(verb, Replies.C500BadCommand);
    }

    private SmtpStep Ask(SmtpAction question)
    {
        _question = question;
        return new SmtpStep(question, null);
    }

    private SmtpStep WithoutMail(SmtpReply reply) =>
        TooManyWithoutMail() ? new SmtpStep(SmtpAction.Close, Replies.C421TooManyCommands) : Respond(reply);

    private bool TooManyWithoutMail() => ++_commandsWithoutMail > profile.MaxCommandsWithoutMail;

    // RFC 5321 §4.5.3.1.10: 452, so that the client sends the rest in another message; not for ever.
    private SmtpStep TooManyRecipients() =>
        ++_recipientsTooMany >= profile.MaxRecipientOvershoot
            ? new SmtpStep(SmtpAction.Close, Replies.C452TooManyRecipients, Replies.C421TooManyRecipients)
            : Respond(Replies.C452TooManyRecipients);

    private SmtpStep Respond(SmtpReply reply)
    {
        // Its own reply first: a 421 in its place would make a temporary failure of what is refused for good.
        if (reply.IsPermanentFailure && ++_errors >= profile.MaxErrors)
            return new SmtpStep(SmtpAction.Close, reply, Replies.C421TooManyErrors);
        return new SmtpStep(SmtpAction.Continue, reply);
    }

    private void Reset()
    {
        _transaction = null;
        _proposed = null;
        ProposedRecipient = null;
        _proposedDsn = null;
        _hasChunkFailed = false;
        _repliesOwed = 0;
    }

    private void ThrowIfQuestionOpen()
    {
        if (_question != SmtpAction.Continue)
            throw new InvalidOperationException($"The session waits for the host: {_question}.");
    }
}
