using System.Globalization;
using MailPipeline.Sasl;

namespace MailPipeline.Smtp;

/// <summary>How a listener speaks: what it offers and where it draws its limits. Shared by all of its sessions.</summary>
public sealed class SmtpProfile
{
    private readonly OfferedExtensions?[] _offered = new OfferedExtensions?[(int)(ClientTraits.Tls | ClientTraits.StartsQueues | ClientTraits.NamesClients | ClientTraits.Bound) + 1];
    private SmtpReply? _greeting;
    private SmtpReply? _helo;
    private SmtpReply? _help;
    private SmtpReply? _heldTooLong;

    /// <summary>Whom it is for: a column of the table of extensions (<see cref="ExtensionTable"/>).</summary>
    public ListenerKind Kind { get; init; }

    /// <summary>Our name, in the greeting and in the replies to HELO and EHLO.</summary>
    public required string HostName { get; init; }

    /// <summary>RFC 1870; octets of content as received.</summary>
    public long MaxMessageBytes { get; init; } = 50 * 1024 * 1024;

    /// <summary>Recipients of one message; never below <see cref="SmtpLimits.MinimumRecipients"/> for a public server.</summary>
    public int MaxRecipients { get; init; } = 1000;

    /// <summary>RCPT commands beyond <see cref="MaxRecipients"/>, or put off for any other reason, since the last accepted message before the session is closed.</summary>
    public int MaxRecipientOvershoot { get; init; } = 1000;

    /// <summary>5xx replies since the last accepted message before the session is closed.</summary>
    public int MaxErrors { get; init; } = 20;

    /// <summary>NOOP, RSET, VRFY, HELP, EHLO, HELO, LHLO, ETRN and XCLIENT, and AUTH that was put off, since the last accepted message before the session is closed.</summary>
    public int MaxCommandsWithoutMail { get; init; } = 100;

    /// <summary>Refused credentials before the session is closed.</summary>
    public int MaxAuthFailures { get; init; } = 3;

    public bool OffersStartTls { get; init; }

    /// <summary>AUTH is offered, over TLS.</summary>
    public bool OffersAuth { get; init; }

    /// <summary>By which mechanisms, in the order in which EHLO names them.</summary>
    public IReadOnlyList<SaslMechanism> Mechanisms { get; init; } = SaslMechanism.Passwords;

    /// <summary>Whose tokens are taken; null: nobody's, and no mechanism that sends one is offered.</summary>
    public TokenIssuer? TokenIssuer { get; init; }

    /// <summary>AUTH is offered without TLS too: only when the operator says so.</summary>
    public bool AllowsCleartextAuth { get; init; }

    /// <summary>AUTH is offered a second time in the form from before RFC 2554, beside the right one.</summary>
    public bool OffersOldAuth { get; init; }

    /// <summary>MAIL only after AUTH (RFC 6409 §4.3).</summary>
    public bool RequiresAuth { get; init; }

    public bool OffersSmtpUtf8 { get; init; }

    /// <summary>REQUIRETLS is offered under TLS (RFC 8689 §4.1).</summary>
    public bool OffersRequireTls { get; init; } = true;

    /// <summary>Longest time for which a sender has his message held (RFC 4865); less than a second: for none.</summary>
    public TimeSpan MaxHoldTime { get; init; }

    /// <summary>The host is asked about the argument of EHLO and HELO (<see cref="SmtpAction.CheckClientName"/>).</summary>
    public bool AsksAboutClientName { get; init; }

    /// <summary>Where HELP sends people: printable ASCII, best an address of the web.</summary>
    public string HelpLink { get; init; } = "docs/RFC.md of MailPipeline";

    /// <summary>RFC 5321 §3.1, RFC 2033 §4.</summary>
    public SmtpReply Greeting => _greeting ??= new SmtpReply(220, $"{HostName} {(Kind == ListenerKind.Lmtp ? "LMTP" : "ESMTP")}");

    internal SmtpReply HeloReply => _helo ??= new SmtpReply(250, HostName);

    /// <summary>RFC 5321 §4.1.1.8. It names no command that some listener refuses.</summary>
    internal SmtpReply HelpReply => _help ??= new SmtpReply(
        214, new EnhancedStatus(2, 0, 0), $"Commands: {(Kind == ListenerKind.Lmtp ? "LHLO" : "EHLO HELO")} MAIL RCPT DATA RSET NOOP",
        $"QUIT VRFY HELP, and what {(Kind == ListenerKind.Lmtp ? "LHLO" : "EHLO")} tells of", $"See {HelpLink}");

    internal bool OffersHold => MaxHoldTime >= TimeSpan.FromSeconds(1);

    /// <summary>RFC 4865 §4: what is asked for is over the bound that EHLO names.</summary>
    internal SmtpReply HeldTooLongReply => _heldTooLong ??= new SmtpReply(
        501, "5.5.4", string.Create(CultureInfo.InvariantCulture, $"A message is held for {(long)MaxHoldTime.TotalSeconds} seconds at most"));

    internal bool AllowsAuth(bool isTls) => OffersAuth && (isTls || AllowsCleartextAuth);

    internal bool TakesTokens(bool isTls) => TokenIssuer is not null && AllowsAuth(isTls);

    internal OfferedExtensions Offered(ClientTraits client) => _offered[(int)client] ??= new OfferedExtensions(this, client);
}
