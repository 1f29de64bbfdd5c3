using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Delivery.Routing;

/// <summary>
/// Where mail goes, whatever domain it is for: domains whose mail goes to the same hosts first are one site, and what is too much for a host is
/// too much of all of them together. Its key is made of the names of the hosts of best preference, or of their addresses where a literal or a
/// route gives no name; hosts behind them take mail only when these do not. What a domain asks of TLS does not set it apart.
/// </summary>
internal static class Site
{
    /// <summary>As long as a domain name, so that whatever holds the one holds the other.</summary>
    public const int MaxKeyChars = 255;

    private const int SmtpPort = 25;

    /// <summary>What is left readable of a key that is too long.</summary>
    private const int ReadableChars = 200;

    /// <summary>128 bits: nobody finds two sets of hosts that share them.</summary>
    private const int HashBytes = 16;

    /// <summary>
    /// "mx1.example.net,mx2.example.net": sorted, in lower case, without final dots, a port only where it is not that of SMTP. A longer one
    /// ends in a hash of the whole.
    /// </summary>
    /// <param name="hosts">By preference. At least one.</param>
    public static string KeyOf(IReadOnlyList<TargetHost> hosts)
    {
        var best = hosts[0].Preference;
        var key = string.Join(',', hosts.Where(host => host.Preference == best).Select(Describe).Distinct().Order(StringComparer.Ordinal));
        return key.Length <= MaxKeyChars
            ? key
            : $"{key[..ReadableChars]}+{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)).AsSpan(0, HashBytes))}";
    }

    private static string Describe(TargetHost host)
    {
        if (host.IsSocket)
            return host.Name;
        var isAddress = HostAddress.TryParse(host.Name, out var address);
        // The same address may be written in several ways.
        var name = isAddress ? HostAddress.Plain(address!).ToString() : host.Name.TrimEnd('.').ToLowerInvariant();
        if (host.Port == SmtpPort)
            return name;
        return string.Create(CultureInfo.InvariantCulture, $"{(name.Contains(':', StringComparison.Ordinal) ? $"[{name}]" : name)}:{host.Port}");
    }
}
