namespace MailPipeline.Standalone.Commands;

/// <summary>Domains and addresses as typed by an operator, in lower case.</summary>
internal static class MailNames
{
    // RFC 5321 §4.5.3.1.1 and §4.5.3.1.2.
    private const int MaxLocalPart = 64;
    private const int MaxDomain = 255;

    /// <exception cref="UsageException">It is not a domain name.</exception>
    public static string Domain(string typed)
    {
        var domain = typed.Trim().TrimEnd('.').ToLowerInvariant();
        return domain.Length is > 0 and <= MaxDomain && domain.Split('.').All(IsLabel)
            ? domain
            : throw new UsageException($"'{typed}' is not a domain; it looks like example.org");
    }

    /// <exception cref="UsageException">It is not an address.</exception>
    public static string Address(string typed)
    {
        var at = typed.LastIndexOf('@');
        var local = at > 0 ? typed[..at].ToLowerInvariant() : "";
        // Quoted local parts are legal mail but poor accounts (RFC 5321 §4.1.2 advises against them).
        if (local.Length is 0 or > MaxLocalPart || local.AsSpan().ContainsAny("\"\\<>()[],;: @") || local.Any(char.IsControl)
            || local.StartsWith('.') || local.EndsWith('.') || local.Contains("..", StringComparison.Ordinal))
        {
            throw new UsageException($"'{typed}' is not an address; it looks like ann@example.org");
        }
        return $"{local}@{Domain(typed[(at + 1)..])}";
    }

    /// <summary>An address, or "@example.org" for all of a domain.</summary>
    public static string AddressOrCatchAll(string typed) => typed.StartsWith('@') ? "@" + Domain(typed[1..]) : Address(typed);

    public static string DomainOf(string address) => address[(address.LastIndexOf('@') + 1)..];

    // RFC 1035 §2.3.1, and letters beyond ASCII for internationalised names.
    private static bool IsLabel(string label) =>
        label.Length is > 0 and <= 63 && label[0] != '-' && label[^1] != '-' && label.All(c => char.IsLetterOrDigit(c) || c is '-' or '_');
}
