using System.Globalization;
using MailPipeline.Sasl;

namespace MailPipeline.Smtp;

/// <summary>
/// The extensions of SMTP that our server has: a row for each, in the order of the lines of EHLO; a column for each kind of
/// listener, and in a cell to whom it is offered there. What is not offered has no line, and its parameters are unknown.
/// </summary>
internal static class ExtensionTable
{
    private static readonly Offer s_no = new("no", static (_, _) => false);
    private static readonly Offer s_yes = new("yes", static (_, _) => true);
    // RFC 3207 §4.2: never again once TLS runs.
    private static readonly Offer s_upgrade = new("before TLS", static (profile, client) => profile.OffersStartTls && !client.HasFlag(ClientTraits.Tls));
    private static readonly Offer s_tls = new("under TLS, where `RequireTls` is on", static (profile, client) => profile.OffersRequireTls && client.HasFlag(ClientTraits.Tls));
    private static readonly Offer s_login = new("where `Auth` is on", static (profile, client) => profile.AllowsAuth(client.HasFlag(ClientTraits.Tls)) && MechanismsOf(profile, client).Count > 0);
    private static readonly Offer s_oldLogin = new("where `OldAuth` is on", static (profile, client) => profile.OffersOldAuth && profile.AllowsAuth(client.HasFlag(ClientTraits.Tls)) && OldMechanisms(profile).Any());
    private static readonly Offer s_etrn = new("to `EtrnClients`", static (_, client) => client.HasFlag(ClientTraits.StartsQueues));
    private static readonly Offer s_xclient = new("to `XclientFrom`", static (_, client) => client.HasFlag(ClientTraits.NamesClients));
    private static readonly Offer s_hold = new("where `MaxHoldTime` is not 0", static (profile, _) => profile.OffersHold);
    private static readonly Offer s_utf8 = new("where `SmtpUtf8` is on", static (profile, _) => profile.OffersSmtpUtf8);

    public static IReadOnlyList<SmtpExtension> All { get; } =
    [
        //   line                    source                      Mx          Submission  Lmtp
        new("STARTTLS",            "RFC 3207",                 [s_upgrade,  s_upgrade,  s_upgrade]),
        // Our users say it when they have logged in.
        new("ETRN",                "RFC 1985",                 [s_etrn,     s_yes,      s_no]),
        // Clients from before RFC 2554 read the mechanisms behind "AUTH=" alone, and know none but these two; others pass that line over.
        new("AUTH=",               "draft-myers-smtp-auth-00", [s_oldLogin, s_oldLogin, s_oldLogin])
        {
            Value = static profile => SaslMechanism.NamesOf(OldMechanisms(profile)),
        },
        new("AUTH",                "RFC 4954",                 [s_login,    s_login,    s_login])
        {
            ClientValue = static (profile, client) => SaslMechanism.NamesOf(MechanismsOf(profile, client)),
            Mail = [new("AUTH", MailParameters.Auth)],
        },
        new("PIPELINING",          "RFC 2920",                 [s_yes,      s_yes,      s_yes]),
        new("DSN",                 "RFC 3461",                 [s_yes,      s_yes,      s_yes])
        {
            Mail = [new("RET", MailParameters.Return), new("ENVID", MailParameters.EnvelopeId)],
            Rcpt = [new("NOTIFY", RcptParameters.Notify), new("ORCPT", RcptParameters.OriginalRecipient)],
        },
        new("8BITMIME",            "RFC 6152",                 [s_yes,      s_yes,      s_yes]) { Mail = [new("BODY", MailParameters.BodyType)] },
        new("SIZE",                "RFC 1870",                 [s_yes,      s_yes,      s_yes])
        {
            Value = static profile => profile.MaxMessageBytes.ToString(CultureInfo.InvariantCulture),
            Mail = [new("SIZE", MailParameters.Size)],
        },
        new("ENHANCEDSTATUSCODES", "RFC 2034",                 [s_yes,      s_yes,      s_yes]),
        // Without BINARYMIME: what holds no lines could be handed on to no maildrop by POP3, and to no host that has not got it too.
        new("CHUNKING",            "RFC 3030",                 [s_yes,      s_yes,      s_yes]),
        // RFC 4865 §4: for submission alone.
        new("FUTURERELEASE",       "RFC 4865",                 [s_no,       s_hold,     s_no])
        {
            TimedValue = static (profile, now) => string.Create(
                CultureInfo.InvariantCulture, $"{(long)profile.MaxHoldTime.TotalSeconds} {Rfc3339.Write(now + profile.MaxHoldTime)}"),
            Mail = [new("HOLDFOR", MailParameters.HoldFor), new("HOLDUNTIL", MailParameters.HoldUntil)],
        },
        // Of no named policy (RFC 6710 §9): it orders what one user sends, and nobody else's mail.
        new("MT-PRIORITY",         "RFC 6710",                 [s_no,       s_yes,      s_no]) { Mail = [new("MT-PRIORITY", MailParameters.Priority)] },
        // Without a least time: what is returned in time is returned, however short the time.
        new("DELIVERBY",           "RFC 2852",                 [s_yes,      s_yes,      s_no]) { Mail = [new("BY", MailParameters.By)] },
        // RFC 8689 §4.1: never without TLS. Its mail goes on as it asks, and a report about it too.
        new("REQUIRETLS",          "RFC 8689",                 [s_tls,      s_tls,      s_tls]) { Mail = [new("REQUIRETLS", MailParameters.Tls)] },
        // RFC 9422 §4.2. A session may send any number of messages (MAILMAX), for any number of domains (RCPTDOMAINMAX).
        new("LIMITS",              "RFC 9422",                 [s_yes,      s_yes,      s_yes])
        {
            Value = static profile => string.Create(CultureInfo.InvariantCulture, $"RCPTMAX={profile.MaxRecipients}"),
        },
        new("SMTPUTF8",            "RFC 6531",                 [s_utf8,     s_utf8,     s_utf8]) { Mail = [new("SMTPUTF8", MailParameters.Utf8)] },
        new("XCLIENT " + ProxiedClient.Attributes, "Postfix",  [s_xclient,  s_xclient,  s_xclient]),
    ];

