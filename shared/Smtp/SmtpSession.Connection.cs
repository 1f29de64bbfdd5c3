using System.Text;
using MailPipeline.Sasl;

namespace MailPipeline.Smtp;

// What lasts longer than a transaction: greeting, TLS and authentication.
public sealed partial class SmtpSession
{
    /// <summary>RFC 3207 §4.2: all that was learned before TLS is forgotten.</summary>
    /// <param name="channel">What a login can be bound to; null: nothing.</param>
    public void TlsStarted(IReadOnlyList<ChannelBinding>? channel = null)
    {
        if (_question is not (SmtpAction.StartTls or SmtpAction.Continue))
            throw new InvalidOperationException("TLS cannot begin here.");

        _question = SmtpAction.Continue;
        Reset();
        IsTls = true;
        _channel = channel ?? [];
        _isGreeted = false;
        IsExtended = false;
        ClientName = "";
        UserName = null;
    }

    /// <summary>The answer to <see cref="SmtpAction.FindKeys"/>, where it is not a refusal.</summary>
    public SmtpStep KeysFound(ScramKeys keys)
    {
        if (_question != SmtpAction.FindKeys)
            throw new InvalidOperationException("No keys were asked for.");
        _question = SmtpAction.Continue;
        return AuthStep(_sasl!.KeysFound(keys));
    }

    private ClientTraits Traits =>
        _listed | (IsTls ? ClientTraits.Tls : ClientTraits.None) | (_channel.Count == 0 ? ClientTraits.None : ClientTraits.Bound);

    internal SmtpStep Ehlo(ReadOnlySpan<byte> argument) => IsLmtp ? Respond(Replies.C500SayLhlo) : Greet(argument, isExtended: true);

    internal SmtpStep Helo(ReadOnlySpan<byte> argument) => IsLmtp ? Respond(Replies.C500SayLhlo) : Greet(argument, isExtended: false);

    // RFC 3207 §4
    internal SmtpStep StartTls(ReadOnlySpan<byte> argument)
    {
        if (IsTls)
            return Respond(Replies.C503AlreadyTls);
        if (!profile.OffersStartTls)
            return Respond(Replies.C502NotImplemented);
        if (!argument.IsEmpty)
            return Respond(Replies.C501NoArgument);

        _question = SmtpAction.StartTls;
        return new SmtpStep(SmtpAction.StartTls, Replies.C220ReadyForTls);
    }

    // RFC 4954 §4
    internal SmtpStep Auth(ReadOnlySpan<byte> argument)
    {
        if (!profile.OffersAuth)
            return Respond(Replies.C502NotImplemented);
        if (UserName is not null)
            return Respond(Replies.C503AlreadyAuthenticated);
        if (!profile.AllowsAuth(IsTls))
            return Respond(Replies.C538EncryptionRequired);

        if (argument.IsEmpty)
            return Respond(Replies.C501BadArgument);

        (_sasl, var step) = SaslExchange.Begin(argument, profile.Mechanisms, _channel);
        return AuthStep(step);
    }

    // RFC 1985 §5.1: a domain, or "@" and a domain for all below it, too.
    internal SmtpStep Etrn(ReadOnlySpan<byte> argument)
    {
        if (UserName is null && !_listed.HasFlag(ClientTraits.StartsQueues))
            return Respond(!profile.RequiresAuth ? Replies.C502NotImplemented : AuthRequired);
        var withSubdomains = argument is [(byte)'@', ..];
        var domain = withSubdomains ? argument[1..] : argument;
        if (!AddressSyntax.IsDomainOrLiteral(domain, allowUtf8: false))
            return Respond(Replies.C501BadArgument);
        if (TooManyWithoutMail())
            return new SmtpStep(SmtpAction.Close, Replies.C421TooManyCommands);

        ProposedQueue = new SmtpQueueName(Encoding.ASCII.GetString(domain).ToLowerInvariant(), withSubdomains);
        return Ask(SmtpAction.StartQueue);
    }

    // XCLIENT_README
    internal SmtpStep Xclient(ReadOnlySpan<byte> argument)
    {
        if (!_listed.HasFlag(ClientTraits.NamesClients))
            return Respond(Replies.C550NotAProxy);
        if (ProxiedClient.TryRead(argument) is not { } client)
            return Respond(Replies.C501BadArgument);
        if (TooManyWithoutMail())
            return new SmtpStep(SmtpAction.Close, Replies.C421TooManyCommands);

        ProposedClient = client;
        return Ask(SmtpAction.NameClient);
    }

    /// <summary>With <see cref="SmtpAction.NameClient"/>: what the operator allows the client that a proxy has named.</summary>
    public void List(ClientTraits listed) => _listed = listed;

