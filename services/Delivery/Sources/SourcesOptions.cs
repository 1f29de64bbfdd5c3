using System.Globalization;
using System.Net;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Sources;

/// <summary>From which addresses mail leaves: the settings of the file that <see cref="DeliveryOptions.SourcesFile"/> names.</summary>
public sealed class SourcesOptions
{
    /// <summary>What messages call the file's settings by: "Sources:Pools:0:Name".</summary>
    internal const string SectionName = "Sources";

    private const int MostPools = 1_000;
    private const int MostRules = 1_000;

    /// <summary>Addresses that stand for one another.</summary>
    public IList<PoolOptions> Pools { get; init; } = [];

    /// <summary>Whose mail leaves from which pool: the first that fits. What none fits leaves as without this file.</summary>
    public IList<PoolRuleOptions> Rules { get; init; } = [];

    internal void Validate(List<string> failures)
    {
        if (Pools.Count > MostPools)
            failures.Add($"{SectionName}:{nameof(Pools)} has {Pools.Count} entries; it may have {MostPools}");
        if (Rules.Count > MostRules)
            failures.Add($"{SectionName}:{nameof(Rules)} has {Rules.Count} entries; it may have {MostRules}");
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        var addresses = new HashSet<IPAddress>();
        var egresses = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var (i, pool) in Pools.Index())
        {
            var setting = $"{SectionName}:{nameof(Pools)}:{i}";
            pool.Validate(setting, addresses, egresses, failures);
            if (!names.Add(pool.Name))
                failures.Add($"{setting}:{nameof(PoolOptions.Name)} is '{pool.Name}', as that of a pool before; each must have its own");
        }
        foreach (var (i, rule) in Rules.Index())
            rule.Validate($"{SectionName}:{nameof(Rules)}:{i}", names, failures);
    }
}

/// <summary>A pool of source addresses.</summary>
public sealed class PoolOptions
{
    internal const int LongestName = 63;

    private const int MostSources = 1_000;

    /// <summary>Letters, digits, '-', '_' and '.'; rules, logs and metrics call it so.</summary>
    public string Name { get; set; } = "";

    public IList<SourceOptions> Sources { get; init; } = [];

    /// <summary>
    /// Through what its connections go, where a source says nothing else: "socks5://HOST:PORT" (RFC 1928), or "proxy://HOST:PORT", which is told by the PROXY
    /// protocol from which address and where to. Default: none.
    /// </summary>
    public string Egress { get; set; } = "";

    /// <summary>A file with the user's name and the password for SOCKS5 (RFC 1929) in two lines, or a folder with the files "username" and "password".</summary>
    public string EgressCredentials { get; set; } = "";

    internal void Validate(string setting, HashSet<IPAddress> addresses, HashSet<string> egresses, List<string> failures)
    {
        if (Name.Length is 0 or > LongestName || !Name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
            failures.Add($"{setting}:{nameof(Name)} is '{Name}'; it must be 1 to {LongestName} letters, digits, '-', '_' or '.'");
        if (Sources.Count is 0 or > MostSources)
            failures.Add($"{setting}:{nameof(Sources)} has {Sources.Count} entries; it must have 1 to {MostSources}");
        ValidateEgress(setting, Egress, EgressCredentials, failures);
        foreach (var (i, source) in Sources.Index())
        {
            source.Validate($"{setting}:{nameof(Sources)}:{i}", addresses, failures);
            var (egress, credentials) = source.EgressOf(this);
            // A server of SOCKS5 is told no source address: the one that it has is the one there is.
            if (EgressHop.TryParse(egress, out var through) && through.Kind == EgressKind.Socks5 && !egresses.Add($"{egress} {credentials}"))
            {
                failures.Add(
                    $"{setting}:{nameof(Sources)}:{i} leaves through '{egress}', as a source before; a SOCKS5 server is told no source address, "
                    + "so each source must have one of its own, or credentials of its own there");
            }
        }
    }

    internal static void ValidateEgress(string setting, string egress, string credentials, List<string> failures)
    {
        if (egress.Length > 0 && !EgressHop.TryParse(egress, out _))
            failures.Add($"{setting}:{nameof(Egress)} is '{egress}'; it must be socks5://HOST:PORT or proxy://HOST:PORT, for example socks5://egress.example.net:1080");
        if (credentials.Length == 0)
            return;
        if (!EgressHop.TryParse(egress, out var through) || through.Kind != EgressKind.Socks5)
        {
            failures.Add($"{setting}:{nameof(EgressCredentials)} is '{credentials}', and {setting}:{nameof(Egress)} is no socks5://, which alone takes some");
            return;
        }
        try
        {
            Socks5.Read(credentials);
        }
        catch (InvalidDataException unfit)
        {
            failures.Add($"{setting}:{nameof(EgressCredentials)} is '{credentials}'; {unfit.Message}");
        }
    }
}

/// <summary>One source address.</summary>
public sealed class SourceOptions
{
    private const int MostWeight = 1_000_000;
    private const int MostConnections = 60_000;

    /// <summary>As far ends see it.</summary>
    public string Address { get; set; } = "";

    /// <summary>What this machine calls it, where something on the way changes it (NAT). Default: the address itself.</summary>
    public string Bind { get; set; } = "";

    /// <summary>The name in EHLO, which belongs to the address (RFC 5321 §4.1.1.1). Default: Delivery:HostName.</summary>
    public string HostName { get; set; } = "";

