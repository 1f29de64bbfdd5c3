using System.ComponentModel.DataAnnotations;
using System.Net;
using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.Sasl;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mailbox;

/// <summary>Section <c>Mailbox</c>: where POP3 is spoken, and its limits.</summary>
public sealed class MailboxOptions
{
    public const string Section = "Mailbox";

    /// <summary>Where POP3 clients are waited for. Default: nowhere, with which a service of its own does not start.</summary>
    public IList<MailboxListener> Listeners { get; init; } = [];

    /// <summary>
    /// Addresses and networks (CIDR) of load balancers that name their client by the PROXY protocol, version 1 or 2; from them
    /// its header is required. Default: none.
    /// </summary>
    public IList<string> ProxyProtocolFrom { get; init; } = [];

    /// <summary>From whom passwords are taken without TLS. Default Never (RFC 8314 §3).</summary>
    public CleartextLogin AllowCleartextLogin { get; set; } = CleartextLogin.Never;

    /// <summary>
    /// How long a client may be silent, or fail to take what is sent to it. Default 10 minutes, which is also the least
    /// allowed (RFC 1939 §3).
    /// </summary>
    public TimeSpan InactivityTimeout { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// How long a client may be silent before the login, which is no part of the session that RFC 1939 §3 gives ten minutes. Default 1 minute; the login as a whole
    /// has five times as long, or just as long while nine tenths of its listener's connections are in use.
    /// </summary>
    public TimeSpan LoginTimeout { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>How long a TLS handshake may take. Default 10 s, as Kestrel's own for HTTPS.</summary>
    public TimeSpan TlsHandshakeTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How long the answer to a wrong password is held back. Default 2 s, as Dovecot's auth_failure_delay.</summary>
    public TimeSpan LoginFailureDelay { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Logins that may fail before the connection is closed. Default 3: one slip, one check of the note, one more.</summary>
    [Range(1, 100)]
    public int MaxLoginFailures { get; set; } = 3;

    /// <summary>Commands that are none, before the connection is closed. Default 20, as Postfix's smtpd_hard_error_limit.</summary>
    [Range(1, 1000)]
    public int MaxBadCommands { get; set; } = 20;

    /// <summary>
    /// Connections at the same time on each listener, of clients that have not logged in; more are refused. Default 1,000: idle they hold
    /// 10 MB, and 50 MB with TLS. The last tenth is kept for networks from which somebody logged in within a day.
    /// </summary>
    [Range(1, 1_000_000)]
    public int MaxConnections { get; set; } = 1000;

    /// <summary>
    /// Connections at the same time on each listener, of clients that have logged in. Default 1,000. Beyond it who logs in keeps one of the
    /// <see cref="MaxConnections"/>, so that the two together bound all.
    /// </summary>
    [Range(1, 1_000_000)]
    public int MaxConnectionsLoggedIn { get; set; } = 1000;

    /// <summary>
    /// Connections at the same time on each listener from one client: an IPv4 address, or a network of IPv6. Default 100: an office behind
    /// one address is an ordinary case.
    /// </summary>
    [Range(1, 1_000_000)]
    public int MaxConnectionsPerAddress { get; set; } = 100;

    /// <summary>Bits of an IPv6 address that name a client. Default 64, what one customer has at least (RFC 6177).</summary>
    [Range(16, 128)]
    public int PrefixIPv6 { get; set; } = 64;

    /// <summary>
    /// How often a session renews its hold on the maildrop. Default 10 s, a third of MailStore:MaildropLease, so that two
    /// renewals may fail.
    /// </summary>
    public TimeSpan LeaseRenewalInterval { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Batches of messages stored at the same time. Default 8: they share commits, so that more would only wait in line.
    /// </summary>
    [Range(1, 256)]
    public int StoreConcurrency { get; set; } = 8;
}

/// <summary>One address and port where POP3 clients are waited for.</summary>
public sealed class MailboxListener
{
    /// <summary>What the listener is called in logs. Default "pop3".</summary>
    public string Name { get; set; } = "pop3";

    /// <summary>IP address to listen on. Default 127.0.0.1: reachable from elsewhere only when the operator says so.</summary>
    public string Address { get; set; } = "127.0.0.1";

    /// <summary>TCP port, 0 to 65535; 0 takes a free one. Default 110 (RFC 1939 §3).</summary>
    public int Port { get; set; } = 110;

    /// <summary>How TLS comes about. Default StartTls.</summary>
    public ListenerTls Tls { get; set; } = ListenerTls.StartTls;

    /// <summary>
    /// Mechanisms of AUTH, with a space between them, as CAPA names them. Default LOGIN PLAIN, which take passwords as USER and PASS do, and
    /// behind them OAUTHBEARER XOAUTH2 where an issuer is set (Logins:OpenId:Issuer); SCRAM-SHA-256 by choice, for an account may have no keys
    /// for it, and a client that has it takes no other; SCRAM-SHA-256-PLUS where all clients bind by the server's certificate.
    /// </summary>
    public string? AuthMechanisms { get; set; }

    internal IPEndPoint EndPoint => new(IPAddress.Parse(Address), Port);
}

/// <summary>How TLS comes about on a listener.</summary>
public enum ListenerTls
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>By the STLS command (RFC 2595).</summary>
    StartTls,

    /// <summary>From the first octet (RFC 8314 §3.3, "pop3s", port 995).</summary>
    Implicit,
}

/// <summary>From whom passwords are taken without TLS.</summary>
public enum CleartextLogin
{
    Never,

    /// <summary>From clients on this machine.</summary>
    Loopback,

    /// <summary>From everybody: whoever listens on the way reads the passwords.</summary>
    Always,
}

[OptionsValidator]
internal sealed partial class MailboxOptionsAttributes : IValidateOptions<MailboxOptions>;

/// <summary>What is allowed, including what attributes cannot say.</summary>
internal sealed class MailboxOptionsValidator : IValidateOptions<MailboxOptions>
{
    // RFC 1939 §3
    private static readonly TimeSpan LeastInactivity = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan LongestTimer = TimeSpan.FromDays(1);

    public ValidateOptionsResult Validate(string? name, MailboxOptions options)
    {
        var failures = new List<string>();
        if (new MailboxOptionsAttributes().Validate(name, options) is { Failed: true } limits)
            failures.AddRange(limits.Failures!);
        Between(nameof(options.InactivityTimeout), options.InactivityTimeout, LeastInactivity);
        Between(nameof(options.LoginTimeout), options.LoginTimeout, TimeSpan.FromSeconds(1));
        Between(nameof(options.TlsHandshakeTimeout), options.TlsHandshakeTimeout, TimeSpan.FromSeconds(1));
        Between(nameof(options.LoginFailureDelay), options.LoginFailureDelay, TimeSpan.Zero);
        Between(nameof(options.LeaseRenewalInterval), options.LeaseRenewalInterval, TimeSpan.FromMilliseconds(100));
        for (var index = 0; index < options.ProxyProtocolFrom.Count; index++)
        {
            if (!ClientNetworks.TryParse(options.ProxyProtocolFrom[index], out _))
                failures.Add($"{MailboxOptions.Section}:ProxyProtocolFrom:{index} is '{options.ProxyProtocolFrom[index]}'; allowed is an IP address or a network such as 192.0.2.0/24");
        }
        for (var index = 0; index < options.Listeners.Count; index++)
            Check(options.Listeners[index], $"{MailboxOptions.Section}:{nameof(options.Listeners)}:{index}", failures);
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);

        void Between(string setting, TimeSpan value, TimeSpan least)
        {
            if (value < least || value > LongestTimer)
                failures.Add($"{MailboxOptions.Section}:{setting} is {value}; allowed is {least} to {LongestTimer}");
        }
    }

    private static void Check(MailboxListener listener, string setting, List<string> failures)
    {
        if (!HostAddress.TryParse(listener.Address, out _))
            failures.Add($"{setting}:Address is '{listener.Address}'; allowed is an IP address, e.g. 127.0.0.1, 0.0.0.0 or ::");
        if (listener.Port is < 0 or > 65535)
            failures.Add($"{setting}:Port is {listener.Port}; allowed is 0 to 65535");
        if (!Enum.IsDefined(listener.Tls))
            failures.Add($"{setting}:Tls is {listener.Tls}; allowed is None, StartTls or Implicit");
        if (listener.AuthMechanisms is not null && SaslMechanism.Named(listener.AuthMechanisms) is null)
            failures.Add($"{setting}:AuthMechanisms is '{listener.AuthMechanisms}'; allowed is one or more of {SaslMechanism.NamesOf(SaslMechanism.All)}");
    }
}

/// <summary>What is offered has to be taken: without an issuer there are no tokens to log in by.</summary>
internal sealed class MailboxTokenRule(IConfiguration configuration) : IValidateOptions<MailboxOptions>
{
    public ValidateOptionsResult Validate(string? name, MailboxOptions options)
    {
        var failures = options.Listeners.Select((listener, i) => LoginOptions.CheckMechanisms(
            configuration, $"{MailboxOptions.Section}:{nameof(options.Listeners)}:{i}:{nameof(listener.AuthMechanisms)}", listener.AuthMechanisms));
        return failures.OfType<string>().ToList() is { Count: > 0 } said ? ValidateOptionsResult.Fail(said) : ValidateOptionsResult.Success;
    }
}

/// <summary>What a service of its own needs.</summary>
internal sealed class MailboxListenerRule : IValidateOptions<MailboxOptions>
{
    public ValidateOptionsResult Validate(string? name, MailboxOptions options) => options.Listeners.Count > 0
        ? ValidateOptionsResult.Success
        : ValidateOptionsResult.Fail(
            "Mailbox:Listeners has no entry, so that nothing would listen; allowed is one or more, e.g. Mailbox:Listeners:0:Port=110 and Mailbox:Listeners:0:Address=0.0.0.0");
}
