using System.ComponentModel.DataAnnotations;
using System.Net;
using MailPipeline.Ingress.Checks;
using MailPipeline.Ingress.Filters;
using MailPipeline.Ingress.Limits;
using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.Sasl;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress;

/// <summary>Where mail is taken, from whom, and how much. Section "Ingress".</summary>
public sealed class IngressOptions
{
    public const string SectionName = "Ingress";

    /// <summary>Our name in greetings, EHLO replies and Received fields. Default: <see cref="OwnHostName.Default"/>.</summary>
    [Required]
    public string HostName
    {
        get => _hostName ?? OwnHostName.Default.Text;
        set => _hostName = value;
    }

    private string? _hostName;

    /// <summary>
    /// Our name in Authentication-Results fields (RFC 8601 §2.5), the same on all machines whose results the same readers trust. Default:
    /// <see cref="HostName"/>. Fields that name it and come from outside are left out of messages.
    /// </summary>
    public string AuthservId
    {
        get => _authservId ?? HostName;
        set => _authservId = value;
    }

    private string? _authservId;

    /// <summary>Where to listen. Default: nowhere, with which a service of its own does not start.</summary>
    public IList<ListenerOptions> Listeners { get; init; } = [];

    /// <summary>Addresses and networks (CIDR) that may relay without authentication. Default: none.</summary>
    public IList<string> RelayClients { get; init; } = [];

    /// <summary>
    /// Addresses and networks (CIDR) of load balancers that name their client by the PROXY protocol, version 1 or 2; from them
    /// its header is required. Default: none.
    /// </summary>
    public IList<string> ProxyProtocolFrom { get; init; } = [];

    /// <summary>
    /// Addresses and networks (CIDR) of proxies that name their client by XCLIENT, and are believed what they say: its address, its greeting,
    /// its login. Default: none.
    /// </summary>
    public IList<string> XclientFrom { get; init; } = [];

    /// <summary>
    /// Addresses and networks (CIDR) that may say ETRN (RFC 1985) without authentication, on any listener. Default: none. Our users may, once
    /// they have logged in.
    /// </summary>
    public IList<string> EtrnClients { get; init; } = [];

    /// <summary>
    /// Addresses and networks (CIDR) of servers that may hand in mail on Lmtp listeners; others are greeted with 554. Default: this machine
    /// itself. Whoever may open a Unix socket may hand in by it.
    /// </summary>
    public IList<string> LmtpClients { get; init; } = [];

    internal IEnumerable<string> LmtpClientsOrDefault => LmtpClients.Count > 0 ? LmtpClients : ["127.0.0.0/8", "::1"];

    /// <summary>Between two starts of one domain's queue by ETRN, in the whole cluster. Default 1 minute: a failed attempt is hardly over sooner.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan EtrnInterval { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Domains whose queues one user, or one client that is listed, starts within <see cref="EtrnInterval"/>. Default 30.</summary>
    [Range(1, 10_000)]
    public int EtrnMaxDomains { get; set; } = 30;

    /// <summary>
    /// Mailbox that takes mail for postmaster at every domain of ours without an account or alias of that name, and for
    /// the bare "Postmaster" (RFC 5321 §4.5.1). Default: none, such mail is refused.
    /// </summary>
    public string Postmaster { get; set; } = "";

    /// <summary>
    /// On Submission listeners, Date, Message-ID, From (the reverse-path, or where that is null the user's own address) and the empty line
    /// behind the header are put into messages that lack them. Default true (RFC 6409 §8.2, §8.3, §8.1).
    /// </summary>
    public bool AddMissingFields { get; set; } = true;

    /// <summary>
    /// SMTPUTF8 is offered: addresses and header fields may be in UTF-8. Default true (RFC 6531).
    /// </summary>
    public bool SmtpUtf8 { get; set; } = true;

    /// <summary>
    /// REQUIRETLS is offered under TLS: a message goes on only to hosts that are proven to be the right ones under TLS and ask the same of others.
    /// Default true (RFC 8689).
    /// </summary>
    public bool RequireTls { get; set; } = true;

    /// <summary>
    /// On Submission listeners, a bare LF in content counts as CRLF; without it such a message is refused, as on Mx listeners always.
    /// Default true: users write with scripts that send the lines of their system.
    /// </summary>
    public bool RepairLineEnds { get; set; } = true;

