using System.Globalization;
using System.Text;
using MailPipeline.Smtp;

namespace MailPipeline.Administration;

/// <summary>
/// Domains and addresses as typed by an operator, in lower case, by the grammar of the protocol. Each method returns null and the
/// name, or why what was typed is none.
/// </summary>
internal static class MailNames
{
    private const int MaxDomain = 255; // RFC 5321 §4.5.3.1.2
    private const int MaxAccountLocalPart = 64;
    private const int MaxAccount = 248; // "USER " and CRLF around it

    public static DirectoryResult? Domain(string typed, out string domain)
    {
        domain = typed.TrimEnd('.').ToLowerInvariant();
        return domain.Length <= MaxDomain && SmtpAddress.TryParse("a@" + domain, out var address, allowUtf8: true) && !address!.HasAddressLiteral
            ? null
            : new NotADomain(typed);
    }

    /// <summary>
    /// A domain that is to be ours: in ASCII, as it stands in the DNS and in commands where SMTPUTF8 is not offered (RFC 5890 §2.3.2.1).
    /// </summary>
    public static DirectoryResult? NewDomain(string typed, out string domain)
    {
        if (Domain(typed, out domain) is { } refused)
            return refused;
        if (Ascii.IsValid(domain))
            return null;
        try
        {
            return new DomainNotAscii(typed, new IdnMapping().GetAscii(domain));
        }
        catch (ArgumentException)
        {
            // It has no such form, and cannot be in the DNS.
            return new DomainNotAscii(typed, "");
        }
    }

    public static DirectoryResult? Address(string typed, out string name)
    {
        var isAddress = SmtpAddress.TryParse(typed, out var address, allowUtf8: true) && address!.HasDomain && !address.HasAddressLiteral;
        name = isAddress ? address!.Canonical.ToLowerInvariant() : "";
        return isAddress ? null : new NotAnAddress(typed);
    }

    /// <summary>
    /// What an account is called is typed as a user name in every protocol here, and in those of others it writes to: ASCII (POP3
    /// has no UTF8, RFC 6856), no quotes and spaces (arguments of RFC 1939 §3 are words), no more than 64 octets before the "@"
    /// (RFC 5321 §4.5.3.1.1), and a USER line of 255 octets with its end (RFC 2449 §4).
    /// </summary>
    public static DirectoryResult? Account(string typed, out string address)
    {
        if (Address(typed, out address) is { } refused)
            return refused;
        var local = address[..address.LastIndexOf('@')];
        return local.Length <= MaxAccountLocalPart && address.Length <= MaxAccount && !local.StartsWith('"') && Ascii.IsValid(address)
            ? null
            : new NotAnAccountName(typed, MaxAccountLocalPart, MaxAccount);
    }

    /// <summary>An address, or "@example.org" for all of a domain.</summary>
    public static DirectoryResult? AddressOrCatchAll(string typed, out string address)
    {
        if (!typed.StartsWith('@'))
            return Address(typed, out address);
        var refused = Domain(typed[1..], out var domain);
        address = "@" + domain;
        return refused;
    }

    public static string DomainOf(string address) => address[(address.LastIndexOf('@') + 1)..];
}
