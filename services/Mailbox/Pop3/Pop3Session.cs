using System.Globalization;
using System.Text;
using MailPipeline.Mail;
using MailPipeline.Sasl;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>
/// The server's side of a POP3 dialogue (RFC 1939), without sockets, clock or storage: a line goes in, what the connection
/// has to do comes out. Every line gets exactly one answer. Deletions are marks until QUIT.
/// </summary>
internal sealed class Pop3Session(Pop3Terms terms)
{
    /// <summary>The longest command line, its CRLF included (RFC 2449 §4).</summary>
    internal const int MaxCommandBytes = 255;

    /// <summary>The answer to a wrong password (RFC 3206 §5).</summary>
    internal const string BadCredentials = "-ERR [AUTH] user name or password is wrong";

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    // The connection
    private bool _secure = terms.Secure;
    private bool _isUtf8;
    private int _badCommands;
    private int _failedLogins;

    // The login under way
    private string? _userName;
    private SaslExchange? _sasl;
    private IReadOnlyList<ChannelBinding> _channel = [];

    // The transaction
    private MaildropSnapshot? _maildrop;

    public Pop3State State { get; private set; } = Pop3State.Authorization;

    /// <summary>No "&lt;...&gt;" in it: that would offer APOP (RFC 1939 §7).</summary>
    public static Pop3Step Greeting => new Pop3Step.Reply("+OK MailPipeline POP3 ready");

    /// <summary>The longest line to read next, its CRLF included. A response of AUTH may be longer than any command (RFC 5034 §4).</summary>
    public int MaxLineBytes =>
        _sasl is not null ? SaslExchange.MaxLineBytes + 2
        : State == Pop3State.Authorization && LoginAllowed && terms.TokenIssuer is not null ? SaslExchange.MaxCommandBytes
        : MaxCommandBytes;

    private bool LoginAllowed => _secure || terms.CleartextLogin;

    private bool TlsOffered => terms.StartTls && !_secure;

    /// <summary>Answers one line, given without its CRLF.</summary>
    public Pop3Step Command(ReadOnlySpan<byte> line)
    {
        if (line.Length + 2 > MaxLineBytes)
            return Malformed(LineFault.TooLong);
        if (_sasl is not null)
            return AuthStep(_sasl.Read(line));
        // Where AUTH may bring a token, no other command may be as long.
        if (line.Length + 2 > MaxCommandBytes && !Ascii.EqualsIgnoreCase(line[..5], "AUTH "u8))
            return Malformed(LineFault.TooLong);
        string text;
        try
        {
            text = StrictUtf8.GetString(line);
        }
        catch (DecoderFallbackException)
        {
            return Malformed(LineFault.BadCharacter);
        }
        if (text.Any(char.IsControl))
            return Malformed(LineFault.BadCharacter);

        var space = text.IndexOf(' ', StringComparison.Ordinal);
        var verb = space < 0 ? text : text[..space];
        var argument = space < 0 ? "" : text[(space + 1)..];
        if (!Pop3Commands.Table.TryGetValue(verb, out var command))
            return Bad("unknown command");
        if ((command.States & State) == 0)
            return Bad(State == Pop3State.Authorization ? "log in first" : "already logged in");
        if (command.IsSecret)
            return command.Answer(this, argument);

        // A space at the end is common in the field and means nothing.
        argument = argument.TrimEnd(' ');
        var words = argument.Length == 0 ? [] : argument.Split(' ');
        return words.Length < command.MinArguments || words.Length > command.MaxArguments
            ? Bad($"usage: {command.Usage}")
            : command.Answer(this, argument);
    }

    /// <summary>Answers a line that cannot be a command, and ends the login that it was for; the connection has dropped it up to its end.</summary>
    public Pop3Step Malformed(LineFault fault)
    {
        if (_sasl is { IsRejected: true })
            _failedLogins++;
        _sasl = null;
        return Bad(fault switch
        {
            LineFault.TooLong => "line too long",
            LineFault.BareLineFeed => "lines end with CR LF",
            _ => "bad character",
        });
    }

