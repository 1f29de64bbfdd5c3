using System.ComponentModel.DataAnnotations;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Sources;
using MailPipeline.Delivery.Tls;
using MailPipeline.Dns;
using MailPipeline.MtaSts;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery;

/// <summary>Settings of the section "Delivery"; each is described in the README of this folder.</summary>
public sealed class DeliveryOptions
{
    public const string Section = "Delivery";

    /// <summary>The name given in EHLO (RFC 5321 §4.1.1.1) and known as ourselves in MX records. Default: <see cref="OwnHostName.Default"/>.</summary>
    [Required(AllowEmptyStrings = false)]
    public string HostName
    {
        get => _hostName ?? OwnHostName.Default.Text;
        set => _hostName = value;
    }

    private string? _hostName;

    /// <summary>Further MX names that mean this system (RFC 5321 §5.1).</summary>
    public TextList OwnNames { get; set; } = [];

    /// <summary>Addresses that mean this system, e.g. of its load balancer; an MX that resolves to one of them is a loop.</summary>
    public TextList OwnAddresses { get; set; } = [];

    /// <summary>
    /// Mail by MX or address literal to loopback, unspecified, link-local and multicast addresses and those of this machine's interfaces.
    /// Default: Refuse, it would loop (RFC 5321 §5.1). Allow is for set-ups in which everything runs on one machine.
    /// </summary>
    [EnumDataType(typeof(AddressRule))]
    public AddressRule LocalAddresses { get; set; } = AddressRule.Refuse;

    /// <summary>Mail by MX or address literal to private networks (RFC 1918, 4193, 6598). Default: Allow, clusters and offices have their servers there.</summary>
    [EnumDataType(typeof(AddressRule))]
    public AddressRule PrivateAddresses { get; set; } = AddressRule.Allow;

    /// <summary>Port of hosts found by MX. Default: 25.</summary>
    [Range(1, 65535)]
    public int Port { get; set; } = 25;