    // The session begins anew, as the one that the proxy's client has: with its greeting, if the proxy has said it.
    private SmtpStep ClientNamed(ProxiedClient client)
    {
        Reset();
        ClientHostName = client.HostName ?? ClientHostName;
        if (client.Login is { } login)
            (UserName, _loginMechanism) = (login.Length > 0 ? login : null, "XCLIENT");
        ClientName = client.Greeting ?? "";
        HasWellFormedClientName = AddressSyntax.IsDomainOrLiteral(Encoding.ASCII.GetBytes(ClientName), allowUtf8: false);
        // Where names are judged, the client's comes by its own command.
        _isGreeted = ClientName.Length > 0 && !profile.AsksAboutClientName;
        IsExtended = client.IsExtended ?? IsExtended;
        return Respond(profile.Greeting);
    }

    private SmtpReply AuthRequired => profile.AllowsAuth(IsTls) ? Replies.C530AuthRequired : Replies.C530TlsRequired;

    private static bool IsAuth(ReadOnlySpan<byte> line) => Ascii.EqualsIgnoreCase(line[..Math.Min(line.Length, 5)], "AUTH "u8);

    private SmtpStep AuthLine(ReadOnlySpan<byte> line) => AuthStep(_sasl!.Read(line));

    private SmtpStep AuthStep(SaslStep step) => step.Action switch
    {
        SaslAction.Challenge => Respond(new SmtpReply(334, step.Challenge)),
        SaslAction.FindKeys => Ask(SmtpAction.FindKeys),
        SaslAction.Verify => Ask(SmtpAction.Authenticate),
        SaslAction.Done => AuthSucceeded(),
        SaslAction.Refused => AuthRefused(Replies.C535BadCredentials),
        SaslAction.Cancelled => AuthAbandoned(Replies.C501AuthCancelled),
        SaslAction.Malformed => AuthAbandoned(Replies.C501BadAuth),
        _ => AuthAbandoned(Replies.C504UnknownMechanism),
    };

    // RFC 7628 §3.2.2: first comes a challenge that says why, where the mechanism has one.
    private SmtpStep AuthRejected(SmtpReply refusal) =>
        refusal.IsPermanentFailure && _sasl!.Rejected(profile.TokenIssuer) is { Action: SaslAction.Challenge } why ? AuthStep(why) : AuthRefused(refusal);

    private SmtpStep AuthAbandoned(SmtpReply reply)
    {
        // Whose claim was not true has failed, whatever it says to the challenge that tells it so.
        if (_sasl is { IsRejected: true })
            return AuthRefused(reply);
        _sasl = null;
        return Respond(reply);
    }

    private SmtpStep AuthSucceeded()
    {
        (UserName, _loginMechanism) = (_sasl!.Claim!.UserName, _sasl.Mechanism);
        _sasl = null;
        return new SmtpStep(SmtpAction.LoggedIn, Replies.C235Authenticated);
    }

    private SmtpStep AuthRefused(SmtpReply refusal)
    {
        _sasl = null;
        if (refusal.IsPermanentFailure && ++_authFailures >= profile.MaxAuthFailures)
            return new SmtpStep(SmtpAction.Close, refusal, Replies.C421TooManyErrors);
        // Who is told to come again later comes again at once, perhaps.
        return !refusal.IsPermanentFailure && TooManyWithoutMail() ? new SmtpStep(SmtpAction.Close, refusal, Replies.C421TooManyCommands) : Respond(refusal);
    }

    // RFC 5321 §4.1.1.1, §4.1.4: it may come again, and then resets. The name proves nothing, so nearly any is taken.
    private SmtpStep Greet(ReadOnlySpan<byte> argument, bool isExtended)
    {
        if (argument.IsEmpty || argument.Length > SmtpLimits.DomainBytes || argument.ContainsAnyExceptInRange((byte)'!', (byte)'~'))
            return Respond(Replies.C501BadArgument);

        var name = Encoding.ASCII.GetString(argument);
        var isWellFormed = AddressSyntax.IsDomainOrLiteral(argument, allowUtf8: false);
        if (!profile.AsksAboutClientName)
            return Greeted(name, isExtended, isWellFormed);
        _proposedGreeting = (name, isExtended, isWellFormed);
        return Ask(SmtpAction.CheckClientName);
    }

    private SmtpStep Greeted(string name, bool isExtended, bool isWellFormed)
    {
        Reset();
        _isGreeted = true;
        IsExtended = isExtended;
        ClientName = name;
        HasWellFormedClientName = isWellFormed;
        return WithoutMail(isExtended ? profile.Offered(Traits).EhloReplyAt(Now) : profile.HeloReply);
    }
}