    /// <summary>TLS is on, and what was said before it is forgotten (RFC 2595 §4).</summary>
    /// <param name="channel">What a login can be bound to; null: nothing.</param>
    public void TlsStarted(IReadOnlyList<ChannelBinding>? channel = null)
    {
        _secure = true;
        _channel = channel ?? [];
        (_userName, _sasl) = (null, null);
    }

    /// <summary>The keys of <see cref="Pop3Step.FindKeys"/>.</summary>
    public Pop3Step KeysFound(ScramKeys keys) => AuthStep(_sasl!.KeysFound(keys));

    /// <summary>The claim of <see cref="Pop3Step.Verify"/> is true.</summary>
    public Pop3Step Verified() => _sasl is null ? new Pop3Step.OpenMaildrop() : AuthStep(_sasl.Verified());

    /// <summary>The maildrop is locked, and this is what is in it.</summary>
    public Pop3Step LoggedIn(IReadOnlyList<MaildropMessage> messages)
    {
        _maildrop = new MaildropSnapshot(messages);
        State = Pop3State.Transaction;
        return Ok(Summary(_maildrop));
    }

    public Pop3Step LoginFailed(LoginFailure failure)
    {
        // RFC 7628 §3.2.2: first comes a challenge that says why, where the mechanism has one.
        if (failure == LoginFailure.BadCredentials && _sasl is { IsRejected: false } && _sasl.Rejected(terms.TokenIssuer) is { Action: SaslAction.Challenge } why)
            return AuthStep(why);
        _sasl = null;
        var line = failure switch
        {
            LoginFailure.BadCredentials => BadCredentials,
            LoginFailure.InUse => "-ERR [IN-USE] another session has this maildrop", // RFC 2449 §8.1.2
            _ => "-ERR [SYS/TEMP] the maildrop cannot be opened now", // RFC 3206 §4
        };
        return ++_failedLogins >= terms.MaxLoginFailures ? End(line) : new Pop3Step.Reply(line);
    }

    /// <summary>Of QUIT's deletions so many are done, which may be none and may be all.</summary>
    public Pop3Step Committed(int deleted, int marked) =>
        deleted == marked ? End("+OK bye")
        : deleted == 0 ? End("-ERR [SYS/TEMP] no message was deleted") // RFC 1939 §6; RFC 3206 §4
        : End("-ERR [SYS/TEMP] some deleted messages not removed"); // RFC 1939 §6

    /// <summary>The message of an earlier <see cref="Pop3Step.Send"/> cannot be read, and nothing of it was written.</summary>
    public static Pop3Step Unreadable() => new Pop3Step.Reply("-ERR [SYS/TEMP] the message cannot be read now");

    // RFC 1939 §7. Whatever the name, the answer is the same: names are not given away.
    internal Pop3Step User(string name)
    {
        if (!LoginAllowed)
            return CleartextRefused();
        // RFC 6856 §2.2: with or without UTF8 said before.
        if (SaslPrep.Prepare(name) is not { Length: > 0 } prepared)
            return Bad("no user name has such characters");
        _userName = prepared;
        return Ok("send PASS");
    }

    // RFC 1939 §7: only after USER, spaces belong to the password.
    internal Pop3Step Pass(string password)
    {
        if (!LoginAllowed)
            return CleartextRefused();
        if (_userName is not { } name)
            return Bad("send USER first");
        _userName = null;
        return password.Length == 0 ? Bad("usage: PASS password") : new Pop3Step.Verify(new PasswordClaim(name, password));
    }

    // RFC 5034 §4
    internal Pop3Step Auth(string argument)
    {
        if (!LoginAllowed)
            return CleartextRefused();
        (_sasl, var step) = SaslExchange.Begin(Encoding.UTF8.GetBytes(argument), terms.Mechanisms, _channel);
        return AuthStep(step);
    }