    /// <summary>Its share of the pool's connections beside those of the others. 0: none, it is no longer used. Default: 1.</summary>
    public int Weight { get; set; } = 1;

    /// <summary>Most connections from it at once, for each process. 0: no bound.</summary>
    public int Connections { get; set; }

    /// <summary>How many messages it sends a day while it is new. Default: as many as there are.</summary>
    public WarmUpOptions WarmUp { get; init; } = new();

    /// <summary>In the place of the pool's.</summary>
    public string Egress { get; set; } = "";

    public string EgressCredentials { get; set; } = "";

    internal (string Egress, string Credentials) EgressOf(PoolOptions pool) =>
        Egress.Length > 0 ? (Egress, EgressCredentials) : (pool.Egress, EgressCredentials.Length > 0 ? EgressCredentials : pool.EgressCredentials);

    internal void Validate(string setting, HashSet<IPAddress> addresses, List<string> failures)
    {
        if (!HostAddress.TryParse(Address, out var address))
            failures.Add($"{setting}:{nameof(Address)} is '{Address}'; it must be an IP address");
        else if (!addresses.Add(address))
            failures.Add($"{setting}:{nameof(Address)} is '{Address}', as that of a source before; an address belongs to one pool, once");
        if (Bind.Length > 0 && (!HostAddress.TryParse(Bind, out var local) || (address is not null && local.AddressFamily != address.AddressFamily)))
            failures.Add($"{setting}:{nameof(Bind)} is '{Bind}'; it must be an IP address of this machine, of the kind (IPv4 or IPv6) of {nameof(Address)}");
        if (HostName.Length > 0 && !SmtpAddress.TryParse($"x@{HostName}", out _))
            failures.Add($"{setting}:{nameof(HostName)} is '{HostName}'; it must be a domain name such as mx1.example.org, or an address in brackets");
        if (Weight is < 0 or > MostWeight)
            failures.Add($"{setting}:{nameof(Weight)} is {Weight}; it must be 1 to {MostWeight}, or 0 for an address that is no longer used");
        if (Connections is < 0 or > MostConnections)
            failures.Add($"{setting}:{nameof(Connections)} is {Connections}; it must be 1 to {MostConnections}, or 0 for no bound");
        WarmUp.Validate($"{setting}:{nameof(WarmUp)}", failures);
        PoolOptions.ValidateEgress(setting, Egress, Egress.Length > 0 ? EgressCredentials : "", failures);
    }
}

/// <summary>Messages a day of an address that far ends do not know yet.</summary>
public sealed class WarmUpOptions
{
    private const int MostDays = 1_000;
    private const int MostMessages = 1_000_000_000;

    /// <summary>The first day, as 2026-03-01, in UTC. Before it nothing is sent from the address.</summary>
    public string From { get; set; } = "";

    /// <summary>Messages on the first day, the second and so on; behind the last there is no bound. "50, 100, 200"</summary>
    public TextList Days { get; set; } = [];

    internal bool IsSet => From.Length > 0 || Days.Count > 0;

    internal static bool TryParseDay(string text, out DateOnly day) =>
        DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out day);

    internal static bool TryParseMessages(string text, out int messages) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out messages) && messages <= MostMessages;

    internal void Validate(string setting, List<string> failures)
    {
        if (!IsSet)
            return;
        if (!TryParseDay(From, out _))
            failures.Add($"{setting}:{nameof(From)} is '{From}'; it must be a day such as 2026-03-01");
        if (Days.Count is 0 or > MostDays)
            failures.Add($"{setting}:{nameof(Days)} has {Days.Count} entries; it must have 1 to {MostDays}");
        foreach (var unfit in Days.Where(day => !TryParseMessages(day, out _)).Take(1))
            failures.Add($"{setting}:{nameof(Days)} has '{unfit}'; it must be numbers of messages from 0 to {MostMessages}, for example 50, 100, 200");
    }
}

/// <summary>Whose mail leaves from a pool.</summary>
public sealed class PoolRuleOptions
{
    /// <summary>The account that was logged in, or the sender in the envelope, as <see cref="SenderPattern"/> has it. Default: all.</summary>
    public string From { get; set; } = "";

    /// <summary>The destination: a domain, "*.example.org" (all below it) or "*". Default: all.</summary>
    public string To { get; set; } = "";

    /// <summary>Empty: from no pool, as without this file.</summary>
    public string Pool { get; set; } = "";

    internal void Validate(string setting, HashSet<string> pools, List<string> failures)
    {
        if (From.Length > 0 && !SenderPattern.IsOne(From))
        {
            failures.Add(
                $"{setting}:{nameof(From)} is '{From}'; it must be an address, a domain, '*@' or '*.' and a domain, '{SenderPattern.NullSender}' for reports, or '*'");
        }
        if (To.Length > 0 && !Routing.RouteTable.IsPattern(To))
            failures.Add($"{setting}:{nameof(To)} is '{To}'; it must be a domain such as example.com, *.example.com for all below it, or * for all");
        if (Pool.Length > 0 && !pools.Contains(Pool))
            failures.Add($"{setting}:{nameof(Pool)} is '{Pool}'; there {(pools.Count == 1 ? "is" : "are")} {(pools.Count == 0 ? "none" : string.Join(", ", pools))}");
    }
}