    /// <summary>
    /// On Submission listeners, longest time for which a user has his message held before it leaves (RFC 4865); 0: FUTURERELEASE is not
    /// offered. Default 7 days: the weekend and the days around it, and no store for years.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "366.00:00:00")]
    public TimeSpan MaxHoldTime { get; set; } = TimeSpan.FromDays(7);

    /// <summary>The MTA-STS policy that our domains publish. Default: none.</summary>
    public MtaStsOptions MtaSts { get; init; } = new();

    /// <summary>AUTH is offered without TLS too. Default false (RFC 4954 §4).</summary>
    public bool AllowCleartextAuth { get; set; }

    /// <summary>Largest message, in octets of content. Default 50 MiB: what large providers take, base64 included.</summary>
    [Range(64.0 * 1024, 2e9)]
    public long MaxMessageBytes { get; set; } = 50 * 1024 * 1024;

    /// <summary>
    /// Octets beyond <see cref="MaxMessageBytes"/> that are read and thrown away so that the client sees its 552; after them
    /// the connection is closed. Default 50 MiB.
    /// </summary>
    [Range(0.0, 2e9)]
    public long MaxDiscardedBytes { get; set; } = 50 * 1024 * 1024;

    /// <summary>Messages that wait for the router beyond which MAIL is answered 451: the queue is away. Default 100,000.</summary>
    [Range(1.0, 1e9)]
    public long MaxUnrouted { get; set; } = 100_000;

    /// <summary>Recipients without an outcome beyond which MAIL is answered 452. Default 2,000,000.</summary>
    [Range(1.0, 1e9)]
    public long MaxQueued { get; set; } = 2_000_000;

