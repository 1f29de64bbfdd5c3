using System.Net;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>Lists of addresses in DNS that say whom others take mail from (RFC 5782). Section "DnsLists" of the policy.</summary>
public sealed class DnsListOptions
{
    /// <summary>The listeners on which they are asked. Default Mx: our users come from anywhere, and log in.</summary>
    public ListenerSet Listeners { get; set; } = ListenerKinds.Mx;

    /// <summary>The lists. Default: none.</summary>
    public IList<DnsListEntry> Lists { get; init; } = [];

    /// <summary>Sum of the weights of the lists that have a client from which on it is refused (550 5.7.1 at RCPT); 0: nobody is. Default 1.</summary>
    public int RefuseFrom { get; set; } = 1;

    /// <summary>Sum of the weights from which on the messages of a client have the tag "dns-list"; 0: none have. Default 0.</summary>
    public int TagFrom { get; set; }

    /// <summary>
    /// How long a client waits at RCPT for lists that have not answered; then those count that have. Default 5 s: the questions begin before the
    /// greeting, and a resolver that takes longer has trouble of its own.
    /// </summary>
    public TimeSpan MaxWait { get; set; } = TimeSpan.FromSeconds(5);

    internal bool IsOn => Lists.Count > 0 && !Listeners.IsNone && (RefuseFrom > 0 || TagFrom > 0);

    internal void Validate(string setting, IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        Listeners.Validate($"{setting}:Listeners", listeners, failures);
        PolicyOptions.RequireTime($"{setting}:MaxWait", MaxWait, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(30), failures);
        if (RefuseFrom is < 0 or > 1000)
            failures.Add($"{setting}:RefuseFrom is {RefuseFrom}; it must be 0 to 1000");
        if (TagFrom is < 0 or > 1000)
            failures.Add($"{setting}:TagFrom is {TagFrom}; it must be 0 to 1000");
        // Each costs a question for each client.
        if (Lists.Count > 50)
            failures.Add($"{setting}:Lists has {Lists.Count} entries; it may have 50");
        for (var i = 0; i < Lists.Count; i++)
            Lists[i].Validate($"{setting}:Lists:{i}", failures);
    }
}

/// <summary>One list. Section "DnsLists:Lists:N" of the policy.</summary>
public sealed class DnsListEntry
{
    /// <summary>Its zone, such as zen.spamhaus.org; several entries may have the same, with different codes.</summary>
    public string Zone { get; set; } = "";

    /// <summary>What it counts for a client that it has; less than 0 for a list of those that are known to be good. Default 1.</summary>
    public int Weight { get; set; } = 1;

    /// <summary>
    /// The answers that count: addresses, networks (127.0.0.0/28), or ranges (127.0.0.2-127.0.0.11). Default: any in 127.0.0.0/8 but those by
    /// which a list says that it cannot answer (127.255.255.0/24, 127.0.0.1), which never count.
    /// </summary>
    public IList<string> Codes { get; init; } = [];

    internal void Validate(string setting, List<string> failures)
    {
        if (!SmtpAddress.TryParse($"x@{Zone}", out var zone) || zone!.HasAddressLiteral || Zone.Length > 180)
            failures.Add($"{setting}:Zone is '{Zone}'; it must be a domain name such as list.example.org");
        if (Weight is 0 or < -1000 or > 1000)
            failures.Add($"{setting}:Weight is {Weight}; it must be -1000 to 1000, and not 0");
        for (var i = 0; i < Codes.Count; i++)
        {
            if (!ReturnCodes.TryParse(Codes[i], out _))
                failures.Add($"{setting}:Codes:{i} is '{Codes[i]}'; it must be an address in 127.0.0.0/8, a network or a range such as 127.0.0.2-127.0.0.11");
        }
    }
}

/// <summary>Answers of a list, from one to another.</summary>
internal readonly record struct ReturnCodes(uint First, uint Last)
{
    public static bool TryParse(string text, out ReturnCodes codes)
    {
        codes = default;
        if (text.Split('-') is [var first, var last])
        {
            if (!TryNumber(first, out var from) || !TryNumber(last, out var to) || to < from)
                return false;
            codes = new ReturnCodes(from, to);
            return true;
        }

        if (TryNumber(text, out var only))
        {
            codes = new ReturnCodes(only, only);
            return true;
        }

        if (!IPNetwork.TryParse(text, out var network) || network.PrefixLength < 8 || !TryNumber(network.BaseAddress.ToString(), out var begin))
            return false;
        codes = new ReturnCodes(begin, begin | (uint)((1UL << (32 - network.PrefixLength)) - 1));
        return true;
    }

    public bool Has(uint code) => code >= First && code <= Last;

    /// <summary>Zero for an address of IPv6.</summary>
    public static uint NumberOf(IPAddress address) =>
        address.GetAddressBytes() is [var a, var b, var c, var d] ? ((uint)a << 24) | ((uint)b << 16) | ((uint)c << 8) | d : 0;

    private static bool TryNumber(string text, out uint number)
    {
        number = 0;
        if (!HostAddress.TryParse(text, out var address))
            return false;
        number = NumberOf(address);
        return number >> 24 == 127;
    }
}
