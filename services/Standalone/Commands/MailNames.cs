using MailPipeline.Smtp;

namespace MailPipeline.Standalone.Commands;

/// <summary>Domains and addresses as typed by an operator, in lower case, by the grammar of the protocol.</summary>
internal static class MailNames
{
    private const int MaxDomain = 255; // RFC 5321 §4.5.3.1.2

    /// <exception cref="UsageException">It is not a domain name.</exception>
    public static string Domain(string typed)
    {
        var domain = typed.TrimEnd('.').ToLowerInvariant();
        return domain.Length <= MaxDomain && SmtpAddress.TryParse("a@" + domain, out var address, allowUtf8: true) && !address!.HasAddressLiteral
            ? domain
            : throw new UsageException($"'{typed}' is not a domain; it looks like example.org");
    }

    /// <exception cref="UsageException">It is not an address.</exception>
    public static string Address(string typed) =>
        SmtpAddress.TryParse(typed, out var address, allowUtf8: true) && address!.HasDomain && !address.HasAddressLiteral
            ? address.Canonical.ToLowerInvariant()
            : throw new UsageException($"'{typed}' is not an address; it looks like ann@example.org");

    /// <summary>An address, or "@example.org" for all of a domain.</summary>
    public static string AddressOrCatchAll(string typed) => typed.StartsWith('@') ? "@" + Domain(typed[1..]) : Address(typed);

    public static string DomainOf(string address) => address[(address.LastIndexOf('@') + 1)..];
}