    private static IReadOnlyList<SaslMechanism> MechanismsOf(SmtpProfile profile, ClientTraits client) =>
        SaslMechanism.On(profile.Mechanisms, client.HasFlag(ClientTraits.Bound));

    private static IEnumerable<SaslMechanism> OldMechanisms(SmtpProfile profile) => profile.Mechanisms.Where(mechanism => mechanism.SendsPassword);
}

/// <summary>One row of the table.</summary>
/// <param name="Line">Its line in the reply to EHLO, without what <see cref="Value"/> adds.</param>
/// <param name="Source">The document that describes it.</param>
/// <param name="Offers">In the order of <see cref="ListenerKind"/>.</param>
internal sealed record SmtpExtension(string Line, string Source, IReadOnlyList<Offer> Offers)
{
    /// <summary>What stands behind the keyword, where that is the listener's.</summary>
    public Func<SmtpProfile, string>? Value { get; init; }

    /// <summary>What stands behind the keyword, where that depends on the client as well.</summary>
    public Func<SmtpProfile, ClientTraits, string>? ClientValue { get; init; }

    /// <summary>What stands behind the keyword, where that depends on the time as well.</summary>
    public Func<SmtpProfile, DateTimeOffset, string>? TimedValue { get; init; }

    /// <summary>The parameters it adds to MAIL.</summary>
    public IReadOnlyList<SmtpParameter<MailParameters>> Mail { get; init; } = [];

    /// <summary>The parameters it adds to RCPT.</summary>
    public IReadOnlyList<SmtpParameter<RcptParameters>> Rcpt { get; init; } = [];

    public bool IsOffered(SmtpProfile profile, ClientTraits client) => Offers[(int)profile.Kind].Applies(profile, client);

    /// <summary>More stands behind the keyword.</summary>
    public bool HasValue => Value is not null || ClientValue is not null || TimedValue is not null;

    public string LineOf(SmtpProfile profile, ClientTraits client = ClientTraits.None, DateTimeOffset now = default) =>
        TimedValue is not null ? $"{Line} {TimedValue(profile, now)}"
        : ClientValue is not null ? $"{Line} {ClientValue(profile, client)}"
        : Value is null ? Line : Line.EndsWith('=') ? Line + Value(profile) : $"{Line} {Value(profile)}";
}

/// <summary>To whom an extension is offered.</summary>
/// <param name="Words">For people to read.</param>
/// <param name="Applies">The listener offers it to such a client.</param>
internal sealed record Offer(string Words, Func<SmtpProfile, ClientTraits, bool> Applies);

/// <summary>What is offered to a client depends on this.</summary>
[Flags]
public enum ClientTraits
{
    None = 0,

    /// <summary>The connection is under TLS.</summary>
    Tls = 1,

    /// <summary>The operator lists the client: it may say ETRN without a login.</summary>
    StartsQueues = 2,

    /// <summary>The operator lists the client as a proxy: it may say XCLIENT.</summary>
    NamesClients = 4,

    /// <summary>A login can be bound to the connection (<see cref="ChannelBinding"/>).</summary>
    Bound = 8,
}

/// <summary>All that a listener offers to clients of one kind: what EHLO says, and which parameters are known.</summary>
internal sealed class OfferedExtensions
{
    private readonly SmtpProfile _profile;
    private readonly ClientTraits _client;
    private readonly SmtpExtension[] _offered;

    public OfferedExtensions(SmtpProfile profile, ClientTraits client)
    {
        _profile = profile;
        _client = client;
        _offered = [.. ExtensionTable.All.Where(extension => extension.IsOffered(profile, client))];
        EhloReply = Reply(default);
        Mail = [.. _offered.SelectMany(extension => extension.Mail)];
        Rcpt = [.. _offered.SelectMany(extension => extension.Rcpt)];
    }

    /// <summary>The reply to EHLO where no line of it depends on the time; else see <see cref="EhloReplyAt"/>.</summary>
    public SmtpReply EhloReply { get; }

    public SmtpParameter<MailParameters>[] Mail { get; }

    public SmtpParameter<RcptParameters>[] Rcpt { get; }

    public SmtpReply EhloReplyAt(DateTimeOffset now) => _offered.Any(extension => extension.TimedValue is not null) ? Reply(now) : EhloReply;

    // RFC 5321 §4.1.1.1
    private SmtpReply Reply(DateTimeOffset now) =>
        new(250, null, [_profile.HostName, .. _offered.Select(extension => extension.LineOf(_profile, _client, now))]);
}