    private Pop3Step AuthStep(SaslStep step)
    {
        switch (step.Action)
        {
            case SaslAction.Challenge:
                return new Pop3Step.Reply("+ " + step.Challenge);
            case SaslAction.FindKeys:
                return new Pop3Step.FindKeys(_sasl!.UserName!);
            case SaslAction.Verify:
                return new Pop3Step.Verify(_sasl!.Claim!);
            case SaslAction.Done:
                _sasl = null;
                return new Pop3Step.OpenMaildrop();
            case SaslAction.Refused:
                return LoginFailed(LoginFailure.BadCredentials);
        }

        // Whose claim was not true has failed, whatever it says to the challenge that tells it so.
        if (_sasl is { IsRejected: true })
            return LoginFailed(LoginFailure.BadCredentials);
        _sasl = null;
        return Bad(step.Action switch
        {
            SaslAction.Cancelled => "authentication cancelled",
            SaslAction.Malformed => "the response cannot be decoded",
            _ => "unknown authentication mechanism",
        });
    }

    // RFC 6856 §2.1
    internal Pop3Step Utf8(string argument)
    {
        _isUtf8 = true;
        return Ok("messages are sent as they are");
    }

    // RFC 6856 §3.2: texts are English, which is the default for all (RFC 2277 §4.5).
    internal Pop3Step Lang(string argument) => argument.ToUpperInvariant() switch
    {
        "" => new Pop3Step.Listing("+OK languages follow", ["en English", "i-default English"]),
        "EN" or "*" => Ok("en texts are in English"),
        "I-DEFAULT" => Ok("i-default texts are in English"),
        // RFC 4647 §3.3.1: a range with more subtags matches nothing that has fewer.
        _ => Bad("no such language; LANG lists those that are there"),
    };

    // RFC 2595 §4; RFC 6856 §2.1: not behind UTF8, which would be forgotten.
    internal Pop3Step Stls(string argument) =>
        !TlsOffered ? Bad(_secure ? "TLS is on already" : "TLS is not offered here")
        : _isUtf8 ? Bad("say STLS before UTF8")
        : new Pop3Step.StartTls("+OK start TLS");

    // RFC 2449 §5
    internal Pop3Step Capa(string argument)
    {
        // RFC 6856 §2.2: names and passwords may be in UTF-8.
        List<string> capabilities = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "UTF8 USER", "LANG"];
        // RFC 2595 §2.1: not where it would be refused.
        if (LoginAllowed)
        {
            capabilities.Add("USER");
            // RFC 5034 §3
            if (SaslMechanism.On(terms.Mechanisms, _channel.Count > 0) is { Count: > 0 } mechanisms)
                capabilities.Add("SASL " + SaslMechanism.NamesOf(mechanisms));
        }