    /// <summary>Time of a commit, ended within the last second or under way, beyond which MAIL is answered 451. Default 10 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "00:10:00")]
    public TimeSpan MaxCommitTime { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Recipients of one message. Default 1,000, as Postfix; at least 100 (RFC 5321 §4.5.3.1.8).</summary>
    [Range(SmtpLimits.MinimumRecipients, 65_000)]
    public int MaxRecipients { get; set; } = 1000;

    /// <summary>
    /// RCPT commands beyond <see cref="MaxRecipients"/> since the last accepted message; behind the last 452 a 421 ends the
    /// session. Default 1,000, as Postfix: a client that names all of a large list before DATA still gets its answers.
    /// </summary>
    [Range(100, 1_000_000)]
    public int MaxRecipientOvershoot { get; set; } = 1000;

    /// <summary>
    /// Where HELP sends people, e.g. https://www.example.org/mail; printable ASCII, up to 200 characters. Default: the documents of this project.
    /// </summary>
    [RegularExpression("[ -~]{1,200}", ErrorMessage = "must be 1 to 200 characters of printable ASCII")]
    public string HelpLink { get; set; } = "docs/RFC.md of MailPipeline";

    /// <summary>5xx replies since the last accepted message; behind the last of them 421 ends the session; not where LMTP is spoken. Default 20, as Postfix.</summary>
    [Range(1, 100_000)]
    public int MaxErrors { get; set; } = 20;

    /// <summary>NOOP, RSET, VRFY, HELP, HELO, EHLO, LHLO, ETRN, XCLIENT, and AUTH answered 454, since the last accepted message that end a session. Default 100, as Postfix.</summary>
    [Range(2, 100_000)]
    public int MaxCommandsWithoutMail { get; set; } = 100;

    /// <summary>Refused credentials; behind the last 535 a 421 ends the session. Default 3.</summary>
    [Range(1, 1000)]
    public int MaxAuthFailures { get; set; } = 3;

    /// <summary>How long the answer to refused credentials is held back. Default 2 s, as Dovecot's auth_failure_delay.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:01:00")]
    public TimeSpan AuthFailureDelay { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Longest wait for the next command. Default 5 minutes (RFC 5321 §4.5.3.2.7).</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Longest wait for more content. Default 5 minutes (RFC 5321 §4.5.3.2.7).</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan ContentTimeout { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Longest time for the whole content of one message. Default 1 hour: 50 MiB at 14 KiB/s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan MaxContentTime { get; set; } = TimeSpan.FromHours(1);

    /// <summary>Longest TLS handshake. Default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:05:00")]
    public TimeSpan TlsTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Sessions at once on each listener, of clients that have not logged in; more are greeted with 421, or closed where TLS comes
    /// first. Default 1,000. Where AUTH is offered the last tenth is kept for networks from which somebody logged in within a day.
    /// </summary>
    [Range(1, 1_000_000)]
    public int MaxSessions { get; set; } = 1000;

    /// <summary>
    /// Sessions at once on each listener, of clients that have logged in. Default 1,000. Beyond it who logs in keeps one of the
    /// <see cref="MaxSessions"/>, so that the two together bound all.
    /// </summary>
    [Range(1, 1_000_000)]
    public int MaxSessionsLoggedIn { get; set; } = 1000;

    /// <summary>
    /// Sessions at once on each listener from one client: an IPv4 address, or a network of IPv6. Default 250: a quarter of all, so that one
    /// client leaves room for others.
    /// </summary>
    [Range(1, 1_000_000)]
    public int MaxSessionsPerAddress { get; set; } = 250;

    /// <summary>Bits of an IPv6 address that name a client. Default 64, what one customer has at least (RFC 6177).</summary>
    [Range(16, 128)]
    public int PrefixIPv6 { get; set; } = 64;

    /// <summary>
    /// Longest wait for a command, for more content, or for a reader of our replies, of who has not logged in, while nine tenths of its
    /// listener's sessions are in use. Default 30 seconds: shorter than RFC 5321 §4.5.3.2.7 wants, and better than to turn others away.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan CrowdedCommandTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Longest time of a session that has not logged in, while nine tenths of its listener's sessions are in use: since its last accepted
    /// message, or since it began, beside what <see cref="CrowdedRateBytes"/> adds and what our own storage takes. Then 421 ends it, within
    /// content too: nothing was accepted yet. Default 5 minutes, ten times <see cref="CrowdedCommandTimeout"/>.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan CrowdedSessionTime { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Octets a second of content: what has come of a message adds as much to <see cref="CrowdedSessionTime"/> as it takes at this rate.
    /// Default 10 KB, as Delivery:TransactionRateBytes: who sends as fast is not ended for being slow.
    /// </summary>
    [Range(1.0, 1e9)]
    public long CrowdedRateBytes { get; set; } = 10_000;

    /// <summary>Programs beside us that look at mail, in the order in which they are asked. Default: none.</summary>
    public IList<FilterOptions> Filters { get; init; } = [];

    /// <summary>The checks at the door.</summary>
    public CheckOptions Checks { get; init; } = new();
}

/// <summary>One listening socket. Section "Ingress:Listeners:N".</summary>
public sealed class ListenerOptions
{
    /// <summary>RFC 2033 §5 has none of its own, and forbids SMTP's; 24 is what IANA keeps for private mail systems.</summary>
    private const int LmtpPort = 24;

    private const int SmtpPort = 25;

    /// <summary>Its name in logs, in what filters are told, and in settings that are about single listeners. Default: the kind in lower case.</summary>
    public string Name { get; set; } = "";

    /// <summary>Whom it is for. Default Mx.</summary>
    public ListenerKind Kind { get; set; }

    /// <summary>IP address to bind. Default 127.0.0.1.</summary>
    public string Address { get; set; } = "127.0.0.1";

    /// <summary>
    /// TCP port; 0 takes a free one. Default 25 (RFC 5321 §4.5.4.2) for Mx; Submission has 587 or, with implicit TLS, 465 (RFC 8314 §3.3); Lmtp
    /// has 24.
    /// </summary>
    public int? Port { get; set; }

    /// <summary>
    /// Of an Lmtp listener: the full path of a Unix socket, in the place of address and port. Default: none. A file that a process before left
    /// there is removed if nobody listens on it.
    /// </summary>
    public string Socket { get; set; } = "";

    /// <summary>
    /// Who may connect to the socket, as chmod has it, in octal digits. Default 0660: who runs this process, and its group. It is all that
    /// keeps others out.
    /// </summary>
    public string SocketMode { get; set; } = "0660";

    /// <summary>Default StartTls.</summary>
    public TlsMode Tls { get; set; } = TlsMode.StartTls;

    /// <summary>
    /// Offer AUTH. Default: on a Submission listener, which cannot do without; not on Mx, where no user of ours logs in and everybody may
    /// guess passwords.
    /// </summary>
    public bool? Auth { get; set; }

    /// <summary>
    /// Where AUTH is offered, EHLO says so once more in the form "AUTH=" from before RFC 2554, which some old clients read alone. Default: on
    /// a Submission listener.
    /// </summary>
    public bool? OldAuth { get; set; }

    /// <summary>
    /// Mechanisms of AUTH, with a space between them, in the order of EHLO. Default LOGIN PLAIN, and behind them OAUTHBEARER XOAUTH2 where an
    /// issuer is set (Logins:OpenId:Issuer); SCRAM-SHA-256 by choice, for an account may have no keys for it, and a client that has it takes
    /// no other; SCRAM-SHA-256-PLUS where all clients bind by the server's certificate.
    /// </summary>
    public string? AuthMechanisms { get; set; }

    /// <summary>What is done here with whether mail is from whom it says. Default: as Checks:Authentication says for all listeners.</summary>
    public AuthenticationPolicy? Authentication { get; set; }

    internal bool AuthOrDefault => Auth ?? Kind == ListenerKind.Submission;

    internal bool OldAuthOrDefault => OldAuth ?? Kind == ListenerKind.Submission;

    internal bool IsSocket => Socket.Length > 0;

    /// <summary>Where it listens.</summary>
    public int PortOrDefault => Port ?? (Kind, Tls) switch
    {
        (ListenerKind.Mx, _) => SmtpPort,
        (ListenerKind.Lmtp, _) => LmtpPort,
        (_, TlsMode.Implicit) => 465,
        _ => 587,
    };

    /// <summary>How it is called.</summary>
    public string NameOrDefault => Name.Length > 0 ? Name : Kind.ToString().ToLowerInvariant();

    internal IPEndPoint EndPoint => new(IPAddress.Parse(Address), PortOrDefault);

    internal void ValidateKind(string setting, List<string> failures)
    {
        if (!Enum.IsDefined(Kind))
            failures.Add($"{setting}:Kind is {Kind}; it must be one of {string.Join(", ", Enum.GetNames<ListenerKind>())}");
        if (Authentication is { } policy)
            CheckOptions.RequireDefined($"{setting}:Authentication", policy, failures);
        if (Kind == ListenerKind.Lmtp && Port == SmtpPort)
            failures.Add($"{setting}:Port is {SmtpPort}, on which SMTP is expected; LMTP must have another one, such as {LmtpPort} (RFC 2033 §5)");
        if (!IsSocket)
            return;
        if (Kind != ListenerKind.Lmtp)
            failures.Add($"{setting}:Socket is '{Socket}'; only a listener with Kind=Lmtp has one");
        if (Port is not null)
            failures.Add($"{setting}:Socket is '{Socket}' and {setting}:Port is {Port}; a listener has one of them");
        if (!ListeningSocket.IsPath(Socket))
            failures.Add($"{setting}:Socket is '{Socket}'; it must be a full path of up to {ListeningSocket.MaxPathBytes} octets, e.g. /run/mailpipeline/lmtp");
        if (ListeningSocket.ParseMode(SocketMode) is null)
            failures.Add($"{setting}:SocketMode is '{SocketMode}'; it must be three or four octal digits from 0000 to 0777, e.g. 0660");
    }
}

/// <summary>How TLS begins on a listener.</summary>
public enum TlsMode
{
    None,

    /// <summary>Upgraded by command (RFC 3207).</summary>
    StartTls,

    /// <summary>From the first octet (RFC 8314).</summary>
    Implicit,
}

[OptionsValidator]
internal sealed partial class IngressOptionsValidator : IValidateOptions<IngressOptions>;

/// <summary>Rules that no attribute can say.</summary>
internal sealed class IngressOptionsRules : IValidateOptions<IngressOptions>
{
    public ValidateOptionsResult Validate(string? name, IngressOptions options)
    {
        var failures = new List<string>();
        if (!SmtpAddress.TryParse($"x@{options.HostName}", out _))
            failures.Add($"Ingress:HostName is '{options.HostName}'; it must be a domain name such as mx.example.org, or an address in brackets");
        if (options.AuthservId != options.HostName && !SmtpAddress.TryParse($"x@{options.AuthservId}", out _))
            failures.Add($"Ingress:AuthservId is '{options.AuthservId}'; it must be a domain name such as example.org");
        if (options.Postmaster.Length > 0 && !SmtpAddress.TryParse(options.Postmaster, out _, allowUtf8: true))
            failures.Add($"Ingress:Postmaster is '{options.Postmaster}'; it must be a mail address or left out");
        RequireNetworks("Ingress:RelayClients", options.RelayClients, failures);
        RequireNetworks("Ingress:ProxyProtocolFrom", options.ProxyProtocolFrom, failures);
        RequireNetworks("Ingress:XclientFrom", options.XclientFrom, failures);
        RequireNetworks("Ingress:EtrnClients", options.EtrnClients, failures);
        RequireNetworks("Ingress:LmtpClients", options.LmtpClients, failures);

        for (var i = 0; i < options.Listeners.Count; i++)
            Validate($"Ingress:Listeners:{i}", options.Listeners[i], options, failures);
        for (var i = 0; i < options.Filters.Count; i++)
        {
            options.Filters[i].Validate($"Ingress:Filters:{i}", options.Listeners, failures);
            if (options.Filters.Take(i).Any(other => other.Name == options.Filters[i].Name))
                failures.Add($"Ingress:Filters:{i}:Name is '{options.Filters[i].Name}', as that of another filter; each must have a name of its own");
        }

        options.MtaSts.Validate($"{IngressOptions.SectionName}:{nameof(IngressOptions.MtaSts)}", failures);
        options.Checks.Validate($"{IngressOptions.SectionName}:{nameof(IngressOptions.Checks)}", options.Listeners, failures);
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }

    private static void RequireNetworks(string setting, IList<string> networks, List<string> failures)
    {
        for (var i = 0; i < networks.Count; i++)
        {
            if (!ClientNetworks.TryParse(networks[i], out _))
                failures.Add($"{setting}:{i} is '{networks[i]}'; it must be an IP address or a network such as 192.0.2.0/24");
        }
    }

    private static void Validate(string setting, ListenerOptions listener, IngressOptions options, List<string> failures)
    {
        if (!HostAddress.TryParse(listener.Address, out _))
            failures.Add($"{setting}:Address is '{listener.Address}'; it must be an IP address, e.g. 127.0.0.1, 0.0.0.0 or ::");
        if (listener.PortOrDefault is < 0 or > 65535)
            failures.Add($"{setting}:Port is {listener.Port}; it must be 0 to 65535");
        listener.ValidateKind(setting, failures);
        if (!Enum.IsDefined(listener.Tls))
            failures.Add($"{setting}:Tls is {listener.Tls}; it must be None, StartTls or Implicit");
        if (listener.AuthMechanisms is not null && SaslMechanism.Named(listener.AuthMechanisms) is null)
            failures.Add($"{setting}:AuthMechanisms is '{listener.AuthMechanisms}'; it must be one or more of {SaslMechanism.NamesOf(SaslMechanism.All)}");
        if (listener is { Kind: ListenerKind.Submission, Auth: false })
            failures.Add($"{setting}:Auth is false; a Submission listener needs AUTH");
        if (listener is { Kind: ListenerKind.Submission, Tls: TlsMode.None } && !options.AllowCleartextAuth)
            failures.Add($"{setting}:Tls is None; a Submission listener needs StartTls or Implicit, or Ingress:AllowCleartextAuth");
    }
}

/// <summary>What is offered has to be taken: without an issuer there are no tokens to log in by.</summary>
internal sealed class IngressTokenRule(IConfiguration configuration) : IValidateOptions<IngressOptions>
{
    public ValidateOptionsResult Validate(string? name, IngressOptions options)
    {
        var failures = options.Listeners.Select((listener, i) => LoginOptions.CheckMechanisms(
            configuration, $"{IngressOptions.SectionName}:{nameof(options.Listeners)}:{i}:{nameof(listener.AuthMechanisms)}", listener.AuthMechanisms));
        return failures.OfType<string>().ToList() is { Count: > 0 } said ? ValidateOptionsResult.Fail(said) : ValidateOptionsResult.Success;
    }
}

/// <summary>Where limits are counted for all servers together, if that is said.</summary>
internal sealed class IngressRedisRule(IConfiguration configuration) : IValidateOptions<IngressOptions>
{
    public ValidateOptionsResult Validate(string? name, IngressOptions options) =>
        configuration.GetConnectionString(IngressHosting.LimitsName) is { Length: > 0 } redis && RedisBuckets.FaultOf(redis) is { } fault
            ? ValidateOptionsResult.Fail($"ConnectionStrings:limits must be like 'host:6379,password=...': {fault}") : ValidateOptionsResult.Success;
}

/// <summary>What a service of its own needs.</summary>
internal sealed class IngressListenerRule : IValidateOptions<IngressOptions>
{
    public ValidateOptionsResult Validate(string? name, IngressOptions options) => options.Listeners.Count > 0
        ? ValidateOptionsResult.Success
        : ValidateOptionsResult.Fail(
            "Ingress:Listeners has no entry, so that nothing would listen; it must have at least one, e.g. Ingress:Listeners:0:Kind=Mx (or Submission, Lmtp) and Ingress:Listeners:0:Address=0.0.0.0");
}