    /// <summary>Longest time that one batch waits for the addresses of its hosts. Default: 15 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:05:00")]
    public TimeSpan DnsBatchTime { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Which addresses of a host are used, and in which order. Default: IPv4 first, then IPv6.</summary>
    public AddressPreference Addresses { get; set; } = AddressPreference.IPv4First;

    /// <summary>
    /// Hosts looked up and addresses tried for one batch before it is deferred. Default: 5, as Postfix's smtp_mx_address_limit.
    /// </summary>
    [Range(1, 100)]
    public int MaxHosts { get; set; } = 5;

    /// <summary>
    /// A file in JSON that says from which addresses mail leaves (<see cref="SourcesOptions"/>); it is read again when it changes. Default: none, the system
    /// chooses the address.
    /// </summary>
    public string SourcesFile { get; set; } = "";

    /// <summary>Of the addresses in <see cref="SourcesFile"/> this process uses only these. Default: all that a socket can be bound to here, and those of an egress.</summary>
    public TextList SourceAddresses { get; set; } = [];

    /// <summary>
    /// The next address of a host is tried when the one before it has had no answer for so long (RFC 8305 §5), and the first that answers is used. Default:
    /// 250 ms, the RFC's. 0: only when it has failed.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:00:10")]
    public TimeSpan ConnectionAttemptDelay { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// An address that could not be reached is tried after all others of the domain for so long, by all batches, and then by one first. Default: 5 min, as
    /// long as a connection that nobody answers costs others their time, and not so long that a host that is back is left alone. 0: only after the others of
    /// its host.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan DeadHostTime { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Batches worked on at once for domains that can be reached. Default: 1,000; most of them only wait for a connection.</summary>
    [Range(1, 100_000)]
    public int Consumers { get; set; } = 1000;

    /// <summary>Batches worked on at once for failing domains. Default: 500.</summary>
    [Range(1, 100_000)]
    public int RetryConsumers { get; set; } = 500;

    /// <summary>SMTP connections open at once to domains that can be reached. Default: 200.</summary>
    [Range(1, 60_000)]
    public int Connections { get; set; } = 200;

    /// <summary>SMTP connections open at once to failing domains. Default: 50.</summary>
    [Range(1, 60_000)]
    public int RetryConnections { get; set; } = 50;

    /// <summary>
    /// Share of either pool of connections that is kept for destinations that answered within the last hour. Default: 0.25.
    /// </summary>
    [Range(0.0, 0.9)]
    public double ReservedShare { get; set; } = 0.25;

    /// <summary>
    /// Connections that only wait for a slow far end, for each of <see cref="Connections"/> and <see cref="RetryConnections"/>, and beside
    /// them: while others wait, a connection to a destination that has not answered lately gives its place up after a second without a
    /// result, and one to any other after <see cref="Probation"/>. Default: 5; each costs a socket and some 50 KB. 0: none.
    /// </summary>
    [Range(0, 100)]
    public int StalledPerConnection { get; set; } = 5;

    /// <summary>
    /// How long a connection to a destination that has not answered lately may be without a result while others wait and as many as may be
    /// are stalled. Default: 20 s, above the pauses that servers make before their greeting to tell spammers apart.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan Probation { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>No further message of a batch is begun after this time; the rest is handed back. Default: 5 min.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan BatchTime { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Longest time from MAIL to the final dot of one message, beside what <see cref="TransactionRateBytes"/> adds. Default: 12 min, above
    /// the times that RFC 5321 §4.5.3.2 gives each command.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan TransactionTime { get; set; } = TimeSpan.FromMinutes(12);

    /// <summary>
    /// Octets a second of content: what the far end has taken of a message adds as much time as it takes at this rate. Default: 10 KB, so
    /// that 50 MiB arrive at a host that takes 20 KB a second, and one that takes less than this is ended.
    /// </summary>
    [Range(1.0, 1e9)]
    public long TransactionRateBytes { get; set; } = 10_000;

    /// <summary>How long a connection waits for the next batch of its domain before QUIT. Default: 2 s; zero ends it at once.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:05:00")]
    public TimeSpan IdleTime { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Recipients of one transaction. Default: 100, what every server must take (RFC 5321 §4.5.3.1.8).</summary>
    [Range(1, 1000)]
    public int MaxRecipients { get; set; } = 100;

    /// <summary>
    /// Messages over one connection; 0: as many as there are. Default: 500, as Exim's connection_max_messages. What a host announces (RFC 9422
    /// MAILMAX) and what the queue's policy says hold as well.
    /// </summary>
    [Range(0, 1_000_000)]
    public int MessagesPerConnection { get; set; } = 500;

    /// <summary>Use PIPELINING where it is offered. Default: true.</summary>
    public bool Pipelining { get; set; } = true;

    /// <summary>Send content by BDAT (RFC 3030) where CHUNKING is offered. Default: true.</summary>
    public bool Chunking { get; set; } = true;

    /// <summary>
    /// What becomes of 8-bit content towards a host that does not offer 8BITMIME (RFC 6152 §3). Default: Send, as it is, as Exim does: hosts of
    /// today that lack the word pass it on all the same, and a bounce is a sure loss. Return keeps to the RFC.
    /// </summary>
    [EnumDataType(typeof(EightBitContent))]
    public EightBitContent EightBitMime { get; set; } = EightBitContent.Send;

    /// <summary>
    /// Hosts, by name or address, that are told who submitted a message (AUTH= of MAIL, RFC 4954 §5), as are smarthosts that we log in to.
    /// Default: none.
    /// </summary>
    public TextList SubmitterHosts { get; set; } = [];

    /// <summary>TLS towards all domains without an entry in <see cref="TlsDomains"/>. Default: opportunistic (RFC 7435).</summary>
    public TlsPolicy Tls { get; set; } = TlsPolicy.Opportunistic;

    /// <summary>
    /// TLS policy by domain, "*.parent" and "*", over whatever the domain publishes; the most specific counts. Behind Verified names may stand that the
    /// certificate may be for: "Verified:mx.example.org:example.org". Also taken as one text, as <see cref="Routes"/>.
    /// </summary>
    public DomainList TlsDomains { get; set; } = [];

    /// <summary>
    /// Follow the MTA-STS policies that domains without an entry in <see cref="TlsDomains"/> publish (RFC 8461). Default: true; a domain without one costs a
    /// question to DNS.
    /// </summary>
    public bool MtaSts { get; set; } = true;

    /// <summary>Longest time for the fetch of a policy. Default: 10 s, for which the first mail to a domain waits; RFC 8461 §3.3 suggests a minute.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:02:00")]
    public TimeSpan StsTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>PEM file of authorities that are trusted beside those of the machine, for hosts and for policies. Default: none.</summary>
    public string TrustedRoots { get; set; } = "";

    /// <summary>
    /// How long mail goes in clear text at once to a host whose TLS failed, where no policy forbids that. Default: 10 min, in which a broken host costs one
    /// connection an attempt instead of two; 0: TLS is tried each time.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "7.00:00:00")]
    public TimeSpan BrokenTlsTime { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Count what becomes of sessions under TLS policies, and report it to domains that want to know (RFC 8460). Default: false.</summary>
    public bool TlsReports { get; set; }

    /// <summary>Time-outs of the dialogue.</summary>
    [ValidateObjectMembers]
    public SmtpTimeouts Timeouts { get; set; } = new();

    /// <summary>
    /// Static routes, domain to host:port, which take the place of the MX look-up; "*" is a smarthost for all. Also taken as
    /// one text, "example.com=127.0.0.1:2526, *=smarthost.example.net", and as a list of such texts.
    /// </summary>
    public DomainList Routes { get; set; } = [];

    /// <summary>Next hops with a TLS policy and credentials of their own.</summary>
    public IList<SmarthostOptions> Smarthosts { get; init; } = [];

    /// <summary><see cref="Routes"/> in all its forms, parsed; <see cref="Routes"/> and <see cref="Smarthosts"/> are not changed after the start.</summary>
    internal RouteTable RouteTable => _routeTable ??= RouteTable.Parse(Routes, [.. Smarthosts]);

    private RouteTable? _routeTable;

    /// <summary><see cref="TlsDomains"/> in all its forms, parsed, when it is first asked for.</summary>
    internal TlsTable TlsTable => _tlsTable ??= TlsTable.Parse(TlsDomains);

    private TlsTable? _tlsTable;
}

/// <summary>Per-command time-outs of RFC 5321 §4.5.3.2; each covers one whole reply, not one packet of it.</summary>
public sealed class SmtpTimeouts
{
    /// <summary>TCP connection. Default: 30 s; RFC 5321 names none.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan Connect { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>§4.5.3.2.1: 5 min.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan Greeting { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>EHLO, HELO, STARTTLS and the TLS handshake; RFC 5321 names none. Default: 1 min.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan Hello { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>§4.5.3.2.2: 5 min.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan Mail { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>§4.5.3.2.3: 5 min.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan Rcpt { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>§4.5.3.2.4: 2 min.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan Data { get; set; } = TimeSpan.FromMinutes(2);

    /// <summary>§4.5.3.2.5, one block of the content: 3 min.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan Block { get; set; } = TimeSpan.FromMinutes(3);

    /// <summary>§4.5.3.2.6, the reply to the final dot: 10 min. Shorter means duplicates.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:30:00")]
    public TimeSpan FinalDot { get; set; } = TimeSpan.FromMinutes(10);
}

/// <summary>What is asked of TLS towards a domain.</summary>
public enum TlsPolicy
{
    /// <summary>STARTTLS where offered, any certificate; in clear when it is not offered or fails (RFC 7435).</summary>
    Opportunistic = 0,

    /// <summary>Never STARTTLS.</summary>
    None,

    /// <summary>Never in clear; any certificate. Protects against listeners, not against impostors.</summary>
    Required,

    /// <summary>Never in clear, and the certificate must be valid for the host's name.</summary>
    Verified,

    /// <summary>
    /// Mandatory DANE (RFC 7672 §6): only to hosts whose certificate DNSSEC vouches for; what has no TLSA records, or none that names a certificate, is not used.
    /// </summary>
    Dane,

    /// <summary>Only as the domain's MTA-STS policy says, as if its mode were enforce (RFC 8461); without a policy mail waits.</summary>
    Sts,

    /// <summary>
    /// Opportunistic DANE (RFC 7672 §2.2): what has TLSA records that name a certificate is used as they say, what has others under TLS with any, and what
    /// has none as if Opportunistic.
    /// </summary>
    OpportunisticDane,
}

/// <summary>Whether mail goes to addresses of a kind that no route leads to.</summary>
public enum AddressRule
{
    Refuse = 0,
    Allow,
}

/// <summary>What becomes of 8-bit content where 8BITMIME is not offered.</summary>
public enum EightBitContent
{
    /// <summary>It goes as it is.</summary>
    Send = 0,

    /// <summary>It fails at once, and its sender is told.</summary>
    Return,
}

/// <summary>Which addresses of a host are used, and in which order.</summary>
public enum AddressPreference
{
    IPv4First = 0,
    IPv6First,
    IPv4Only,
    IPv6Only,
}

/// <summary>Checks ranges; says setting, value and what is allowed.</summary>
[OptionsValidator]
internal sealed partial class DeliveryOptionsValidator : IValidateOptions<DeliveryOptions>;

/// <summary>Checks what attributes cannot say.</summary>
internal sealed class DeliveryListsValidator(IOptions<DnsOptions> dns) : IValidateOptions<DeliveryOptions>
{
    /// <summary>RFC 8305 §5: "MUST NOT" be shorter.</summary>
    private static readonly TimeSpan s_shortestDelay = TimeSpan.FromMilliseconds(10);

    public ValidateOptionsResult Validate(string? name, DeliveryOptions options)
    {
        List<string> errors = [.. options.RouteTable.Errors, .. options.TlsTable.Errors];
        if (options.Tls is TlsPolicy.Dane or TlsPolicy.Sts or TlsPolicy.OpportunisticDane)
            errors.Add($"Delivery:Tls is {options.Tls}; it must be one of Opportunistic, None, Required, Verified, and {options.Tls} is for single domains (Delivery:TlsDomains)");
        if (options.TlsTable.DanePolicy is { } dane && !dns.Value.Validating)
            errors.Add($"Delivery:TlsDomains has {dane}, which needs a resolver that validates: Dns:Validating must be true");
        try
        {
            TrustedRoots.Read(options.TrustedRoots);
        }
        catch (InvalidDataException unfit)
        {
            errors.Add($"Delivery:TrustedRoots is '{options.TrustedRoots}'; {unfit.Message}");
        }

        if (!SmtpAddress.TryParse($"x@{options.HostName}", out _))
            errors.Add($"Delivery:HostName is '{options.HostName}'; it must be a domain name such as mx.example.org, or an address in brackets");
        foreach (var address in options.OwnAddresses)
        {
            if (!HostAddress.TryParse(address, out _))
                errors.Add($"Delivery:OwnAddresses has '{address}'; expected an IP address.");
        }

        foreach (var address in options.SourceAddresses)
        {
            if (!HostAddress.TryParse(address, out _))
                errors.Add($"Delivery:SourceAddresses has '{address}'; expected an IP address.");
        }

        if (options.ConnectionAttemptDelay > TimeSpan.Zero && options.ConnectionAttemptDelay < s_shortestDelay)
            errors.Add($"Delivery:ConnectionAttemptDelay is {options.ConnectionAttemptDelay}; it must be 10ms to 10s (RFC 8305 §5), or 0 to try one address after the other");
        if (options.SourcesFile.Length > 0)
            SourcesFile.Validate($"{DeliveryOptions.Section}:{nameof(DeliveryOptions.SourcesFile)}", options.SourcesFile, errors);

        return errors.Count > 0 ? ValidateOptionsResult.Fail(errors) : ValidateOptionsResult.Success;
    }
}