        if (TlsOffered && State == Pop3State.Authorization)
            capabilities.Add("STLS");
        if (State == Pop3State.Transaction)
            capabilities.Add("IMPLEMENTATION MailPipeline");
        return new Pop3Step.Listing("+OK capabilities follow", capabilities);
    }

    internal Pop3Step Stat(string argument) => new Pop3Step.Reply(Text($"+OK {_maildrop!.Count} {_maildrop.SizeBytes}"));

    internal Pop3Step List(string argument) => argument.Length == 0
        ? new Pop3Step.Listing(
            "+OK " + Summary(_maildrop!),
            _maildrop!.Present.Select(entry => Text($"{entry.Number} {entry.Message.SizeBytes}")))
        : WithMessage(argument, (number, message) => Ok($"{number} {message.SizeBytes}"));

    internal Pop3Step Uidl(string argument) => argument.Length == 0
        ? new Pop3Step.Listing(
            "+OK unique-ids follow",
            _maildrop!.Present.Select(entry => Text($"{entry.Number} {MaildropSnapshot.UniqueId(entry.Message)}")))
        : WithMessage(argument, (number, message) => Ok($"{number} {MaildropSnapshot.UniqueId(message)}"));

    internal Pop3Step Retr(string argument) => WithContent(
        argument, message => new Pop3Step.Send(Text($"+OK {message.SizeBytes} octets"), message, BodyLines: null));

    internal Pop3Step Top(string argument)
    {
        var words = argument.Split(' ');
        return long.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out var lines)
            ? WithContent(words[0], message => new Pop3Step.Send("+OK top of message follows", message, lines))
            : Bad("the number of lines must be a number");
    }

    internal Pop3Step Dele(string argument) => WithMessage(argument, (number, _) =>
    {
        _maildrop!.Delete(number);
        return Ok($"message {number} deleted");
    });

    internal static Pop3Step Noop() => new Pop3Step.Reply("+OK");

    internal Pop3Step Rset(string argument)
    {
        _maildrop!.Restore();
        return Ok(Summary(_maildrop));
    }

    // RFC 1939 §6: only QUIT in the transaction state enters the update state, and only that deletes.
    internal Pop3Step Quit(string argument)
    {
        if (State == Pop3State.Authorization)
            return End("+OK bye");
        State = Pop3State.Update;
        return new Pop3Step.Commit(_maildrop!.DeletedUids());
    }

    private Pop3Step WithMessage(string number, Func<int, MaildropMessage, Pop3Step> answer)
    {
        if (!int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var index))
            return Bad("the message number must be a number");
        // Not held against the client: asking is how some find out what is there.
        return _maildrop!.Find(index) is { } message
            ? answer(index, message)
            : new Pop3Step.Reply("-ERR no such message");
    }

    // RFC 6856 §2.1, §5: never as it is, to a client that did not say that it can read it. No surrogate is made in its place.
    private Pop3Step WithContent(string number, Func<MaildropMessage, Pop3Step> answer) => WithMessage(number, (_, message) =>
        message.HasUtf8Header && !_isUtf8
            ? new Pop3Step.Reply("-ERR [UTF8] the header of this message is in UTF-8; say UTF8 before you log in")
            : answer(message));

    // RFC 2595 §2.2, RFC 8314 §3: a password that was sent all the same is not even looked at.
    private Pop3Step CleartextRefused() =>
        Bad(TlsOffered ? "passwords are not taken in clear text; send STLS first" : "passwords are not taken in clear text");

    private Pop3Step Bad(string reason) => ++_badCommands >= terms.MaxBadCommands
        ? End("-ERR too many bad commands")
        : new Pop3Step.Reply($"-ERR {reason}");

    private Pop3Step.Close End(string line)
    {
        State = Pop3State.Update;
        return new Pop3Step.Close(line);
    }

    private static string Summary(MaildropSnapshot maildrop) =>
        Text($"{maildrop.Count} {(maildrop.Count == 1 ? "message" : "messages")} ({maildrop.SizeBytes} octets)");

    private static Pop3Step.Reply Ok(FormattableString text) => new("+OK " + Text(text));

    private static Pop3Step.Reply Ok(string text) => new("+OK " + text);

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The states of RFC 1939 §3, as flags so that a command can name all it is allowed in.</summary>
[Flags]
internal enum Pop3State
{
    Authorization = 1,
    Transaction = 2,

    /// <summary>The dialogue is over, or is with the line that follows; no command is allowed.</summary>
    Update = 4,
}

/// <summary>What a listener and the settings allow on one connection.</summary>
/// <param name="Secure">TLS is on from the start.</param>
/// <param name="StartTls">STLS is offered.</param>
/// <param name="CleartextLogin">Passwords are taken without TLS.</param>
internal sealed record Pop3Terms(bool Secure, bool StartTls, bool CleartextLogin, int MaxLoginFailures, int MaxBadCommands)
{
    /// <summary>What AUTH may be told, in the order in which CAPA names it.</summary>
    public IReadOnlyList<SaslMechanism> Mechanisms { get; init; } = SaslMechanism.Passwords;

    /// <summary>Whose tokens are taken; null: nobody's, and no mechanism that sends one is offered.</summary>
    public TokenIssuer? TokenIssuer { get; init; }
}
